import type { Ring } from '../topology/ring.js';
import type { Move, Snapshot } from '../topology/snapshot.js';
import { rangesShare } from './migration-rows.js';

/** A part of the ring with one owner and at most one move. Both ends included. */
export interface RingSegment {
  readonly low: bigint;
  readonly high: bigint;
  readonly owner: string;
  readonly sharePercent: number;
  /** `other`: the target before the cutover, the source after it. */
  readonly move:
    | { readonly migration: string; readonly state: Move['state']; readonly other: string }
    | undefined;
}

/** The whole ring in ascending order, cut where a move begins or ends. */
export function ringSegments(snapshot: Snapshot): RingSegment[] {
  const moving = snapshot.moves
    .flatMap((move) => move.ranges.map((range) => ({ ...range, move })))
    .sort((a, b) => (a.low < b.low ? -1 : 1));
  const segments: RingSegment[] = [];
  let next = 0;
  for (const { range, owner } of snapshot.ring.ranges()) {
    let low = range.low;
    while (low <= range.high) {
      while (next < moving.length && moving[next]!.high < low) next++;
      const nearest = moving[next];
      const isInside = nearest !== undefined && nearest.low <= low;
      const end = nearest === undefined ? range.high : isInside ? nearest.high : nearest.low - 1n;
      const high = end < range.high ? end : range.high;
      segments.push(segmentOf(low, high, owner, isInside ? nearest.move : undefined));
      low = high + 1n;
    }
  }
  return segments;
}

function segmentOf(low: bigint, high: bigint, owner: string, move: Move | undefined): RingSegment {
  const other = move === undefined ? '' : move.state === 'switched' ? move.source : move.target;
  const facts = move === undefined ? undefined : { migration: move.migration, state: move.state, other };
  return { low, high, owner, sharePercent: rangesShare([{ low, high }]), move: facts };
}

/** Percent of all tokens that each shard owns. */
export function shardShares(ring: Ring): Map<string, number> {
  const tokens = new Map<string, { low: bigint; high: bigint }[]>();
  for (const { range, owner } of ring.ranges()) tokens.set(owner, [...(tokens.get(owner) ?? []), range]);
  return new Map([...tokens].map(([owner, ranges]) => [owner, Math.round(rangesShare(ranges) * 100) / 100]));
}
