import type { Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { plainTypeOf } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import type { Recipe } from './draft.js';
import { planGroups, refuseLooseText } from './group-plan.js';
import { enumLabels, isWeighed, limitSource, type SortItem, sortItems, textOrder } from './order.js';
import type { Merge, MergeOrder, TextWeight } from './plan.js';
import {
  checkWindows,
  hasWindow,
  isDistinctByKey,
  isGrouped,
  isGroupedByKey,
  isStar,
  targetOf,
} from './spread-select.js';
import type { Statement } from './statement.js';

/** How shards compute a SELECT in parts, and how the parts become one answer. Throws where that is not known to be right. */
export function planSpread(
  written: SelectStmt,
  level: Level,
  statement: Statement,
): { merge: Merge; recipe: Recipe } {
  const select = statement.dialect.withNames(written, statement);
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
  const groups = distinctAsGroups(select, level, statement);
  return groups === undefined ? planRows(select, level, statement) : planGroups(groups, level, statement);
}

/**
 * DISTINCT of texts that may be equal though they differ, as GROUP BY: the weights by which they compare can then stand beside them.
 * undefined when the rows can pass as they are.
 */
function distinctAsGroups(select: SelectStmt, level: Level, statement: Statement): SelectStmt | undefined {
  const clause = select.distinctClause ?? [];
  if (clause.length !== 1 || Object.keys(clause[0]!).length > 0) return undefined;
  if (isGrouped(select, statement)) return undefined;
  const targets = select.targetList ?? [];
  // Groups are made before windows are looked through.
  if (targets.some(isStar) || hasWindow(targets)) return undefined;
  const values = targets.map((target) => targetOf(target)!.val);
  if (!values.some((value) => isWeighed(value, level, statement))) return undefined;
  const { distinctClause: _, ...rest } = select;
  return { ...rest, groupClause: values.filter((value) => !('A_Const' in value || 'ParamRef' in value)) };
}

/** Rows pass as they are: in order, each once if asked, as many as asked. */
function planRows(select: SelectStmt, level: Level, statement: Statement): { merge: Merge; recipe: Recipe } {
  const items = sortItems(select, statement);
  const targets = select.targetList ?? [];
  const hasStar = targets.some(isStar);
  refuseOtherOrder(select, items, statement);
  const hidden: Node[] = [];
  const columns = items.map((item): { hidden: number } | { target: number } => {
    if (item.target !== undefined && !hasStar) return { target: item.target };
    hidden.push(expressionOf(item, targets));
    return { hidden: hidden.length - 1 };
  });
  const weighed = items.map((item) => {
    const text = expressionOf(item, targets);
    const order = textOrder(text, level, statement, 'ORDER BY');
    if (!order.isWeighed) return { byteOrder: order.byteOrder, weight: undefined };
    // Weights beside the rows would tell rows apart that are equal.
    if ((select.distinctClause ?? []).length > 0)
      throw unsupported(
        'SELECT DISTINCT of * or window functions over several shards, ordered by text',
        'Name the columns, or order by something else.',
      );
    const { weight, blank } = statement.dialect.weightsOf(text);
    hidden.push(weight, blank);
    return { byteOrder: false, weight: { weight: hidden.length - 2, blank: hidden.length - 1 } };
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
      byteOrder: weighed[index]!.byteOrder,
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
  const weights = new Map<number, TextWeight>();
  for (const [index, { weight }] of weighed.entries())
    if (weight !== undefined) weights.set(columnOf(index), weight);
  const merge: Merge = {
    output: [{ type: 'rest', from: hidden.length }],
    groupBy: undefined,
    enums,
    ...(weights.size === 0 ? {} : { weights }),
    distinct: isDistinct(select, level, statement),
    orderBy,
    limit: limitSource(select.limitCount, statement),
    offset: limitSource(select.limitOffset, statement),
  };
  const isChanged = hidden.length > 0 || select.limitOffset !== undefined;
  if (!isChanged) return { merge, recipe: { tree: { SelectStmt: select }, isChanged, target: undefined } };
  const changed: SelectStmt = {
    ...withLimit(select, statement),
    targetList: [
      ...hidden.map((node, index) => hiddenTarget(node, index)),
      ...(hidden.length > 0 && statement.dialect.wantsStarFirst ? starsOfTables(targets, level) : targets),
    ],
  };
  if (items.length > 0)
    changed.sortClause = (select.sortClause ?? []).map((node, index) =>
      byPosition(node, columnOf(index) + 1),
    );
  return { merge, recipe: { tree: { SelectStmt: changed }, isChanged, target: undefined } };
}

/** Which of the rows that DISTINCT takes as one gives the value to sort by is for the database to choose. */
function refuseOtherOrder(select: SelectStmt, items: readonly SortItem[], statement: Statement): void {
  if (!statement.dialect.ordersDistinctByAnything || (select.distinctClause ?? []).length === 0) return;
  if (items.every((item) => item.target !== undefined)) return;
  throw unsupported(
    'SELECT DISTINCT over several shards, ordered by what is not selected',
    'Select what you order by, and name it.',
  );
}

function expressionOf(item: SortItem, targets: readonly Node[]): Node {
  if (item.target === undefined) return item.node;
  const value = targetOf(targets[item.target])?.val;
  if (value === undefined)
    throw unsupported(`ORDER BY position ${item.target + 1}, which is not in the select list`);
  return value;
}

function isDistinct(select: SelectStmt, level: Level, statement: Statement): boolean {
  const clause = select.distinctClause ?? [];
  if (clause.length === 0 || isDistinctByKey(select, level)) return false;
  if (clause.length > 1 || Object.keys(clause[0]!).length > 0) {
    throw unsupported(
      'DISTINCT ON without the shard key over several shards',
      'Add the shard key to DISTINCT ON, or give it one value in WHERE.',
    );
  }
  const targets = select.targetList ?? [];
  refuseLooseText(
    targets.filter((target) => !isStar(target)),
    level,
    statement,
  );
  const isLoose =
    targets.some(isStar) &&
    level.scope.sources.some((source) =>
      [...(source.columns?.values() ?? [])].some((column) => column.column?.isLooselyEqual === true),
    );
  if (isLoose)
    throw unsupported(
      'DISTINCT of texts that a collation takes as equal, over several shards',
      `Name the columns, with ${statement.dialect.advice.byteOrder}.`,
    );
  return true;
}

/** `*` as the columns of each table, so that others may stand before it. */
function starsOfTables(targets: readonly Node[], level: Level): Node[] {
  return targets.flatMap((target): Node[] => {
    const value = targetOf(target)?.val;
    const isBare =
      isStar(target) && value !== undefined && 'ColumnRef' in value && value.ColumnRef.fields?.length === 1;
    if (!isBare) return [target];
    if (level.scope.merged.size > 0)
      throw unsupported(
        'SELECT * of tables joined by USING or NATURAL, ordered over several shards',
        'Name the columns.',
      );
    return level.scope.sources.map(({ alias }) => ({
      ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: alias } }, { A_Star: {} }] } } },
    }));
  });
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
function withLimit(select: SelectStmt, statement: Statement): SelectStmt {
  const { limitOffset, ...rest } = select;
  if (limitOffset === undefined) return select;
  if (rest.limitCount === undefined) return { ...rest, limitOption: 'LIMIT_OPTION_DEFAULT' };
  const { limitCount, ...unlimited } = rest;
  if (!statement.dialect.computesLimits) {
    const [count, offset] = [limitCount, limitOffset].map((node) =>
      'A_Const' in node ? statement.literals.readInteger(node.A_Const) : undefined,
    );
    // Without a limit the shards send rows until the merge has enough.
    if (count === undefined || offset === undefined)
      return { ...unlimited, limitOption: 'LIMIT_OPTION_DEFAULT' };
    return { ...rest, limitCount: { A_Const: { ival: { ival: count + offset }, location: -1 } } };
  }
  const sum: Node = {
    A_Expr: {
      kind: 'AEXPR_OP',
      name: [{ String: { sval: '+' } }],
      lexpr: asBigint(limitCount),
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
