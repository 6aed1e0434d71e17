import type { Clock } from '../lib/clock.js';
import type { Control, ShardProbe } from './control.js';

const FRESH_MS = 500;

/** Probes shards at most twice a second, however many ask. */
export class ShardHealth {
  readonly #control: Control;
  readonly #clock: Clock;
  #last: { readonly atMs: number; readonly probes: Promise<readonly ShardProbe[]> } | undefined;

  constructor(control: Control, clock: Clock) {
    this.#control = control;
    this.#clock = clock;
  }

  probe(): Promise<readonly ShardProbe[]> {
    const now = this.#clock.now();
    if (this.#last === undefined || now - this.#last.atMs > FRESH_MS)
      this.#last = { atMs: now, probes: this.#control.probeShards() };
    return this.#last.probes;
  }
}
