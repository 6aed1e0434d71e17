import type { FuncCall, Node, SelectStmt, WindowDef } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { functionNameOf, namesOf, walk } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import { type ScopeColumn, UNKNOWN_COLUMN } from './scope.js';
import type { Shape } from './shape.js';
import type { SqlDialect } from './sql-dialect.js';
import type { Statement } from './statement.js';

type Spread = Shape & { type: 'spread' };

/**
 * Checks that a sub-query over rows of several shards gives, computed on each shard, the parts of what it would give over
 * all rows: no limit, and groups, DISTINCT and windows that hold the shard key together.
 */
export function distributes(select: SelectStmt, level: Level, statement: Statement): void {
  const spread = level.shape as Spread;
  const table = spread.tables[0];
  const hint = `Give the shard key of "${table}" one value in it, or run it as a statement of its own.`;
  if (select.limitCount !== undefined || select.limitOffset !== undefined)
    throw unsupported(`LIMIT in a sub-query over sharded table "${table}"`, hint);
  if ((select.lockingClause ?? []).length > 0)
    throw unsupported(`FOR UPDATE in a sub-query over sharded table "${table}"`, hint);
  if (isGrouped(select, statement) && !isGroupedByKey(select, level, statement)) {
    throw unsupported(
      `an aggregate in a sub-query over sharded table "${table}" that is not grouped by its shard key`,
      hint,
    );
  }
  if ((select.distinctClause ?? []).length > 0 && !isDistinctByKey(select, level)) {
    throw unsupported(`DISTINCT in a sub-query over sharded table "${table}" without its shard key`, hint);
  }
  checkWindows(select, level);
}

/** Windows must be partitioned by the shard key, else they would reach over shards. */
export function checkWindows(select: SelectStmt, level: Level): void {
  const spread = level.shape as Spread;
  for (const call of windowCalls(select)) {
    let partition = call.over?.partitionClause ?? [];
    for (let name = call.over?.name ?? call.over?.refname; name !== undefined; ) {
      const definition = (select.windowClause ?? [])
        .map((node) => ('WindowDef' in node ? node.WindowDef : undefined))
        .find((window: WindowDef | undefined) => window?.name === name);
      partition = [...partition, ...(definition?.partitionClause ?? [])];
      name = definition?.refname;
    }
    if (partition.some((item) => isKey(item, level))) continue;
    throw unsupported(
      `the window function ${functionNameOf(call).name} over rows of several shards`,
      `Add the shard key of "${spread.tables[0]}" to PARTITION BY, or give it one value in WHERE.`,
    );
  }
}

function windowCalls(select: SelectStmt): FuncCall[] {
  const calls: FuncCall[] = [];
  eachCall(
    [select.targetList, select.sortClause, select.distinctClause],
    (call) => call.over !== undefined && calls.push(call),
  );
  return calls;
}

export function hasWindow(tree: unknown): boolean {
  let found = false;
  eachCall(tree, (call) => {
    found ||= call.over !== undefined;
  });
  return found;
}

/** Calls in expressions, not those in sub-selects. */
export function eachCall(tree: unknown, visit: (call: FuncCall) => void): void {
  walk(tree, (kind, node) => {
    if (kind === 'SubLink') return 'skip';
    if (kind === 'FuncCall') visit(node as FuncCall);
    return undefined;
  });
}

export function hasAggregate(tree: unknown, statement: Statement): boolean {
  let found = false;
  walk(tree, (kind, node) => {
    if (kind === 'SubLink') return 'skip';
    if (kind === 'JsonObjectAgg' || kind === 'JsonArrayAgg' || kind === 'GroupingFunc') found = true;
    if (kind === 'FuncCall' && statement.isAggregate(node as FuncCall)) found = true;
    return undefined;
  });
  return found;
}

export function isGrouped(select: SelectStmt, statement: Statement): boolean {
  if ((select.groupClause ?? []).length > 0 || select.havingClause !== undefined) return true;
  return hasAggregate([select.targetList, select.sortClause, select.distinctClause], statement);
}

export function isGroupedByKey(select: SelectStmt, level: Level, statement: Statement): boolean {
  return (select.groupClause ?? []).some((item) => {
    const expression = groupExpression(item, select, level, statement);
    return expression !== undefined && isKey(expression, level);
  });
}

export function isDistinctByKey(select: SelectStmt, level: Level): boolean {
  const on = select.distinctClause ?? [];
  // Plain DISTINCT is a list of one empty entry.
  const isPlain = on.length === 1 && Object.keys(on[0]!).length === 0;
  if (!isPlain) return on.some((item) => isKey(item, level));
  return (select.targetList ?? []).some(
    (target) =>
      'ResTarget' in target && target.ResTarget.val !== undefined && isKey(target.ResTarget.val, level),
  );
}

/** Is the expression the shard key of the spread rows? */
export function isKey(node: Node, level: Level): boolean {
  if (!('ColumnRef' in node) || level.shape.type !== 'spread') return false;
  const column = level.scope.resolve(namesOf(node.ColumnRef.fields));
  return column?.id !== undefined && level.facts.solve().isSame(column.id, level.shape.key);
}

/** What a GROUP BY item groups by: an ordinal or an output name stands for its target. undefined when that cannot be told. */
export function groupExpression(
  item: Node,
  select: SelectStmt,
  level: Level,
  statement: Statement,
): Node | undefined {
  if ('A_Const' in item) return ordinalTarget(item, select, statement);
  if ('GroupingSet' in item) return undefined;
  if (!('ColumnRef' in item)) return item;
  const names = namesOf(item.ColumnRef.fields);
  const { fold } = statement.dialect;
  const name = fold(names[0]!);
  if (names.length !== 1 || level.scope.merged.has(name)) return item;
  if (level.scope.sources.some((source) => source.columns === undefined || source.columns.has(name)))
    return item;
  return (
    (select.targetList ?? [])
      .map(targetOf)
      .find((target) => target?.name !== undefined && fold(target.name) === name)?.val ?? item
  );
}

function ordinalTarget(
  item: Node & { A_Const: object },
  select: SelectStmt,
  statement: Statement,
): Node | undefined {
  const position = statement.literals.readInteger(item.A_Const);
  const targets = select.targetList ?? [];
  if (position === undefined || targets.slice(0, position).some(isStar)) return undefined;
  return targetOf(targets[position - 1])?.val;
}

export function targetOf(target: Node | undefined): { name: string | undefined; val: Node } | undefined {
  if (target === undefined || !('ResTarget' in target) || target.ResTarget.val === undefined)
    return undefined;
  return { name: target.ResTarget.name, val: target.ResTarget.val };
}

export function isStar(target: Node): boolean {
  const value = targetOf(target)?.val;
  return value !== undefined && 'ColumnRef' in value && namesOf(value.ColumnRef.fields).at(-1) === '*';
}

/** Output columns of a sub-query in order: those that pass a column on unchanged keep its identity. undefined when a `*` hides their order. */
export function outputsOf(
  select: SelectStmt,
  level: Level,
  dialect: SqlDialect,
): [string, ScopeColumn][] | undefined {
  const outputs: [string, ScopeColumn][] = [];
  for (const target of select.targetList ?? []) {
    const value = targetOf(target)?.val;
    if (value === undefined) continue;
    const fields = 'ColumnRef' in value ? namesOf(value.ColumnRef.fields) : [];
    if (!isStar(target)) {
      const column = fields.length > 0 ? level.scope.resolve(fields) : undefined;
      outputs.push([dialect.targetName(target), column ?? UNKNOWN_COLUMN]);
      continue;
    }
    const alias = fields.at(-2);
    const sources =
      alias === undefined
        ? level.scope.sources
        : level.scope.sources.filter((source) => source.alias === alias);
    if (sources.length === 0 || (alias === undefined && level.scope.merged.size > 0)) return undefined;
    for (const source of sources) {
      if (source.columns === undefined) return undefined;
      outputs.push(...source.columns);
    }
  }
  return outputs;
}
