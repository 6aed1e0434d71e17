import type { Backend } from './backend.js';

interface Waiter {
  readonly sinceMs: number;
  readonly resolve: (backend: Backend) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  readonly stop: () => void;
}

/** Those who wait for a backend, in the order of coming. */
export class Waiters {
  timeoutsTotal = 0;
  waitMsTotal = 0;
  maxWaitMs = 0;
  readonly #waiters = new Set<Waiter>();

  get size(): number {
    return this.#waiters.size;
  }

  /** How long the first one has waited; 0 when none waits. */
  get oldestWaitMs(): number {
    const [first] = this.#waiters;
    return first === undefined ? 0 : performance.now() - first.sinceMs;
  }

  /** Waits for its turn. Rejects with what `timeoutError` makes after `timeoutMs`, or with the signal's reason. */
  wait(signal: AbortSignal | undefined, timeoutMs: number, timeoutError: () => Error): Promise<Backend> {
    return new Promise((resolve, reject) => {
      const stop = () => this.#leave(waiter, () => reject(signal!.reason));
      const timer = setTimeout(() => {
        this.timeoutsTotal++;
        this.#leave(waiter, () => reject(timeoutError()));
      }, timeoutMs);
      const waiter: Waiter = {
        sinceMs: performance.now(),
        resolve,
        reject,
        timer,
        stop: () => signal?.removeEventListener('abort', stop),
      };
      signal?.addEventListener('abort', stop, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** Gives the backend to the first one. */
  serve(backend: Backend): void {
    const [first] = this.#waiters;
    if (first !== undefined) this.#leave(first, () => first.resolve(backend));
  }

  rejectAll(error: Error): void {
    for (const waiter of [...this.#waiters]) this.#leave(waiter, () => waiter.reject(error));
  }

  #leave(waiter: Waiter, act: () => void): void {
    if (!this.#waiters.delete(waiter)) return;
    clearTimeout(waiter.timer);
    waiter.stop();
    const waitedMs = performance.now() - waiter.sinceMs;
    this.waitMsTotal += waitedMs;
    this.maxWaitMs = Math.max(this.maxWaitMs, waitedMs);
    act();
  }
}
