import type { InsertStmt, Node, SelectStmt } from '@pgsql/types';
import { type OperatingError, unsupported } from '../lib/errors.js';
import { namesOf, rangeVarName } from '../sql/postgres-tree.js';
import type { Column, Table } from '../topology/keyspace.js';
import type { Analysis, Env } from './analysis.js';
import { Facts } from './facts.js';
import { checkConflict, rowAliasOf } from './insert-conflict.js';
import {
  checkSequences,
  isStarTarget,
  isValues,
  type Numbering,
  numberedColumn,
  selectOf,
  sequencedColumn,
} from './insert-numbers.js';
import { keySourceOf } from './key-source.js';
import { refuseView } from './modify-plan.js';
import type { KeySource } from './plan.js';
import { namedColumns, Scope, UNKNOWN_COLUMN } from './scope.js';
import { CONSTANT, isSameSource, type Shape, tablesOf, withSubselect } from './shape.js';
import { distributes, isKey, outputsOf } from './spread-select.js';
import type { SqlDialect } from './sql-dialect.js';

/** An analysed INSERT. */
export interface Insertion extends Numbering {
  readonly table: Table | undefined;
  /** Where the rest of the statement can be computed. */
  readonly shape: Shape;
  /** The key of each row of VALUES into a sharded table. */
  readonly rows: readonly KeySource[] | undefined;
}

export function analyseInsert(statement: InsertStmt, analysis: Analysis, env: Env): Insertion {
  const relation = statement.relation!;
  const table = analysis.statement.find(relation);
  refuseView(table, relation, analysis.statement.keyspace);
  const inside = analysis.withQueries(statement.withClause, env);
  if (table === undefined)
    return {
      table,
      shape: withSubselect(homeInsert(statement, rangeVarName(relation), analysis, inside.env), inside.shape),
      rows: undefined,
    };
  analysis.statement.used.add(table);
  if (table.placement === 'home')
    return {
      table,
      shape: withSubselect(homeInsert(statement, table.name, analysis, inside.env), inside.shape),
      rows: undefined,
    };
  const { dialect } = analysis.statement;
  const columns = insertedColumns(statement, table, dialect);
  const numbering = dialect.numbersNullAndZero
    ? numberedColumn(statement, table, columns, analysis)
    : sequencedColumn(statement, table, columns, dialect);
  if (numbering?.numbers !== undefined) return { table, shape: CONSTANT, rows: undefined, ...numbering };
  if (numbering === undefined) checkSequences(statement, table, columns, dialect);
  const inserted = analyseRows(statement, table, columns, analysis, inside);
  return { ...inserted, ...numbering };
}

function analyseRows(
  statement: InsertStmt,
  table: Table,
  columns: readonly (Column | undefined)[],
  analysis: Analysis,
  inside: { env: Env; shape: Shape },
): Insertion {
  if (table.placement === 'reference') {
    const shape = analysis.subselects({ ...statement, withClause: undefined }, CONSTANT, inside.env);
    const select = selectOf(statement);
    const rows =
      select === undefined
        ? CONSTANT
        : isValues(select)
          ? CONSTANT
          : analysis.query(select, inside.env).shape;
    return { table, shape: withSubselect(withSubselect(shape, rows), inside.shape), rows: undefined };
  }
  checkConflict(statement, table, columns, analysis.statement.dialect);
  const select = selectOf(statement);
  if (select === undefined) throw missingKey(table);
  const keyAt = columns.findIndex((column) => column?.name === table.key!.column);
  if (keyAt === -1) throw missingKey(table);
  if (isValues(select)) return insertValues(statement, select, table, keyAt, columns, analysis, inside);
  return {
    table,
    shape: withSubselect(insertSelect(statement, select, table, keyAt, analysis, inside.env), inside.shape),
    rows: undefined,
  };
}

function homeInsert(statement: InsertStmt, name: string, analysis: Analysis, env: Env): Shape {
  const select = selectOf(statement);
  let shape: Shape = { type: 'home', table: name };
  if (select !== undefined) shape = withSubselect(shape, analysis.query(select, env).shape);
  const { selectStmt: _s, withClause: _w, ...rest } = statement;
  return analysis.subselects(rest, shape, env);
}

/** The columns that values are given for, in order; undefined for names that the table does not have. */
function insertedColumns(statement: InsertStmt, table: Table, { fold }: SqlDialect): (Column | undefined)[] {
  if ((statement.cols ?? []).length === 0)
    return table.columns.filter((column) => column.isInvisible !== true);
  return (statement.cols ?? []).map((target) =>
    'ResTarget' in target
      ? table.columns.find((column) => fold(column.name) === fold(target.ResTarget.name ?? ''))
      : undefined,
  );
}

function missingKey(table: Table): OperatingError {
  const key = table.key!.column;
  return unsupported(
    `INSERT into sharded table "${table.name}" without a value for its shard key "${key}"`,
    `Name "${key}" in the column list and give it a literal or a parameter in each row.`,
  );
}

function insertValues(
  statement: InsertStmt,
  select: SelectStmt,
  table: Table,
  keyAt: number,
  columns: readonly (Column | undefined)[],
  analysis: Analysis,
  inside: { env: Env; shape: Shape },
): Insertion {
  const rows = (select.valuesLists ?? []).map((list): KeySource => {
    const item = 'List' in list ? list.List.items?.[keyAt] : undefined;
    if (item === undefined || 'SetToDefault' in item) throw missingKey(table);
    const source = keySourceOf(item, table.key!.type, analysis.statement.literals);
    if (source !== undefined && source.type !== 'null') return source;
    if (source !== undefined)
      throw unsupported(
        `a NULL shard key "${columns[keyAt]!.name}" for "${table.name}"`,
        'A sharded row needs a key to be found by.',
      );
    throw unsupported(
      `the shard key "${columns[keyAt]!.name}" of "${table.name}" as an expression`,
      'Give it a literal or a parameter; compute the value in the application.',
    );
  });
  const { env } = targetEnv(
    statement,
    table,
    columns,
    inside.env,
    rows.length === 1 ? rows[0] : undefined,
    analysis.statement.dialect,
  );
  const { withClause: _w, ...rest } = statement;
  const inner = withSubselect(analysis.subselects(rest, CONSTANT, env), inside.shape);
  if (inner.type === 'constant')
    return {
      table,
      shape: { type: 'pinned', keyType: table.key!.type, keys: rows, tables: [table.name] },
      rows,
    };
  if (inner.type === 'home')
    throw unsupported(
      `INSERT into sharded table "${table.name}" that reads "${inner.table}", which lives on the home shard only`,
      'Read it first, then pass the values.',
    );
  if (rows.length > 1 || inner.type !== 'pinned' || inner.keyType !== table.key!.type) {
    throw unsupported(
      `INSERT of several rows into "${table.name}" that reads sharded table "${tablesOf(inner)[0] ?? ''}"`,
      'Insert one row at a time, with the same shard key in the sub-select.',
    );
  }
  const keys = [...rows];
  for (const key of inner.keys) if (!keys.some((known) => isSameSource(known, key))) keys.push(key);
  return {
    table,
    shape: { type: 'pinned', keyType: table.key!.type, keys, tables: [table.name] },
    rows: keys.length === 1 ? rows : undefined,
  };
}

/** A column that the table does not have. */
const UNNAMED = ['', UNKNOWN_COLUMN] as const;

/** RETURNING and ON CONFLICT see the target's columns and the row alias', whose key is known when there is one row. */
function targetEnv(
  statement: InsertStmt,
  table: Table,
  inserted: readonly (Column | undefined)[],
  env: Env,
  key: KeySource | undefined,
  { fold }: SqlDialect,
): { env: Env } {
  const scope = new Scope(env.scope, fold);
  const facts = new Facts(env.facts);
  const id = `insert.${table.key!.column}`;
  const named = (column: Column) => {
    const isKey = column.name === table.key!.column;
    const known = { id: isKey ? id : undefined, keyType: isKey ? table.key!.type : undefined, column };
    return [column.name, known] as const;
  };
  const columns = table.columns.map(named);
  const alias = statement.relation!.alias?.aliasname ?? statement.relation!.relname ?? '';
  scope.sources.push({ alias, schema: undefined, columns: namedColumns(columns, fold), table });
  const row = rowAliasOf(statement);
  if (row !== undefined) {
    const names = namesOf(row.colnames);
    const given = inserted.map((column) => (column === undefined ? UNNAMED : named(column)));
    const source = { alias: row.aliasname ?? '', schema: undefined, table: undefined };
    scope.sources.push({ ...source, columns: namedColumns(given, fold, names) });
  }
  if (key !== undefined) facts.addPin(id, [key]);
  return { env: { ...env, scope, facts } };
}

/** INSERT … SELECT whose rows stay on the shard that they are read from. */
function insertSelect(
  statement: InsertStmt,
  select: SelectStmt,
  table: Table,
  keyAt: number,
  analysis: Analysis,
  env: Env,
): Shape {
  const hint = `Select the shard key of a sharded table as it is for "${table.key!.column}", or a literal or parameter that is also the key of what is read.`;
  const { selectStmt: _s, withClause: _w, ...rest } = statement;
  if (
    select.withClause !== undefined ||
    (select.op ?? 'SETOP_NONE') !== 'SETOP_NONE' ||
    (select.valuesLists ?? []).length > 0
  ) {
    throw unsupported(
      `INSERT into sharded table "${table.name}" from a query of this form`,
      'Use INSERT … SELECT without WITH, UNION or VALUES inside it, or INSERT … VALUES.',
    );
  }
  const level = analysis.level(select, env);
  const target = select.targetList?.[keyAt];
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  const outer = analysis.subselects(rest, CONSTANT, env);
  if (level.shape.type === 'spread') {
    distributes(select, level, analysis.statement);
    const hasStar =
      outputsOf(select, level, analysis.statement.dialect) === undefined ||
      (select.targetList ?? []).slice(0, keyAt + 1).some((node) => isStarTarget(node));
    if (hasStar || value === undefined || !isKey(value, level) || level.shape.keyType !== table.key!.type)
      throw unsupported(
        `INSERT … SELECT into sharded table "${table.name}" of rows that may belong to other shards`,
        hint,
      );
    if (outer.type !== 'constant')
      throw unsupported(`a sub-select in INSERT … SELECT into "${table.name}"`, hint);
    return { ...level.shape, tables: [table.name, ...level.shape.tables] };
  }
  if (level.shape.type === 'home')
    throw unsupported(
      `INSERT into sharded table "${table.name}" from "${level.shape.table}", which lives on the home shard only`,
      'Read the rows first, then insert them with VALUES.',
    );
  const source = pinnedValue(value, table, level, analysis);
  if (source === undefined)
    throw unsupported(
      `INSERT … SELECT into sharded table "${table.name}" of rows that may belong to other shards`,
      hint,
    );
  const pinned: Shape = { type: 'pinned', keyType: table.key!.type, keys: [source], tables: [table.name] };
  return withSubselect(withSubselect(pinned, level.shape), outer);
}

function pinnedValue(
  value: Node | undefined,
  table: Table,
  level: ReturnType<Analysis['level']>,
  analysis: Analysis,
): KeySource | undefined {
  if (value === undefined) return undefined;
  if (!('ColumnRef' in value)) {
    const source = keySourceOf(value, table.key!.type, analysis.statement.literals);
    return source?.type === 'null' ? undefined : source;
  }
  const column = level.scope.resolve(namesOf(value.ColumnRef.fields));
  if (column?.id === undefined || column.keyType !== table.key!.type) return undefined;
  const pins = level.facts.solve().pinsOf(column.id);
  return pins?.length === 1 && pins[0]!.type !== 'null' && !('array' in pins[0]! && pins[0].array)
    ? pins[0]
    : undefined;
}
