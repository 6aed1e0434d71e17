import { asError } from '../lib/errors.js';
import { abort } from './aborting.js';
import { backfill } from './backfilling.js';
import { catchUp } from './catching-up.js';
import { clean } from './cleaning.js';
import { cutOver } from './cutting-over.js';
import { Interrupted, StepBack } from './interrupt.js';
import { beReady, mirror } from './mirroring.js';
import { isBeforeCutover, isOver, PHASE_RULES } from './phases.js';
import { prepare } from './preparing.js';
import { phaseByOwner } from './publication.js';
import type { Phase } from './record.js';
import { backoffMs, isTransient } from './retry.js';
import { rollBack } from './rolling-back.js';
import type { Run } from './run.js';
import { beSwitched } from './switched.js';
import { verify } from './verifying.js';

/** What is done in a phase; returns the phase that follows. Each can be begun anew after a crash in its middle. */
const ACTS: Readonly<Partial<Record<Phase, (run: Run) => Promise<Phase>>>> = {
  planned: async () => 'preparing',
  preparing: prepare,
  backfilling: backfill,
  'catching-up': catchUp,
  verifying: verify,
  mirroring: mirror,
  ready: beReady,
  'cutting-over': cutOver,
  switched: beSwitched,
  'rolling-back': rollBack,
  cleaning: clean,
  aborting: abort,
};

/** Errors of unknown kind in one phase, one after the other, before the migration fails. */
const MOST_UNKNOWN_ERRORS = 3;

/** What went wrong in one phase since it last came to its end. */
interface Trouble {
  attempts: number;
  unknown: number;
}

/** Runs a migration from the phase in its record to its end, or until the process stops. */
export async function coordinate(run: Run): Promise<void> {
  const troubles = new Map<Phase, Trouble>();
  while (!isOver(run.record.phase)) {
    run.beginPhase();
    const { phase } = run.record;
    const due = phaseByOwner(run.world.topology.current, run.record);
    if (due !== phase) {
      await enterSafely(run, due);
      continue;
    }
    try {
      if (run.signal.aborted) throw run.signal.reason;
      await run.settleActs();
      await enter(run, await ACTS[phase]!(run));
      troubles.delete(phase);
    } catch (thrown) {
      if (run.stopping.signal.aborted) break;
      const error = asError(thrown);
      const trouble = troubles.get(phase) ?? { attempts: 0, unknown: 0 };
      troubles.set(phase, trouble);
      trouble.attempts++;
      if (!isTransient(error, run.world.engine)) trouble.unknown++;
      await recover(run, error, trouble);
    }
  }
  await run.stopStreams('both');
  await run.settleActs();
}

/** Chooses where to go on after a phase did not come to its end. */
async function recover(
  run: Run,
  error: Error,
  trouble: { attempts: number; unknown: number },
): Promise<void> {
  const { record, world } = run;
  const { phase } = record;
  // The owner was switched and only the record could not be stored: the loop sees to that first.
  if (phaseByOwner(world.topology.current, record) !== phase) return;
  if (run.isAbortAsked) return enterSafely(run, 'aborting');
  if (error instanceof StepBack) {
    record.stepsBack++;
    world.log.warn({ migration: record.id, phase, reason: error.message }, `stepping back to ${error.phase}`);
    return enterSafely(run, error.phase);
  }
  if (error instanceof Interrupted) return;
  if (isBeforeCutover(phase) && trouble.unknown >= mostUnknownErrors(error)) {
    world.log.error(
      { migration: record.id, phase, reason: error.message, error },
      'the migration failed; everything it made is removed',
    );
    record.failure = { phase, message: error.message };
    return enterSafely(run, 'aborting');
  }
  world.log.warn(
    { migration: record.id, phase, attempt: trouble.attempts, reason: error.message },
    'a phase did not come to its end; it is tried again',
  );
  run.waitingFor = `the next try; the last one ended because: ${error.message}`;
  run.changed();
  // A stream that was given up is opened anew by the phase that follows.
  if (isBeforeCutover(phase)) await run.stopStreams('forward');
  run.beginPhase();
  await run.sleep(backoffMs(trouble.attempts));
  const retry = PHASE_RULES[phase].retry;
  if (retry !== phase) await enterSafely(run, retry);
}

/** Our own refusals are meant; what a driver threw may pass. */
function mostUnknownErrors(error: Error): number {
  return error.name === 'OperatingError' ? 1 : MOST_UNKNOWN_ERRORS;
}

async function enterSafely(run: Run, phase: Phase): Promise<void> {
  try {
    await enter(run, phase);
  } catch (thrown) {
    run.world.log.error(
      { migration: run.record.id, phase, reason: asError(thrown).message },
      'the record could not be stored; it is tried again',
    );
    run.beginPhase();
    await run.sleep(backoffMs(1));
  }
}

/** Stores the phase that is about to begin. When that fails, the record says in memory too what it said before. */
export async function enter(run: Run, phase: Phase): Promise<void> {
  const { record, world } = run;
  const before = { phase: record.phase, request: record.request, startedAt: record.startedAt };
  if (!PHASE_RULES[before.phase].next.includes(phase))
    throw new RangeError(`no way from ${before.phase} to ${phase}`);
  record.phase = phase;
  record.startedAt = { ...record.startedAt, [phase]: new Date(world.clock.now()).toISOString() };
  if (record.request !== undefined && !PHASE_RULES[phase].requests.includes(record.request))
    record.request = undefined;
  try {
    await run.save();
  } catch (thrown) {
    Object.assign(record, before);
    throw thrown;
  }
  world.log.info({ migration: record.id, phase }, `migration is ${phase}`);
}
