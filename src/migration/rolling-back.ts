import { untilCaughtUp } from './catching-up.js';
import { type Crossing, cross, drainLimitMs } from './crossing.js';
import { doubtFence, type FenceSpec, lowerDoubtful, rollbackFence, settleFences } from './fences.js';
import { Interrupted } from './interrupt.js';
import { switchedBack } from './publication.js';
import { quietOn } from './quiet.js';
import type { Phase } from './record.js';
import { backoffMs } from './retry.js';
import type { Run } from './run.js';

/** The same cutover in the other direction; then the copies on the targets go, as in an abort. */
export async function rollBack(run: Run): Promise<Phase> {
  const { record, world } = run;
  await run.readLinks();
  run.startReverse();
  await settleFences(run);
  for (const fence of fencesBack(run)) {
    await run.act(
      world.engine.prepareFence(fence.address, fence.name, fence.tasks, quietOn(run, fence.address.shard)),
    );
  }
  await run.pausePoint('rollback-prepared');
  await untilCaughtUp(run, run.reverse);
  for (let attempt = 1; ; attempt++) {
    const result = await cross(run, backOf(run, attempt));
    if (result.type === 'crossed') {
      record.holdMs = result.holdMs;
      await run.pausePoint('rolled-back');
      return 'aborting';
    }
    if (result.error instanceof Interrupted || run.signal.aborted) throw result.error;
    world.log.warn(
      { migration: record.id, attempt, reason: result.error.message },
      'the rollback was put off; no statement failed',
    );
    run.waitingFor = `the next rollback attempt; the last one ended because: ${result.error.message}`;
    run.changed();
    await run.sleep(backoffMs(attempt));
    await settleFences(run);
  }
}

function backOf(run: Run, attempt: number): Crossing {
  const { record } = run;
  return {
    // Reference writes too: one that still counts the added shard among the copies must not reach it after it was emptied.
    hold: { ranges: run.links.flatMap((link) => link.ranges), reference: record.kind === 'add-shard' },
    drainLimitMs: drainLimitMs(attempt, run.world.config.drainTimeoutMs),
    fences: fencesBack(run),
    streams: run.reverse,
    sequences: run.sources.map((source) => {
      const links = run.links.filter((link) => link.source === source);
      return {
        sources: links.map((link) => run.address(link.target)),
        target: run.address(source),
        tasks: links.flatMap((link) => link.rangeTasks),
      };
    }),
    next: (current) => switchedBack(current, record),
    beforeRelease: () => lowerSources(run),
  };
}

function fencesBack(run: Run): FenceSpec[] {
  return run.targets.flatMap((target) => {
    const tasks = run.links.filter((link) => link.target === target).flatMap((link) => link.rangeTasks);
    return tasks.length === 0
      ? []
      : [{ address: run.address(target), name: rollbackFence(run.record), tasks, isKept: true }];
  });
}

/** The sources own again: their fences, kept since the cutover, go down before statements reach them. */
export async function lowerSources(run: Run): Promise<void> {
  for (const source of run.sources) doubtFence(run, source, run.record.id);
  await lowerDoubtful(run);
}
