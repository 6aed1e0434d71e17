import { OperatingError } from '../lib/errors.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteName, quoteText } from './engine-names.js';
import type { EngineSession } from './engine-session.js';

export interface TableColumn {
  readonly name: string;
  /** As information_schema gives it, in full: `int(10) unsigned`, `enum('a','b')`. */
  readonly type: string;
  /** The bare type: `int`, `varchar`, `geometry` … */
  readonly dataType: string;
  readonly characterSet: string | null;
  readonly collation: string | null;
  readonly isNullable: boolean;
  /** STORED or VIRTUAL: no INSERT may name it. */
  readonly isGenerated: boolean;
  readonly isAutoIncrement: boolean;
}

/** What one database says about one table now. */
export interface TableFacts {
  readonly table: Table;
  /** `BASE TABLE`, `VIEW`, `SYSTEM VERSIONED`, `SEQUENCE` … */
  readonly kind: string;
  /** `InnoDB` …; null for a view. */
  readonly engine: string | null;
  readonly columns: readonly TableColumn[];
  /** Names, in the key's order. */
  readonly primaryKey: readonly string[];
}

/** Facts by `schema.name`; tables that do not exist there are left out. */
export async function readTables(
  session: EngineSession,
  tables: readonly Table[],
): Promise<Map<string, TableFacts>> {
  const found = new Map<string, TableFacts>();
  if (tables.length === 0) return found;
  const wanted = tables.map(({ schema, name }) => `(${quoteText(schema)}, ${quoteText(name)})`).join(', ');
  const where = (alias: string): string => `(${alias}.table_schema, ${alias}.table_name) IN (${wanted})`;
  const kinds = await session.rows(
    `SELECT t.table_schema, t.table_name, t.table_type, t.engine FROM information_schema.tables t WHERE ${where('t')}`,
  );
  const columns = await session.rows(
    `SELECT c.table_schema, c.table_name, c.column_name, c.column_type, c.data_type, c.character_set_name, c.collation_name, c.is_nullable, c.extra
     FROM information_schema.columns c WHERE ${where('c')} ORDER BY c.ordinal_position`,
  );
  const keys = await session.rows(
    `SELECT s.table_schema, s.table_name, s.column_name FROM information_schema.statistics s
     WHERE ${where('s')} AND s.index_name = 'PRIMARY' ORDER BY s.seq_in_index`,
  );
  for (const table of tables) {
    const isOf = (row: readonly (string | null)[]): boolean =>
      row[0] === table.schema && row[1] === table.name;
    const kind = kinds.find(isOf);
    if (kind === undefined) continue;
    found.set(tableKey(table), {
      table,
      kind: kind[2]!,
      engine: kind[3] ?? null,
      columns: columns.filter(isOf).map(columnOf),
      primaryKey: keys.filter(isOf).map((row) => row[2]!),
    });
  }
  return found;
}

function columnOf(row: readonly (string | null)[]): TableColumn {
  const extra = row[8] ?? '';
  return {
    name: row[2]!,
    type: row[3]!,
    dataType: row[4]!.toLowerCase(),
    characterSet: row[5] ?? null,
    collation: row[6] ?? null,
    isNullable: row[7] === 'YES',
    isGenerated: /\b(GENERATED|VIRTUAL|PERSISTENT)\b/i.test(extra.replace(/DEFAULT_GENERATED/gi, '')),
    isAutoIncrement: /auto_increment/i.test(extra),
  };
}

/** As readTables, but each table must be there. */
export async function readExistingTables(
  session: EngineSession,
  tables: readonly Table[],
): Promise<TableFacts[]> {
  const facts = await readTables(session, tables);
  return tables.map((table) => {
    const found = facts.get(tableKey(table));
    if (found !== undefined) return found;
    throw new OperatingError('migration', `shard ${session.address.shard} has no table ${tableKey(table)}`, {
      hint: 'create it there, or take it out of the configuration',
    });
  });
}

/** The columns that hold data of their own: what is copied, applied and compared. */
export function storedColumns(facts: TableFacts): TableColumn[] {
  return facts.columns.filter((column) => !column.isGenerated);
}

export function columnList(columns: readonly { readonly name: string }[]): string {
  return columns.map((column) => quoteName(column.name)).join(', ');
}

/** How the columns of the two differ, in words; undefined when they hold the same. */
export function columnDrift(source: TableFacts, target: TableFacts): string | undefined {
  const there = new Map(target.columns.map((column) => [column.name, column]));
  for (const column of source.columns) {
    const other = there.get(column.name);
    if (other === undefined) return `column ${column.name} is missing`;
    if (other.type !== column.type) return `column ${column.name} is ${other.type}, not ${column.type}`;
    if (other.collation !== column.collation)
      return `column ${column.name} has the collation ${other.collation}, not ${column.collation}`;
    if (other.isGenerated !== column.isGenerated)
      return `column ${column.name} ${other.isGenerated ? 'is' : 'is not'} generated`;
    there.delete(column.name);
  }
  const extra = [...there.keys()];
  return extra.length === 0 ? undefined : `column ${extra[0]} is too many`;
}

/** Throws when rows of one cannot be kept equal in the other. */
export function checkAlike(source: TableFacts, target: TableFacts): void {
  const keys = [source, target].map((facts) => facts.primaryKey.join(', '));
  const drift =
    columnDrift(source, target) ??
    (keys[0] === keys[1] ? undefined : `its primary key is (${keys[1]}), not (${keys[0]})`);
  const fault = source.primaryKey.length === 0 ? 'it has no primary key' : drift;
  if (fault !== undefined)
    throw new OperatingError(
      'migration',
      `table ${tableKey(source.table)} cannot be kept equal on both shards: ${fault}`,
    );
}
