import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, OperatingError } from '../lib/errors.js';
import type { CopyTask, Fence, ShardAddress } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import { tableKey } from '../topology/keyspace.js';
import {
  FENCES_TABLE,
  fenceTriggerName,
  namePrefix,
  quoteName,
  quoteTable,
  quoteText,
} from './engine-names.js';
import { type EngineSession, errnoOf } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';
import { FenceDeadline } from './fence-deadline.js';
import { PREPARED_SQL, preparedOf, preparedTransactions } from './prepared-transactions.js';
import { selectionSql } from './selection.js';
import { withShortLocks } from './short-locks.js';

/**
 * The fence: the database itself refuses writes of the moving rows, whoever sends them. Triggers on each table, for rows in
 * the ranges, first lock the fence's row in shared mode until their transaction ends, then read the flag, which is a
 * sequence's value: sequences are outside of snapshots and transactions, so an old REPEATABLE READ sees it too, and nobody
 * who has read it keeps it from being set back.
 *
 *     writer   shared lock of the row ── flag down ── writes ── commit (lock goes)
 *     raiser        exclusive lock: waits for writers inside, newcomers wait ── flag up ── unlock: they are refused
 *                                                                                └─ prepared ones: see below
 *
 * InnoDB gives shared locks back when a transaction is prepared (XA PREPARE, and each commit with a binary log), before it
 * is in the log: so the raiser also waits until every transaction is gone that was prepared when the flag went up.
 *
 * The triggers fire after the row's change: only then is an AUTO_INCREMENT key known. The statement is undone when they refuse.
 * No trigger fires for TRUNCATE: while we hold the fence a metadata lock makes it, and all DDL on the tables, wait.
 */
const EVENTS = ['insert', 'update', 'delete'] as const;

const TRY_AGAIN_MS = 5;
const DEADLOCK = 1213;
/** Servers note in hundredths of a second when a trigger was made. */
const TRIGGER_TIME_MS = 25;

function flagName(migration: string): string {
  return `${namePrefix(migration)}flag`;
}

function changesRow(migration: string): string {
  return `${migration} flag`;
}

/** Makes row, flag and triggers; nothing is refused yet. Triggers wait for transactions that have used the tables before. */
export async function prepareFence(
  session: EngineSession,
  migration: string,
  tasks: readonly CopyTask[],
): Promise<void> {
  if (!(await fencesExist(session)))
    await session.run(
      `CREATE TABLE IF NOT EXISTS ${quoteName(FENCES_TABLE)} (name VARCHAR(64) NOT NULL PRIMARY KEY, changes BIGINT NOT NULL DEFAULT 0) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin`,
    );
  await session.run(`INSERT IGNORE INTO ${quoteName(FENCES_TABLE)} (name) VALUES (?)`, [migration]);
  await session.run(
    `CREATE SEQUENCE IF NOT EXISTS ${quoteName(flagName(migration))} START 0 MINVALUE 0 INCREMENT 1 NOCACHE ENGINE = InnoDB`,
  );
  const installed = await readTriggers(session, migration);
  // One that is there for the same rows stays, also while the fence is up.
  const missing = mergeTasks(tasks)
    .flatMap((task) => EVENTS.map((event) => ({ task, event })))
    .filter(
      ({ task, event }) =>
        installed.get(fenceTriggerName(migration, task.table, event))?.includes(mark(task)) !== true,
    );
  if (missing.length === 0) return;
  for (const { task, event } of missing)
    await installTrigger(session, migration, task, event, sleepingBodySql(migration));
  await sleep(TRIGGER_TIME_MS);
  for (const { task, event } of missing)
    await installTrigger(session, migration, task, event, bodySql(migration, task, event));
}

async function installTrigger(
  session: EngineSession,
  migration: string,
  task: CopyTask,
  event: (typeof EVENTS)[number],
  body: string,
): Promise<void> {
  const name = fenceTriggerName(migration, task.table, event);
  await withShortLocks(session, () =>
    session.run(
      `CREATE OR REPLACE TRIGGER ${quoteName(name)} AFTER ${event.toUpperCase()} ON ${quoteTable(task.table)} FOR EACH ROW ${body}`,
    ),
  );
}

/**
 * What stands first: it names all that the fence reads, and reads nothing. A server prepares a statement anew only if its
 * triggers are younger than it, and a trigger counts as made when its CREATE began: one that was prepared while CREATE ran
 * does not open what the trigger reads, and would fail with "table doesn't exist". When the body that reads replaces this
 * one, all of those are older, and what is prepared meanwhile opens everything.
 */
function sleepingBodySql(migration: string): string {
  return `IF FALSE THEN
    SET @ringferry_unused = (SELECT name FROM ${quoteName(FENCES_TABLE)} LIMIT 1 LOCK IN SHARE MODE);
    SET @ringferry_unused = (SELECT next_not_cached_value FROM ${quoteName(flagName(migration))});
  END IF`;
}

/** Tells whether an installed trigger is for the same rows. */
function mark(task: CopyTask): string {
  return `rows ${createHash('md5').update(selectionSql(task)).digest('hex')}`;
}

/** SET and not SELECT … INTO, whose row MariaDB would count among the affected rows of a bulk execution. */
function bodySql(migration: string, task: CopyTask, event: (typeof EVENTS)[number]): string {
  const rows = { insert: ['NEW.'], update: ['OLD.', 'NEW.'], delete: ['OLD.'] }[event];
  const message = `rows of ${task.table.name} are moving to another shard (migration ${migration}): try again, through ringferry`;
  return `BEGIN
  /* ${mark(task)} */
  DECLARE ringferry_name VARCHAR(64);
  DECLARE ringferry_is_up INT DEFAULT 1;
  IF @ringferry_applier IS NULL AND (${rows.map((row) => selectionSql(task, row)).join(' OR ')}) THEN
    SET ringferry_name = (SELECT name FROM ${quoteName(FENCES_TABLE)} WHERE name = ${quoteText(migration)} LOCK IN SHARE MODE);
    SET ringferry_is_up = (SELECT next_not_cached_value % 2 FROM ${quoteName(flagName(migration))});
    IF ringferry_name IS NULL OR ringferry_is_up IS NULL OR ringferry_is_up <> 0 THEN
      SIGNAL SQLSTATE '40001' SET MESSAGE_TEXT = ${quoteText(message.slice(0, 128))};
    END IF;
  END IF;
END`;
}

/** Refuses new writers and waits for those inside. Rejects at the deadline, and then nothing is refused. */
export async function raiseFence(
  sessions: EngineSessions,
  address: ShardAddress,
  migration: string,
  tasks: readonly CopyTask[],
  deadlineMs: number,
): Promise<Fence> {
  const deadline = new FenceDeadline(address, deadlineMs);
  const guard = await sessions.borrow(address);
  try {
    await keepTablesFromChange(guard, tasks, deadline);
    // Statements wait while this runs: what needs no order is done at once. No trigger can go any more.
    const checking = sessions.use(address, (session) => checkInstalled(session, migration, tasks));
    const [checked, isShut] = await Promise.allSettled([
      checking,
      shut(sessions, address, migration, deadline),
    ]);
    if (isShut.status === 'rejected') throw isShut.reason;
    if (checked.status === 'rejected') {
      await takeBack(sessions, address, migration);
      throw checked.reason;
    }
  } catch (error) {
    await letGo(sessions, guard);
    throw error;
  }
  return {
    lower: async () => {
      await lowerFence(sessions, address, migration);
      await letGo(sessions, guard);
    },
    keep: async () => {
      await sessions.use(address, (session) => checkUp(session, migration));
      // Without it somebody may have emptied a table, behind the marker.
      if (guard.isLost)
        throw new OperatingError('migration', `shard ${address.shard}: the fence's own connection was lost`);
    },
    release: () => letGo(sessions, guard),
  };
}

/** Flag up and nobody inside any more; else the flag is down again. */
async function shut(
  sessions: EngineSessions,
  address: ShardAddress,
  migration: string,
  deadline: FenceDeadline,
): Promise<void> {
  let isTouched = false;
  try {
    await sessions.use(address, async (session) => {
      const value = await lockOut(session, migration, deadline);
      isTouched = true;
      const suspects = await raiseFlag(session, migration, value);
      await outlastPrepared(session, suspects, deadline);
    });
  } catch (error) {
    // The answer may have been lost behind the act: take it back before anybody is refused for nothing.
    if (isTouched) await takeBack(sessions, address, migration);
    throw error;
  }
}

async function takeBack(sessions: EngineSessions, address: ShardAddress, migration: string): Promise<void> {
  await sessions.use(address, (other) => setFlag(other, migration, 0)).catch(() => {});
}

/** Also when it was never prepared. */
export async function lowerFence(
  sessions: EngineSessions,
  address: ShardAddress,
  migration: string,
): Promise<void> {
  await sessions.use(address, async (session) => {
    if (await flagExists(session, migration)) await setFlag(session, migration, 0);
  });
}

/** TRUNCATE and other DDL wait until `guard` is closed. */
async function keepTablesFromChange(
  guard: EngineSession,
  tasks: readonly CopyTask[],
  deadline: FenceDeadline,
): Promise<void> {
  const reads = mergeTasks(tasks).map(({ table }) => `SELECT 1 FROM ${quoteTable(table)} WHERE FALSE`);
  const statements = ['START TRANSACTION READ ONLY'];
  if (reads.length > 0) statements.push(deadline.limited(reads.join(' UNION ALL ')));
  try {
    await guard.runAll(statements);
  } catch (error) {
    throw deadline.failure(error);
  }
}

/** A server notices the end of a connection some time later, and the locks would be there until then. */
async function letGo(sessions: EngineSessions, guard: EngineSession): Promise<void> {
  try {
    await guard.run('ROLLBACK');
    sessions.giveBack(guard);
  } catch {
    await guard.close();
  }
}

/**
 * In a transaction that holds the exclusive lock when it resolves; returns the flag's sequence as it is then. Of a deadlock
 * with newcomers who wait for us we are the lightest, and so the victim.
 */
async function lockOut(session: EngineSession, migration: string, deadline: FenceDeadline): Promise<bigint> {
  const lock = `SELECT name FROM ${quoteName(FENCES_TABLE)} WHERE name = ${quoteText(migration)} FOR UPDATE`;
  for (;;) {
    try {
      const [, locked, flag] = await session.rowsOfAll([
        'START TRANSACTION',
        deadline.limited(lock),
        flagSql(migration),
      ]);
      const value = flag?.[0]?.[0];
      if (locked?.length === 1 && value !== undefined && value !== null) return BigInt(value);
      throw notFenced(session, FENCES_TABLE);
    } catch (error) {
      if (errnoOf(error) !== DEADLOCK || deadline.isOver) throw deadline.failure(error);
      await session.run('ROLLBACK');
      await sleep(TRY_AGAIN_MS);
    }
  }
}

/** Those that were prepared when the flag went up may have passed it before; those that are prepared later have seen it. */
async function outlastPrepared(
  session: EngineSession,
  suspects: Set<string>,
  deadline: FenceDeadline,
): Promise<void> {
  while (suspects.size > 0) {
    if (deadline.isOver) throw deadline.passed();
    await sleep(TRY_AGAIN_MS);
    const now = await preparedTransactions(session);
    for (const id of suspects) if (!now.has(id)) suspects.delete(id);
  }
}

/** The sequence's next value is odd while the fence is up. */
function flagSql(migration: string): string {
  return `SELECT next_not_cached_value FROM ${quoteName(flagName(migration))}`;
}

/** Brings the sequence from `value` to the flag. Sequences need not reach the disk at once: the commit behind it brings the change there. */
function setFlagSql(migration: string, value: bigint, flag: 0 | 1): string[] {
  const isSet = value % 2n === BigInt(flag);
  return [
    ...(isSet ? [] : [`SELECT SETVAL(${quoteName(flagName(migration))}, ${value + 1n}, FALSE)`]),
    // A row that no trigger locks.
    `INSERT INTO ${quoteName(FENCES_TABLE)} VALUES (${quoteText(changesRow(migration))}, 1) ON DUPLICATE KEY UPDATE changes = changes + 1`,
  ];
}

/** Ends the transaction of `lockOut` with the flag up; returns who was prepared then. */
async function raiseFlag(session: EngineSession, migration: string, value: bigint): Promise<Set<string>> {
  try {
    const results = await session.rowsOfAll([...setFlagSql(migration, value, 1), 'COMMIT', PREPARED_SQL]);
    return preparedOf(session, results.at(-1)!);
  } catch (error) {
    throw notSet(session, error);
  }
}

async function setFlag(session: EngineSession, migration: string, flag: 0 | 1): Promise<void> {
  try {
    const value = BigInt((await session.value(flagSql(migration))) ?? 0);
    await session.rowsOfAll(setFlagSql(migration, value, flag));
  } catch (error) {
    throw notSet(session, error);
  }
}

function notSet(session: EngineSession, error: unknown): OperatingError {
  if (error instanceof OperatingError) return error;
  return new OperatingError(
    'migration',
    `shard ${session.address.shard}: the fence's flag cannot be set: ${asError(error).message}`,
    { cause: error },
  );
}

async function checkUp(session: EngineSession, migration: string): Promise<void> {
  const flag = await session.value(`SELECT next_not_cached_value % 2 FROM ${quoteName(flagName(migration))}`);
  if (flag !== '1')
    throw new OperatingError('migration', `shard ${session.address.shard}: the fence is not up any more`);
}

/** A table without its triggers would not be fenced: dropped and made again, or dropped by hand. */
async function checkInstalled(
  session: EngineSession,
  migration: string,
  tasks: readonly CopyTask[],
): Promise<void> {
  const installed = await readTriggers(session, migration);
  const missing = mergeTasks(tasks).find((task) =>
    EVENTS.some((event) => {
      const body = installed.get(fenceTriggerName(migration, task.table, event));
      return body === undefined || !body.includes(mark(task));
    }),
  );
  if (missing === undefined && (await flagExists(session, migration))) return;
  throw notFenced(session, missing === undefined ? FENCES_TABLE : tableKey(missing.table));
}

function notFenced(session: EngineSession, table: string): OperatingError {
  return new OperatingError('migration', `shard ${session.address.shard}: table ${table} has no fence`, {
    hint: 'the migration prepares it again by itself when it is resumed',
  });
}

/** Name → body. */
async function readTriggers(session: EngineSession, migration: string): Promise<Map<string, string>> {
  const rows = await session.rows(
    `SELECT trigger_name, action_statement FROM information_schema.triggers
     WHERE event_object_schema = DATABASE() AND LEFT(trigger_name, ${namePrefix(migration).length}) = ?`,
    [namePrefix(migration)],
  );
  return new Map(rows.map(([name, body]) => [name!, body!]));
}

async function fencesExist(session: EngineSession): Promise<boolean> {
  return tableExists(session, FENCES_TABLE);
}

async function flagExists(session: EngineSession, migration: string): Promise<boolean> {
  return tableExists(session, flagName(migration));
}

async function tableExists(session: EngineSession, name: string): Promise<boolean> {
  const rows = await session.rows(
    'SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
    [name],
  );
  return rows.length > 0;
}

/** Triggers, flag and row of this name; the table of fences with its last row. */
export async function removeFence(session: EngineSession, migration: string): Promise<void> {
  for (const name of (await readTriggers(session, migration)).keys())
    await withShortLocks(session, () => session.run(`DROP TRIGGER IF EXISTS ${quoteName(name)}`));
  if (await flagExists(session, migration))
    await withShortLocks(session, () =>
      session.run(`DROP SEQUENCE IF EXISTS ${quoteName(flagName(migration))}`),
    );
  if (!(await fencesExist(session))) return;
  await session.run(`DELETE FROM ${quoteName(FENCES_TABLE)} WHERE name IN (?, ?)`, [
    migration,
    changesRow(migration),
  ]);
  if ((await session.value(`SELECT COUNT(*) FROM ${quoteName(FENCES_TABLE)}`)) === '0')
    await withShortLocks(session, () => session.run(`DROP TABLE IF EXISTS ${quoteName(FENCES_TABLE)}`));
}
