import type { Sample } from './scenario.js';

/** Median, least and greatest of one contender's rounds. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The middle value; of an even number the mean of the two in the middle. Throws on nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function summaryOf(values: readonly number[]): Summary {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** The median of the ratios of rounds: what slowed a round down slowed both. undefined where no round has both. */
export function medianRatio(
  values: readonly (number | undefined)[],
  peers: readonly (number | undefined)[],
): number | undefined {
  const ratios = values.flatMap((value, round) => {
    const peer = peers[round];
    return value === undefined || peer === undefined || peer === 0 ? [] : [value / peer];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

/** The median of one load's latencies in µs, with the 99th percentile beside it. */
export function latencyFigures(latencies: readonly number[]): Pick<Sample, 'value' | 'also'> {
  const sorted = [...latencies].sort((one, other) => one - other);
  return { value: median(sorted), also: { 'p99, µs': sorted[Math.floor(sorted.length * 0.99)] ?? 0 } };
}
