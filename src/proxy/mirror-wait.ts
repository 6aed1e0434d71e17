import type { Backend } from '../pool/backend.js';
import type { Touch } from '../topology/gate.js';
import { rangeHolds, type ShardName } from '../topology/ring.js';
import type { Move, Snapshot } from '../topology/snapshot.js';
import type { Position, Topology } from '../topology/topology.js';

/** Moves whose other owner must have a write of `touches` on `shard` before it is acknowledged. */
export function movesToAwait(snapshot: Snapshot, shard: ShardName, touches: readonly Touch[]): Move[] {
  if (snapshot.moves.length === 0) return [];
  return snapshot.moves.filter((move) => {
    if (move.state === 'copying') return false;
    if ((move.state === 'mirrored' ? move.source : move.target) !== shard) return false;
    return touches.some(
      (touch) =>
        touch.sharded || touch.tokens.some((token) => move.ranges.some((range) => rangeHolds(range, token))),
    );
  });
}

/**
 * Dual-write's acknowledgement: called after the commit on `backend` and before the client hears of it. The position is
 * asked for on the same connection after the commit, so it lies behind it.
 */
export async function awaitMirrors(
  topology: Topology,
  backend: Backend,
  touches: readonly Touch[],
): Promise<void> {
  const moves = movesToAwait(topology.current, backend.shard, touches);
  if (moves.length === 0) return;
  let position: Position;
  try {
    position = await backend.position();
  } catch {
    // The write is committed on its owner and the stream brings it across; only this wait cannot be measured any more.
    return;
  }
  await Promise.all(moves.map((move) => topology.mirrorBarrier(move.migration, backend.shard, position)));
}
