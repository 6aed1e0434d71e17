import type { Alias, InsertStmt, Node } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf } from '../sql/postgres-tree.js';
import type { Column, Table } from '../topology/keyspace.js';
import type { SqlDialect } from './sql-dialect.js';

/** MySQL's name for the row that was to be inserted: VALUES (…) AS new (a, b). */
export function rowAliasOf(statement: InsertStmt): Alias | undefined {
  return (statement as { rowAlias?: Alias }).rowAlias;
}

/**
 * ON CONFLICT DO UPDATE and ON DUPLICATE KEY UPDATE may set the shard key only to that of the row that was to be inserted, which
 * belongs here. `columns`: those that have values, in order.
 */
export function checkConflict(
  statement: InsertStmt,
  table: Table,
  columns: readonly (Column | undefined)[],
  { fold }: SqlDialect,
): void {
  const key = table.key!.column;
  for (const target of statement.onConflictClause?.targetList ?? []) {
    if (!('ResTarget' in target) || fold(target.ResTarget.name ?? '') !== fold(key)) continue;
    const name = givenColumn(target.ResTarget.val, rowAliasOf(statement), columns, fold);
    if (name !== undefined && fold(name) === fold(key)) continue;
    throw unsupported(
      `ON CONFLICT DO UPDATE of "${key}", the shard key of "${table.name}"`,
      'Leave the shard key out of SET.',
    );
  }
}

/** The column whose value in the row that was to be inserted is meant: `excluded.c`, VALUES(c), or a column of the row alias. */
function givenColumn(
  value: Node | undefined,
  rowAlias: Alias | undefined,
  columns: readonly (Column | undefined)[],
  fold: SqlDialect['fold'],
): string | undefined {
  if (value === undefined || !('ColumnRef' in value)) return undefined;
  const names = namesOf(value.ColumnRef.fields);
  const name = names.at(-1) ?? '';
  const isValues = (value.ColumnRef as { isValues?: boolean }).isValues === true;
  if (rowAlias === undefined || isValues) return names[0] === 'excluded' ? name : undefined;
  if (names.length > 2 || (names.length === 2 && names[0] !== rowAlias.aliasname)) return undefined;
  const given = namesOf(rowAlias.colnames);
  if (given.length > 0) return columns[given.findIndex((candidate) => fold(candidate) === fold(name))]?.name;
  // Without its table the name is the target's, too, and ambiguous.
  return names.length === 2 ? name : undefined;
}
