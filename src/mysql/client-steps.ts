import { isUtf8 } from 'node:buffer';
import { OperatingError } from '../lib/errors.js';
import type { Step } from '../pool/request.js';
import type { StatementIds } from '../pool/statement-ids.js';
import type { ParameterValues } from '../routing/plan.js';
import { BULK_HEAD_BYTES, type BulkRefusal } from './bulk-parameters.js';
import { COM } from './capabilities.js';
import type { ClientStatement, ClientStatements } from './client-statements.js';
import { encodeQuery, RESET_CONNECTION } from './commands.js';
import { ERRNO, errOf, sqlstateOf } from './error-codes.js';
import { HEADER_BYTES } from './packets.js';
import { behindAttributes } from './parameters.js';
import { encodeEof, encodeErr, encodeOk } from './result-messages.js';
import { type StateChange, stateChangesOf } from './session-track.js';
import { Reader } from './wire.js';

/** Work for the session. */
export interface RequestAct {
  readonly type: 'request';
  readonly steps: readonly Step[];
  readonly end: 'query' | 'sync';
  /** The statement that this prepares. */
  readonly prepares?: ClientStatement;
  /** The client hears nothing of it, whatever comes of it. */
  readonly isSilent?: boolean;
  /** What it changes in the session when it succeeds. */
  readonly changes?: readonly StateChange[];
  /** COM_FIELD_LIST, said as a SELECT. */
  readonly listsFields?: boolean;
}

/** What one packet of a client means. */
export type ClientAct =
  | RequestAct
  /** Answered by the frontend, with this payload, when its turn comes. */
  | { readonly type: 'own'; readonly payload: Buffer; readonly allowsSeveralStatements?: boolean }
  | { readonly type: 'nothing' }
  /** It can only be read when what came before it is answered. */
  | { readonly type: 'wait' }
  | { readonly type: 'change-user' }
  | { readonly type: 'quit' };

export interface CommandContext {
  readonly statements: ClientStatements;
  readonly ids: StatementIds;
  /** Status flags for answers of our own. */
  readonly flags: number;
  /** CLIENT_QUERY_ATTRIBUTES: they are read over, since no server behind us is told of them. */
  readonly saysAttributes: boolean;
  /** MARIADB_CLIENT_STMT_BULK_OPERATIONS. */
  readonly executesBulk: boolean;
}

/** Where COM_STMT_EXECUTE says whether a cursor shall be opened: behind header, command and statement id. */
const CURSOR_AT = HEADER_BYTES + 5;
const NOTHING: ClientAct = { type: 'nothing' };

/** Reads one command. `frame`: whole, with headers; `payload`: without them. Throws `protocol-violation` and others, told to the client when its turn comes. */
export function decodeCommand(frame: Buffer, payload: Buffer, context: CommandContext): ClientAct {
  const { statements, flags } = context;
  switch (payload[0]) {
    case COM.QUERY:
      return clientQuery(frame, payload, context);
    case COM.STMT_PREPARE:
      return prepare(frame, payload, context);
    case COM.STMT_EXECUTE:
      return execute(frame, payload, context);
    case COM.STMT_BULK_EXECUTE:
      return executeBulk(frame, payload, context);
    case COM.STMT_SEND_LONG_DATA:
      statements.addLongData(payload);
      return NOTHING;
    case COM.STMT_CLOSE:
      return close(frame, payload, statements);
    case COM.STMT_RESET: {
      const statement = statementOf(payload, statements, 'mysqld_stmt_reset');
      statements.reset(statement);
      return ok(flags);
    }
    case COM.STMT_FETCH:
      return error(ERRNO.noCursor, 'The statement has no open cursor.');
    case COM.PING:
      return ok(flags);
    case COM.INIT_DB:
      return queryText(`USE \`${payload.toString('utf8', 1).replaceAll('`', '``')}\``);
    case COM.FIELD_LIST:
      return fieldList(payload);
    case COM.RESET_CONNECTION:
      statements.clear();
      return resetSession();
    case COM.CHANGE_USER:
      return { type: 'change-user' };
    case COM.PROCESS_KILL:
      return queryText(`KILL ${new Reader(payload, 'COM_PROCESS_KILL', 1).int4()}`);
    case COM.PROCESS_INFO:
      return queryText('SHOW PROCESSLIST');
    case COM.SET_OPTION:
      return setOption(payload, flags);
    case COM.STATISTICS:
      return { type: 'own', payload: Buffer.from(statisticsText()) };
    case COM.QUIT:
      return { type: 'quit' };
    default:
      return refused(payload[0]);
  }
}

/** What COM_RESET_CONNECTION asks for. */
function resetSession(): RequestAct {
  return { type: 'request', steps: [{ type: 'reset-session', frame: RESET_CONNECTION }], end: 'sync' };
}

function query(sql: string, frame: Buffer): RequestAct {
  const changes = stateChangesOf(sql);
  return { type: 'request', steps: [{ type: 'query', sql, frame }], end: 'query', changes };
}

function clientQuery(frame: Buffer, payload: Buffer, { saysAttributes }: CommandContext): RequestAct {
  if (!saysAttributes) return query(payload.toString('utf8', 1), frame);
  const text = behindAttributes(payload);
  return query(text.toString('utf8'), encodeQuery(text));
}

/** A statement that the client has not said in these words. */
function queryText(sql: string): RequestAct {
  return query(sql, encodeQuery(sql));
}

function prepare(frame: Buffer, payload: Buffer, { statements, ids }: CommandContext): ClientAct {
  const text = payload.subarray(1);
  const sql = text.toString('utf8');
  const bytes = sql.includes('\ufffd') && !isUtf8(text) ? Buffer.from(text) : undefined;
  const statement = statements.prepare();
  const name = String(statement.id);
  const prepared = { name, sql, bytes, parameterTypes: [], id: ids.idOf(sql, [], bytes) };
  return {
    type: 'request',
    steps: [
      { type: 'parse', prepared, frame },
      { type: 'describe-statement', prepared: undefined, statementName: name, frame: Buffer.alloc(0) },
    ],
    end: 'sync',
    prepares: statement,
  };
}

function execute(frame: Buffer, payload: Buffer, { statements, saysAttributes }: CommandContext): ClientAct {
  const statement = statementOf(payload, statements, 'mysqld_stmt_execute');
  if (statement.parameterCount === undefined) return { type: 'wait' };
  if (payload.length < CURSOR_AT - HEADER_BYTES + 5) {
    throw new OperatingError('protocol-violation', 'COM_STMT_EXECUTE packet is cut short');
  }
  const parameters = statements.execute(statement, payload, saysAttributes);
  // A server may always answer without a cursor (MySQL internals, "COM_STMT_FETCH"), and ours would be on one backend.
  frame[CURSOR_AT] = 0;
  return execution(frame, statement, parameters);
}

/** MariaDB: several sets of values in one packet, and one answer to all. */
function executeBulk(
  frame: Buffer,
  payload: Buffer,
  { statements, executesBulk }: CommandContext,
): ClientAct {
  if (!executesBulk) return bulkRefused('unsupported');
  if (payload.length < BULK_HEAD_BYTES) return bulkRefused('malformed');
  const statement = statementOf(payload, statements, 'mysqld_stmt_execute');
  if (statement.parameterCount === undefined) return { type: 'wait' };
  const parameters = statements.executeBulk(statement, payload);
  if (typeof parameters === 'string') return bulkRefused(parameters);
  return execution(frame, statement, parameters);
}

function bulkRefused(reason: BulkRefusal): ClientAct {
  return error(...BULK_REFUSALS[reason]);
}

function execution(frame: Buffer, statement: ClientStatement, parameters: ParameterValues): RequestAct {
  return {
    type: 'request',
    steps: [
      {
        type: 'bind',
        portal: '',
        prepared: undefined,
        statementName: String(statement.id),
        parameters,
        resultFormats: [1],
        frame: Buffer.alloc(0),
      },
      { type: 'execute', portal: '', maxRows: 0, frame },
    ],
    end: 'sync',
  };
}

/** A statement that does not exist is closed as well: there is no answer. */
function close(frame: Buffer, payload: Buffer, statements: ClientStatements): ClientAct {
  const id = new Reader(payload, 'COM_STMT_CLOSE', 1).int4();
  const statement = statements.find(id);
  if (statement === undefined) return NOTHING;
  statements.close(id);
  const statementName = String(statement.id);
  return {
    type: 'request',
    steps: [{ type: 'close-statement', statementName, frame }],
    end: 'sync',
    isSilent: true,
  };
}

function statementOf(payload: Buffer, statements: ClientStatements, asker: string): ClientStatement {
  const id = new Reader(payload, 'prepared statement', 1).int4();
  const statement = statements.find(id);
  if (statement !== undefined) return statement;
  throw new OperatingError(
    'unknown-prepared-statement',
    `Unknown prepared statement handler (${id}) given to ${asker}`,
  );
}

/**
 * COM_FIELD_LIST: `04, table: NUL, pattern of names`. Said as a query for no rows, which is routed as any other, and whose definitions are the
 * answer; without the default values, which clients of today do not look at.
 */
function fieldList(payload: Buffer): ClientAct {
  const reader = new Reader(payload, 'COM_FIELD_LIST', 1);
  const table = reader.nulText();
  const pattern = reader.rest();
  if (pattern.length > 0 && pattern.toString() !== '%')
    return failure(
      new OperatingError('unsupported', 'COM_FIELD_LIST with a pattern of column names', {
        hint: 'Use SHOW COLUMNS FROM the table.',
      }),
    );
  const select = queryText(`SELECT * FROM \`${table.replaceAll('`', '``')}\` LIMIT 0`);
  return { ...select, listsFields: true };
}

/** COM_SET_OPTION: several statements in one COM_QUERY on (0) or off (1). */
function setOption(payload: Buffer, flags: number): ClientAct {
  const option = new Reader(payload, 'COM_SET_OPTION', 1).int2();
  if (option > 1) return error(ERRNO.unknownCommand, 'Unknown command');
  return { type: 'own', payload: encodeEof(flags), allowsSeveralStatements: option === 0 };
}

/** In the form of the servers, which clients show as it is. */
function statisticsText(): string {
  const uptime = Math.floor(process.uptime());
  return `Uptime: ${uptime}  Threads: 1  Questions: 0  Slow queries: 0  Opens: 0  Flush tables: 0  Open tables: 0  Queries per second avg: 0.000`;
}

/** In the words of the servers. */
const BULK_REFUSALS: Readonly<Record<BulkRefusal, readonly [number, string]>> = {
  unsupported: [ERRNO.notPreparable, 'This command is not supported in the prepared statement protocol yet'],
  'wrong-arguments': [ERRNO.wrongArguments, 'Incorrect arguments to mysqld_stmt_bulk_execute'],
  malformed: [ERRNO.malformedPacket, 'Malformed communication packet'],
};

const REFUSED: Readonly<Record<number, readonly [string, string]>> = {
  [COM.REGISTER_SLAVE]: ['replication', 'Connect to the shard itself.'],
  [COM.BINLOG_DUMP]: ['replication', 'Connect to the shard itself.'],
  [COM.BINLOG_DUMP_GTID]: ['replication', 'Connect to the shard itself.'],
  [COM.REFRESH]: ['COM_REFRESH', 'Say FLUSH to the shard itself.'],
  [COM.SHUTDOWN]: ['COM_SHUTDOWN', 'Stop Ringferry and the shards by their own means.'],
};

function refused(command: number | undefined): ClientAct {
  const known = REFUSED[command ?? -1];
  if (known === undefined) return error(ERRNO.unknownCommand, 'Unknown command');
  const [what, hint] = known;
  return failure(new OperatingError('unsupported', `${what} cannot go through Ringferry`, { hint }));
}

/** An error of ours as a command's answer. */
export function failure(thrown: OperatingError): ClientAct {
  return { type: 'own', payload: encodeErr(errOf(thrown)) };
}

function error(errno: number, message: string): ClientAct {
  return { type: 'own', payload: encodeErr({ errno, sqlstate: sqlstateOf(errno), message }) };
}

function ok(status: number): ClientAct {
  return { type: 'own', payload: encodeOk({ status }) };
}
