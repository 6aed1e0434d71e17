import { asError } from '../lib/errors.js';
import type { Hold } from '../topology/gate.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { CopyTask, ShardAddress } from './engine.js';
import { type FenceSpec, Fences } from './fences.js';
import { TimedOut, throwIfAborted, within } from './interrupt.js';
import type { Run } from './run.js';
import type { StreamKeeper } from './stream-keeper.js';

/** One change of owner, forth (cutover) or back (rollback): the same acts in the same order. */
export interface Crossing {
  readonly hold: Hold;
  /** How long open transactions may keep everybody else waiting in this attempt. */
  readonly drainLimitMs: number;
  /** On the owners that are left. */
  readonly fences: readonly FenceSpec[];
  /** From the owners that are left to those that are to own. */
  readonly streams: readonly StreamKeeper[];
  readonly sequences: readonly {
    readonly sources: readonly ShardAddress[];
    readonly target: ShardAddress;
    readonly tasks: readonly CopyTask[];
  }[];
  readonly next: (current: Snapshot) => Snapshot;
  /** What must have happened between the switch and the release, e.g. fences of the new owners lowered. Bounded by the caller. */
  readonly beforeRelease: () => Promise<void>;
}

export type CrossingResult =
  | { readonly type: 'crossed'; readonly holdMs: number }
  | { readonly type: 'backed-out'; readonly error: Error };

/** The first attempt waits only this long for open transactions: a later moment may be a better one. Doubles with each. */
const FIRST_DRAIN_MS = 50;

export function drainLimitMs(attempt: number, longestMs: number): number {
  return Math.min(longestMs, FIRST_DRAIN_MS * 2 ** Math.min(attempt - 1, 20));
}

/** How long the last acts between switch and release may keep statements waiting. */
const RELEASE_LIMIT_MS = 5_000;
/** Pause between looks into a store that does not say whether the switch is in it. */
const LOOK_AGAIN_MS = 100;

/** Time that is left of one limit for several acts. */
class Deadline {
  readonly #run: Run;
  readonly #endsAt: number;

  constructor(run: Run, limitMs: number) {
    this.#run = run;
    this.#endsAt = run.world.clock.now() + limitMs;
  }

  /** Throws TimedOut when nothing is left. */
  remainingMs(what: string): number {
    const left = this.#endsAt - this.#run.world.clock.now();
    if (left <= 0) throw new TimedOut(what, this.#run.world.config.drainTimeoutMs);
    return left;
  }

  async within<T>(what: string, promise: Promise<T>): Promise<T> {
    promise.catch(() => {});
    return within(this.#run.world.clock, this.remainingMs(what), what, promise);
  }
}

/** How long each step of the hold took, for those who want it shorter. */
class Steps {
  readonly ms: Record<string, number> = {};
  readonly #run: Run;
  #at: number;

  constructor(run: Run) {
    this.#run = run;
    this.#at = run.world.clock.now();
  }

  end(step: string): void {
    const now = this.#run.world.clock.now();
    this.ms[step] = now - this.#at;
    this.#at = now;
  }
}

/** What one attempt goes through. */
interface Attempt {
  /** Every proxy holds. */
  readonly held: Promise<void>;
  readonly fences: Fences;
  readonly steps: Steps;
}

/**
 * DESIGN section 4, in its order: hold → drain → fence → marker → passed → sequences → compare-and-swap → publish,
 * release. Whatever fails before the swap is undone before statements are let go, so that no client notices.
 *
 *     sessions  ──────┤ held: they wait at the gate                  ├──────▶ new owner
 *     old owner   drained │ fenced │ marker ──┐
 *     new owner                               └─▶ applied │ sequences │
 *     store                                                           │ swap: the only point of no return
 */
export async function cross(run: Run, crossing: Crossing): Promise<CrossingResult> {
  const { participants } = run.world.topology;
  const fences = new Fences(run, crossing.fences);
  const steps = new Steps(run);
  const held = participants.hold(crossing.hold);
  const failure = await switchOwner(run, crossing, { held, fences, steps });
  if (failure !== undefined) {
    await fences.lowerAll();
    participants.release();
    return { type: 'backed-out', error: failure };
  }
  const lastActs = Promise.all([fences.lowerShort(), crossing.beforeRelease()]);
  await within(run.world.clock, RELEASE_LIMIT_MS, 'the last acts of the cutover', lastActs).catch(
    (thrown) => {
      run.world.log.error(
        { migration: run.record.id, reason: asError(thrown).message },
        'an act after the switch failed; it is tried again',
      );
    },
  );
  const holdMs = participants.release();
  steps.end('released');
  run.world.log.info({ migration: run.record.id, holdMs, stepsMs: steps.ms }, 'the owner was switched');
  return { type: 'crossed', holdMs };
}

/** Up to the publication of the new owner; returns why it was not made. */
async function switchOwner(run: Run, crossing: Crossing, attempt: Attempt): Promise<Error | undefined> {
  try {
    await approach(run, crossing, attempt);
  } catch (thrown) {
    return asError(thrown);
  }
  const next = crossing.next(run.world.topology.current);
  const failure = await swapOwner(run, next);
  if (failure !== undefined) return failure;
  await run.pausePoint('switched-in-store');
  // Nobody is waited for: each proxy holds, and hears of the new owner before it hears of the release.
  void run.world.topology.publish(next);
  attempt.steps.end('stored');
  return undefined;
}

/** Everything before the swap; throws when the cutover cannot be made now. */
async function approach(run: Run, crossing: Crossing, { held, fences, steps }: Attempt): Promise<void> {
  const { world } = run;
  const deadline = new Deadline(run, world.config.drainTimeoutMs);
  await deadline.within('every proxy to acknowledge the hold', held);
  steps.end('held');
  await run.pausePoint('held');
  const draining = within(
    world.clock,
    crossing.drainLimitMs,
    'the end of open transactions on the moving rows',
    world.topology.participants.drained(),
  );
  await deadline.within('the end of open transactions on the moving rows', draining);
  steps.end('drained');
  await run.pausePoint('drained');
  await fences.raise(deadline.remainingMs('raising the fences'));
  steps.end('fenced');
  await run.pausePoint('fenced');
  await deadline.within('what must happen behind the fence', behindFence(run, crossing, fences));
  steps.end('applied');
  await run.pausePoint('fence-kept');
  throwIfAborted(run.signal);
  await run.publisher.settle();
}

/** Nothing moves behind the fence any more, so these need no order among themselves. */
async function behindFence(run: Run, crossing: Crossing, fences: Fences): Promise<void> {
  await Promise.all([
    passMarkers(run, crossing.streams, run.record.id).then(() => run.pausePoint('marker-passed')),
    ...crossing.sequences.map(({ sources, target, tasks }) =>
      run.world.engine.advanceSequences(sources, target, tasks),
    ),
    fences.keep(),
  ]);
}

/** Hazards 12 and 23: a marker written after the fence, and seen by every stream, is the proof that nothing is missing. */
async function passMarkers(run: Run, streams: readonly StreamKeeper[], migration: string): Promise<void> {
  const byShard = new Map<string, StreamKeeper[]>();
  for (const keeper of streams) {
    const { shard } = keeper.spec.from;
    byShard.set(shard, [...(byShard.get(shard) ?? []), keeper]);
  }
  await Promise.all(
    [...byShard.values()].map(async (keepers) => {
      const position = await run.world.engine.writeMarker(keepers[0]!.spec.from, migration);
      await run.pausePoint('marker-written');
      await Promise.all(keepers.map((keeper) => keeper.waitFor(position)));
    }),
  );
}

/**
 * The point of no return. A store that fails does not say whether the swap is in it: statements stay held until it is
 * known, because both answers given at once would be two owners.
 */
async function swapOwner(run: Run, next: Snapshot): Promise<Error | undefined> {
  const { clock, log } = run.world;
  for (;;) {
    try {
      return await run.publisher.store(next);
    } catch (thrown) {
      log.error(
        { migration: run.record.id, reason: asError(thrown).message },
        'the store does not say whether the owner was switched; statements wait',
      );
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }
}
