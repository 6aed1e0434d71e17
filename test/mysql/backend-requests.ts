import { COM, FIELD_TYPE } from '../../src/mysql/capabilities.js';
import { encodeQuery, RESET_CONNECTION } from '../../src/mysql/commands.js';
import { encodePacket, PacketFramer, payloadOf } from '../../src/mysql/packets.js';
import type { Backend, ServerError, TransactionStatus } from '../../src/pool/backend.js';
import type { PreparedStatement, Request, Step } from '../../src/pool/request.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import type { ParameterValues } from '../../src/routing/plan.js';

/** Requests as a frontend makes them, and what a client would get for them. */

const ids = new StatementIds();
const EMPTY = Buffer.alloc(0);

export function prepared(name: string, sql: string): PreparedStatement {
  return { name, sql, parameterTypes: [], id: ids.idOf(sql, []) };
}

export interface Value {
  readonly type: number;
  readonly bytes: Buffer | undefined;
}

export const text = (value: string): Value => ({ type: FIELD_TYPE.VAR_STRING, bytes: Buffer.from(value) });
export const NULL: Value = { type: FIELD_TYPE.NULL, bytes: undefined };

export function int(value: number): Value {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return { type: FIELD_TYPE.LONG, bytes };
}

export function values(...given: readonly Value[]): ParameterValues {
  return {
    count: given.length,
    typeOid: (index) => given[index]!.type,
    format: () => 1,
    bytes: (index) => given[index]!.bytes,
  };
}

function ending(end: Request['end'], ...steps: Step[]): Request {
  return { steps, end, byteLength: 0 };
}

export const request = {
  query: (sql: string): Request => ending('query', { type: 'query', sql, frame: encodeQuery(sql) }),
  prepare: (statement: PreparedStatement): Request =>
    ending(
      'sync',
      {
        type: 'parse',
        prepared: statement,
        frame: encodePacket(Buffer.concat([Buffer.of(COM.STMT_PREPARE), Buffer.from(statement.sql)])),
      },
      { type: 'describe-statement', prepared: statement, statementName: statement.name, frame: EMPTY },
    ),
  execute: (statement: PreparedStatement | undefined, statementName: string, ...given: Value[]): Request =>
    ending(
      'sync',
      {
        type: 'bind',
        portal: '',
        prepared: statement,
        statementName,
        parameters: values(...given),
        resultFormats: [1],
        frame: EMPTY,
      },
      { type: 'execute', portal: '', maxRows: 0, frame: EMPTY },
    ),
  close: (statementName: string): Request =>
    ending('flush', { type: 'close-statement', statementName, frame: EMPTY }),
  reset: (): Request => ending('sync', { type: 'reset-session', frame: RESET_CONNECTION }),
};

export interface Relayed {
  /** Payloads of the packets, in order. */
  readonly payloads: Buffer[];
  readonly tags: string[];
  readonly error: ServerError | undefined;
  readonly parameters: readonly (readonly [string, string])[];
  readonly status: TransactionStatus | undefined;
  readonly broken: Error | undefined;
}

/** Forwards a request and collects its answers. */
export function forward(
  backend: Backend,
  given: Request,
  { rename = true, before = [] }: { readonly rename?: boolean; readonly before?: readonly string[] } = {},
): Promise<Relayed> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const tags: string[] = [];
    const parameters: [string, string][] = [];
    let error: ServerError | undefined;
    const done = (status: TransactionStatus | undefined, broken: Error | undefined) =>
      resolve({ payloads: payloadsOf(Buffer.concat(chunks)), tags, error, parameters, status, broken });
    backend.forward(
      given,
      {
        onBytes: (chunk) => chunks.push(Buffer.from(chunk)) > 0,
        onError: (reported) => {
          error = reported;
        },
        onCommandTag: (tag) => tags.push(tag),
        onCopyIn: () => {},
        onParameter: (name, value) => parameters.push([name, value]),
        onEnd: (status) => done(status, undefined),
        onBroken: (lost) => done(undefined, lost),
      },
      { rename, before },
    );
  });
}

export function payloadsOf(bytes: Buffer): Buffer[] {
  const framer = new PacketFramer();
  framer.push(bytes);
  const found: Buffer[] = [];
  while (framer.next()) found.push(payloadOf(framer.buffer, framer.start, framer.end));
  return found;
}
