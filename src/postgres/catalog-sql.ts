/** Queries on the system catalogs (PostgreSQL manual chapter 53) from which the keyspace is read. Names come as `schema.name`. */

const USER_SCHEMA =
  "n.nspname NOT IN ('pg_catalog', 'information_schema', 'ringferry') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'";

/** Encoding, collation with its provider and locale (from 15), search path as a list. */
export const DATABASE_SQL = `
  SELECT pg_encoding_to_char(d.encoding), d.datcollate, coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
         coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'), array_to_string(current_schemas(false), E'\\x01')
  FROM pg_database d WHERE d.datname = current_database()`;

/** Tables, partitioned tables, views, materialized views and foreign tables with their primary keys. */
export const RELATIONS_SQL = `
  SELECT n.nspname || '.' || c.relname, n.nspname, c.relname, c.relkind,
         (SELECT string_agg(a.attname, E'\\x01' ORDER BY array_position(i.indkey::int2[], a.attnum))
          FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
          WHERE i.indrelid = c.oid AND i.indisprimary)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${USER_SCHEMA} ORDER BY 1`;

export const COLUMNS_SQL = `
  SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid, a.attnotnull,
         pg_get_expr(d.adbin, d.adrelid), a.attidentity <> '', a.attgenerated <> '', coalesce(o.collname, ''), o.collisdeterministic, a.atttypmod
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
       LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum LEFT JOIN pg_collation o ON o.oid = a.attcollation
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND ${USER_SCHEMA} ORDER BY 1, a.attnum`;

export const INHERITS_SQL = `
  SELECT n.nspname || '.' || c.relname, pn.nspname || '.' || p.relname
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f')`;

/** Relations that a view's or materialized view's rule depends on. */
export const VIEW_READS_SQL = `
  SELECT DISTINCT n.nspname || '.' || v.relname, rn.nspname || '.' || r.relname
  FROM pg_rewrite w JOIN pg_class v ON v.oid = w.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
       JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
       JOIN pg_class r ON r.oid = d.refobjid JOIN pg_namespace rn ON rn.oid = r.relnamespace
  WHERE v.relkind = 'v' AND ${USER_SCHEMA}`;

export const BUILTIN_FUNCTIONS_SQL = `
  SELECT p.proname, CASE WHEN bool_or(p.provolatile = 'v') THEN 'v' ELSE 's' END, CASE WHEN bool_or(p.prokind = 'a') THEN 'a' ELSE 'f' END FROM pg_proc p
  WHERE p.pronamespace = 'pg_catalog'::regnamespace GROUP BY 1`;

/** Functions of users and extensions; the last column: of an extension whose functions read no tables. */
export const FUNCTIONS_SQL = `
  SELECT p.proname, p.provolatile, p.prokind, bool_or(coalesce(e.extname, '') IN (
           'pgcrypto', 'uuid-ossp', 'citext', 'hstore', 'ltree', 'pg_trgm', 'unaccent', 'fuzzystrmatch', 'intarray', 'cube', 'earthdistance', 'btree_gin',
           'btree_gist', 'isn', 'seg', 'lo', 'postgis', 'vector'))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' LEFT JOIN pg_extension e ON e.oid = d.refobjid
  WHERE ${USER_SCHEMA} GROUP BY p.oid, 1, 2, 3`;

/** Indexes with their tables, sequences with the tables that own them. */
export const OBJECTS_SQL = `
  SELECT n.nspname || '.' || x.relname, tn.nspname || '.' || t.relname
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
       JOIN pg_namespace n ON n.oid = x.relnamespace JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE ${USER_SCHEMA}
  UNION ALL
  SELECT n.nspname || '.' || s.relname, tn.nspname || '.' || t.relname
  FROM pg_class s JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
       JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_namespace tn ON tn.oid = t.relnamespace
  WHERE s.relkind = 'S' AND ${USER_SCHEMA}`;

export const ENUMS_SQL =
  'SELECT e.enumtypid, e.enumlabel FROM pg_enum e ORDER BY e.enumtypid, e.enumsortorder';
