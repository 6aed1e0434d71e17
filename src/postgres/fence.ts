import { createHash } from 'node:crypto';
import { asError, OperatingError } from '../lib/errors.js';
import type { CopyTask, Fence, ShardAddress } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import { tableKey } from '../topology/keyspace.js';
import { withShortLocks } from './change-source.js';
import {
  FENCE_TRIGGER_PREFIX,
  fenceFlagName,
  fenceTriggerName,
  namePrefix,
  quoteName,
  quoteTable,
  quoteText,
  SCHEMA,
} from './engine-names.js';
import { type EngineSession, sqlstateOf } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';
import { ensureLedger } from './ledger.js';
import { selectionSql } from './selection.js';

/**
 * The fence: the database itself refuses writes of the moving rows, whoever sends them. A trigger on each table, for
 * rows in the ranges, first takes the fence's advisory lock in shared mode until its transaction ends, then reads the
 * flag, which is a sequence's value: sequences are outside of snapshots, so an old REPEATABLE READ sees it too.
 *
 *     writer   try shared lock ── flag down ── writes ── commit (lock goes)
 *     raiser        exclusive lock: waits for writers inside (prepared transactions keep theirs), new ones are refused
 *                                                              ── flag up, on disk ── unlock: refused by the flag
 */

/** First half of the advisory lock's key; the second comes from the fence's name. */
const LOCK_CLASS = 0x52464659;
const LOCK_TIMEOUT = '55P03';
const LOCK_NOT_THERE = '42P01';

function lockKey(migration: string): string {
  return `${LOCK_CLASS}, ${createHash('md5').update(migration).digest().readInt32BE(0)}`;
}

/** Makes flag, functions and triggers; nothing is refused yet. The triggers wait for transactions that have written before they existed. */
export async function prepareFence(
  session: EngineSession,
  migration: string,
  tasks: readonly CopyTask[],
): Promise<void> {
  await ensureLedger(session);
  const flag = fenceFlagName(migration);
  await session.run(
    `CREATE SEQUENCE IF NOT EXISTS ${flag} MINVALUE 0 START 0; GRANT SELECT ON SEQUENCE ${flag} TO PUBLIC`,
  );
  for (const task of mergeTasks(tasks)) await installTriggers(session, migration, task);
}

async function installTriggers(session: EngineSession, migration: string, task: CopyTask): Promise<void> {
  const name = fenceFunctionName(migration, task);
  const condition = selectionSql(task);
  const isThere = await session.rows(
    `SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE t.tgrelid = $1::text::regclass AND t.tgname = $2 AND t.tgenabled = 'A' AND p.prosrc LIKE '%' || $3 || '%'`,
    [quoteTable(task.table), fenceTriggerName(migration), sourceMark(condition)],
  );
  if (isThere.length > 0) return;
  const table = quoteTable(task.table);
  const [rowTrigger, truncateTrigger] = [
    fenceTriggerName(migration),
    `${fenceTriggerName(migration)}_truncate`,
  ].map(quoteName);
  await withShortLocks(session, () =>
    session.run(`
      ${functionSql(name, migration, task)};
      DROP TRIGGER IF EXISTS ${rowTrigger} ON ${table};
      DROP TRIGGER IF EXISTS ${truncateTrigger} ON ${table};
      CREATE TRIGGER ${rowTrigger} BEFORE INSERT OR UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}();
      CREATE TRIGGER ${truncateTrigger} BEFORE TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION ${name}();
      ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${rowTrigger};
      ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${truncateTrigger}`),
  );
}

function fenceFunctionName(migration: string, task: CopyTask): string {
  const table = createHash('md5').update(tableKey(task.table)).digest('hex').slice(0, 12);
  return `${SCHEMA}.${quoteName(`fence_${migration}_${table}`)}`;
}

/** Tells whether an installed function is for the same ranges. */
function sourceMark(condition: string): string {
  return `rows ${createHash('md5').update(condition).digest('hex')}`;
}

function functionSql(name: string, migration: string, task: CopyTask): string {
  const body = `
-- ${sourceMark(selectionSql(task))}
DECLARE
  concerned boolean := false;
BEGIN
  IF pg_catalog.current_setting('ringferry.applier', true) = 'on' THEN
    concerned := false;
  ELSIF TG_OP = 'TRUNCATE' THEN
    concerned := true;
  ELSE
    IF TG_OP <> 'INSERT' THEN concerned := ${selectionSql(task, 'OLD.')} IS TRUE; END IF;
    IF NOT concerned AND TG_OP <> 'DELETE' THEN concerned := ${selectionSql(task, 'NEW.')} IS TRUE; END IF;
  END IF;
  IF concerned THEN
    IF NOT pg_catalog.pg_try_advisory_xact_lock_shared(${lockKey(migration)})
       OR (SELECT last_value FROM ${fenceFlagName(migration)}) <> 0 THEN
      RAISE EXCEPTION 'rows of % are moving to another shard', TG_TABLE_NAME
        USING ERRCODE = '40001', HINT = 'try the transaction again, through ringferry';
    END IF;
  END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END`;
  return `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS ${quoteText(body)}`;
}

/** Refuses new writers and waits for those inside. Rejects at the deadline, and then nothing is refused. */
export async function raiseFence(
  sessions: EngineSessions,
  address: ShardAddress,
  migration: string,
  tasks: readonly CopyTask[],
  deadlineMs: number,
): Promise<Fence> {
  try {
    await sessions.use(address, async (session) => {
      const fenced = await raiseFlag(session, migration, deadlineMs);
      const missing = tasks.map((task) => tableKey(task.table)).find((name) => !fenced.has(name));
      if (missing === undefined) return;
      throw new OperatingError('migration', `shard ${address.shard}: table ${missing} has no fence`, {
        hint: 'the migration prepares it again by itself when it is resumed',
      });
    });
  } catch (error) {
    // The answer may have been lost behind the act, too: nobody is refused by a fence that was not raised.
    await lowerFence(sessions, address, migration).catch(() => {});
    throw error;
  }
  return {
    lower: () => lowerFence(sessions, address, migration),
    keep: () => sessions.use(address, (session) => checkUp(session, migration)),
    release: async () => {},
  };
}

/** Also when it was never prepared. */
export async function lowerFence(
  sessions: EngineSessions,
  address: ShardAddress,
  migration: string,
): Promise<void> {
  await sessions.use(address, async (session) => {
    try {
      // Without its sequence the fence was never there.
      await session.rows(
        `SELECT CASE WHEN flag IS NOT NULL THEN setval(flag, 0) END FROM to_regclass('${fenceFlagName(migration)}') AS flag`,
      );
    } catch (error) {
      throw notSet(session, error);
    }
  });
}

/**
 * All in one round trip, because statements are waiting, and in one transaction: its timeout and its lock end with it, and
 * that is after the flag is on disk (setval takes part in the commit). Returns the tables that have the trigger, enabled:
 * one that was dropped and made again, or disabled by hand, would not be fenced.
 */
async function raiseFlag(
  session: EngineSession,
  migration: string,
  deadlineMs: number,
): Promise<ReadonlySet<string | null | undefined>> {
  try {
    const rows = await session.rows(`
      SET LOCAL lock_timeout = ${Math.max(1, Math.round(deadlineMs))};
      SELECT pg_advisory_xact_lock(${lockKey(migration)});
      SELECT setval('${fenceFlagName(migration)}', 1);
      SELECT n.nspname || '.' || c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE t.tgname = ${quoteText(fenceTriggerName(migration))} AND t.tgenabled = 'A'`);
    return new Set(rows.map(([name]) => name));
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_TIMEOUT) throw notSet(session, error);
    throw new OperatingError(
      'migration',
      `shard ${session.address.shard}: a transaction that has written moving rows did not end within ${deadlineMs} ms`,
      {
        cause: error,
        hint: 'look for long or prepared transactions (pg_stat_activity, pg_prepared_xacts)',
      },
    );
  }
}

function notSet(session: EngineSession, error: unknown): OperatingError {
  const message = `shard ${session.address.shard}: the fence's flag cannot be set: ${asError(error).message}`;
  return new OperatingError('migration', message, { cause: error });
}

async function checkUp(session: EngineSession, migration: string): Promise<void> {
  const flag = await session.value(`SELECT last_value FROM ${fenceFlagName(migration)}`);
  if (flag !== '1')
    throw new OperatingError('migration', `shard ${session.address.shard}: the fence is not up any more`);
}

/** Triggers, functions and flag of this name. */
export async function removeFence(session: EngineSession, migration: string): Promise<void> {
  const triggers = await session.rows(
    `SELECT t.tgname, n.nspname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE starts_with(t.tgname, $1)`,
    [`${FENCE_TRIGGER_PREFIX.slice(0, 1)}${namePrefix(migration)}`],
  );
  for (const [trigger, schema, name] of triggers) {
    await withShortLocks(session, () =>
      session.run(
        `DROP TRIGGER IF EXISTS ${quoteName(trigger!)} ON ${quoteTable({ schema: schema!, name: name! })}`,
      ),
    );
  }
  const functions = await session.rows(
    `SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = '${SCHEMA}' AND starts_with(p.proname, $1)`,
    [`fence_${migration}_`],
  );
  for (const [name] of functions) await session.run(`DROP FUNCTION IF EXISTS ${name}`);
  await session.run(`DROP SEQUENCE IF EXISTS ${fenceFlagName(migration)}`).catch((error) => {
    if (sqlstateOf(error) !== LOCK_NOT_THERE && sqlstateOf(error) !== '3F000') throw error;
  });
}
