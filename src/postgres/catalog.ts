import type { TableConfig } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import { keyTypeOf } from '../routing/binary-key.js';
import type { Column, Keyspace, Table } from '../topology/keyspace.js';
import {
  BUILTIN_FUNCTIONS_SQL,
  COLUMNS_SQL,
  DATABASE_SQL,
  ENUMS_SQL,
  FUNCTIONS_SQL,
  INHERITS_SQL,
  OBJECTS_SQL,
  RELATIONS_SQL,
  VIEW_READS_SQL,
} from './catalog-sql.js';

type Rows = (string | null)[][];

/** Runs one query and gives its rows as text. */
export type RowsQuery = (sql: string) => Promise<Rows>;

/** A cast to a type, whose modifier looks like a call. */
const CAST = /::("[^"]*"|[a-z_ .]+)(\([\d, ]+\))?(\[\])?/gi;
/** A default that calls anything may give another value each time. */
const CALL = /[a-z_]\w*"?\s*\(|\bcurrent_(date|time|timestamp)\b|\blocaltime(stamp)?\b/i;

interface DatabaseFacts {
  readonly searchPath: readonly string[];
  readonly hasByteOrder: boolean;
  readonly encoding: string;
}

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
  const facts = databaseFacts(await query(DATABASE_SQL));
  const relations = await query(RELATIONS_SQL);
  const columns = groupBy(await query(COLUMNS_SQL), 0);
  const parents = new Map((await query(INHERITS_SQL)).map(([child, parent]) => [child!, parent!]));
  const reads = groupBy(await query(VIEW_READS_SQL), 0);
  const wanted = new Map(
    Object.entries(configured).map(([name, config]) => [
      qualified(name, facts.searchPath, relations),
      config,
    ]),
  );
  const tables = new Map<string, Table>();
  for (const relation of relations) {
    const table = tableOf(
      relation,
      columns.get(relation[0]!) ?? [],
      configOf(relation[0]!, parents, wanted),
      facts,
      database,
    );
    tables.set(relation[0]!, table);
  }
  resolveViews(tables, reads);
  const functions = functionSets(await query(BUILTIN_FUNCTIONS_SQL), await query(FUNCTIONS_SQL));
  return {
    database,
    home,
    tables,
    searchPath: facts.searchPath,
    hasByteOrder: facts.hasByteOrder,
    ...functions,
    missing: missingTables(wanted, tables),
    objects: objectPlaces(await query(OBJECTS_SQL), tables),
    enums: new Map(
      [...groupBy(await query(ENUMS_SQL), 0)].map(([oid, rows]) => [Number(oid), rows.map((row) => row[1]!)]),
    ),
  };
}

function databaseFacts(rows: Rows): DatabaseFacts {
  const [encoding = '', collation = '', provider = 'c', locale = null, path = ''] = rows[0] ?? [];
  const isByteLocale = ['C', 'POSIX', 'C.UTF-8', 'C.utf8'].includes(collation ?? '');
  const hasByteOrder =
    provider === 'c' ? isByteLocale : provider === 'b' ? locale === 'C' || locale === 'C.UTF-8' : false;
  return {
    encoding: encoding ?? '',
    hasByteOrder,
    searchPath: (path ?? '').split('\u0001').filter((schema) => schema !== ''),
  };
}

/** `schema.table` of a configured name: as it says, else in the first schema of the search path that has it, else in the first. */
function qualified(name: string, searchPath: readonly string[], relations: Rows): string {
  const known = new Set(relations.map((row) => row[0]));
  if (known.has(name) || name.includes('.')) return name;
  const schema =
    searchPath.find((candidate) => known.has(`${candidate}.${name}`)) ?? searchPath[0] ?? 'public';
  return `${schema}.${name}`;
}

/** A partition lives where its parent does. */
function configOf(
  name: string,
  parents: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, TableConfig>,
): TableConfig | undefined {
  for (let at: string | undefined = name; at !== undefined; at = parents.get(at)) {
    const config = wanted.get(at);
    if (config !== undefined) return config;
  }
  return undefined;
}

function tableOf(
  relation: Rows[number],
  columnRows: Rows,
  config: TableConfig | undefined,
  facts: DatabaseFacts,
  database: string,
): Table {
  const [, schema, name, kind, primaryKey] = relation;
  const columns = columnRows.map((row) => columnOf(row, facts));
  const isTable = kind === 'r' || kind === 'p';
  const place = {
    schema: schema!,
    name: name!,
    kind: isTable ? 'table' : kind === 'v' ? 'view' : 'other',
    columns,
    reads: [],
  } as const;
  const shared = {
    ...place,
    primaryKey: (primaryKey ?? '').split('\u0001').filter((column) => column !== ''),
  };
  if (config === undefined) return { ...shared, placement: 'home', key: undefined };
  if (!isTable)
    throw misconfigured(
      database,
      `"${schema}.${name}" is not a table`,
      'Only tables can be sharded or be reference tables.',
    );
  if ('reference' in config) return { ...shared, placement: 'reference', key: undefined };
  const row = columnRows.find((candidate) => candidate[1] === config.key);
  if (row === undefined)
    throw misconfigured(
      database,
      `table "${schema}.${name}" has no column "${config.key}" to be its shard key`,
      `Its columns are: ${columns.map((column) => column.name).join(', ')}.`,
    );
  return { ...shared, placement: 'sharded', key: keyOf(row, `${schema}.${name}`, facts, database) };
}

function keyOf(
  row: Rows[number],
  table: string,
  facts: DatabaseFacts,
  database: string,
): NonNullable<Table['key']> {
  const [, column, type, oid, , , , , , isDeterministic, modifier] = row;
  const what = `the shard key "${column}" of "${table}"`;
  const keyType = keyTypeOf(Number(oid));
  if (keyType === undefined)
    throw misconfigured(
      database,
      `${what} has type ${type}, which cannot be a shard key`,
      'Types that can: smallint, integer, bigint, text, varchar, char, uuid, numeric, date, timestamp, timestamptz, bytea.',
    );
  if (isDeterministic === 'f')
    throw misconfigured(
      database,
      `${what} has a nondeterministic collation`,
      'Different texts would be one key. Use a deterministic collation.',
    );
  const isText = keyType === 'text' || keyType === 'bpchar';
  if (isText && facts.encoding !== 'UTF8')
    throw misconfigured(
      database,
      `${what} is text, but the database's encoding is ${facts.encoding}`,
      'Text keys need a database in UTF8.',
    );
  const hasModifier = modifier !== '-1';
  if (hasModifier && !isText)
    throw misconfigured(
      database,
      `${what} has type ${type}, which rounds what is stored`,
      `Use the type without its precision: ${type!.replace(/\(.*?\)/, '')}.`,
    );
  return hasModifier && keyType === 'text'
    ? { column: column!, type: keyType, maxLength: Number(modifier) - 4 }
    : { column: column!, type: keyType };
}

function columnOf(row: Rows[number], facts: DatabaseFacts): Column {
  const [, name, type, oid, isNotNull, defaultSql, isIdentity, isGenerated, collation, isDeterministic] = row;
  const isSequenceFilled = isIdentity === 't' || /\bnextval\(/i.test(defaultSql ?? '');
  const hasByteOrder =
    collation === 'default'
      ? facts.hasByteOrder
      : collation === 'C' || collation === 'POSIX' || collation === 'ucs_basic';
  return {
    name: name!,
    type: type!,
    typeOid: Number(oid),
    isNotNull: isNotNull === 't',
    defaultSql: isGenerated === 't' ? undefined : (defaultSql ?? undefined),
    isSequenceFilled,
    isGenerated: isGenerated === 't',
    hasByteOrder,
    ...(isDeterministic === 'f' ? { isLooselyEqual: true } : {}),
    ...(CALL.test((defaultSql ?? '').replace(/'(?:[^']|'')*'/g, '').replace(CAST, ''))
      ? { isDefaultVolatile: true }
      : {}),
  };
}

/** Views know what they read, through other views too. */
function resolveViews(tables: Map<string, Table>, direct: ReadonlyMap<string, Rows>): void {
  for (const [name, table] of tables) {
    if (!direct.has(name)) continue;
    const reads = new Set<string>();
    const open = [name];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const [, read] of direct.get(at) ?? []) {
        if (reads.has(read!)) continue;
        reads.add(read!);
        open.push(read!);
      }
    }
    tables.set(name, { ...table, reads: [...reads].sort() });
  }
}

function functionSets(
  builtin: Rows,
  others: Rows,
): Pick<Keyspace, 'builtinFunctions' | 'volatileFunctions' | 'aggregateFunctions'> {
  const builtinFunctions = new Set<string>();
  const volatileFunctions = new Set<string>();
  const aggregateFunctions = new Set<string>();
  const add = (rows: Rows) => {
    for (const [name, volatility, kind] of rows) {
      builtinFunctions.add(name!.toLowerCase());
      if (volatility === 'v') volatileFunctions.add(name!.toLowerCase());
      if (kind === 'a') aggregateFunctions.add(name!.toLowerCase());
    }
  };
  add(builtin);
  const isHarmless = (row: Rows[number]) => row[1] === 'i' || row[3] === 't';
  add(others.filter(isHarmless));
  // A name that also means a function of unknown doings must not pass for the harmless one.
  for (const row of others) if (!isHarmless(row)) builtinFunctions.delete(row[0]!.toLowerCase());
  return { builtinFunctions, volatileFunctions, aggregateFunctions };
}

function missingTables(
  wanted: ReadonlyMap<string, TableConfig>,
  tables: ReadonlyMap<string, Table>,
): NonNullable<Keyspace['missing']> {
  const missing = new Map<string, { placement: 'sharded' | 'reference'; key: string | undefined }>();
  for (const [name, config] of wanted) {
    if (tables.has(name)) continue;
    missing.set(
      name,
      'reference' in config
        ? { placement: 'reference', key: undefined }
        : { placement: 'sharded', key: config.key },
    );
  }
  return missing;
}

function objectPlaces(rows: Rows, tables: ReadonlyMap<string, Table>): NonNullable<Keyspace['objects']> {
  return new Map(rows.map(([name, table]) => [name!, tables.get(table!)?.placement ?? 'home']));
}

function groupBy(rows: Rows, column: number): Map<string, Rows> {
  const groups = new Map<string, Rows>();
  for (const row of rows) {
    const group = groups.get(row[column]!);
    if (group === undefined) groups.set(row[column]!, [row]);
    else group.push(row);
  }
  return groups;
}

function misconfigured(database: string, message: string, hint: string): OperatingError {
  return new OperatingError('configuration', `database "${database}": ${message}`, { hint });
}
