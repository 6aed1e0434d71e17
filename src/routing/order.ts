import type { Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, walk } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import { keySourceOf } from './key-source.js';
import { targetName } from './output-name.js';
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
      sortby_nulls === 'SORTBY_NULLS_FIRST' || (sortby_nulls !== 'SORTBY_NULLS_LAST' && descending);
    return { node, target: targetMeant(node, select, statement), descending, nullsFirst };
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
  const found = targets.findIndex((target) => targetName(target) === names[0]);
  return found === -1 ? undefined : found;
}

const COLLATABLE = new Set([25, 1042, 1043]);
const BYTE_COLLATIONS = new Set(['C', 'POSIX', 'ucs_basic']);

/**
 * Does an expression, if it is text, compare as bytes? Throws where a column is known not to: only the database itself can merge
 * that order.
 */
export function hasByteOrder(node: Node, level: Level, statement: Statement, what: string): boolean {
  if ('CollateClause' in node) {
    if (BYTE_COLLATIONS.has(namesOf(node.CollateClause.collname).at(-1) ?? '')) return true;
    throw unsupported(
      `${what} by a collation over several shards`,
      'Only byte order can be merged: write COLLATE "C".',
    );
  }
  if (enumLabels(node, level, statement) !== undefined) return true;
  const columns = columnsIn(node, level);
  const sorts = (column: ScopeColumn | undefined) =>
    column?.column !== undefined && (column.column.hasByteOrder || !isText(column.column.typeOid));
  if (
    'ColumnRef' in node &&
    columns[0]?.column !== undefined &&
    isText(columns[0].column.typeOid) &&
    !sorts(columns[0])
  ) {
    const name = columns[0].column.name;
    throw unsupported(
      `${what} "${name}", whose text is ordered by a collation, over several shards`,
      `Write "${name}" COLLATE "C" to order by bytes, or give the shard key one value.`,
    );
  }
  if ('ColumnRef' in node) return sorts(columns[0]);
  return statement.keyspace.hasByteOrder && columns.every(sorts);
}

function isText(typeOid: number): boolean {
  return COLLATABLE.has(typeOid) || typeOid >= 16_384;
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
