import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, OperatingError } from '../lib/errors.js';
import type { CopyTask, Fence, Quiet, ShardAddress } from '../migration/engine.js';
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
import { type FenceFlag, fenceFlagOf, tableExists } from './fence-flag.js';
import { PREPARED_SQL, preparedOf, preparedTransactions } from './prepared-transactions.js';
import { selectionSql } from './selection.js';
import { AT_ONCE, withShortLocks } from './short-locks.js';

/**
 * The fence: the database itself refuses writes of the moving rows, whoever sends them. Triggers on each table, for rows in
 * the ranges, first lock the fence's row in shared mode until their transaction ends, then look at the flag (`FenceFlag`).
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

/** Makes row, flag and triggers; nothing is refused yet. Triggers wait for transactions that have used the tables before. */
export async function prepareFence(
  session: EngineSession,
  migration: string,
  tasks: readonly CopyTask[],
  quiet: Quiet,
): Promise<void> {
  if (!(await tableExists(session, FENCES_TABLE)))
    await session.run(
      `CREATE TABLE IF NOT EXISTS ${quoteName(FENCES_TABLE)} (name VARCHAR(64) NOT NULL PRIMARY KEY, changes BIGINT NOT NULL DEFAULT 0) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin`,
    );
  await session.run(`INSERT IGNORE INTO ${quoteName(FENCES_TABLE)} (name) VALUES (?)`, [migration]);
  const flag = fenceFlagOf(session.flavor);
  await flag.make(session, migration);
  const installed = await readTriggers(session, migration);
  // One that is there for the same rows stays, also while the fence is up.
  const missing = mergeTasks(tasks)
    .flatMap((task) => EVENTS.map((event) => ({ task, event })))
    .filter(
      ({ task, event }) =>
        installed.get(fenceTriggerName(migration, task.table, event))?.body.includes(mark(task)) !== true,
    );
  if (missing.length === 0) return;
  const sleepingSql = flag.sleepingSql?.(migration);
  if (sleepingSql !== undefined) {
    for (const { task, event } of missing)
      await installTrigger(session, quiet, migration, task, event, sleepingSql);
    await sleep(TRIGGER_TIME_MS);
  }
  for (const { task, event } of missing)
    await installTrigger(session, quiet, migration, task, event, bodySql(flag, migration, task, event));
}

async function installTrigger(
  session: EngineSession,
  quiet: Quiet,
  migration: string,
  task: CopyTask,
  event: (typeof EVENTS)[number],
  body: string,
): Promise<void> {
  const name = quoteName(fenceTriggerName(migration, task.table, event));
  const made = `TRIGGER ${name} AFTER ${event.toUpperCase()} ON ${quoteTable(task.table)} FOR EACH ROW ${body}`;
  await withShortLocks(session, quiet, task.table.name, async () => {
    if (session.flavor.canReplaceTriggers) return session.run(`CREATE OR REPLACE ${made}`);
    await session.run(`DROP TRIGGER IF EXISTS ${name}`);
    return session.run(`CREATE ${made}`);
  });
}

/** Tells whether an installed trigger is for the same rows. */
function mark(task: CopyTask): string {
  return `rows ${createHash('md5').update(selectionSql(task)).digest('hex')}`;
}

function bodySql(flag: FenceFlag, migration: string, task: CopyTask, event: (typeof EVENTS)[number]): string {
  const rows = { insert: ['NEW.'], update: ['OLD.', 'NEW.'], delete: ['OLD.'] }[event];
  const message = `rows of ${task.table.name} are moving to another shard (migration ${migration}): try again, through ringferry`;
  return `BEGIN
  /* ${mark(task)} */
  ${flag.declareSql}
  IF @ringferry_applier IS NULL AND (${rows.map((row) => selectionSql(task, row)).join(' OR ')}) THEN
    ${flag.lookSql(migration)}
    IF ringferry_is_up IS NULL OR ringferry_is_up <> 0 THEN
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
  await sessions.use(address, (other) => lowerFlag(other, migration)).catch(() => {});
}

/** Also when it was never prepared. */
export async function lowerFence(
  sessions: EngineSessions,
  address: ShardAddress,
  migration: string,
): Promise<void> {
  await sessions.use(address, async (session) => {
    if (await fenceFlagOf(session.flavor).exists(session, migration)) await lowerFlag(session, migration);
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
  if (reads.length > 0) statements.push(deadline.limited(guard.flavor, reads.join(' UNION ALL ')));
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
        deadline.limited(session.flavor, lock),
        fenceFlagOf(session.flavor).valueSql(migration),
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

/** Ends the transaction of `lockOut` with the flag up; returns who was prepared then. */
async function raiseFlag(session: EngineSession, migration: string, value: bigint): Promise<Set<string>> {
  try {
    const raising = fenceFlagOf(session.flavor).setSql(migration, value, true);
    const results = await session.rowsOfAll([...raising, 'COMMIT', PREPARED_SQL]);
    return preparedOf(session, results.at(-1)!);
  } catch (error) {
    throw notSet(session, error);
  }
}

async function lowerFlag(session: EngineSession, migration: string): Promise<void> {
  const flag = fenceFlagOf(session.flavor);
  try {
    const value = BigInt((await session.value(flag.valueSql(migration))) ?? 0);
    await session.rowsOfAll(flag.setSql(migration, value, false));
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
  const isUp = await session.value(fenceFlagOf(session.flavor).isUpSql(migration));
  if (isUp !== '1')
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
      const trigger = installed.get(fenceTriggerName(migration, task.table, event));
      return trigger === undefined || !trigger.body.includes(mark(task));
    }),
  );
  if (missing === undefined && (await fenceFlagOf(session.flavor).exists(session, migration))) return;
  throw notFenced(session, missing === undefined ? FENCES_TABLE : tableKey(missing.table));
}

function notFenced(session: EngineSession, table: string): OperatingError {
  return new OperatingError('migration', `shard ${session.address.shard}: table ${table} has no fence`, {
    hint: 'the migration prepares it again by itself when it is resumed',
  });
}

interface InstalledTrigger {
  readonly table: string;
  readonly body: string;
}

/** By their names. */
async function readTriggers(
  session: EngineSession,
  migration: string,
): Promise<Map<string, InstalledTrigger>> {
  const rows = await session.rows(
    `SELECT trigger_name, event_object_table, action_statement FROM information_schema.triggers
     WHERE event_object_schema = DATABASE() AND LEFT(trigger_name, ${namePrefix(migration).length}) = ?`,
    [namePrefix(migration)],
  );
  return new Map(rows.map(([name, table, body]) => [name!, { table: table!, body: body! }]));
}

/** Triggers, flag and row of this name; the table of fences with its last row. */
export async function removeFence(session: EngineSession, migration: string, quiet: Quiet): Promise<void> {
  for (const [name, { table }] of await readTriggers(session, migration))
    await withShortLocks(session, quiet, table, () =>
      session.run(`DROP TRIGGER IF EXISTS ${quoteName(name)}`),
    );
  const flag = fenceFlagOf(session.flavor);
  await flag.remove(session, migration);
  if (!(await tableExists(session, FENCES_TABLE))) return;
  const names = flag.rows(migration).map(quoteText);
  await session.run(`DELETE FROM ${quoteName(FENCES_TABLE)} WHERE name IN (${names.join(', ')})`);
  if ((await session.value(`SELECT COUNT(*) FROM ${quoteName(FENCES_TABLE)}`)) === '0')
    await withShortLocks(session, AT_ONCE, FENCES_TABLE, () =>
      session.run(`DROP TABLE IF EXISTS ${quoteName(FENCES_TABLE)}`),
    );
}
