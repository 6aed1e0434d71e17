import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `check` passes; fails with its last error. */
export async function eventually<T>(check: () => Promise<T>, patienceMs = 30_000): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      // InnoDB tells anew what is in innodb_trx when nobody asked for a tenth of a second.
      await sleep(120);
    }
  }
}
