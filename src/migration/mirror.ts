import type { ShardName } from '../topology/ring.js';
import type { Position } from '../topology/topology.js';
import { StepBack, TimedOut, within } from './interrupt.js';
import { stateIn } from './publication.js';
import type { Run } from './run.js';
import type { StreamKeeper } from './stream-keeper.js';

/**
 * Dual-write's second half: resolves when what `shard` has committed up to `position` is on the other owner. Always
 * resolves, and in bounded time: when the other owner is late, the migration steps back and the application goes on.
 */
export async function awaitMirror(run: Run, shard: ShardName, position: Position): Promise<void> {
  if (run.isMirrorLate) return;
  const keepers = keepersFrom(run, shard);
  if (keepers.length === 0) return;
  const { clock, config } = run.world;
  try {
    const applied = Promise.all(keepers.map((keeper) => keeper.waitFor(position)));
    await within(clock, config.mirrorTimeoutMs, 'the mirror', applied);
  } catch (thrown) {
    // A stream that was stopped has no mirror any more; only lateness is a reason to step back.
    if (thrown instanceof TimedOut) beLate(run, shard);
  }
}

/** The topology's word decides, not the phase: it changes in the same turn as what sessions see. */
function keepersFrom(run: Run, shard: ShardName): StreamKeeper[] {
  const state = stateIn(run.world.topology.current, run.record);
  const keepers = state === 'mirrored' ? run.forward : state === 'switched' ? run.reverse : [];
  return keepers.filter((keeper) => keeper.spec.from.shard === shard);
}

function beLate(run: Run, shard: ShardName): void {
  if (run.isMirrorLate) return;
  run.isMirrorLate = true;
  const { record, world } = run;
  world.log.warn(
    { migration: record.id, shard },
    'the other owner is late; acknowledgements no longer wait for it',
  );
  if (record.phase === 'mirroring' || record.phase === 'ready') {
    run.interrupt(
      new StepBack('catching-up', `writes on shard "${shard}" waited too long for the other owner`),
    );
  }
}
