import type { TableConfig } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import { MYSQL_FUNCTIONS } from '../routing/mysql-function-names.js';
import { foreignMode } from '../routing/mysql-settings.js';
import { MysqlLexer, Tok } from '../sql/mysql-lexer.js';
import type { Keyspace, Table } from '../topology/keyspace.js';
import { boundsOf, type ColumnRow, columnOf, whyNoKey } from './catalog-columns.js';
import { flavorOf } from './flavor.js';

type Rows = (string | null)[][];

/** Runs one query and gives its rows as text. */
type RowsQuery = (sql: string) => Promise<Rows>;

const DATABASE_SQL =
  'SELECT DATABASE(), @@lower_case_table_names, @@GLOBAL.sql_mode, @@character_set_database, VERSION()';
const TABLES_SQL =
  'SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1';
const COLUMNS_SQL = `
  SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, CHARACTER_SET_NAME, COLLATION_NAME,
         CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION`;
const PRIMARY_KEYS_SQL = `
  SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS
  WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX`;
const VIEWS_SQL =
  'SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()';

/**
 * Reads what routing must know of a database's schema, on one shard. Throws OperatingError `configuration` for a key column that
 * does not exist or cannot be a key; configured tables that do not exist yet are listed as `missing`.
 */
export async function readKeyspace(
  query: RowsQuery,
  database: string,
  home: string,
  configured: Readonly<Record<string, TableConfig>>,
): Promise<Keyspace> {
  const [schema = '', caseRule = '0', sqlMode = '', charset, version] = (await query(DATABASE_SQL))[0] ?? [];
  if (schema === null || schema === '')
    throw misconfigured(database, 'the URL of its shards names no database', 'Write mysql://…/DATABASE.');
  const mode = foreignMode(sqlMode ?? '');
  if (mode !== undefined && Object.keys(configured).length > 0)
    throw misconfigured(
      database,
      `its servers have sql_mode ${mode}, in which statements are read otherwise`,
      'SET GLOBAL sql_mode without it.',
    );
  const foldsTableNames = caseRule !== '0';
  const fullName = (name: string) => {
    const full = name.includes('.') ? name : `${schema}.${name}`;
    return foldsTableNames ? full.toLowerCase() : full;
  };
  const wanted = new Map(Object.entries(configured).map(([name, config]) => [fullName(name), config]));
  const columns = groupByTable(await query(COLUMNS_SQL));
  const primaryKeys = groupByTable(await query(PRIMARY_KEYS_SQL));
  const tables = new Map<string, Table>();
  for (const [name, type] of await query(TABLES_SQL)) {
    const rows = (columns.get(name!) ?? []).map(columnRow);
    const place = placeOf(name!, schema, type!, wanted.get(fullName(name!)), rows, database);
    const primaryKey = (primaryKeys.get(name!) ?? []).map((row) => row[1]!);
    tables.set(fullName(name!), {
      schema,
      name: name!,
      kind: kindOf(type!),
      columns: rows.map(columnOf),
      primaryKey,
      reads: [],
      ...place,
    });
  }
  resolveViews(tables, await query(VIEWS_SQL), fullName);
  return {
    database,
    home,
    tables,
    searchPath: [schema],
    foldsTableNames,
    grammar: flavorOf(version ?? '').knowsMysql8 ? 'mysql-8' : 'mysql-5',
    builtinFunctions: MYSQL_FUNCTIONS,
    ...(charset ? { charset } : {}),
    hasByteOrder: false,
    missing: new Map(
      [...wanted]
        .filter(([name]) => !tables.has(name))
        .map(([name, config]) => [
          name,
          'reference' in config
            ? { placement: 'reference' as const, key: undefined }
            : { placement: 'sharded' as const, key: config.key },
        ]),
    ),
  };
}

function columnRow(row: Rows[number]): ColumnRow {
  const number = (index: number) => Number(row[index] ?? 0);
  return {
    name: row[1]!,
    type: row[2]!,
    dataType: row[3]!.toLowerCase(),
    isNullable: row[4] === 'YES',
    // MariaDB writes the word for columns whose default is NULL.
    defaultSql: row[5] === 'NULL' ? null : (row[5] ?? null),
    extra: row[6] ?? '',
    charset: row[7] ?? null,
    collation: row[8] ?? null,
    maxLength: number(9),
    precision: number(10),
    scale: number(11),
    timeScale: number(12),
  };
}

function kindOf(type: string): Table['kind'] {
  if (type === 'BASE TABLE' || type === 'SYSTEM VERSIONED') return 'table';
  return type === 'VIEW' ? 'view' : 'other';
}

function placeOf(
  name: string,
  schema: string,
  type: string,
  config: TableConfig | undefined,
  rows: readonly ColumnRow[],
  database: string,
): Pick<Table, 'placement' | 'key'> {
  if (config === undefined) return { placement: 'home', key: undefined };
  if (type !== 'BASE TABLE')
    throw misconfigured(
      database,
      `"${schema}.${name}" is not a plain table`,
      'Only tables without system versioning can be sharded or be reference tables.',
    );
  if ('reference' in config) return { placement: 'reference', key: undefined };
  const row = rows.find((candidate) => candidate.name.toLowerCase() === config.key.toLowerCase());
  if (row === undefined)
    throw misconfigured(
      database,
      `table "${schema}.${name}" has no column "${config.key}" to be its shard key`,
      `Its columns are: ${rows.map((column) => column.name).join(', ')}.`,
    );
  const { keyType, isGenerated } = columnOf(row);
  if (keyType === undefined || isGenerated)
    throw misconfigured(
      database,
      `the shard key "${row.name}" of "${schema}.${name}" is ${isGenerated ? 'a generated column' : `of type ${row.type}${row.collation === null ? '' : ` (${row.collation})`}`}, which cannot be a shard key`,
      isGenerated ? 'Use a column that is written.' : whyNoKey(row),
    );
  return { placement: 'sharded', key: { column: row.name, type: keyType, ...boundsOf(row) } };
}

/** Views know what they read, through other views too. A view whose definition is hidden from us may read everything. */
function resolveViews(tables: Map<string, Table>, views: Rows, fullName: (name: string) => string): void {
  const direct = new Map(
    views.map(([name, definition]) => [
      fullName(name!),
      definition === null || definition === undefined || definition === ''
        ? [...tables].filter(([, table]) => table.placement !== 'home').map(([other]) => other)
        : namedIn(definition, tables, fullName),
    ]),
  );
  for (const name of direct.keys()) {
    const reads = new Set<string>();
    const open = [name];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const read of direct.get(at) ?? []) {
        if (reads.has(read)) continue;
        reads.add(read);
        open.push(read);
      }
    }
    const table = tables.get(name);
    if (table !== undefined) tables.set(name, { ...table, reads: [...reads].sort() });
  }
}

/** The server writes every table in a view's definition as `schema`.`table`. */
function namedIn(
  definition: string,
  tables: ReadonlyMap<string, Table>,
  fullName: (name: string) => string,
): string[] {
  const found = new Set<string>();
  const lexer = new MysqlLexer(definition);
  const parts: string[] = [];
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    if (kind === Tok.quotedName) parts.push(lexer.source.slice(1, -1).replaceAll('``', '`'));
    else if (lexer.source !== '.') parts.length = 0;
    for (let at = 0; at + 1 < parts.length; at++) {
      const name = fullName(`${parts[at]}.${parts[at + 1]}`);
      if (tables.has(name)) found.add(name);
    }
  }
  return [...found];
}

function groupByTable(rows: Rows): Map<string, Rows> {
  const groups = new Map<string, Rows>();
  for (const row of rows) {
    const group = groups.get(row[0]!);
    if (group === undefined) groups.set(row[0]!, [row]);
    else group.push(row);
  }
  return groups;
}

function misconfigured(database: string, message: string, hint: string): OperatingError {
  return new OperatingError('configuration', `database "${database}": ${message}`, { hint });
}
