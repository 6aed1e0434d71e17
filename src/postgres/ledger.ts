import type { EngineSession } from './engine-session.js';

/** Any number, the same in every process: two that make the schema at once must take turns. */
const MAKING_LOCK = 7_264_010;

const LEDGER_SQL = `
  SELECT pg_catalog.pg_advisory_xact_lock(${MAKING_LOCK});
  CREATE SCHEMA IF NOT EXISTS ringferry;
  GRANT USAGE ON SCHEMA ringferry TO PUBLIC;
  CREATE TABLE IF NOT EXISTS ringferry.progress (
    migration pg_catalog.text, source pg_catalog.text, position pg_catalog.pg_lsn NOT NULL, PRIMARY KEY (migration, source));
  CREATE TABLE IF NOT EXISTS ringferry.identities (
    migration pg_catalog.text, schema_name pg_catalog.text, table_name pg_catalog.text, identity pg_catalog.text NOT NULL, index_name pg_catalog.text,
    PRIMARY KEY (migration, schema_name, table_name))`;

/**
 * Our own tables in a database that takes part. `progress`: how far a stream has been applied, written in the
 * transaction that applies (hazard 19). `identities`: the replica identities that tables had before we changed them.
 */
export async function ensureLedger(session: EngineSession): Promise<void> {
  if (
    (await session.value(`SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'ringferry' AND c.relname IN ('progress', 'identities')`)) === '2'
  )
    return;
  await session.transaction(() => session.run(LEDGER_SQL));
}
