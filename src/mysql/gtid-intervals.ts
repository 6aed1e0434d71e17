/** A set of numbers: first and last of each stretch, in order, none touching the next. */
export type Intervals = readonly (readonly [first: bigint, last: bigint])[];

/** `1-5:7`, in any order. */
export function parseIntervals(text: string): Intervals {
  const intervals = text.split(':').map((part): readonly [bigint, bigint] => {
    const [first, last] = part.split('-');
    return [BigInt(first!), BigInt(last ?? first!)];
  });
  return joined(intervals);
}

export function intervalsText(intervals: Intervals): string {
  return intervals.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(':');
}

/** Mostly the next number of the last stretch. */
export function withNumber(intervals: Intervals, number: bigint): Intervals {
  return isInside(intervals, [number, number]) ? intervals : joined([...intervals, [number, number]]);
}

export function isInside(intervals: Intervals, [first, last]: readonly [bigint, bigint]): boolean {
  return intervals.some((interval) => interval[0] <= first && last <= interval[1]);
}

function joined(intervals: Intervals): Intervals {
  const result: [bigint, bigint][] = [];
  for (const [first, last] of [...intervals].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const before = result.at(-1);
    if (before === undefined || before[1] + 1n < first) result.push([first, last]);
    else if (last > before[1]) before[1] = last;
  }
  return result;
}
