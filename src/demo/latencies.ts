/** A histogram of durations with 2 % resolution, from a microsecond to minutes. */
export class Latencies {
  readonly #counts = new Float64Array(1000);
  count = 0;
  maxMs = 0;

  add(ms: number): void {
    this.#counts[bucketOf(ms)]!++;
    this.count++;
    if (ms > this.maxMs) this.maxMs = ms;
  }

  /** The duration that this share (0 … 1) of all stays under, in milliseconds. */
  quantileMs(share: number): number {
    let rest = share * this.count;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      rest -= this.#counts[bucket]!;
      if (rest <= 0 && this.count > 0) return Math.min(this.maxMs, 0.001 * 1.02 ** bucket);
    }
    return this.maxMs;
  }
}

function bucketOf(ms: number): number {
  return Math.max(0, Math.min(999, Math.ceil(Math.log(Math.max(ms, 0.001) / 0.001) / Math.log(1.02))));
}
