import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { type MysqlStatements, statementOf } from '../sql/mysql-tree.js';
import type { Table } from '../topology/keyspace.js';
import { type Analysis, type Level, TOP } from './analysis.js';
import { type Draft, placementOf } from './draft.js';

/** UPDATE and DELETE of several tables: where all of their rows are on one shard. undefined for other statements. */
export function planMultiTable(node: Node, analysis: Analysis): Draft | undefined {
  const update = statementOf(node, 'MultiUpdateStmt');
  if (update !== undefined) {
    const { level, draft } = analysed(update, analysis, 'UPDATE');
    checkAssignments(update, level, analysis);
    return draft;
  }
  const remove = statementOf(node, 'MultiDeleteStmt');
  if (remove === undefined) return undefined;
  const { level, draft } = analysed({ ...remove, targetList: [] }, analysis, 'DELETE');
  for (const target of remove.targets) {
    const table = 'RangeVar' in target ? targetTable(target.RangeVar, level, analysis) : undefined;
    refuseReference(table, 'DELETE');
  }
  return draft;
}

function analysed(
  statement: MysqlStatements['MultiUpdateStmt'] & {
    readonly whereClause?: Node;
    readonly withClause?: unknown;
  },
  analysis: Analysis,
  verb: string,
): { level: Level; draft: Draft } {
  const { fromClause, targetList, whereClause } = statement;
  if (statement.withClause !== undefined)
    throw unsupported(`WITH before ${verb} of several tables`, 'Write the query as a sub-select.');
  const functions = analysis.statement.dialect.functionFacts(statement, analysis.statement.keyspace);
  const select: SelectStmt = {
    fromClause: [...fromClause],
    targetList: [...targetList],
    ...(whereClause === undefined ? {} : { whereClause }),
  };
  const level = analysis.level(select, TOP);
  const placement = placementOf(level.shape, functions);
  if (placement === undefined)
    throw unsupported(
      `${verb} of several tables over several shards`,
      'Give the shard key of all sharded tables one value in WHERE, or write a statement for each table.',
    );
  const { usesSharded } = analysis.statement;
  return {
    level,
    draft: {
      verb,
      access: 'write',
      placement: placement.type === 'anywhere' ? { type: 'home' } : placement,
      usesSharded,
    },
  };
}

/** No shard key may change, and reference tables change on every shard or on none. */
function checkAssignments(
  { targetList }: MysqlStatements['MultiUpdateStmt'],
  level: Level,
  analysis: Analysis,
): void {
  const { fold } = analysis.statement.dialect;
  for (const node of targetList) {
    const target = 'ResTarget' in node ? (node.ResTarget as { name?: string; table?: string }) : {};
    const name = fold(target.name ?? '');
    const sources = level.scope.sources.filter(
      (source) =>
        (target.table === undefined || source.alias === target.table) &&
        (source.columns === undefined || source.columns.has(name)),
    );
    for (const { table } of sources) {
      refuseReference(table, 'UPDATE');
      if (table?.key !== undefined && fold(table.key.column) === name)
        throw unsupported(
          `UPDATE of "${table.key.column}", the shard key of "${table.name}"`,
          'Delete the row and insert it with the new key, both in one transaction.',
        );
    }
  }
}

function targetTable(target: RangeVar, level: Level, analysis: Analysis): Table | undefined {
  const byAlias = level.scope.sources.find((source) => source.alias === target.relname);
  return byAlias?.table ?? analysis.statement.find(target);
}

function refuseReference(table: Table | undefined, verb: string): void {
  const isView = table?.kind === 'view' && table.reads.length > 0;
  if (table?.placement === 'reference' || isView)
    throw unsupported(
      `${verb} of several tables, of which "${table!.name}" is ${isView ? 'a view' : 'a reference table'}`,
      'Use a statement for each table.',
    );
}
