import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../lib/errors.js';
import type { StreamSpec } from '../migration/engine.js';
import type { ShardName } from '../topology/ring.js';
import type { Position } from '../topology/topology.js';
import type { Progress } from './apply-inbox.js';
import { progressOf } from './apply-target.js';
import { MARKS_TABLE, quoteName, quoteText, STARTS_TABLE, startName } from './engine-names.js';
import { type EngineSession, errnoOf, type TextRow } from './engine-session.js';
import { GtidPosition } from './gtid.js';
import { ensureLedger } from './ledger.js';

const WAITING_REPORT_MS = 5_000;
const POLL_MS = 20;
const LOCK_TIMEOUT = 1205;
const LOCK_ATTEMPTS = 150;
const BUSY_POLL_MS = 250;
/** Whole seconds only, too. */
const LONG_STATEMENT_SECONDS = 1;
/** While we wait for the lock, commits wait behind us: so it is given up soon and tried again. Whole seconds only. */
const LOCK_WAIT_SECONDS = 1;

/**
 * Runs `work` while nothing is being committed or prepared, so that what the log holds is exactly what a snapshot shows
 * (hazard 13). `undecided`: the XA transactions that are prepared then. Writers wait for as long as `work` lasts: make it short.
 */
async function whileNothingCommits<T>(
  session: EngineSession,
  work: (position: GtidPosition, undecided: readonly string[]) => Promise<T>,
): Promise<T> {
  await lockCommits(session);
  try {
    const position = GtidPosition.parse((await session.value(session.flavor.logEndSql)) ?? '');
    const undecided = await preparedInLog(session);
    return await work(position, undecided);
  } finally {
    if (!session.isLost) await session.run(session.flavor.commitLock.free);
  }
}

/** The XA transactions whose first half alone is in the log. */
async function preparedInLog(session: EngineSession): Promise<string[]> {
  if (!session.flavor.logsPrepared) return [];
  return (await session.rows('XA RECOVER')).map((row) => JSON.stringify(row));
}

async function lockCommits(session: EngineSession): Promise<void> {
  const { take, free } = session.flavor.commitLock;
  await session.run(`SET SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}`);
  for (let attempt = 1; ; attempt++) {
    if (await hasLongStatement(session)) {
      if (attempt === LOCK_ATTEMPTS) throw notLocked(session, new LongStatement('a statement runs for long'));
      await sleep(BUSY_POLL_MS);
      continue;
    }
    try {
      for (const statement of take) await session.run(statement);
      return;
    } catch (error) {
      await session.run(free).catch(() => {});
      if (errnoOf(error) !== LOCK_TIMEOUT || attempt === LOCK_ATTEMPTS) throw notLocked(session, error);
      await sleep(50 + Math.random() * 100);
    }
  }
}

class LongStatement extends Error {
  override readonly name = 'LongStatement';
}

/** For whose end the lock would wait, and everybody behind it. One that has just begun shows only by that. */
async function hasLongStatement(session: EngineSession): Promise<boolean> {
  if (!session.flavor.commitLock.waitsForReaders) return false;
  const list = await session.rows('SHOW PROCESSLIST');
  return list.some(
    ([id, , , , command, seconds]) =>
      (command === 'Query' || command === 'Execute') &&
      Number(seconds) >= LONG_STATEMENT_SECONDS &&
      Number(id) !== session.connectionId,
  );
}

function notLocked(session: EngineSession, error: unknown): Error {
  if (session.isLost) return session.failure(error);
  const { shard } = session.address;
  return errnoOf(error) === LOCK_TIMEOUT || error instanceof LongStatement
    ? new OperatingError('gate-timeout', `shard ${shard}: commits could not be held for a moment`, {
        cause: error,
        hint: 'end the long statement or the backup that stands in the way (SHOW PROCESSLIST) and try again',
      })
    : new OperatingError(
        'migration',
        `shard ${shard}: commits cannot be held for a moment: ${(error as Error).message}`,
        {
          cause: error,
          hint: 'grant RELOAD to its user; a MariaDB server must be 10.5 or later',
        },
      );
}

/**
 * Runs `work` at a moment when nothing commits, with the position of that moment and one to read from at which no transaction
 * was prepared and undecided: then the log holds every transaction whole that is decided after the moment. Waits for those
 * that are undecided now; `onWaiting` is told of them.
 */
export async function atQuietMoment<T>(
  session: EngineSession,
  onWaiting: (message: string) => void,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  type Result =
    | { readonly value: T }
    | { readonly position: GtidPosition; readonly undecided: readonly string[] };
  const first = await whileNothingCommits<Result>(session, async (position, undecided) =>
    undecided.length === 0
      ? { value: await work({ position, readFrom: position }) }
      : { position, undecided },
  );
  if ('value' in first) return first.value;
  await untilDecided(session, first.undecided, onWaiting);
  return await whileNothingCommits(session, (position) => work({ position, readFrom: first.position }));
}

async function untilDecided(
  session: EngineSession,
  undecided: readonly string[],
  onWaiting: (message: string) => void,
): Promise<void> {
  let reportAtMs = performance.now() + WAITING_REPORT_MS;
  for (;;) {
    const now = new Set(await preparedInLog(session));
    const left = undecided.filter((xid) => now.has(xid));
    if (left.length === 0) return;
    if (performance.now() >= reportAtMs) {
      reportAtMs += WAITING_REPORT_MS;
      onWaiting(
        `shard ${session.address.shard}: the copy begins when transactions that are prepared have been decided (XA RECOVER): ${left.slice(0, 5).join(', ')}`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** Notes in the source where a stream begins. `replaces`: also when a beginning is known already. */
export async function storeStart(
  session: EngineSession,
  spec: { readonly migration: string; readonly direction: StreamSpec['direction']; readonly to: ShardName },
  { position, readFrom }: Progress,
): Promise<void> {
  await session.run(
    `INSERT INTO ${quoteName(STARTS_TABLE)} (migration, target, position, read_from) VALUES (?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE position = VALUES(position), read_from = VALUES(read_from)`,
    [spec.migration, startName(spec.direction, spec.to), position.toString(), readFrom.toString()],
  );
}

/** Where the stream begins by what its source says; undefined when that was never noted. */
export async function readStart(session: EngineSession, spec: StreamSpec): Promise<Progress | undefined> {
  await ensureLedger(session);
  const [row] = await session.rows(
    `SELECT position, read_from FROM ${quoteName(STARTS_TABLE)} WHERE migration = ? AND target = ?`,
    [spec.migration, startName(spec.direction, spec.to.shard)],
  );
  return row === undefined ? undefined : progressOf(row[0]!, row[1]!);
}

export async function dropStart(session: EngineSession, spec: StreamSpec): Promise<void> {
  await ensureLedger(session);
  await session.run(`DELETE FROM ${quoteName(STARTS_TABLE)} WHERE migration = ? AND target = ?`, [
    spec.migration,
    startName(spec.direction, spec.to.shard),
  ]);
}

/** Everything that is committed now lies before the returned position. */
export async function logPosition(session: EngineSession): Promise<Position> {
  return (await session.value(session.flavor.logEndSql)) ?? '';
}

const NO_SUCH_TABLE = 1146;

/** Commits something of our own, and returns the position behind it. The mark itself says nothing to anybody. The session takes batches. */
export async function markLog(session: EngineSession, migration: string): Promise<Position> {
  const mark = `INSERT INTO ${quoteName(MARKS_TABLE)} (migration, marks) VALUES (${quoteText(migration)}, 1) ON DUPLICATE KEY UPDATE marks = marks + 1`;
  const statements = [mark, session.flavor.logEndSql];
  try {
    return positionOf(await session.rowsOfAll(statements));
  } catch (error) {
    if (errnoOf(error) !== NO_SUCH_TABLE) throw error;
    await ensureLedger(session);
    return positionOf(await session.rowsOfAll(statements));
  }
}

function positionOf(results: readonly (readonly TextRow[])[]): Position {
  return results.at(-1)?.[0]?.[0] ?? '';
}

/** A replica's id for this stream, the same every time: a server ends an older connection of the same replica. Ids that people give are small. */
export function replicaId(spec: StreamSpec): number {
  const name = JSON.stringify([spec.migration, spec.direction, spec.from.shard, spec.to.shard]);
  return 0x8000_0000 + (createHash('md5').update(name, 'utf8').digest().readUInt32BE(0) & 0x7fff_ffff);
}

/** Bytes of log between a place in it and its end, as the server numbers them now; 0 when the place is not known yet. */
export async function bytesBehind(
  session: EngineSession,
  place: { readonly file: string; readonly offset: number },
): Promise<number> {
  if (place.file === '') return 0;
  const files = await session.rows('SHOW BINARY LOGS');
  const first = files.findIndex(([file]) => file === place.file);
  if (first < 0) return 0;
  const bytes = files.slice(first).reduce((sum, [, size]) => sum + Number(size), 0);
  return Math.max(0, bytes - place.offset);
}
