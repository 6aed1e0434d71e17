import { OperatingError } from '../lib/errors.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteName } from './engine-names.js';
import type { EngineSession } from './engine-session.js';

export interface TableColumn {
  readonly name: string;
  /** As format_type gives it. */
  readonly type: string;
  readonly typeOid: number;
  readonly typeModifier: number;
  readonly isGenerated: boolean;
  /** GENERATED ALWAYS AS IDENTITY: no UPDATE may set it. */
  readonly isAlwaysIdentity: boolean;
}

export interface KeyColumn {
  readonly name: string;
  /** The index's own equality, as it must be written when search_path is empty: `OPERATOR(pg_catalog.=)`. */
  readonly equals: string;
  /** Where that operator, and with it the key's order, is defined. */
  readonly operatorSchema: string;
}

/** What one database says about one table now. */
export interface TableFacts {
  readonly table: Table;
  /** `r` table, `p` partitioned, `f` foreign … (pg_class.relkind). */
  readonly kind: string;
  /** `p`ermanent, `u`nlogged, `t`emporary. */
  readonly persistence: string;
  readonly isInherited: boolean;
  readonly columns: readonly TableColumn[];
  readonly primaryKey: readonly KeyColumn[];
  /** pg_class.relreplident: `d`, `n`, `f`, `i`; and for `i` the index. */
  readonly identity: string;
  readonly identityIndex: string | null;
  /** Columns that old rows carry in the log now. */
  readonly identityColumns: readonly string[];
}

const FACTS_SQL = `
  SELECT n.nspname || '.' || c.relname, json_build_object(
    'kind', c.relkind, 'persistence', c.relpersistence,
    'isInherited', EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid),
    'identity', c.relreplident,
    'identityIndex', (SELECT ic.relname FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident),
    'identityColumns', (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
        AND ((c.relreplident = 'd' AND i.indisprimary) OR (c.relreplident = 'i' AND i.indisreplident))))),
    'columns', (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'typeOid', a.atttypid::int8, 'typeModifier', a.atttypmod, 'isGenerated', a.attgenerated <> '', 'isAlwaysIdentity', a.attidentity = 'a')
        ORDER BY a.attnum), '[]')
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'primaryKey', (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'equals', format('OPERATOR(%I.%s)', opn.nspname, op.oprname), 'operatorSchema', opn.nspname) ORDER BY k.position), '[]')
      FROM pg_index i
      CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k(attnum, opclass, position)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
      JOIN pg_opclass oc ON oc.oid = k.opclass
      JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3 AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
      JOIN pg_operator op ON op.oid = ao.amopopr JOIN pg_namespace opn ON opn.oid = op.oprnamespace
      WHERE i.indrelid = c.oid AND i.indisprimary))
  FROM json_to_recordset($1::json) AS wanted("schema" text, "name" text)
  JOIN pg_namespace n ON n.nspname = wanted."schema"
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted."name" AND c.relkind IN ('r', 'p', 'f', 'v', 'm')`;

/** Facts by `schema.name`; tables that do not exist there are left out. */
export async function readTables(
  session: EngineSession,
  tables: readonly Table[],
): Promise<Map<string, TableFacts>> {
  const wanted = JSON.stringify(tables.map(({ schema, name }) => ({ schema, name })));
  const rows = await session.rows(FACTS_SQL, [wanted]);
  const byKey = new Map(tables.map((table) => [tableKey(table), table]));
  const facts = new Map<string, TableFacts>();
  for (const [key, json] of rows)
    facts.set(key!, { table: byKey.get(key!)!, ...(JSON.parse(json!) as Omit<TableFacts, 'table'>) });
  return facts;
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
    if (other.isGenerated !== column.isGenerated)
      return `column ${column.name} ${other.isGenerated ? 'is' : 'is not'} generated`;
    there.delete(column.name);
  }
  const extra = [...there.keys()];
  return extra.length === 0 ? undefined : `column ${extra[0]} is too many`;
}
