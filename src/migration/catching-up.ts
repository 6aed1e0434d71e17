import { untilAborted } from '../lib/until-aborted.js';
import { stateIn, withCopies } from './publication.js';
import type { Phase } from './record.js';
import type { Run } from './run.js';
import type { StreamKeeper } from './stream-keeper.js';

/** Caught up: what was committed at one moment was applied this soon after it. */
const SHORT_LAG_MS = 1_000;
/** Rounds after which a stream that is not getting closer is close enough for who asked for less lag. */
const MOST_CLOSE_ROUNDS = 20;

/** Runs the streams until they are only moments behind. Also where a migration comes back to when the mirror was late. */
export async function catchUp(run: Run): Promise<Phase> {
  const { record, world } = run;
  await run.readLinks();
  if (stateIn(world.topology.current, record) === 'mirrored') {
    await run.publish((current) => withCopies(current, record, undefined));
  }
  run.startForward();
  await run.pausePoint('streams-open');
  await untilCaughtUp(run, run.forward);
  run.isMirrorLate = false;
  await run.pausePoint('caught-up');
  const isVerified = record.verification !== undefined && record.verification.differences === 0;
  return isVerified ? 'mirroring' : 'verifying';
}

/** Right before statements are held: every millisecond of lag left would be one more of waiting for them. */
export async function comeClose(run: Run, keepers: readonly StreamKeeper[], lagMs: number): Promise<void> {
  for (let round = 1; round <= MOST_CLOSE_ROUNDS; round++) {
    const startedAt = run.world.clock.now();
    await untilAborted(applyAllSoFar(run, keepers), run.signal);
    if (run.world.clock.now() - startedAt < lagMs) return;
  }
}

/** Resolves when the streams have applied what was committed at a moment less than SHORT_LAG_MS ago. */
export async function untilCaughtUp(run: Run, keepers: readonly StreamKeeper[]): Promise<void> {
  run.waitingFor = 'the change streams to catch up';
  for (;;) {
    const startedAt = run.world.clock.now();
    await untilAborted(applyAllSoFar(run, keepers), run.signal);
    if (run.world.clock.now() - startedAt < SHORT_LAG_MS) break;
  }
  run.waitingFor = undefined;
}

/** Resolves when each stream has applied what is committed at its beginning now. */
export async function applyAllSoFar(run: Run, keepers: readonly StreamKeeper[]): Promise<void> {
  await Promise.all(
    keepers.map(async (keeper) => {
      const position = await run.world.engine.currentPosition(keeper.spec.from);
      await keeper.waitFor(position);
    }),
  );
}
