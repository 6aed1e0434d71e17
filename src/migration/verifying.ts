import { OperatingError } from '../lib/errors.js';
import { whilePaused } from './backfilling.js';
import type { AppliedStream, ChunkDifference } from './engine.js';
import type { Phase } from './record.js';
import type { Run } from './run.js';
import type { StreamKeeper } from './stream-keeper.js';

export interface Verification {
  readonly comparedRows: number;
  readonly differences: readonly ChunkDifference[];
}

/** Comparisons until differences that keep coming back fail the migration. */
const MOST_ROUNDS = 3;
/** Keys named in a message. */
const SHOWN_KEYS = 5;
/** How long a comparison waits for a stream that is just being opened again. */
const REOPEN_MS = 200;

/** Compares every moved row, repairs what differs from the source, and compares again. */
export async function verify(run: Run): Promise<Phase> {
  await run.readLinks();
  run.startForward();
  let repaired = 0;
  for (let round = 1; ; round++) {
    await whilePaused(run);
    const found = await compareAll(run, run.forward);
    const result = together(found);
    refuseEmpty(run, result.comparedRows);
    noteVerification(run, result, repaired);
    if (result.differences.length === 0) break;
    if (round === MOST_ROUNDS) throw lasting(result.differences);
    for (const { keeper, differences } of found) {
      if (differences.length > 0) await run.act(run.world.engine.repair(keeper.spec, differences));
    }
    repaired += result.differences.length;
  }
  await run.save();
  await run.pausePoint('verified');
  return 'mirroring';
}

/** For the operator, in between: compares and reports, repairs nothing. */
export async function verifyNow(run: Run): Promise<Verification> {
  const keepers = run.record.phase === 'switched' ? run.reverse : run.forward;
  if (keepers.length === 0) {
    throw new OperatingError(
      'migration',
      `migration ${run.record.id} is ${run.record.phase}: no change stream runs, so there is nothing to compare with`,
      {
        hint: 'Verify between catching-up and ready, or while it is switched.',
      },
    );
  }
  const result = together(await compareAll(run, keepers));
  noteVerification(run, result, 0);
  await run.save();
  return result;
}

type Found = Verification & { readonly keeper: StreamKeeper };

function compareAll(run: Run, keepers: readonly StreamKeeper[]): Promise<Found[]> {
  let comparedSoFar = 0;
  return Promise.all(
    keepers.map(async (keeper) => {
      const stream = await openStreamOf(run, keeper);
      let rowsSoFar = 0;
      const onProgress = (rows: number): void => {
        comparedSoFar += rows - rowsSoFar;
        rowsSoFar = rows;
        run.waitingFor = `verified ${comparedSoFar} rows`;
        run.changed();
      };
      const verifying = run.world.engine.verify(stream, keeper.spec, onProgress, run.signal);
      return { ...(await run.act(whileRunning(stream, verifying))), keeper };
    }),
  );
}

/** A comparison waits for the stream at every step: when that breaks, it cannot come to its end. */
function whileRunning<T>(stream: AppliedStream, work: Promise<T>): Promise<T> {
  const broken = stream.ended.then(() => {
    throw new OperatingError('shard-unavailable', 'the change stream ended during the comparison');
  });
  return Promise.race([work, broken]);
}

async function openStreamOf(run: Run, keeper: StreamKeeper) {
  while (keeper.stream === undefined) {
    if (run.signal.aborted) throw run.signal.reason;
    await run.sleep(REOPEN_MS);
  }
  return keeper.stream;
}

function together(found: readonly Found[]): Verification {
  return {
    comparedRows: found.reduce((sum, { comparedRows }) => sum + comparedRows, 0),
    differences: found.flatMap(({ differences }) => differences),
  };
}

/** Hazard 25: a comparison of nothing is not "equal", unless as many rows changed since as were copied (all deleted). */
function refuseEmpty(run: Run, comparedRows: number): void {
  const copied = run.record.copies.reduce((sum, copy) => sum + copy.rows, 0);
  const changed = run.forward.reduce((sum, keeper) => sum + keeper.rowsApplied, 0);
  if (comparedRows > 0 || copied === 0 || changed >= copied) return;
  throw new OperatingError('migration', `verification compared no row, though ${copied} were copied`, {
    hint: 'This is a fault of Ringferry or of the databases; nothing was switched. Please report it.',
  });
}

function noteVerification(run: Run, result: Verification, repaired: number): void {
  run.record.verification = {
    comparedRows: result.comparedRows,
    differences: result.differences.length,
    repaired,
    finishedAt: new Date(run.world.clock.now()).toISOString(),
  };
  run.changed();
}

function lasting(differences: readonly ChunkDifference[]): OperatingError {
  const shown = differences.slice(0, SHOWN_KEYS).map(({ table, key, kind }) => `${table} ${key} ${kind}`);
  return new OperatingError(
    'migration',
    `${differences.length} rows keep differing between source and target: ${shown.join(', ')}`,
    {
      hint: 'Look for triggers or other writers on the target. Nothing was switched.',
    },
  );
}
