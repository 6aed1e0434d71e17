import { quoteTable, quoteText } from './engine-names.js';
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

interface CatalogType {
  readonly schema: string;
  readonly name: string;
  /** pg_type.typtype: `e`num, `c`omposite, `d`omain, `r`ange, `b`ase, `p`seudo. */
  readonly kind: string;
  readonly labels: readonly string[] | null;
  readonly attributes: readonly string[] | null;
  readonly base: string | null;
  readonly collation: string | null;
  readonly isNotNull: boolean;
  readonly defaultSql: string | null;
  readonly constraints: readonly string[] | null;
  readonly range: { readonly options: readonly string[]; readonly hasCanonical: boolean } | null;
  readonly belongings: Belongings;
}

const TYPES_SQL = `
  SELECT t.oid, nullif(t.typrelid, 0), (SELECT rngmultitypid FROM pg_range WHERE rngtypid = t.oid), json_build_object('schema', n.nspname, 'name', t.typname, 'kind', t.typtype,
    'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    'attributes', (SELECT json_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
        (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace, pg_type at
          WHERE co.oid = a.attcollation AND at.oid = a.atttypid AND a.attcollation <> at.typcollation)) ORDER BY a.attnum)
      FROM pg_attribute a WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
    'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    'collation', (SELECT format('%I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace, pg_type bt
      WHERE t.typtype = 'd' AND co.oid = t.typcollation AND bt.oid = t.typbasetype AND t.typcollation <> bt.typcollation),
    'isNotNull', t.typnotnull, 'defaultSql', coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault),
    'constraints', (SELECT json_agg(format('CONSTRAINT %I %s', co.conname, pg_get_constraintdef(co.oid)) ORDER BY co.conname) FROM pg_constraint co WHERE co.contypid = t.oid AND co.contype = 'c'),
    'range', (SELECT json_build_object('hasCanonical', r.rngcanonical <> 0, 'options', array_remove(ARRAY[
        'SUBTYPE = ' || format_type(r.rngsubtype, NULL),
        (SELECT format('SUBTYPE_OPCLASS = %I.%I', ocn.nspname, oc.opcname) FROM pg_opclass oc JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace WHERE oc.oid = r.rngsubopc),
        (SELECT format('COLLATION = %I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = r.rngcollation),
        CASE WHEN r.rngsubdiff <> 0 THEN 'SUBTYPE_DIFF = ' || (SELECT format('%I.%I', pn.nspname, p.proname) FROM pg_proc p JOIN pg_namespace pn ON pn.oid = p.pronamespace WHERE p.oid = r.rngsubdiff) END,
        (SELECT format('MULTIRANGE_TYPE_NAME = %I.%I', mn.nspname, m.typname) FROM pg_type m JOIN pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = r.rngmultitypid)], NULL))
      FROM pg_range r WHERE r.rngtypid = t.oid),
    'belongings', ${belongingsSql('t.typowner', 't.typacl', "obj_description(t.oid, 'pg_type')")})
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE ${userSchema('n')} AND ${ownObject('pg_type', 't.oid')}
    AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c'
      OR t.typtype IN ('b', 'p') AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid))`;

export async function readTypeObjects(session: EngineSession): Promise<SchemaObject[]> {
  const rows = await session.rows(TYPES_SQL);
  return rows.map((row) => {
    const type = parsed<CatalogType>(row, 3);
    const name = quoteTable(type);
    const word = type.kind === 'd' ? 'DOMAIN' : 'TYPE';
    return {
      id: `type ${type.schema}.${type.name}`,
      partOf: undefined,
      kind: 'type',
      create: [createType(type, name)],
      after: belongingStatements(`${word} ${name}`, type.belongings),
      unsupported: unsupportedType(type),
      addresses: [
        `pg_type/${row[0]}`,
        ...(row[1] === null ? [] : [`pg_class/${row[1]}`]),
        ...(row[2] === null ? [] : [`pg_type/${row[2]}`]),
      ],
      needs: [],
    };
  });
}

function unsupportedType(type: CatalogType): string | undefined {
  if (type.kind === 'b' || type.kind === 'p') return 'it is a base type (made by C functions)';
  return type.range?.hasCanonical === true ? 'it is a range type with a canonical function' : undefined;
}

function createType(type: CatalogType, name: string): string {
  if (type.kind === 'e')
    return `CREATE TYPE ${name} AS ENUM (${(type.labels ?? []).map(quoteText).join(', ')})`;
  if (type.kind === 'c') return `CREATE TYPE ${name} AS (${(type.attributes ?? []).join(', ')})`;
  if (type.kind === 'r') return `CREATE TYPE ${name} AS RANGE (${(type.range?.options ?? []).join(', ')})`;
  const parts = [`CREATE DOMAIN ${name} AS ${type.base}`];
  if (type.collation !== null) parts.push(`COLLATE ${type.collation}`);
  if (type.defaultSql !== null) parts.push(`DEFAULT ${type.defaultSql}`);
  if (type.isNotNull) parts.push('NOT NULL');
  return [...parts, ...(type.constraints ?? [])].join(' ');
}
