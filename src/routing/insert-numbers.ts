import type { InsertStmt, Node, SelectStmt } from '@pgsql/types';
import { type OperatingError, unsupported } from '../lib/errors.js';
import { namesOf } from '../sql/postgres-tree.js';
import type { Column, Table } from '../topology/keyspace.js';
import type { Analysis } from './analysis.js';
import { rowAliasOf } from './insert-conflict.js';
import { keySourceOf } from './key-source.js';
import type { GivenNumbers, KeySource, Plan } from './plan.js';
import type { SqlDialect } from './sql-dialect.js';

/** What an INSERT leaves to the database, which would number rows on each shard on its own. */
export interface Numbering {
  /** Rows that leave a column to the database, which would number them on each shard. */
  readonly numbers?: { readonly place: NonNullable<Plan['numbers']>; readonly error: OperatingError };
  /** Values that must not be NULL or 0, which mean the same as leaving the column out. */
  readonly given?: NonNullable<Plan['mustBeGiven']>;
  readonly byHand?: GivenNumbers;
}

/** The query or the VALUES of an INSERT. */
export function selectOf(statement: InsertStmt): SelectStmt | undefined {
  return statement.selectStmt !== undefined && 'SelectStmt' in statement.selectStmt
    ? statement.selectStmt.SelectStmt
    : undefined;
}

export function isValues(select: SelectStmt): boolean {
  return (
    (select.valuesLists ?? []).length > 0 &&
    select.withClause === undefined &&
    select.sortClause === undefined &&
    select.limitCount === undefined &&
    select.limitOffset === undefined
  );
}

/** Each shard's sequence counts on its own, so ids that it fills in would be given twice. */
export function checkSequences(
  statement: InsertStmt,
  table: Table,
  columns: readonly (Column | undefined)[],
  dialect: SqlDialect,
): void {
  const select = selectOf(statement);
  const rows =
    select === undefined
      ? []
      : (select.valuesLists ?? []).map((list) => ('List' in list ? (list.List.items ?? []) : []));
  const targets = select?.targetList ?? [];
  const given = rows.length === 0 && !targets.some(isStarTarget) ? targets.length : columns.length;
  for (const column of table.columns) {
    if (!column.isSequenceFilled && !(table.placement === 'reference' && column.isDefaultVolatile === true))
      continue;
    const at = columns.indexOf(column);
    const isLeftOut =
      select === undefined ||
      at === -1 ||
      at >= given ||
      rows.some((row) => row[at] === undefined || 'SetToDefault' in row[at]);
    if (!isLeftOut) continue;
    if (!column.isSequenceFilled) {
      throw unsupported(
        `"${column.name}" of reference table "${table.name}" would get another default on each shard`,
        `Give "${column.name}" a value in the INSERT.`,
      );
    }
    throw numberedTwice(table, column, dialect);
  }
}

function numberedTwice(table: Table, column: Column, dialect: SqlDialect): OperatingError {
  return unsupported(
    `"${column.name}" of "${table.name}" is filled by a sequence of each shard, which would give the same number twice`,
    dialect.advice.ownNumber(column.name),
  );
}

/**
 * What an INSERT of VALUES says of the table's AUTO_INCREMENT column: rows that leave it to the database, and values that must turn
 * out to be numbers. undefined for tables without one and for INSERT … SELECT, which `checkSequences` looks at.
 */
export function numberedColumn(
  statement: InsertStmt,
  table: Table,
  columns: readonly (Column | undefined)[],
  analysis: Analysis,
): Numbering | undefined {
  const { dialect, literals } = analysis.statement;
  const column = table.columns.find((candidate) => candidate.isSequenceFilled);
  const lists = selectOf(statement)?.valuesLists ?? [];
  if (column === undefined || lists.length === 0) return undefined;
  // () VALUES () leaves out everything.
  const isEmpty = lists.every((list) => 'List' in list && (list.List.items ?? []).length === 0);
  const position = isEmpty ? -1 : columns.indexOf(column);
  const items = lists.map((list) => ('List' in list ? list.List.items?.[position] : undefined));
  const left = items.filter(isLeftToDatabase).length;
  if (left > 0) {
    const place = {
      table: `${table.schema}.${table.name}`,
      column: column.name,
      rows: left,
      position,
      ...(position === -1 ? aliasNames(statement) : {}),
    };
    const others = items.flatMap((item) => keySourceOf(item, 'integer', literals) ?? []);
    return {
      numbers: { place, error: numberedTwice(table, column, dialect) },
      ...byHand(table, column, others),
    };
  }
  const sources = items.map((item) => {
    const source = keySourceOf(item, 'integer', literals);
    if (source === undefined) throw numberedTwice(table, column, dialect);
    return source;
  });
  checkOtherDefaults(table, columns, column);
  return { given: { column: column.name, sources }, ...byHand(table, column, sources) };
}

function aliasNames(statement: InsertStmt): { aliasNames?: readonly string[] } {
  const names = (statement.cols ?? []).map((col) => ('ResTarget' in col ? (col.ResTarget.name ?? '') : ''));
  return rowAliasOf(statement) === undefined ? {} : { aliasNames: names };
}

function byHand(table: Table, column: Column, sources: readonly KeySource[]): Pick<Numbering, 'byHand'> {
  const { name, greatestNumber: greatest } = column;
  return greatest === undefined || sources.length === 0
    ? {}
    : { byHand: { table: `${table.schema}.${table.name}`, column: name, greatest, sources } };
}

/**
 * The serial or identity column that rows of VALUES leave to the database, by leaving it out or by DEFAULT. undefined where there is none,
 * and where it cannot be filled in: `checkSequences` then looks at it.
 */
export function sequencedColumn(
  statement: InsertStmt,
  table: Table,
  columns: readonly (Column | undefined)[],
  dialect: SqlDialect,
): Numbering | undefined {
  const filled = table.columns.filter((column) => column.isSequenceFilled);
  if (filled.length === 0) return undefined;
  // The values that are given are not those that are stored.
  const ignored = filled.find((column) => columns.includes(column));
  if (statement.override === 'OVERRIDING_USER_VALUE' && ignored !== undefined)
    throw numberedTwice(table, ignored, dialect);
  const select = selectOf(statement);
  if (select === undefined || !isValues(select)) return undefined;
  const rows = (select.valuesLists ?? []).map((list) => ('List' in list ? (list.List.items ?? []) : []));
  const isLeft = (item: Node | undefined) => item === undefined || 'SetToDefault' in item;
  const left = filled.filter((column) => rows.some((row) => isLeft(row[columns.indexOf(column)])));
  const [column] = left;
  if (column === undefined || left.length > 1) return undefined;
  const type = dialect.keyTypeOf(column);
  if (type !== 'integer' && type !== 'numeric') return undefined;
  const position = columns.indexOf(column);
  // Without a list of columns the last ones may be left out; only the next one can be filled in.
  if (rows.some((row) => row.length < position)) return undefined;
  checkOtherDefaults(table, columns, column);
  const place = {
    table: `${table.schema}.${table.name}`,
    column: column.name,
    rows: rows.filter((row) => isLeft(row[position])).length,
    position,
  };
  return { numbers: { place, error: numberedTwice(table, column, dialect) } };
}

function isLeftToDatabase(item: Node | undefined): boolean {
  return item === undefined || 'SetToDefault' in item || ('A_Const' in item && item.A_Const.isnull === true);
}

/** Defaults of reference tables that would differ from shard to shard. */
function checkOtherDefaults(table: Table, columns: readonly (Column | undefined)[], numbered: Column): void {
  const volatile = table.columns.find(
    (column) => column !== numbered && column.isDefaultVolatile === true && !columns.includes(column),
  );
  if (table.placement === 'reference' && volatile !== undefined)
    throw unsupported(
      `"${volatile.name}" of reference table "${table.name}" would get another default on each shard`,
      `Give "${volatile.name}" a value in the INSERT.`,
    );
}

export function isStarTarget(node: Node): boolean {
  return (
    'ResTarget' in node &&
    node.ResTarget.val !== undefined &&
    'ColumnRef' in node.ResTarget.val &&
    namesOf(node.ResTarget.val.ColumnRef.fields).at(-1) === '*'
  );
}
