import type { Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { plainTypeOf } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import type { Recipe } from './draft.js';
import { planGroups, refuseLooseText } from './group-plan.js';
import { enumLabels, hasByteOrder, limitSource, type SortItem, sortItems } from './order.js';
import type { Merge, MergeOrder } from './plan.js';
import {
  checkWindows,
  isDistinctByKey,
  isGrouped,
  isGroupedByKey,
  isStar,
  targetOf,
} from './spread-select.js';
import type { Statement } from './statement.js';

/** How shards compute a SELECT in parts, and how the parts become one answer. Throws where that is not known to be right. */
export function planSpread(
  select: SelectStmt,
  level: Level,
  statement: Statement,
): { merge: Merge; recipe: Recipe } {
  if ((select.lockingClause ?? []).length > 0)
    throw unsupported('SELECT … FOR UPDATE over several shards', 'Give the shard key one value in WHERE.');
  if (select.limitOption === 'LIMIT_OPTION_WITH_TIES')
    throw unsupported(
      'FETCH FIRST … WITH TIES over several shards',
      'Use LIMIT, or give the shard key one value in WHERE.',
    );
  checkWindows(select, level);
  if (isGrouped(select, statement) && !isGroupedByKey(select, level, statement))
    return planGroups(select, level, statement);
  return planRows(select, level, statement);
}

/** Rows pass as they are: in order, each once if asked, as many as asked. */
function planRows(select: SelectStmt, level: Level, statement: Statement): { merge: Merge; recipe: Recipe } {
  const items = sortItems(select, statement);
  const targets = select.targetList ?? [];
  const hasStar = targets.some(isStar);
  const hidden: Node[] = [];
  const columns = items.map((item): { hidden: number } | { target: number } => {
    if (item.target !== undefined && !hasStar) return { target: item.target };
    hidden.push(expressionOf(item, targets));
    return { hidden: hidden.length - 1 };
  });
  const columnOf = (index: number) => {
    const column = columns[index]!;
    return 'hidden' in column ? column.hidden : hidden.length + column.target;
  };
  const orderBy = items.map(
    (item, index): MergeOrder => ({
      column: columnOf(index),
      descending: item.descending,
      nullsFirst: item.nullsFirst,
      byteOrder: hasByteOrder(expressionOf(item, targets), level, statement, 'ORDER BY'),
    }),
  );
  const enums = new Map<number, readonly string[]>();
  const note = (node: Node, column: number) => {
    const labels = enumLabels(node, level, statement);
    if (labels !== undefined) enums.set(column, labels);
  };
  for (const [index, item] of items.entries()) note(expressionOf(item, targets), columnOf(index));
  if (!hasStar)
    for (const [index, target] of targets.entries()) note(targetOf(target)!.val, hidden.length + index);
  const merge: Merge = {
    output: [{ type: 'rest', from: hidden.length }],
    groupBy: undefined,
    enums,
    distinct: isDistinct(select, level),
    orderBy,
    limit: limitSource(select.limitCount, statement),
    offset: limitSource(select.limitOffset, statement),
  };
  const isChanged = hidden.length > 0 || select.limitOffset !== undefined;
  if (!isChanged) return { merge, recipe: { tree: { SelectStmt: select }, isChanged, target: undefined } };
  const changed: SelectStmt = {
    ...withLimit(select),
    targetList: [...hidden.map((node, index) => hiddenTarget(node, index)), ...targets],
  };
  if (items.length > 0)
    changed.sortClause = (select.sortClause ?? []).map((node, index) =>
      byPosition(node, columnOf(index) + 1),
    );
  return { merge, recipe: { tree: { SelectStmt: changed }, isChanged, target: undefined } };
}

function expressionOf(item: SortItem, targets: readonly Node[]): Node {
  if (item.target === undefined) return item.node;
  const value = targetOf(targets[item.target])?.val;
  if (value === undefined)
    throw unsupported(`ORDER BY position ${item.target + 1}, which is not in the select list`);
  return value;
}

function isDistinct(select: SelectStmt, level: Level): boolean {
  const clause = select.distinctClause ?? [];
  if (clause.length === 0 || isDistinctByKey(select, level)) return false;
  if (clause.length > 1 || Object.keys(clause[0]!).length > 0) {
    throw unsupported(
      'DISTINCT ON without the shard key over several shards',
      'Add the shard key to DISTINCT ON, or give it one value in WHERE.',
    );
  }
  const targets = select.targetList ?? [];
  refuseLooseText(targets, level);
  const isLoose =
    targets.some(isStar) &&
    level.scope.sources.some((source) =>
      [...(source.columns?.values() ?? [])].some((column) => column.column?.isLooselyEqual === true),
    );
  if (isLoose)
    throw unsupported(
      'DISTINCT of texts that a collation takes as equal, over several shards',
      'Name the columns, with COLLATE "C".',
    );
  return true;
}

function hiddenTarget(node: Node, index: number): Node {
  return { ResTarget: { name: `ringferry_sort_${index + 1}`, val: node } };
}

function byPosition(node: Node, position: number): Node {
  return 'SortBy' in node
    ? { SortBy: { ...node.SortBy, node: { A_Const: { ival: { ival: position } } } } }
    : node;
}

/** Every shard must give the rows that the offset skips too: LIMIT n OFFSET m becomes LIMIT n + m. */
function withLimit(select: SelectStmt): SelectStmt {
  const { limitOffset, ...rest } = select;
  if (limitOffset === undefined) return select;
  if (rest.limitCount === undefined) return { ...rest, limitOption: 'LIMIT_OPTION_DEFAULT' };
  const sum: Node = {
    A_Expr: {
      kind: 'AEXPR_OP',
      name: [{ String: { sval: '+' } }],
      lexpr: asBigint(rest.limitCount),
      rexpr: asBigint(limitOffset),
    },
  };
  return { ...rest, limitCount: sum };
}

function asBigint(node: Node): Node {
  if ('TypeCast' in node && plainTypeOf(node.TypeCast.typeName)?.name === 'int8') return node;
  return {
    TypeCast: {
      arg: node,
      typeName: { names: [{ String: { sval: 'pg_catalog' } }, { String: { sval: 'int8' } }], typemod: -1 },
    },
  };
}
