import type { Clock } from '../../src/lib/clock.js';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
}

/** Time that passes only when nothing else can happen; one seed gives one course of events. */
export class VirtualTime implements Clock {
  #now = Date.UTC(2026, 0, 1);
  #order = 0;
  #events: Event[] = [];
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  now(): number {
    return this.#now;
  }

  /** 0 ≤ x < 1 (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const event: Event = { at: this.#now + ms, order: this.#order++, act: done };
      const onAbort = (): void => {
        const index = this.#events.indexOf(event);
        if (index >= 0) this.#events.splice(index, 1);
        done();
      };
      this.#insert(event);
      signal?.addEventListener('abort', onAbort, { once: true });
      function done(): void {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }
    });
  }

  /** Lets time pass until `done` or until `limitMs` have passed; true when done. */
  async run(done: () => boolean, limitMs: number): Promise<boolean> {
    const until = this.#now + limitMs;
    for (;;) {
      // All that can happen without time passing happens first.
      await new Promise((resolve) => setImmediate(resolve));
      if (done()) return true;
      const event = this.#events[0];
      if (event === undefined || event.at > until) {
        this.#now = until;
        return false;
      }
      this.#events.shift();
      this.#now = Math.max(this.#now, event.at);
      event.act();
    }
  }

  #insert(event: Event): void {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#events[middle]!;
      if (other.at < event.at || (other.at === event.at && other.order < event.order)) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }
}
