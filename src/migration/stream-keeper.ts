import { asError } from '../lib/errors.js';
import type { Position } from '../topology/topology.js';
import type { AppliedStream, StreamSpec } from './engine.js';
import { backoffMs, isTransient } from './retry.js';
import type { World } from './world.js';

/** Errors of unknown kind in a row, with nothing applied between them, after which a stream is given up. */
const MOST_UNKNOWN_ERRORS = 3;

interface Waiter {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Keeps one change stream running: opens it, and opens it again when it breaks. Whoever waits for a position waits
 * across reopenings. An error that does not pass by itself ends it and is told once, unless it must be `endless`
 * (after the cutover the way back is never given up by itself).
 */
export class StreamKeeper {
  readonly spec: StreamSpec;
  readonly #world: World;
  readonly #isEndless: boolean;
  readonly #onBroken: (error: Error) => void;
  readonly #stopping = new AbortController();
  #stream: AppliedStream | undefined;
  #running: Promise<void> | undefined;
  readonly #waiters = new Set<Waiter>();
  #unknownErrors = 0;
  #isGivenUp = false;
  #rowsBefore = 0;
  /** Times it was opened. */
  opened = 0;
  lastError: Error | undefined;

  constructor(world: World, spec: StreamSpec, isEndless: boolean, onBroken: (error: Error) => void) {
    this.#world = world;
    this.spec = spec;
    this.#isEndless = isEndless;
    this.#onBroken = onBroken;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  get stream(): AppliedStream | undefined {
    return this.#stream;
  }

  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  get lagBytes(): number | undefined {
    return this.#stream?.lagBytes;
  }

  get rowsApplied(): number {
    return this.#rowsBefore + (this.#stream?.rowsApplied ?? 0);
  }

  /** Resolves once everything up to `position` is applied; rejects only when the keeper ends first. */
  waitFor(position: Position): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(new Error('the change stream was stopped'));
    if (this.#isGivenUp) return Promise.reject(this.lastError);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { position, resolve, reject };
      this.#waiters.add(waiter);
      if (this.#stream !== undefined) this.#attend(this.#stream, waiter);
    });
  }

  /** Stops it and waits until nothing is applied any more. Twice is harmless. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#rejectWaiters(new Error('the change stream was stopped'));
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let attempt = 1; !signal.aborted; attempt++) {
      const rowsBefore = this.rowsApplied;
      try {
        await this.#runOnce();
      } catch (thrown) {
        const error = asError(thrown);
        if (signal.aborted) break;
        this.lastError = error;
        if (this.rowsApplied > rowsBefore) {
          attempt = 1;
          this.#unknownErrors = 0;
        }
        if (this.#isFinal(error)) {
          this.#isGivenUp = true;
          this.#rejectWaiters(error);
          this.#onBroken(error);
          return;
        }
        this.#world.log.warn(
          { ...this.#facts(), reason: error.message },
          'a change stream broke; it is opened again',
        );
      }
      await this.#world.clock.sleep(backoffMs(attempt), signal);
    }
  }

  async #runOnce(): Promise<void> {
    const { signal } = this.#stopping;
    const stream = await this.#world.engine.openStream(this.spec, signal);
    const stop = (): void => void stream.stop().catch(() => {});
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    this.#stream = stream;
    this.opened++;
    for (const waiter of this.#waiters) this.#attend(stream, waiter);
    try {
      await stream.ended;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#stream = undefined;
      this.#rowsBefore += stream.rowsApplied;
    }
  }

  #attend(stream: AppliedStream, waiter: Waiter): void {
    stream.waitFor(waiter.position).then(
      () => {
        if (this.#waiters.delete(waiter)) waiter.resolve();
      },
      // The stream ended first; the next one attends to it.
      () => {},
    );
  }

  #isFinal(error: Error): boolean {
    if (this.#isEndless || isTransient(error, this.#world.engine)) return false;
    return ++this.#unknownErrors >= MOST_UNKNOWN_ERRORS;
  }

  #rejectWaiters(error: Error): void {
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }

  #facts(): object {
    const { migration, direction, from, to } = this.spec;
    return { migration, direction, from: from.shard, to: to.shard };
  }
}
