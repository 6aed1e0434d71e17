import { untilAborted } from '../lib/until-aborted.js';
import { whilePaused } from './backfilling.js';
import { applyAllSoFar } from './catching-up.js';
import { StepBack, throwIfAborted } from './interrupt.js';
import { copiedTables, linksOf } from './links.js';
import { stateIn, withMirror } from './publication.js';
import type { Phase } from './record.js';
import type { Run } from './run.js';

/** How often the lag is looked at. */
const LOOK_MS = 250;

/** From here on an acknowledged write is on both owners: publishes it, then waits until it has become true. */
export async function mirror(run: Run): Promise<Phase> {
  const { record, world } = run;
  await whilePaused(run);
  await run.readLinks();
  run.startForward();
  run.isMirrorLate = false;
  if (stateIn(world.topology.current, record) !== 'mirrored') {
    await run.publish((current) => withMirror(current, record));
  }
  await run.pausePoint('mirrored');
  // What was acknowledged before the publication is older than this position.
  await untilAborted(applyAllSoFar(run, run.forward), run.signal);
  return 'ready';
}

/** Keeps mirroring until the cutover is wanted. */
export async function beReady(run: Run): Promise<Phase> {
  const { record } = run;
  await run.pausePoint('ready');
  for (;;) {
    throwIfAborted(run.signal);
    refuseLag(run);
    const isWanted = record.options.cutover === 'auto' || record.request === 'cutover';
    if (isWanted && !record.paused) {
      refuseDifferences(run);
      return 'cutting-over';
    }
    run.waitingFor = record.paused ? 'resume' : 'cutover';
    await run.sleep(LOOK_MS);
  }
}

/** The operator has verified in between and found something: it is repaired before anything is switched. */
function refuseDifferences(run: Run): void {
  const differences = run.record.verification?.differences ?? 0;
  if (differences > 0) throw new StepBack('catching-up', `${differences} rows were found to differ`);
}

/** Steps back when a stream is too far behind for acknowledgements to wait for it. */
export function refuseLag(run: Run): void {
  const { maxLagBytes } = run.world.config;
  const late = run.forward.find((keeper) => (keeper.lagBytes ?? 0) > maxLagBytes);
  if (late === undefined) return;
  throw new StepBack(
    'catching-up',
    `the stream ${late.spec.from.shard} → ${late.spec.to.shard} is ${late.lagBytes} bytes behind`,
  );
}

/** A table that was made since the backfill has rows that nobody copied: begin anew with it. */
export async function refuseNewTables(run: Run): Promise<void> {
  const now = copiedTables(linksOf(run.record, await run.world.keyspace()));
  if (JSON.stringify(now) === JSON.stringify(run.record.tables)) return;
  throw new StepBack(
    'preparing',
    `the tables changed from ${run.record.tables.join(', ')} to ${now.join(', ')}`,
  );
}
