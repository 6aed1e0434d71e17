import { OperatingError } from '../lib/errors.js';
import type { ShardName } from '../topology/ring.js';
import { drainLimitMs } from './crossing.js';
import type { Quiet } from './engine.js';
import { TimedOut, throwIfAborted, within } from './interrupt.js';
import type { Run } from './run.js';

/** After so many moments that nearly came the work is done among open transactions. */
const ATTEMPTS = 30;
const LONGEST_DRAIN_MS = 400;
const PAUSE_MS = 100;

/**
 * Moments in which no client of any proxy is inside a transaction that has touched moving tables on this shard: statements that
 * would touch them wait at the gate as in a cutover, and the work begins when those inside have left.
 */
export function quietOn(run: Run, shard: ShardName): Quiet {
  return async (work) => {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      throwIfAborted(run.signal);
      const result = await once(run, shard, drainLimitMs(attempt, LONGEST_DRAIN_MS), work);
      if (result !== undefined) return result.value;
      await run.world.clock.sleep(PAUSE_MS);
    }
    return await work();
  };
}

/** Undefined: those inside did not leave in time, or a cutover holds now. Nothing was done then. */
async function once<T>(
  run: Run,
  shard: ShardName,
  limitMs: number,
  work: () => Promise<T>,
): Promise<{ readonly value: T } | undefined> {
  const { clock, topology } = run.world;
  const owned = topology.current.ring.ranges().filter(({ owner }) => owner === shard);
  let held: Promise<void>;
  try {
    held = topology.participants.hold({ ranges: owned.map(({ range }) => range), reference: true });
  } catch (thrown) {
    if (thrown instanceof OperatingError) return undefined;
    throw thrown;
  }
  try {
    const quiet = held.then(() => topology.participants.drained());
    try {
      await within(clock, limitMs, 'the end of open transactions', quiet);
    } catch (thrown) {
      if (thrown instanceof TimedOut) return undefined;
      throw thrown;
    }
    return { value: await work() };
  } finally {
    topology.participants.release();
  }
}
