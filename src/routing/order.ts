import type { Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, walk } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import { keySourceOf } from './key-source.js';
import type { LimitSource } from './plan.js';
import type { ScopeColumn } from './scope.js';
import { isStar } from './spread-select.js';
import type { Statement } from './statement.js';

/** One ORDER BY item. `target`: it names that output column (0-based) by position or name. */
export interface SortItem {
  readonly node: Node;
  readonly target: number | undefined;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export function sortItems(select: SelectStmt, statement: Statement): SortItem[] {
  return (select.sortClause ?? []).map((item) => {
    if (!('SortBy' in item) || item.SortBy.node === undefined) throw unsupported('this ORDER BY');
    const { node, sortby_dir, sortby_nulls } = item.SortBy;
    if (sortby_dir === 'SORTBY_USING')
      throw unsupported('ORDER BY … USING over several shards', 'Use ASC or DESC.');
    const descending = sortby_dir === 'SORTBY_DESC';
    const nullsFirst =
      sortby_nulls === 'SORTBY_NULLS_FIRST' ||
      (sortby_nulls !== 'SORTBY_NULLS_LAST' && statement.dialect.nullsFirst(descending));
    const target = targetMeant(node, select, statement);
    if (target === undefined) refuseOutputNames(node, select, statement);
    return { node, target, descending, nullsFirst };
  });
}

/** In an expression a name may mean an output column; beside the hidden columns that it becomes, it would mean a table's. */
function refuseOutputNames(node: Node, select: SelectStmt, statement: Statement): void {
  const { fold, seesOutputNamesInExpressions } = statement.dialect;
  if (!seesOutputNamesInExpressions) return;
  const aliases = new Set(
    (select.targetList ?? []).flatMap((target) =>
      'ResTarget' in target && target.ResTarget.name !== undefined ? [fold(target.ResTarget.name)] : [],
    ),
  );
  walk(node, (kind, inner) => {
    if (kind !== 'ColumnRef') return undefined;
    const names = namesOf(inner['fields'] as Node[]);
    if (names.length === 1 && aliases.has(fold(names[0]!)))
      throw unsupported(
        `ORDER BY an expression of the output column "${names[0]}" over several shards`,
        'Select the expression itself and order by its name.',
      );
    return undefined;
  });
}

function targetMeant(node: Node, select: SelectStmt, statement: Statement): number | undefined {
  const targets = select.targetList ?? [];
  if ('A_Const' in node) {
    const position = statement.literals.readInteger(node.A_Const);
    if (position === undefined || position < 1)
      throw unsupported('ORDER BY a constant over several shards', 'Order by a column.');
    if (targets.slice(0, position).some(isStar))
      throw unsupported(
        'ORDER BY a position that a * stands before, over several shards',
        'Order by the column’s name.',
      );
    return position - 1;
  }
  const names = 'ColumnRef' in node ? namesOf(node.ColumnRef.fields) : [];
  if (names.length !== 1) return undefined;
  const { fold, targetName } = statement.dialect;
  const found = targets.findIndex((target) => fold(targetName(target)) === fold(names[0]!));
  return found === -1 ? undefined : found;
}

/** How values of an expression, if they are texts, compare. */
export interface TextOrder {
  /** As bytes. */
  readonly byteOrder: boolean;
  /** By weights that shards must send beside them. */
  readonly isWeighed: boolean;
}

/** Throws where texts of a column compare by a collation that cannot be followed. */
export function textOrder(node: Node, level: Level, statement: Statement, what: string): TextOrder {
  const { dialect } = statement;
  const columns = columnsIn(node, level);
  const sorts = (column: ScopeColumn | undefined) =>
    column?.column !== undefined && (column.column.hasByteOrder || !dialect.isText(column.column));
  if (enumLabels(node, level, statement) !== undefined || dialect.isByteOrdered(node)) return BYTES;
  if ('CollateClause' in node && dialect.isByteCollation(namesOf(node.CollateClause.collname).at(-1) ?? ''))
    return BYTES;
  if ('ColumnRef' in node && sorts(columns[0])) return BYTES;
  if (isWeighed(node, level, statement)) return { byteOrder: false, isWeighed: true };
  if ('CollateClause' in node)
    throw unsupported(
      `${what} by a collation over several shards`,
      `Only byte order can be merged: write ${dialect.advice.byteOrder}.`,
    );
  if ('ColumnRef' in node && columns[0]?.column !== undefined) {
    const name = columns[0].column.name;
    throw unsupported(
      `${what} "${name}", whose text is ordered by a collation, over several shards`,
      `Write "${name}" ${dialect.advice.byteOrder} to order by bytes, or give the shard key one value.`,
    );
  }
  return {
    byteOrder: !('ColumnRef' in node) && statement.keyspace.hasByteOrder && columns.every(sorts),
    isWeighed: false,
  };
}

const BYTES: TextOrder = { byteOrder: true, isWeighed: false };

export function isWeighed(node: Node, level: Level, statement: Statement): boolean {
  const columns = columnsIn(node, level).map((column) => column?.column);
  return statement.dialect.isWeighed(node, columns, statement.used);
}

/** Labels of the enum column that an expression is, if it is one. */
export function enumLabels(node: Node, level: Level, statement: Statement): readonly string[] | undefined {
  const column = 'ColumnRef' in node ? columnsIn(node, level)[0]?.column : undefined;
  return column === undefined ? undefined : statement.keyspace.enums?.get(column.typeOid);
}

export function columnsIn(tree: unknown, level: Level): (ScopeColumn | undefined)[] {
  const columns: (ScopeColumn | undefined)[] = [];
  walk(tree, (kind, node) => {
    if (kind === 'SubLink') return 'skip';
    if (kind === 'ColumnRef') columns.push(level.scope.resolve(namesOf(node['fields'] as Node[])));
    return undefined;
  });
  return columns;
}

/** LIMIT or OFFSET as the merge reads it; undefined for none (LIMIT ALL). */
export function limitSource(node: Node | undefined, statement: Statement): LimitSource | undefined {
  if (node === undefined) return undefined;
  const source = keySourceOf(node, 'integer', statement.literals);
  if (source === undefined)
    throw unsupported(
      'LIMIT or OFFSET by an expression over several shards',
      'Write a number or a parameter.',
    );
  return source.type === 'null' ? undefined : source;
}
