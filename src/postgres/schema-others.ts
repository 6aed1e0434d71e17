import { quoteName, quoteTable } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import {
  type Belongings,
  belongingStatements,
  belongingsSql,
  ownObject,
  parsed,
  userSchema,
} from './schema-catalog.js';
import type { ObjectKind, SchemaObject } from './schema-object.js';

interface Named {
  readonly oid: string;
  /** What makes its name unique among its kind: qualified, with arguments. */
  readonly name: string;
  readonly definition: string;
  readonly belongings: Belongings | null;
  /** How ALTER, GRANT and COMMENT name it. */
  readonly target: string;
  readonly ownerTarget?: string;
  readonly unsupported?: string | null;
  readonly moreAddresses?: readonly string[] | null;
}

const SCHEMAS_SQL = `
  SELECT json_build_object('oid', n.oid, 'name', n.nspname, 'definition', format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname), 'target', format('SCHEMA %I', n.nspname),
    'belongings', CASE WHEN n.nspname <> 'public' THEN ${belongingsSql('n.nspowner', 'n.nspacl', "obj_description(n.oid, 'pg_namespace')")} END)
  FROM pg_namespace n WHERE ${userSchema('n')} AND ${ownObject('pg_namespace', 'n.oid')}`;

const EXTENSIONS_SQL = `
  SELECT json_build_object('oid', e.oid, 'name', e.extname, 'definition', format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', e.extname, n.nspname), 'target', '', 'belongings', NULL,
    'moreAddresses', (SELECT json_agg(d.classid::regclass::text || '/' || d.objid) FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'))
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace`;

const COLLATIONS_SQL = `
  SELECT json_build_object('oid', c.oid, 'name', format('%I.%I', n.nspname, c.collname), 'target', format('COLLATION %I.%I', n.nspname, c.collname),
    'definition', format('CREATE COLLATION %I.%I (PROVIDER = %s, %s, DETERMINISTIC = %s)', n.nspname, c.collname, CASE c.collprovider WHEN 'i' THEN 'icu' ELSE 'libc' END,
      CASE c.collprovider WHEN 'i' THEN format('LOCALE = %L', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate))
        ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype) END, c.collisdeterministic::text),
    'unsupported', CASE WHEN c.collprovider NOT IN ('i', 'c') THEN 'it has a provider of its own' WHEN to_jsonb(c) ->> 'collicurules' IS NOT NULL THEN 'it has ICU rules' END,
    'belongings', ${belongingsSql('c.collowner', 'NULL::aclitem[]', "obj_description(c.oid, 'pg_collation')")})
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE ${userSchema('n')} AND ${ownObject('pg_collation', 'c.oid')}`;

/** Identity columns make their sequences themselves. */
const SEQUENCES_SQL = `
  SELECT json_build_object('oid', c.oid, 'name', n.nspname || '.' || c.relname, 'target', format('SEQUENCE %I.%I', n.nspname, c.relname),
    'definition', format('CREATE SEQUENCE %I.%I AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s', n.nspname, c.relname,
      format_type(q.seqtypid, NULL), q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END),
    'belongings', ${belongingsSql('c.relowner', 'c.relacl', "obj_description(c.oid, 'pg_class')")})
  FROM pg_class c JOIN pg_sequence q ON q.seqrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relpersistence = 'p' AND ${userSchema('n')} AND ${ownObject('pg_class', 'c.oid')}
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')`;

const FUNCTIONS_SQL = `
  SELECT json_build_object('oid', p.oid, 'name', p.oid::regprocedure::text, 'target', format('%s %s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure),
    'ownerTarget', format('%s %s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, p.oid::regprocedure),
    'definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE format('CREATE AGGREGATE %I.%I(%s) (%s)', n.nspname, p.proname,
      coalesce(nullif(pg_get_function_arguments(p.oid), ''), '*'), array_to_string(ARRAY[
        'SFUNC = ' || a.aggtransfn::oid::regproc, 'STYPE = ' || format_type(a.aggtranstype, NULL), 'SSPACE = ' || nullif(a.aggtransspace, 0), 'INITCOND = ' || quote_literal(a.agginitval),
        'FINALFUNC = ' || nullif(a.aggfinalfn::oid, 0)::regproc, CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END, 'FINALFUNC_MODIFY = ' || modes.final,
        'COMBINEFUNC = ' || nullif(a.aggcombinefn::oid, 0)::regproc, 'SERIALFUNC = ' || nullif(a.aggserialfn::oid, 0)::regproc, 'DESERIALFUNC = ' || nullif(a.aggdeserialfn::oid, 0)::regproc,
        'MSFUNC = ' || nullif(a.aggmtransfn::oid, 0)::regproc, 'MINVFUNC = ' || nullif(a.aggminvtransfn::oid, 0)::regproc, 'MSTYPE = ' || format_type(nullif(a.aggmtranstype, 0), NULL),
        'MSSPACE = ' || nullif(a.aggmtransspace, 0), 'MINITCOND = ' || quote_literal(a.aggminitval),
        'MFINALFUNC = ' || nullif(a.aggmfinalfn::oid, 0)::regproc, CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
        'SORTOP = ' || (SELECT format('OPERATOR(%I.%s)', opn.nspname, op.oprname) FROM pg_operator op JOIN pg_namespace opn ON opn.oid = op.oprnamespace WHERE op.oid = a.aggsortop),
        'PARALLEL = ' || CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END], ', ')) END,
    'unsupported', CASE WHEN a.aggkind <> 'n' THEN 'it is an ordered-set aggregate' END,
    'belongings', ${belongingsSql('p.proowner', 'p.proacl', "obj_description(p.oid, 'pg_proc')")})
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
  LEFT JOIN LATERAL (SELECT CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' WHEN 'w' THEN 'READ_WRITE' END AS final) modes ON true
  WHERE ${userSchema('n')} AND ${ownObject('pg_proc', 'p.oid')}
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i' AND d.refclassid = 'pg_type'::regclass)`;

const VIEWS_SQL = `
  SELECT json_build_object('oid', c.oid, 'name', n.nspname || '.' || c.relname, 'target', format('TABLE %I.%I', n.nspname, c.relname),
    'ownerTarget', format('%s %I.%I', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, n.nspname, c.relname),
    'definition', format('CREATE %s %I.%I%s AS %s', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, n.nspname, c.relname,
      ' WITH (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(c.oid), ';')),
    'moreAddresses', (SELECT json_agg('pg_rewrite/' || r.oid) FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN')::jsonb || jsonb_build_array('pg_type/' || c.reltype),
    'belongings', ${belongingsSql('c.relowner', 'c.relacl', "obj_description(c.oid, 'pg_class')")})
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND ${userSchema('n')} AND ${ownObject('pg_class', 'c.oid')}`;

const NAMED: readonly { readonly kind: ObjectKind; readonly catalog: string; readonly sql: string }[] = [
  { kind: 'schema', catalog: 'pg_namespace', sql: SCHEMAS_SQL },
  { kind: 'extension', catalog: 'pg_extension', sql: EXTENSIONS_SQL },
  { kind: 'collation', catalog: 'pg_collation', sql: COLLATIONS_SQL },
  { kind: 'sequence', catalog: 'pg_class', sql: SEQUENCES_SQL },
  { kind: 'function', catalog: 'pg_proc', sql: FUNCTIONS_SQL },
  { kind: 'view', catalog: 'pg_class', sql: VIEWS_SQL },
];

export async function readNamedObjects(session: EngineSession): Promise<SchemaObject[]> {
  const objects: SchemaObject[] = [];
  for (const { kind, catalog, sql } of NAMED) {
    for (const row of await session.rows(sql)) {
      const named = parsed<Named>(row, 0);
      objects.push({
        id: `${kind} ${named.name}`,
        partOf: undefined,
        kind,
        create: [named.definition],
        after:
          named.belongings === null
            ? []
            : belongingStatements(named.target, named.belongings, named.ownerTarget),
        unsupported: named.unsupported ?? undefined,
        addresses: [`${catalog}/${named.oid}`, ...(named.moreAddresses ?? [])],
        needs: [],
      });
    }
  }
  return [...objects, ...(await readOwnedSequences(session))];
}

const OWNED_SQL = `
  SELECT sn.nspname, s.relname, n.nspname, c.relname, a.attname
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
  JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND ${userSchema('n')}`;

/** serial: the sequence goes when the column goes. */
async function readOwnedSequences(session: EngineSession): Promise<SchemaObject[]> {
  const rows = await session.rows(OWNED_SQL);
  return rows.map(([sequenceSchema, sequence, schema, table, column]) => ({
    id: `owned-sequence ${sequenceSchema}.${sequence} of ${schema}.${table}`,
    partOf: `${schema}.${table}`,
    kind: 'owned-sequence',
    create: [
      `ALTER SEQUENCE ${quoteTable({ schema: sequenceSchema!, name: sequence! })} OWNED BY ${quoteTable({ schema: schema!, name: table! })}.${quoteName(column!)}`,
    ],
    after: [],
    unsupported: undefined,
    addresses: [],
    needs: [`table ${schema}.${table}`, `sequence ${sequenceSchema}.${sequence}`],
  }));
}
