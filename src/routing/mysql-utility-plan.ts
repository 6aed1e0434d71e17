import type { Node, RangeVar } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { statementOf } from '../sql/mysql-tree.js';
import { Analysis, TOP } from './analysis.js';
import { CONCATENATED } from './dml-plan.js';
import type { Draft } from './draft.js';
import { planExplain } from './explain-plan.js';
import { planMysqlDdl } from './mysql-ddl-plan.js';
import { mysqlFunctionFacts } from './mysql-functions.js';
import { planLoad } from './mysql-load-plan.js';
import { planMultiTable } from './mysql-multi-plan.js';
import { pinned, planMysqlSession } from './mysql-session-plan.js';
import { refuseMisleadingSettings } from './mysql-settings.js';
import { placeOf } from './postgres-ddl-plan.js';
import type { Statement } from './statement.js';

const BY_HAND = 'Say the shard by hand: /* ringferry: key=VALUE */ or /* ringferry: shard=NAME */.';

/** Plans everything but SELECT, INSERT, UPDATE and DELETE of one table. */
export function planMysqlUtility(node: Node, statement: Statement): Draft {
  const set = statementOf(node, 'SetStmt');
  if (set !== undefined) refuseMisleadingSettings(set.assignments);
  const session = planMysqlSession(node);
  if (session !== undefined) return session;
  const multi = planMultiTable(node, new Analysis(statement));
  if (multi !== undefined) return multi;
  if ('ExplainStmt' in node) return planExplain(node.ExplainStmt, statement);
  return planAsking(node, statement) ?? planLocal(node, statement) ?? planMysqlDdl(node, statement);
}

/** USE, SHOW, DO, CALL and the like. */
function planAsking(node: Node, statement: Statement): Draft | undefined {
  const use = statementOf(node, 'UseStmt');
  if (use !== undefined) {
    if (statement.keyspace.searchPath.includes(use.name)) return { placement: { type: 'anywhere' } };
    throw unsupported(
      `USE ${use.name} in a sharded database`,
      `Connect to database "${use.name}" by itself.`,
    );
  }
  const show = statementOf(node, 'ShowStmt');
  if (show !== undefined) {
    const isWarnings = /^(count|warnings|errors)$/.test(show.what);
    return {
      placement: { type: 'home' },
      access: 'read',
      ...(isWarnings ? { usesSessionState: 'warnings' as const } : {}),
    };
  }
  const act = statementOf(node, 'DoExprStmt');
  if (act !== undefined) {
    const facts = mysqlFunctionFacts(act.args, statement.keyspace);
    const { shape } = new Analysis(statement).query(
      { targetList: [], whereClause: { List: { items: [...act.args] } } },
      TOP,
    );
    if (shape.type !== 'constant' && shape.type !== 'home')
      throw unsupported('DO on sharded tables', 'Use SELECT.');
    return {
      placement: { type: 'home' },
      access: 'write',
      session: facts.pin === undefined ? undefined : { type: 'pin', reason: facts.pin },
    };
  }
  if ('CallStmt' in node) throw unsupported('CALL, whose body cannot be seen', BY_HAND);
  const compound = statementOf(node, 'CompoundStmt');
  if (compound !== undefined) throw unsupported(`${compound.action} on a sharded database`, BY_HAND);
  const server = statementOf(node, 'ServerStmt');
  if (server !== undefined)
    throw unsupported(`${server.action} through a sharded database`, 'Do it on each server.');
  return undefined;
}

/** What lives in one server's session, or in its files. */
function planLocal(node: Node, statement: Statement): Draft | undefined {
  if ('PrepareStmt' in node || 'ExecuteStmt' in node || 'DeallocateStmt' in node)
    throw unsupported(
      'PREPARE, EXECUTE and DEALLOCATE in SQL on a sharded database',
      'Use the driver’s prepared statements (COM_STMT_PREPARE).',
    );
  const lock = statementOf(node, 'LockTablesStmt');
  if (lock !== undefined) {
    onlyHome(lock.relations, 'LOCK TABLES', statement, 'Use SELECT … FOR UPDATE in a transaction.');
    return { ...pinned('LOCK TABLES'), commitsBefore: true };
  }
  if (statementOf(node, 'UnlockTablesStmt') !== undefined) return { placement: { type: 'home' } };
  const handler = statementOf(node, 'HandlerStmt');
  if (handler !== undefined) {
    onlyHome([{ RangeVar: handler.relation }], 'HANDLER', statement, 'Use SELECT.');
    return pinned('HANDLER');
  }
  const load = statementOf(node, 'LoadDataStmt');
  if (load !== undefined) return planLoad(load, statement);
  const maintenance = statementOf(node, 'TableMaintenanceStmt');
  return maintenance === undefined ? undefined : planMaintenance(maintenance.relations, statement);
}

/** ANALYZE TABLE and the like: rows of every shard one after the other. */
function planMaintenance(relations: readonly Node[], statement: Statement): Draft {
  const places = new Set(rangesOf(relations).map((range) => placeOf(range, statement)));
  const isOnEvery = places.has('sharded') || places.has('reference');
  if (isOnEvery && places.has('home'))
    throw unsupported(
      'one statement on sharded or reference tables and on tables of the home shard',
      'Use a statement for each table.',
    );
  return {
    access: 'read',
    commitsBefore: true,
    placement: { type: isOnEvery ? 'every' : 'home' },
    usesSharded: places.has('sharded'),
    ...(isOnEvery ? { merge: CONCATENATED } : {}),
  };
}

function onlyHome(relations: readonly Node[], what: string, statement: Statement, hint: string): void {
  for (const range of rangesOf(relations))
    if (placeOf(range, statement) !== 'home')
      throw unsupported(`${what} on ${placeOf(range, statement)} table "${range.relname}"`, hint);
}

function rangesOf(nodes: readonly Node[]): RangeVar[] {
  return nodes.flatMap((node) => ('RangeVar' in node ? [node.RangeVar] : []));
}
