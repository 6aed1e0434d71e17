import { setTimeout as sleep } from 'node:timers/promises';
import { dropSlot, withShortLocks } from './change-source.js';
import { namePrefix, originPrefix, publicationName, quoteName, quoteTable, SCHEMA } from './engine-names.js';
import { type EngineSession, sqlstateOf } from './engine-session.js';
import { removeFence } from './fence.js';

/**
 * Removes everything that a migration made in this database: what it made is found by its name, so nothing is left whatever
 * died before it was recorded. Twice is harmless.
 */
export async function removeTraces(
  session: EngineSession,
  migration: string,
  notes: readonly string[],
): Promise<void> {
  const slots = await session.rows(
    'SELECT slot_name FROM pg_replication_slots WHERE database = current_database() AND starts_with(slot_name, $1)',
    [namePrefix(migration)],
  );
  for (const [slot] of slots) await dropSlot(session, slot!);
  await session.run(`DROP PUBLICATION IF EXISTS ${quoteName(publicationName(migration))}`);
  await removeFence(session, migration);
  await restoreIdentities(session, migration, notes);
  await dropOrigins(session, originPrefix(migration, session.address.shard));
  await removeLedger(session, migration);
}

interface Identity {
  readonly schema: string;
  readonly name: string;
  readonly identity: string;
  readonly index: string | null;
}

/** The database's own notes are the truth; those of the record help when the ledger is gone. */
async function restoreIdentities(
  session: EngineSession,
  migration: string,
  notes: readonly string[],
): Promise<void> {
  const identities = new Map<string, Identity>();
  const add = ([schema, name, identity, index]: readonly (string | null)[]): void => {
    identities.set(`${schema}.${name}`, {
      schema: schema!,
      name: name!,
      identity: identity!,
      index: index ?? null,
    });
  };
  for (const note of notes)
    for (const row of (JSON.parse(note) as { identities: (string | null)[][] }).identities) add(row);
  if (await ledgerExists(session, 'identities')) {
    for (const row of await session.rows(
      'SELECT schema_name, table_name, identity, index_name FROM ringferry.identities WHERE migration = $1',
      [migration],
    ))
      add(row);
  }
  for (const identity of identities.values()) await restoreIdentity(session, migration, identity);
}

/** Only where it still is what we made it: whoever changed it since meant it. */
async function restoreIdentity(
  session: EngineSession,
  migration: string,
  { schema, name, identity, index }: Identity,
): Promise<void> {
  const table = quoteTable({ schema, name });
  const now = await session.value('SELECT relreplident FROM pg_class WHERE oid = to_regclass($1)', [table]);
  await withShortLocks(session, async () => {
    if (now === 'f' && identity !== 'f')
      await session.run(`ALTER TABLE ${table} REPLICA IDENTITY ${identityClause(identity, index)}`);
    if (await ledgerExists(session, 'identities')) {
      await session.run(
        'DELETE FROM ringferry.identities WHERE migration = $1 AND schema_name = $2 AND table_name = $3',
        [migration, schema, name],
      );
    }
  });
}

function identityClause(identity: string, index: string | null): string {
  if (identity === 'i' && index !== null) return `USING INDEX ${quoteName(index)}`;
  return identity === 'n' ? 'NOTHING' : 'DEFAULT';
}

const IN_USE = '55006';
const DROP_ATTEMPTS = 100;

/** An origin goes when no session applies under it any more. */
async function dropOrigins(session: EngineSession, prefix: string): Promise<void> {
  const origins = await session.rows(
    'SELECT roname FROM pg_replication_origin WHERE starts_with(roname, $1)',
    [prefix],
  );
  for (const [origin] of origins) {
    for (let attempt = 1; ; attempt++) {
      try {
        await session.run(
          'SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE roname = $1',
          [origin!],
        );
        break;
      } catch (error) {
        if (sqlstateOf(error) !== IN_USE || attempt === DROP_ATTEMPTS) throw error;
        const holder = /\bPID (\d+)/.exec((error as Error).message)?.[1];
        if (holder !== undefined) await session.run('SELECT pg_terminate_backend($1)', [holder]);
        await sleep(20);
      }
    }
  }
}

async function ledgerExists(session: EngineSession, table: string): Promise<boolean> {
  return (await session.value(`SELECT to_regclass('${SCHEMA}.${table}')`)) !== null;
}

/** Our tables go with their last row, our schema with its last object. */
async function removeLedger(session: EngineSession, migration: string): Promise<void> {
  if (await ledgerExists(session, 'progress')) await removeRows(session, migration);
  const objects = `SELECT count(*) FROM pg_depend d JOIN pg_namespace n ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid WHERE n.nspname = '${SCHEMA}'`;
  if ((await session.value(objects)) === '0') await session.run(`DROP SCHEMA IF EXISTS ${SCHEMA}`);
}

async function removeRows(session: EngineSession, migration: string): Promise<void> {
  await session.run('DELETE FROM ringferry.progress WHERE migration = $1', [migration]);
  await withShortLocks(session, async () => {
    await session.run('LOCK TABLE ringferry.progress, ringferry.identities');
    const rows = await session.value(
      'SELECT (SELECT count(*) FROM ringferry.progress) + (SELECT count(*) FROM ringferry.identities)',
    );
    if (rows === '0') await session.run('DROP TABLE ringferry.progress, ringferry.identities');
  });
}
