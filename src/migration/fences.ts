import { asError } from '../lib/errors.js';
import { untilAborted } from '../lib/until-aborted.js';
import type { CopyTask, Fence, ShardAddress } from './engine.js';
import { within } from './interrupt.js';
import type { MigrationRecord } from './record.js';
import type { Run } from './run.js';

/** Names of the fences of a migration beside the one with its own id; see engine.ts. */
export function referenceFence(record: MigrationRecord): string {
  return `${record.id}f`;
}

export function rollbackFence(record: MigrationRecord): string {
  return `${record.id}r`;
}

export interface FenceSpec {
  readonly address: ShardAddress;
  readonly name: string;
  readonly tasks: readonly CopyTask[];
  /** It stays up after the switch, until the migration's end. */
  readonly isKept: boolean;
}

/** How long statements are held for the sake of lowering fences before they are let go anyway. */
const LOWER_LIMIT_MS = 5_000;
const TRY_LIMIT_MS = 1_000;
const TRY_AGAIN_MS = 20;

/** The fences of one cutover: raised together, then kept or lowered; none is forgotten when an act fails or hangs. */
export class Fences {
  readonly #run: Run;
  readonly #specs: readonly FenceSpec[];
  readonly #raised = new Map<FenceSpec, Fence>();
  /** Acts that were begun; a fence that comes up or is kept too late is lowered when that ends at last. */
  readonly #begun: Promise<unknown>[] = [];
  #isGivenUp = false;

  constructor(run: Run, specs: readonly FenceSpec[]) {
    this.#run = run;
    this.#specs = specs;
  }

  /** Resolves when all are up and no writer is inside; rejects at the deadline or at the first failure. */
  async raise(limitMs: number): Promise<void> {
    const raising = this.#specs.map((spec) => this.#raiseOne(spec, limitMs));
    this.#begun.push(...raising);
    await within(this.#run.world.clock, limitMs, 'raising the fences', Promise.all(raising));
  }

  async #raiseOne(spec: FenceSpec, limitMs: number): Promise<void> {
    this.#run.doubtfulFences.add(doubt(spec));
    const fence = await this.#run.world.engine.raiseFence(spec.address, spec.name, spec.tasks, limitMs);
    if (this.#isGivenUp) await fence.lower();
    else this.#raised.set(spec, fence);
  }

  /** Before the switch: those that are to stay outlast this process from here on. */
  async keep(): Promise<void> {
    const keeping = [...this.#raised].map(async ([spec, fence]) => {
      if (!spec.isKept) return;
      await fence.keep();
      if (this.#isGivenUp) await fence.lower();
    });
    this.#begun.push(...keeping);
    await Promise.all(keeping);
  }

  /** Nothing was switched: all go down. Takes bounded time; what could not be lowered is noted in `run.doubtfulFences`. */
  async lowerAll(): Promise<void> {
    this.#isGivenUp = true;
    const stragglers = Promise.allSettled(this.#begun);
    this.#run.stragglers.add(stragglers);
    stragglers.then(() => this.#run.stragglers.delete(stragglers));
    await this.#lower(this.#specs);
  }

  /** After the switch: the short ones go down, the kept ones only lose our connection. */
  async lowerShort(): Promise<void> {
    for (const [spec, fence] of this.#raised) {
      if (!spec.isKept) continue;
      this.#run.doubtfulFences.delete(doubt(spec));
      // The fence stands by itself now; a connection that cannot be closed politely closes with the process.
      fence.release().catch(() => {});
    }
    await this.#lower(this.#specs.filter((spec) => !spec.isKept));
  }

  /** Tries, on their own connections first and then on others, until the fences are down or the limit is reached. */
  async #lower(specs: readonly FenceSpec[]): Promise<void> {
    const { clock, log } = this.#run.world;
    const endsAt = clock.now() + LOWER_LIMIT_MS;
    const lowering = Promise.all(specs.map((spec) => this.#lowerOne(spec)));
    try {
      await within(clock, TRY_LIMIT_MS, 'lowering the fences', lowering);
    } catch {
      // Told below, if nothing else helps.
    }
    while (specs.some((spec) => this.#run.doubtfulFences.has(doubt(spec)))) {
      try {
        await within(clock, TRY_LIMIT_MS, 'lowering the fences', lowerDoubtful(this.#run));
      } catch (thrown) {
        log.warn(
          { migration: this.#run.record.id, reason: asError(thrown).message },
          'a fence could not be lowered yet; it is tried again',
        );
        if (clock.now() >= endsAt) return;
        await clock.sleep(TRY_AGAIN_MS);
      }
    }
  }

  async #lowerOne(spec: FenceSpec): Promise<void> {
    const fence = this.#raised.get(spec);
    if (fence === undefined) return;
    await fence.lower();
    this.#run.doubtfulFences.delete(doubt(spec));
  }
}

/** Lowers every fence that may be up though nothing was switched. Rejects when one of them cannot be. */
export async function lowerDoubtful(run: Run): Promise<void> {
  await Promise.all(
    [...run.doubtfulFences].map(async (key) => {
      const [shard, name] = JSON.parse(key) as [string, string];
      await run.world.engine.lowerKeptFence(run.address(shard), name);
      run.doubtfulFences.delete(key);
    }),
  );
}

/** Before a new attempt and before cleaning up: no earlier act may still be under way, no fence left up by mistake. */
export async function settleFences(run: Run): Promise<void> {
  if (run.doubtfulFences.size > 0) await run.persist('lowering a fence', () => run.act(lowerDoubtful(run)));
  if (run.stragglers.size === 0) return;
  run.waitingFor = 'an act of an earlier cutover that hangs to end';
  await untilAborted(Promise.allSettled(run.stragglers), run.signal);
  run.waitingFor = undefined;
}

/** Notes fences that a process which died may have left up. */
export function doubtFence(run: Run, shard: string, name: string): void {
  run.doubtfulFences.add(JSON.stringify([shard, name]));
}

function doubt(spec: FenceSpec): string {
  return JSON.stringify([spec.address.shard, spec.name]);
}
