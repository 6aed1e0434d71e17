import type { Node } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { Analysis, TOP } from './analysis.js';
import { planDml } from './dml-plan.js';
import type { Draft } from './draft.js';
import { planExplain } from './explain-plan.js';
import { planCopy } from './postgres-copy-plan.js';
import { planDdl } from './postgres-ddl-plan.js';
import { functionFacts } from './postgres-functions.js';
import { CURSOR_OPT_HOLD, pinned, planSession, refuseMisleadingSetting } from './postgres-session-plan.js';
import type { Statement } from './statement.js';

/** Plans everything but SELECT, INSERT, UPDATE, DELETE and MERGE. */
export function planUtility(node: Node, statement: Statement): Draft {
  const session = planSession(node);
  if (session !== undefined) {
    refuseMisleadingSetting(session.session);
    return session;
  }
  if ('CopyStmt' in node) return planCopy(node.CopyStmt, statement);
  if ('ExplainStmt' in node) return planExplain(node.ExplainStmt, statement);
  if ('PrepareStmt' in node) {
    onlyHome(
      node.PrepareStmt.query,
      statement,
      'SQL PREPARE',
      'Use the driver’s prepared statements (the extended protocol).',
    );
    return pinned('PREPARE');
  }
  if ('DeclareCursorStmt' in node) {
    onlyHome(
      node.DeclareCursorStmt.query,
      statement,
      'DECLARE CURSOR',
      'Use the driver’s portals or LIMIT, or say the shard for the whole transaction: SET LOCAL ringferry.key = ….',
    );
    const isHeld = ((node.DeclareCursorStmt.options ?? 0) & CURSOR_OPT_HOLD) !== 0;
    return isHeld ? pinned('cursor WITH HOLD') : { placement: { type: 'home' }, access: 'read' };
  }
  if ('CreateTableAsStmt' in node) return planCreateAs(node, statement);
  return planDdl(node, statement);
}

/** The query of a cursor or prepared statement must not need more than the home shard. */
function onlyHome(query: Node | undefined, statement: Statement, what: string, hint: string): void {
  if (query === undefined) return;
  const inner = planDml(query, new Analysis(statement));
  if (inner === undefined || inner.placement.type === 'home' || inner.placement.type === 'anywhere') return;
  throw unsupported(`${what} of a statement on sharded or reference tables`, hint);
}

function planCreateAs(node: Node & { CreateTableAsStmt: object }, statement: Statement): Draft {
  const { query, into } = node.CreateTableAsStmt as {
    query?: Node;
    into?: { rel?: { relname?: string; schemaname?: string; relpersistence?: string } };
  };
  if (query !== undefined && 'SelectStmt' in query) {
    functionFacts(query, statement.keyspace);
    const { shape } = new Analysis(statement).query(query.SelectStmt, TOP);
    if (shape.type === 'spread' || shape.type === 'pinned')
      throw unsupported(
        'CREATE TABLE AS or a materialized view of sharded tables',
        'Create the table first, then insert into it.',
      );
  }
  const name = into?.rel?.relname ?? '';
  const schemas = into?.rel?.schemaname === undefined ? statement.keyspace.searchPath : [into.rel.schemaname];
  if (schemas.some((schema) => statement.keyspace.missing?.has(`${schema}.${name}`)))
    throw unsupported(`CREATE TABLE AS of configured table "${name}"`, 'Use CREATE TABLE, then INSERT.');
  return into?.rel?.relpersistence === 't'
    ? pinned('temporary table')
    : { placement: { type: 'home' }, access: 'ddl' };
}
