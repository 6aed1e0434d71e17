import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const LATEST_MS = 8_000;

/** A stop is heard by itself. `change` is one at the source, by which it would be heard at the latest: nothing is left running. */
export async function assertHeardAtOnce(
  stopping: Promise<void>,
  change: () => Promise<unknown>,
): Promise<void> {
  const missed = sleep(LATEST_MS, 'missed', { ref: false });
  try {
    assert.equal(await Promise.race([stopping, missed]), undefined);
  } finally {
    await change();
    await stopping;
  }
}
