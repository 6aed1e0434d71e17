import { asError } from '../lib/errors.js';
import { applyAllSoFar } from './catching-up.js';
import { settleFences } from './fences.js';
import { throwIfAborted, within } from './interrupt.js';
import type { Phase } from './record.js';
import type { Run } from './run.js';

/** How often the way back is looked at when it was late, and the time of an automatic finish. */
const LOOK_MS = 1_000;

/** Targets own the rows; everything they commit flows back to the sources until the operator says `finish`. */
export async function beSwitched(run: Run): Promise<Phase> {
  const { record } = run;
  await run.readLinks();
  run.startReverse();
  await settleFences(run);
  await endForward(run);
  await run.pausePoint('switched');
  for (;;) {
    throwIfAborted(run.signal);
    if (record.request === 'rollback') return 'rolling-back';
    if (record.request === 'finish' || isTimeToFinish(run)) return 'cleaning';
    if (run.isMirrorLate) await tryToMirrorAgain(run);
    run.waitingFor = 'finish or rollback';
    await run.sleep(LOOK_MS);
  }
}

/** The streams forth have done their work; their slots would hold log back until `finish`. */
async function endForward(run: Run): Promise<void> {
  const { engine, log } = run.world;
  const specs = run.links.map((link) => run.forwardSpec(link));
  await run.stopStreams('forward');
  for (const spec of specs) {
    if (engine.dropStream === undefined) return;
    await run.act(engine.dropStream(spec)).catch((thrown) => {
      throwIfAborted(run.signal);
      log.warn(
        { migration: run.record.id, reason: asError(thrown).message },
        'a slot that is no longer needed stays until the migration is finished',
      );
    });
  }
}

function isTimeToFinish(run: Run): boolean {
  const { finish } = run.record.options;
  if (finish === 'now') return true;
  if (finish === 'manual') return false;
  const switchedAt = Date.parse(run.record.startedAt.switched ?? '');
  return run.world.clock.now() >= switchedAt + finish.afterMs;
}

/** The way back was late: acknowledgements wait for it again as soon as it has caught up. */
async function tryToMirrorAgain(run: Run): Promise<void> {
  const { clock, config } = run.world;
  try {
    await within(clock, config.mirrorTimeoutMs, 'catching up', applyAllSoFar(run, run.reverse));
    run.isMirrorLate = false;
  } catch (thrown) {
    run.world.log.warn(
      { migration: run.record.id, reason: asError(thrown).message },
      'the way back is still late',
    );
  }
}
