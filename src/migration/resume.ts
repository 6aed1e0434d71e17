import { asError } from '../lib/errors.js';
import { doubtFence, lowerDoubtful, referenceFence, rollbackFence } from './fences.js';
import { within } from './interrupt.js';
import { phaseByOwner, stateIn, withCopies } from './publication.js';
import type { Phase } from './record.js';
import type { Run } from './run.js';

/** How long a start may wait for fences that a dead process left up. */
const LOWER_LIMIT_MS = 5_000;

/**
 * Where a new process goes on. The topology decides who owns, whatever the record says: the swap may have been the
 * last thing that happened. Fences that stand though nothing was switched go down before clients are served.
 */
export async function resume(run: Run): Promise<void> {
  const { record, world } = run;
  const phase = phaseToGoOnFrom(run);
  if (phase !== record.phase) {
    world.log.info({ migration: record.id, found: record.phase, phase }, 'going on with a migration');
    record.phase = phase;
    record.startedAt[phase] ??= new Date(world.clock.now()).toISOString();
    await run.save();
  }
  // No stream runs yet: acknowledgements must not wait for it.
  if (stateIn(world.topology.current, record) === 'mirrored') {
    await run.publish((current) => withCopies(current, record, undefined));
  }
  doubtFences(run);
  try {
    await within(world.clock, LOWER_LIMIT_MS, 'lowering fences that were left up', lowerDoubtful(run));
  } catch (thrown) {
    world.log.warn(
      { migration: record.id, reason: asError(thrown).message },
      'fences that were left up are lowered later',
    );
  }
}

function phaseToGoOnFrom(run: Run): Phase {
  const phase = phaseByOwner(run.world.topology.current, run.record);
  // Their streams are gone with the process that ran them.
  const isMidway =
    phase === 'verifying' || phase === 'mirroring' || phase === 'ready' || phase === 'cutting-over';
  return isMidway ? 'catching-up' : phase;
}

/** By the record alone: the databases that would say which tables there are may be down at this moment. */
function doubtFences(run: Run): void {
  const { record, world } = run;
  if (record.phase === 'planned' || record.phase === 'cleaning') return;
  const isSwitched = stateIn(world.topology.current, record) === 'switched';
  for (const move of record.moves) {
    if (!isSwitched) doubtFence(run, move.source, record.id);
    else doubtFence(run, move.target, rollbackFence(record));
  }
  if (record.kind === 'add-shard') doubtFence(run, world.topology.current.home, referenceFence(record));
}
