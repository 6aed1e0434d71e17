import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2';
import { OperatingError } from '../lib/errors.js';
import type { Quiet } from '../migration/engine.js';
import { type EngineSession, errnoOf, LOCK_WAIT_SECONDS } from './engine-session.js';

/** Longer than this, and statements that queue behind ours would be noticed. */
const SHORT_LOCK_MS = 200;
const LOCK_ATTEMPTS = 1000;
/** Statements wait for each of our attempts where they come at quiet moments. */
const LONGEST_PAUSE_MS = 1_000;
const KILLED = 1317;
/** Statement timeout, lock wait timeout, deadlock, query killed. */
const NOT_NOW = [1969, 1205, 1213, KILLED];

/**
 * Runs DDL on a table that others use: it never waits long for their open transactions but tries again and again. Everybody
 * else would queue behind a waiting DDL; and a transaction that has read such a table and now writes it would be in a circle
 * with it, which the server ends by failing the transaction (metadata locks prefer DDL). `work` must be harmless to repeat.
 */
export async function withShortLocks<T>(
  session: EngineSession,
  quiet: Quiet,
  table: string,
  work: () => Promise<T>,
): Promise<T> {
  const { canLockWithoutWait } = session.flavor;
  for (let attempt = 1; ; attempt++) {
    try {
      if (canLockWithoutWait) return await withoutWait(session, work);
      return await quiet(() => soonGivenUp(session, table, work));
    } catch (error) {
      if (!NOT_NOW.includes(errnoOf(error) ?? 0) && !(error instanceof StillRead)) throw error;
      if (attempt === LOCK_ATTEMPTS)
        throw new OperatingError(
          'gate-timeout',
          `shard ${session.address.shard}: table ${table} stayed locked by other transactions`,
          {
            cause: error,
            hint: 'end the long transaction that uses it (information_schema.innodb_trx) and try again',
          },
        );
      await sleep(canLockWithoutWait ? 10 + Math.random() * 40 : Math.min(LONGEST_PAUSE_MS, 30 * attempt));
    }
  }
}

/** No moment is waited for: our own tables, and those of a database that no client uses yet. */
export const AT_ONCE: Quiet = (work) => work();

/** No wait for metadata locks (0 is MariaDB's NOWAIT), and an end for whatever else it may wait for. */
async function withoutWait<T>(session: EngineSession, work: () => Promise<T>): Promise<T> {
  await session.run(`SET SESSION max_statement_time = ${SHORT_LOCK_MS / 1_000}, lock_wait_timeout = 0`);
  try {
    return await work();
  } finally {
    if (!session.isLost)
      await session.run(`SET SESSION max_statement_time = 0, lock_wait_timeout = ${LOCK_WAIT_SECONDS}`);
  }
}

/** Somebody who has read the table may be about to write it. */
class StillRead extends Error {
  override readonly name = 'StillRead';
}

/**
 * MySQL waits for a metadata lock, a second at least: it begins at a quiet moment (of the proxies' clients), and when nobody else
 * holds the table for reading, so that hardly anybody can come to that circle; it is killed when it waits all the same.
 */
async function soonGivenUp<T>(session: EngineSession, table: string, work: () => Promise<T>): Promise<T> {
  if (await isRead(session, table)) throw new StillRead(`${table} is being read`);
  const killer = new Killer(session);
  try {
    return await work();
  } finally {
    await killer.stop();
  }
}

/** Unknown, and so no, where performance_schema is off or may not be read. */
async function isRead(session: EngineSession, table: string): Promise<boolean> {
  try {
    const readers = await session.value(
      `SELECT COUNT(*) FROM performance_schema.metadata_locks
       WHERE object_type = 'TABLE' AND object_schema = DATABASE() AND object_name = ? AND lock_type = 'SHARED_READ'
         AND lock_status = 'GRANTED' AND owner_thread_id <> PS_CURRENT_THREAD_ID()`,
      [table],
    );
    return readers !== '0';
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** Ends what its session runs once that takes too long. */
class Killer {
  readonly #session: EngineSession;
  readonly #timer: NodeJS.Timeout;
  #killing: Promise<void> | undefined;

  constructor(session: EngineSession) {
    this.#session = session;
    this.#timer = setTimeout(() => {
      this.#killing = this.#kill();
    }, SHORT_LOCK_MS);
  }

  /** Nothing that the session runs from now on is ended. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#killing === undefined) return;
    await this.#killing;
    // What was killed a moment too late is this.
    if (!this.#session.isLost) await this.#session.run('DO 0').catch(() => {});
  }

  async #kill(): Promise<void> {
    const connection = mysql.createConnection(this.#session.options);
    connection.on('error', () => {});
    await new Promise<void>((resolve) => {
      connection.query(`KILL QUERY ${this.#session.connectionId}`, () => resolve());
    });
    connection.destroy();
  }
}
