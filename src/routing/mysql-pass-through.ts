import type { Node } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import { mysqlParser } from '../sql/mysql-parser.js';
import { statementOf } from '../sql/mysql-tree.js';
import { unwrap, walk } from '../sql/postgres-tree.js';
import { completePlan } from './draft.js';
import { MYSQL_FUNCTIONS } from './mysql-function-names.js';
import { mysqlFunctionFacts, sessionStateOf } from './mysql-functions.js';
import { planMysqlSession } from './mysql-session-plan.js';
import { leavesNoMysqlTrace } from './mysql-traceless.js';
import { mysqlVerbOf } from './mysql-verb.js';
import type { Plan } from './plan.js';
import { paceOfText } from './traceless-text.js';

const PLAIN = /^\(*\s*(select|insert|replace|update|delete)\b/i;
const READS = /^\(*\s*select\b/i;
/** Without these such a statement leaves nothing in the session, and asks nothing of it. */
const SESSION_WORDS =
  /[@!]|get_lock|release_(all_)?lock|lastval|last_insert_id|row_count|found_rows|connection_id|sql_calc_found_rows|\binto\s+(outfile|dumpfile|@)/i;

/** What a statement does to the transaction and the session; what the parser does not know passes. */
export function mysqlPassThroughPlan(sql: string, template: string, database: string): Plan {
  if (PLAIN.test(template) && !SESSION_WORDS.test(template)) {
    const verb = /^\(*\s*(\w+)/.exec(template)![1]!.toUpperCase();
    const isRead = READS.test(template);
    return completePlan(verb, {
      placement: { type: 'home' },
      access: isRead ? 'read' : 'write',
      ...(isRead ? paceOfText(sql, mysqlParser, leavesNoMysqlTrace) : {}),
    });
  }
  const node = parsed(sql);
  if (node === undefined) return unknownPlan(sql, template);
  const { transaction, session } = factsOf(node);
  const reason = session === undefined ? pinReason(node, database) : undefined;
  const state = stateOf(node);
  return completePlan(mysqlVerbOf(node, sql), {
    placement: { type: 'home' },
    access:
      transaction !== undefined || session !== undefined ? 'none' : 'SelectStmt' in node ? 'read' : 'write',
    transaction,
    session: session ?? (reason === undefined ? undefined : { type: 'pin', reason }),
    ...(state === undefined ? {} : { usesSessionState: state }),
    ...(commits(node) ? { commitsBefore: true } : {}),
  });
}

function parsed(sql: string): Node | undefined {
  try {
    return mysqlParser.parse(sql)[0]?.stmt;
  } catch (error) {
    if (error instanceof OperatingError) return undefined;
    throw error;
  }
}

/** Not understood: what could leave something in the session keeps its backend. */
function unknownPlan(sql: string, template: string): Plan {
  const verb = /^[\s(]*(\w+)/.exec(template)?.[1]?.toUpperCase() ?? '';
  const isHarmless = PLAIN.test(template) && !SESSION_WORDS.test(sql);
  return completePlan(verb, {
    placement: { type: 'home' },
    access: 'write',
    ...(isHarmless || verb === '' ? {} : { session: { type: 'pin', reason: `${verb} (not understood)` } }),
  });
}

function factsOf(node: Node): Pick<Plan, 'transaction' | 'session'> {
  try {
    const draft = planMysqlSession(node);
    return { transaction: draft?.transaction, session: draft?.session };
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    return refusedElsewhere(node);
  }
}

/** Refused in a sharded database; here it passes. */
function refusedElsewhere(node: Node): Pick<Plan, 'transaction' | 'session'> {
  if (!('TransactionStmt' in node)) return { transaction: undefined, session: undefined };
  const { kind, chain, ...rest } = node.TransactionStmt;
  const isRelease = (rest as { release?: boolean }).release === true;
  const session = isRelease ? ({ type: 'pin', reason: 'RELEASE' } as const) : undefined;
  if (kind === 'TRANS_STMT_COMMIT')
    return { transaction: { type: 'commit', chain: chain === true }, session };
  if (kind === 'TRANS_STMT_ROLLBACK')
    return { transaction: { type: 'rollback', chain: chain === true }, session };
  return { transaction: { type: 'begin', isolation: undefined }, session };
}

/** Why the session must stay on its backend. */
function pinReason(node: Node, database: string): string | undefined {
  const use = statementOf(node, 'UseStmt');
  if (use !== undefined) return use.name === database ? undefined : 'USE';
  if (statementOf(node, 'SetStmt') !== undefined) return 'SET';
  if (statementOf(node, 'XaStmt') !== undefined) return 'XA';
  if (statementOf(node, 'LockTablesStmt') !== undefined) return 'LOCK TABLES';
  if (statementOf(node, 'HandlerStmt') !== undefined) return 'HANDLER';
  if (statementOf(node, 'CompoundStmt') !== undefined) return 'compound statement';
  if (statementOf(node, 'ServerStmt')?.action.startsWith('FLUSH') === true) return 'FLUSH';
  // Its body may leave anything.
  if ('CallStmt' in node) return 'CALL';
  if ('PrepareStmt' in node || 'ExecuteStmt' in node) return 'PREPARE';
  const [, fields] = unwrap(node);
  const made =
    fields['relation'] ?? fields['sequence'] ?? (fields['into'] as { rel?: unknown } | undefined)?.rel;
  if ((made as { relpersistence?: string } | undefined)?.relpersistence === 't') return 'temporary table';
  if (calculatesFoundRows(node)) return 'SQL_CALC_FOUND_ROWS';
  // What changes rows tells it itself.
  const isChange = 'InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node;
  if (!isChange && sessionStateOf(node) === 'given-insert-id') return 'LAST_INSERT_ID(value)';
  try {
    return mysqlFunctionFacts(node, KEYSPACE).pin ?? intoReason(node);
  } catch (error) {
    // A function of the user's own.
    if (error instanceof OperatingError) return 'a stored function';
    throw error;
  }
}

const KEYSPACE = {
  database: '',
  home: '',
  tables: new Map(),
  searchPath: [],
  builtinFunctions: MYSQL_FUNCTIONS,
  hasByteOrder: false,
};

function calculatesFoundRows(node: Node): boolean {
  let found = false;
  walk(node, (kind, inner) => {
    if (kind === 'SelectStmt' && ((inner['options'] ?? []) as unknown[]).includes('SQL_CALC_FOUND_ROWS'))
      found = true;
    return undefined;
  });
  return found;
}

function intoReason(node: Node): string | undefined {
  return 'SelectStmt' in node && node.SelectStmt.intoClause !== undefined ? 'SELECT … INTO' : undefined;
}

function stateOf(node: Node): Plan['usesSessionState'] {
  const show = statementOf(node, 'ShowStmt');
  if (show !== undefined && /^(count|warnings|errors)$/.test(show.what)) return 'warnings';
  // GET DIAGNOSTICS: of another statement's connection.
  if (statementOf(node, 'CompoundStmt')?.action.toUpperCase().startsWith('GET') === true) return 'warnings';
  return sessionStateOf(node);
}

const COMMITTING =
  /^(Create|Alter|Drop|Rename|Truncate|Grant|View|Index|LockTables|TableMaintenance|AlterTable)\w*$/;

/** DDL commits the transaction in which it stands (manual, "Statements That Cause an Implicit Commit"). */
function commits(node: Node): boolean {
  const [kind, fields] = unwrap(node);
  if (!COMMITTING.test(kind) || fields['isTemporary'] === true) return false;
  const made = fields['relation'] ?? (fields['into'] as { rel?: unknown } | undefined)?.rel;
  return (made as { relpersistence?: string } | undefined)?.relpersistence !== 't';
}
