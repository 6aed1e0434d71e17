import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../lib/errors.js';
import { type EngineSession, errnoOf, LOCK_WAIT_SECONDS } from './engine-session.js';

/** Longer than this, and statements that queue behind ours would be noticed. */
const SHORT_LOCK_SECONDS = 0.2;
const LOCK_ATTEMPTS = 1000;
/** Statement timeout, lock wait timeout, deadlock, query killed. */
const NOT_NOW = [1969, 1205, 1213, 1317];

/**
 * Runs DDL on tables that others use: it never waits for their open transactions but tries again and again. Everybody else
 * would queue behind a waiting DDL; and a transaction that has read such a table and now writes it would be in a circle with
 * it, which the server ends by failing the transaction (metadata locks prefer DDL). `work` must be harmless to repeat.
 */
export async function withShortLocks<T>(session: EngineSession, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await limited(session, work);
    } catch (error) {
      if (!NOT_NOW.includes(errnoOf(error) ?? 0)) throw error;
      if (attempt === LOCK_ATTEMPTS)
        throw new OperatingError(
          'gate-timeout',
          `shard ${session.address.shard}: a table stayed locked by other transactions`,
          {
            cause: error,
            hint: 'end the long transaction that uses it (information_schema.innodb_trx) and try again',
          },
        );
      await sleep(10 + Math.random() * 40);
    }
  }
}

/** No wait for metadata locks (0 is MariaDB's NOWAIT), and an end for whatever else it may wait for. */
async function limited<T>(session: EngineSession, work: () => Promise<T>): Promise<T> {
  await session.run(`SET SESSION max_statement_time = ${SHORT_LOCK_SECONDS}, lock_wait_timeout = 0`);
  try {
    return await work();
  } finally {
    if (!session.isLost)
      await session.run(`SET SESSION max_statement_time = 0, lock_wait_timeout = ${LOCK_WAIT_SECONDS}`);
  }
}
