import type { Blocker } from '../migration/engine.js';
import type { Table } from '../topology/keyspace.js';
import { namePrefix } from './engine-names.js';
import { type EngineSession, sqlstateOf } from './engine-session.js';

const MINIMUM_VERSION = 140_000;

/** Facts of a server and its database, all in one row. */
const FACTS_SQL = `
  SELECT json_build_object(
    'version', current_setting('server_version_num')::int, 'walLevel', current_setting('wal_level'), 'encoding', current_setting('server_encoding'),
    'isReadOnly', pg_is_in_recovery(),
    'maxSlots', current_setting('max_replication_slots')::int, 'slots', (SELECT count(*) FROM pg_replication_slots),
    'maxSenders', current_setting('max_wal_senders')::int, 'senders', (SELECT count(*) FROM pg_stat_replication),
    'maxOrigins', coalesce(current_setting('max_active_replication_origins', true), current_setting('max_replication_slots'))::int,
    'origins', (SELECT count(*) FROM pg_replication_origin),
    'user', current_user, 'isSuperuser', r.rolsuper, 'mayReplicate', r.rolsuper OR r.rolreplication,
    'mayCreate', has_database_privilege(current_database(), 'CREATE'),
    'mayUseOrigins', (SELECT bool_and(has_function_privilege(oid, 'EXECUTE')) FROM pg_proc
      WHERE proname IN ('pg_replication_origin_create', 'pg_replication_origin_drop', 'pg_replication_origin_session_setup')),
    'collation', concat_ws('/', to_jsonb(d) ->> 'datlocprovider', d.datcollate, to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
    'deadSlots', (SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots WHERE starts_with(slot_name, 'ringferry_') AND NOT starts_with(slot_name, $1) AND NOT active))
  FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()`;

interface Facts {
  readonly version: number;
  readonly walLevel: string;
  readonly encoding: string;
  readonly isReadOnly: boolean;
  readonly maxSlots: number;
  readonly slots: number;
  readonly maxSenders: number;
  readonly senders: number;
  readonly maxOrigins: number;
  readonly origins: number;
  readonly user: string;
  readonly isSuperuser: boolean;
  readonly mayReplicate: boolean;
  readonly mayCreate: boolean;
  readonly mayUseOrigins: boolean;
  readonly collation: string;
  readonly deadSlots: readonly string[];
}

type Finding = readonly [message: string, remedy: string];

/** What must be so on every server that takes part: each is a source of changes at some time, and a target at another. */
export class FixedChecks {
  readonly #migration: string;
  readonly #hasTextKeys: boolean;
  /** Of the first server asked; the others must have the same. */
  #collation: string | undefined;

  constructor(migration: string, tables: readonly Table[]) {
    this.#migration = migration;
    this.#hasTextKeys = tables.some(
      (table) => table.key?.type === 'text' || table.key?.type === 'bpchar' || hasTextInPrimaryKey(table),
    );
  }

  /** `streams`: how many change streams begin here, and as many end here. */
  async run(session: EngineSession, streams: number): Promise<Blocker[]> {
    const facts = JSON.parse((await session.value(FACTS_SQL, [namePrefix(this.#migration)]))!) as Facts;
    const findings = [
      ...serverFindings(facts, streams),
      ...(await this.#rightsFindings(session, facts)),
      ...this.#collationFindings(facts),
    ];
    return findings.map(([message, remedy]) => ({ shard: session.address.shard, message, remedy }));
  }

  async #rightsFindings(session: EngineSession, facts: Facts): Promise<Finding[]> {
    const findings: Finding[] = [];
    const add = (isAllowed: boolean, what: string, remedy: string): void => {
      if (!isAllowed) findings.push([`user ${facts.user} may not ${what}`, remedy]);
    };
    add(facts.mayReplicate, 'use replication', `ALTER ROLE ${facts.user} REPLICATION;`);
    add(facts.mayCreate, 'create schemas and publications', `GRANT CREATE ON DATABASE … TO ${facts.user};`);
    add(
      facts.mayUseOrigins,
      'use replication origins',
      `GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text), pg_replication_origin_drop(text), pg_replication_origin_session_setup TO ${facts.user};`,
    );
    add(
      await maySetReplicationRole(session),
      'set session_replication_role',
      `GRANT SET ON PARAMETER session_replication_role TO ${facts.user}; (PostgreSQL 15 or later), or use a superuser.`,
    );
    return findings;
  }

  #collationFindings(facts: Facts): Finding[] {
    this.#collation ??= facts.collation;
    if (!this.#hasTextKeys || facts.collation === this.#collation) return [];
    return [
      [
        `the database sorts text by ${facts.collation}, another shard by ${this.#collation}`,
        'Create the database with the same LOCALE and provider as the other shards.',
      ],
    ];
  }
}

function hasTextInPrimaryKey(table: Table): boolean {
  return table.columns.some(
    (column) => table.primaryKey.includes(column.name) && /^(text|character|name|citext)/.test(column.type),
  );
}

function serverFindings(facts: Facts, streams: number): Finding[] {
  const findings: Finding[] = [];
  if (facts.version < MINIMUM_VERSION)
    findings.push([
      `the server is version ${Math.floor(facts.version / 10_000)}`,
      'Upgrade it to PostgreSQL 14 or later.',
    ]);
  if (facts.isReadOnly)
    findings.push(['the server is a read-only standby', 'Point the shard at its primary.']);
  if (facts.encoding !== 'UTF8')
    findings.push([
      `the database's encoding is ${facts.encoding}`,
      'Create the database with ENCODING UTF8.',
    ]);
  if (facts.walLevel !== 'logical') {
    findings.push([
      `wal_level is ${facts.walLevel}`,
      "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.",
    ]);
  }
  const short = (what: string, max: number, used: number): void => {
    if (max - used < streams)
      findings.push([
        `${used} of ${max} (${what}) are in use, and ${streams} more are needed`,
        `Raise ${what} and restart the server.`,
      ]);
  };
  short('max_replication_slots', facts.maxSlots, facts.slots);
  short('max_wal_senders', facts.maxSenders, facts.senders);
  short(
    facts.version >= 180_000 ? 'max_active_replication_origins' : 'max_replication_slots for origins',
    facts.maxOrigins,
    facts.origins,
  );
  for (const slot of facts.deadSlots) {
    findings.push([
      `slot ${slot} of another migration holds the log and nobody reads it`,
      `SELECT pg_drop_replication_slot('${slot}'); once that migration is known to be dead.`,
    ]);
  }
  return findings;
}

async function maySetReplicationRole(session: EngineSession): Promise<boolean> {
  try {
    await session.transaction(() => session.run('SET LOCAL session_replication_role = replica'));
    return true;
  } catch (error) {
    if (sqlstateOf(error) === '42501') return false;
    throw error;
  }
}
