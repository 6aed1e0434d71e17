import { OperatingError } from '../lib/errors.js';
import { type Point, type Range, Ring, type ShardName, vnodePoints } from './ring.js';
import { TOKEN_MAX, TOKEN_MIN, type Token } from './token.js';

/** Ranges that leave one owner for another. */
export interface RangeMove {
  readonly source: ShardName;
  readonly target: ShardName;
  /** Ascending, disjoint, no two adjacent. */
  readonly ranges: readonly Range[];
}

/** A change of the ring: what it is before and after, and what moves between the two. */
export interface RingChange {
  readonly before: Ring;
  readonly after: Ring;
  readonly moves: readonly RangeMove[];
}

const ALL_TOKENS = TOKEN_MAX - TOKEN_MIN + 1n;

/** Inserts the vnode points of `shard`; every arc they cut off leaves its owner for `shard`. */
export function addShard(ring: Ring, shard: ShardName, vnodes: number): RingChange {
  if (ring.shards.includes(shard))
    throw new OperatingError('migration', `shard "${shard}" is on the ring already`);
  const taken = new Set(ring.points.map((point) => point.token));
  const added = vnodePoints(shard, vnodes).filter((point) => !taken.has(point.token));
  return changeTo(ring, new Ring([...ring.points, ...added]));
}

/** Takes the points of `shard` away; its arcs go to the successors on the ring. */
export function removeShard(ring: Ring, shard: ShardName): RingChange {
  if (!ring.shards.includes(shard))
    throw new OperatingError('migration', `shard "${shard}" is not on the ring`);
  const left = ring.points.filter((point) => point.owner !== shard);
  if (left.length === 0)
    throw new OperatingError('migration', `shard "${shard}" is the only one on the ring and cannot leave it`);
  return changeTo(ring, new Ring(left));
}

/** Back to the ring that these shards would have had from the start. */
export function rebalance(ring: Ring, shards: readonly ShardName[], vnodes: number): RingChange {
  return changeTo(ring, Ring.of(shards, vnodes));
}

/** What must move so that `after` holds where `before` did; sorted by source, then target. */
export function changeTo(before: Ring, after: Ring): RingChange {
  const byPair = new Map<string, { source: ShardName; target: ShardName; ranges: Range[] }>();
  for (const { range, source, target } of pieces(before, after)) {
    if (source === target) continue;
    const pair = JSON.stringify([source, target]);
    const move = byPair.get(pair) ?? { source, target, ranges: [] };
    byPair.set(pair, move);
    appendRange(move.ranges, range);
  }
  const moves = [...byPair.values()].sort(
    (a, b) => compareText(a.source, b.source) || compareText(a.target, b.target),
  );
  return { before, after, moves };
}

/** The ring whose owners are those of `ring` with `moves` made. Throws RangeError when a range's owner is not the move's source. */
export function applyMoves(ring: Ring, moves: readonly RangeMove[]): Ring {
  const cuts = new Set<Token>(ring.points.map((point) => point.token));
  for (const { low, high } of moves.flatMap((move) => move.ranges)) {
    cuts.add(high);
    if (low > TOKEN_MIN) cuts.add(low - 1n);
  }
  if (moves.some((move) => move.ranges.length > 0)) cuts.add(TOKEN_MAX);
  const points: Point[] = [...cuts].map((token) => {
    const move = moves.find((candidate) =>
      candidate.ranges.some((range) => token >= range.low && token <= range.high),
    );
    const owner = ring.owner(token);
    if (move !== undefined && move.source !== owner)
      throw new RangeError(`token ${token} belongs to ${owner}, not to ${move.source}`);
    return { token, owner: move?.target ?? owner };
  });
  return new Ring(points);
}

/** The same ranges on the way back. */
export function reversed(moves: readonly RangeMove[]): RangeMove[] {
  return moves.map(({ source, target, ranges }) => ({ source: target, target: source, ranges }));
}

/** Which share of all tokens these ranges are, 0 to 1. */
export function fractionOf(ranges: readonly Range[]): number {
  let tokens = 0n;
  for (const range of ranges) tokens += range.high - range.low + 1n;
  return Number((tokens * 1_000_000_000n) / ALL_TOKENS) / 1e9;
}

/** The ranges that `shard` owns, adjacent ones joined. */
export function rangesOf(ring: Ring, shard: ShardName): Range[] {
  const ranges: Range[] = [];
  for (const { range, owner } of ring.ranges()) if (owner === shard) appendRange(ranges, range);
  return ranges;
}

/** What two lists of ranges (each ascending and disjoint) have in common. */
export function intersection(a: readonly Range[], b: readonly Range[]): Range[] {
  const common: Range[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const left = a[i]!;
    const right = b[j]!;
    // biome-ignore lint/complexity/useMathMinMax: Math.max takes no bigint
    const low = left.low > right.low ? left.low : right.low;
    // biome-ignore lint/complexity/useMathMinMax: Math.min takes no bigint
    const high = left.high < right.high ? left.high : right.high;
    if (low <= high) common.push({ low, high });
    if (left.high < right.high) i++;
    else j++;
  }
  return common;
}

/** The token line cut at the points of both rings: inside a piece each ring has one owner. */
function* pieces(
  before: Ring,
  after: Ring,
): Generator<{ range: Range; source: ShardName; target: ShardName }> {
  const cuts = new Set<Token>([TOKEN_MAX]);
  for (const point of [...before.points, ...after.points]) cuts.add(point.token);
  let low = TOKEN_MIN;
  for (const high of [...cuts].sort((a, b) => (a < b ? -1 : 1))) {
    yield { range: { low, high }, source: before.owner(high), target: after.owner(high) };
    low = high + 1n;
  }
}

function appendRange(ranges: Range[], range: Range): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.high + 1n === range.low)
    ranges[ranges.length - 1] = { low: last.low, high: range.high };
  else ranges.push(range);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
