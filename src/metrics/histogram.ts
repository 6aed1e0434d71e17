/** Upper bounds in milliseconds for how long statements, waits and holds take. */
export const DURATION_BOUNDS_MS = [
  0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
] as const;

/** A histogram as it may come from another process. */
export interface Counted {
  readonly bounds: readonly number[];
  readonly counts: ArrayLike<number>;
  readonly count: number;
  readonly sum: number;
}

/** Counts observations into fixed buckets with plain fields, so that the hot path pays a few comparisons. */
export class Histogram {
  readonly bounds: readonly number[];
  /** One more than `bounds`: the last one has what is above them all. Not cumulative. */
  readonly counts: Float64Array;
  count = 0;
  sum = 0;

  constructor(bounds: readonly number[] = DURATION_BOUNDS_MS) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Counts of several together; all with the same bounds. */
  static sum(parts: readonly Counted[]): Histogram {
    const total = new Histogram(parts[0]?.bounds);
    for (const part of parts) {
      total.count += part.count;
      total.sum += part.sum;
      for (let index = 0; index < total.counts.length; index++)
        total.counts[index]! += part.counts[index] ?? 0;
    }
    return total;
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const bounds = this.bounds;
    let index = 0;
    while (index < bounds.length && value > bounds[index]!) index++;
    this.counts[index]!++;
  }
}
