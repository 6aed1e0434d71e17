import { asError } from '../lib/errors.js';
import { untilAborted } from '../lib/until-aborted.js';
import { applyAllSoFar, comeClose, untilCaughtUp } from './catching-up.js';
import { type Crossing, cross, drainLimitMs } from './crossing.js';
import type { CopyTask, ShardAddress } from './engine.js';
import { type FenceSpec, referenceFence, settleFences } from './fences.js';
import { within } from './interrupt.js';
import { type Link, tableName } from './links.js';
import { refuseNewTables } from './mirroring.js';
import { switched } from './publication.js';
import type { Phase } from './record.js';
import { backoffMs } from './retry.js';
import type { Run } from './run.js';

/** Preparing the way back waits for transactions on the target; longer than this and the cutover is tried later. */
const PREPARE_LIMIT_MS = 60_000;

/** Lag with which statements begin to be held, if it can be had. */
const CLOSE_MS = 10;

/** One attempt. When it cannot be made now, everything is as before and another follows after a pause. */
export async function cutOver(run: Run): Promise<Phase> {
  const { record } = run;
  await run.readLinks();
  run.startForward();
  await settleFences(run);
  record.cutoverAttempts++;
  await run.save();
  try {
    await prepareWayBack(run);
  } catch (thrown) {
    return putOff(run, asError(thrown));
  }
  await run.pausePoint('reverse-prepared');
  await untilCaughtUp(run, run.forward);
  await refuseNewTables(run);
  await comeClose(run, run.forward, CLOSE_MS);
  const result = await cross(run, forthOf(run));
  if (result.type === 'crossed') {
    record.holdMs = result.holdMs;
    await run.pausePoint('released');
    return 'switched';
  }
  return putOff(run, result.error);
}

async function putOff(run: Run, error: Error): Promise<Phase> {
  const { record, world } = run;
  if (run.signal.aborted) throw run.signal.reason;
  world.log.warn(
    { migration: record.id, attempt: record.cutoverAttempts, reason: error.message },
    'the cutover was put off; no statement failed',
  );
  run.waitingFor = `the next cutover attempt; the last one ended because: ${error.message}`;
  run.changed();
  await run.sleep(backoffMs(record.cutoverAttempts));
  return 'ready';
}

/** Slots and streams of the way back stand before anybody waits: after the switch the first write needs them. */
async function prepareWayBack(run: Run): Promise<void> {
  const { engine, clock } = run.world;
  if (run.reverse.length === 0) {
    const specs = run.reverseSpecs();
    // One after the other on each shard: they make, and add to, the same publication there.
    const preparing = Promise.all(
      run.targets.map(async (target) => {
        for (const spec of specs) if (spec.from.shard === target) await engine.prepareReverse(spec);
      }),
    );
    await within(clock, PREPARE_LIMIT_MS, 'preparing the way back', run.act(preparing));
    run.startReverse();
  }
  const opening = within(clock, PREPARE_LIMIT_MS, 'opening the way back', applyAllSoFar(run, run.reverse));
  await untilAborted(opening, run.signal);
}

function forthOf(run: Run): Crossing {
  const { record } = run;
  return {
    hold: {
      ranges: run.links.flatMap((link) => link.ranges),
      reference: run.links.some((link) => link.referenceTasks.length > 0),
    },
    drainLimitMs: drainLimitMs(record.cutoverAttempts, run.world.config.drainTimeoutMs),
    fences: [...rangeFences(run), ...referenceFences(run)],
    streams: run.forward,
    sequences: run.targets.map((target) => sequencesOf(run, target)),
    next: (current) => switched(current, record),
    beforeRelease: async () => {},
  };
}

function rangeFences(run: Run): FenceSpec[] {
  return run.sources.flatMap((source) => {
    const tasks = run.links.filter((link) => link.source === source).flatMap((link) => link.rangeTasks);
    return tasks.length === 0
      ? []
      : [{ address: run.address(source), name: run.record.id, tasks, isKept: true }];
  });
}

/** Writers of reference tables that are still inside, or never came through a proxy, must be before the marker too. */
function referenceFences(run: Run): FenceSpec[] {
  return run.links
    .filter((link) => link.referenceTasks.length > 0)
    .map((link) => ({
      address: run.address(link.source),
      name: referenceFence(run.record),
      tasks: link.referenceTasks,
      isKept: false,
    }));
}

function sequencesOf(
  run: Run,
  target: string,
): { sources: ShardAddress[]; target: ShardAddress; tasks: CopyTask[] } {
  const links: Link[] = run.links.filter((link) => link.target === target);
  const tasks = new Map<string, CopyTask>();
  for (const task of links.flatMap((link) => [...link.rangeTasks, ...link.referenceTasks]))
    tasks.set(tableName(task.table), task);
  return {
    sources: links.map((link) => run.address(link.source)),
    target: run.address(target),
    tasks: [...tasks.values()],
  };
}
