import { FENCE_TRIGGER_PREFIX, quoteName, quoteTable, quoteText } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import {
  type Belongings,
  belongingStatements,
  belongingsSql,
  ownObject,
  parsed,
  userSchema,
} from './schema-catalog.js';
import type { SchemaObject } from './schema-object.js';

interface CatalogColumn {
  readonly name: string;
  readonly type: string;
  readonly isNotNull: boolean;
  readonly collation: string | null;
  /** '' | 's'tored | 'v'irtual */
  readonly generated: string;
  readonly expression: string | null;
  /** '' | 'a'lways | 'd' by default */
  readonly identity: string;
  readonly sequence: string | null;
  readonly storage: string | null;
  readonly compression: string;
  readonly statistics: number | null;
  readonly options: readonly string[] | null;
  readonly comment: string | null;
}

interface CatalogTable {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly persistence: string;
  readonly isInherited: boolean;
  readonly accessMethod: string | null;
  readonly options: readonly string[] | null;
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly columns: readonly CatalogColumn[];
  readonly belongings: Belongings;
}

/** The options of an identity's sequence, as they stand in its definition. */
const SEQUENCE_OPTIONS = `format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s',
  q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)`;

const TABLES_SQL = `
  SELECT c.oid, c.reltype, json_build_object('schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
    'isInherited', EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
    'accessMethod', (SELECT nullif(amname, 'heap') FROM pg_am WHERE oid = c.relam), 'options', c.reloptions,
    'rowSecurity', c.relrowsecurity, 'forceRowSecurity', c.relforcerowsecurity,
    'belongings', ${belongingsSql('c.relowner', 'c.relacl', "obj_description(c.oid, 'pg_class')")},
    'columns', (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'isNotNull', a.attnotnull,
      'collation', (SELECT format('%I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
        WHERE co.oid = a.attcollation AND a.attcollation <> t.typcollation),
      'generated', a.attgenerated, 'expression', pg_get_expr(ad.adbin, ad.adrelid), 'identity', a.attidentity,
      'sequence', (SELECT format('(SEQUENCE NAME %I.%I %s)', sn.nspname, s.relname, ${SEQUENCE_OPTIONS})
        FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass),
      'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, 'compression', a.attcompression,
      'statistics', nullif(a.attstattarget, -1), 'options', a.attoptions, 'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum), '[]')
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef ad ON ad.adrelid = c.oid AND ad.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND ${userSchema('n')} AND ${ownObject('pg_class', 'c.oid')}`;

export async function readTableObjects(session: EngineSession): Promise<SchemaObject[]> {
  const rows = await session.rows(TABLES_SQL);
  return rows.map((row) => {
    const table = parsed<CatalogTable>(row, 2);
    const name = quoteTable(table);
    return {
      id: `table ${table.schema}.${table.name}`,
      partOf: undefined,
      kind: 'table',
      create: [
        createTable(table, name),
        ...table.columns.flatMap((column) => columnStatements(name, column)),
        ...securityStatements(name, table),
      ],
      after: [
        ...belongingStatements(`TABLE ${name}`, table.belongings),
        ...table.columns.flatMap((column) => columnComment(name, column)),
      ],
      unsupported: unsupportedTable(table),
      addresses: [`pg_class/${row[0]}`, `pg_type/${row[1]}`],
      needs: [],
    };
  });
}

function unsupportedTable(table: CatalogTable): string | undefined {
  if (table.kind === 'p') return 'it is partitioned';
  if (table.kind === 'f') return 'it is a foreign table';
  if (table.isInherited) return 'it takes part in inheritance';
  return table.persistence === 'u' ? 'it is unlogged, so its changes are not in the log' : undefined;
}

function createTable(table: CatalogTable, name: string): string {
  const columns = table.columns.map(columnDefinition).join(',\n  ');
  const using = table.accessMethod === null ? '' : ` USING ${quoteName(table.accessMethod)}`;
  const options = table.options === null ? '' : ` WITH (${table.options.join(', ')})`;
  return `CREATE TABLE ${name} (\n  ${columns}\n)${using}${options}`;
}

function columnDefinition(column: CatalogColumn): string {
  const parts = [quoteName(column.name), column.type];
  if (column.collation !== null) parts.push(`COLLATE ${column.collation}`);
  if (column.generated !== '')
    parts.push(
      `GENERATED ALWAYS AS (${column.expression}) ${column.generated === 'v' ? 'VIRTUAL' : 'STORED'}`,
    );
  if (column.identity !== '')
    parts.push(
      `GENERATED ${column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY ${column.sequence}`,
    );
  if (column.isNotNull) parts.push('NOT NULL');
  return parts.join(' ');
}

const STORAGES: Readonly<Record<string, string>> = { p: 'PLAIN', e: 'EXTERNAL', x: 'EXTENDED', m: 'MAIN' };
const COMPRESSIONS: Readonly<Record<string, string>> = { p: 'pglz', l: 'lz4' };

function columnStatements(table: string, column: CatalogColumn): string[] {
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${quoteName(column.name)}`;
  const statements: string[] = [];
  if (column.storage !== null) statements.push(`${alter} SET STORAGE ${STORAGES[column.storage]}`);
  if (column.compression !== '')
    statements.push(`${alter} SET COMPRESSION ${COMPRESSIONS[column.compression]}`);
  if (column.statistics !== null) statements.push(`${alter} SET STATISTICS ${column.statistics}`);
  if (column.options !== null) statements.push(`${alter} SET (${column.options.join(', ')})`);
  return statements;
}

function columnComment(table: string, column: CatalogColumn): string[] {
  return column.comment === null
    ? []
    : [`COMMENT ON COLUMN ${table}.${quoteName(column.name)} IS ${quoteText(column.comment)}`];
}

function securityStatements(name: string, table: CatalogTable): string[] {
  const statements: string[] = [];
  if (table.rowSecurity) statements.push(`ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`);
  if (table.forceRowSecurity) statements.push(`ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`);
  return statements;
}

/** Parts of tables, each one query: kind, name of the part, definition, address, schema, table, comment. */
const PARTS_SQL = `
  SELECT 'default', a.attname, format('ALTER TABLE %I.%I ALTER COLUMN %I SET DEFAULT %s', n.nspname, c.relname, a.attname, pg_get_expr(ad.adbin, ad.adrelid)),
    ARRAY['pg_attrdef/' || ad.oid], n.nspname, c.relname, NULL::text
  FROM pg_attrdef ad JOIN pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum JOIN pg_class c ON c.oid = ad.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attgenerated = '' AND c.relkind = 'r' AND ${userSchema('n')}
  UNION ALL
  SELECT CASE co.contype WHEN 'f' THEN 'foreign-key' ELSE 'constraint' END, co.conname,
    format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, co.conname, pg_get_constraintdef(co.oid)),
    array_remove(ARRAY['pg_constraint/' || co.oid, CASE WHEN co.contype IN ('p', 'u', 'x') THEN 'pg_class/' || co.conindid END], NULL), n.nspname, c.relname,
    format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L', co.conname, n.nspname, c.relname, obj_description(co.oid, 'pg_constraint'))
  FROM pg_constraint co JOIN pg_class c ON c.oid = co.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE co.contype IN ('p', 'u', 'x', 'c', 'f') AND co.conparentid = 0 AND c.relkind = 'r' AND ${userSchema('n')}
  UNION ALL
  SELECT 'index', ic.relname, pg_get_indexdef(i.indexrelid), ARRAY['pg_class/' || i.indexrelid], n.nspname, c.relname,
    format('COMMENT ON INDEX %I.%I IS %L', n.nspname, ic.relname, obj_description(ic.oid, 'pg_class'))
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm') AND i.indisvalid AND ${userSchema('n')}
    AND NOT EXISTS (SELECT FROM pg_constraint co WHERE co.conindid = i.indexrelid AND co.contype IN ('p', 'u', 'x'))
  UNION ALL
  SELECT 'identity', 'replica identity', format('ALTER TABLE %I.%I REPLICA IDENTITY %s', n.nspname, c.relname,
      CASE c.relreplident WHEN 'n' THEN 'NOTHING' ELSE 'USING INDEX ' || quote_ident((SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisreplident)) END), ARRAY[]::text[], n.nspname, c.relname, NULL
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relreplident IN ('n', 'i') AND ${userSchema('n')}
  UNION ALL
  SELECT 'statistics', s.stxname, pg_get_statisticsobjdef(s.oid), ARRAY['pg_statistic_ext/' || s.oid], n.nspname, c.relname, NULL
  FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND ${userSchema('n')}
  UNION ALL
  SELECT 'rule', r.rulename, pg_get_ruledef(r.oid), ARRAY['pg_rewrite/' || r.oid], n.nspname, c.relname, NULL
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND ${userSchema('n')}
  UNION ALL
  SELECT 'trigger', t.tgname, pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname,
      CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname) END,
    ARRAY['pg_trigger/' || t.oid], n.nspname, c.relname, format('COMMENT ON TRIGGER %I ON %I.%I IS %L', t.tgname, n.nspname, c.relname, obj_description(t.oid, 'pg_trigger'))
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT t.tgisinternal AND NOT starts_with(t.tgname, '${FENCE_TRIGGER_PREFIX}') AND c.relkind IN ('r', 'v') AND ${userSchema('n')}
  UNION ALL
  SELECT 'policy', p.polname, format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s%s%s', p.polname, n.nspname, c.relname,
      CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      (SELECT string_agg(CASE WHEN r.role = 0 THEN 'PUBLIC' ELSE quote_ident(ro.rolname) END, ', ') FROM unnest(p.polroles) AS r(role) LEFT JOIN pg_roles ro ON ro.oid = r.role),
      coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ''), coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')),
    ARRAY['pg_policy/' || p.oid], n.nspname, c.relname, NULL
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${userSchema('n')}`;

const PARTS_AS_JSON = `SELECT json_build_array(part.kind, part.name, part.definition, part.addresses, part.schema, part.owner, part.comment)
  FROM (${PARTS_SQL}) AS part(kind, name, definition, addresses, schema, owner, comment)`;

type Part = [
  kind: SchemaObject['kind'],
  name: string,
  definition: string,
  addresses: string[],
  schema: string,
  table: string,
  comment: string | null,
];

export async function readTableParts(session: EngineSession): Promise<SchemaObject[]> {
  const rows = await session.rows(PARTS_AS_JSON);
  return rows.map((row) => {
    const [kind, name, definition, addresses, schema, table, comment] = parsed<Part>(row, 0);
    return {
      id: `${kind} ${name} of ${schema}.${table}`,
      partOf: `${schema}.${table}`,
      kind,
      create: [definition],
      after: comment === null || comment.endsWith(' IS NULL') ? [] : [comment],
      unsupported: undefined,
      addresses,
      needs: [`table ${schema}.${table}`],
    };
  });
}
