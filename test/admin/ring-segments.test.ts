import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ringSegments, shardShares } from '../../src/admin/ring-segments.js';
import { Ring } from '../../src/topology/ring.js';
import type { Move, Snapshot } from '../../src/topology/snapshot.js';
import { TOKEN_MAX, TOKEN_MIN } from '../../src/topology/token.js';

const move = (state: Move['state'], ...ranges: readonly (readonly [bigint, bigint])[]): Move => ({
  migration: 'm1',
  source: 'a',
  target: 'd',
  ranges: ranges.map(([low, high]) => ({ low, high })),
  state,
});

function snapshotOf(ring: Ring, moves: readonly Move[]): Snapshot {
  return { database: 'shop', epoch: 1, ring, shards: [], home: 'a', moves };
}

const ring = new Ring([
  { token: 0n, owner: 'a' },
  { token: 100n, owner: 'b' },
]);

describe('the segments of a ring', () => {
  it('are its ranges while nothing moves', () => {
    const segments = ringSegments(snapshotOf(ring, []));
    assert.deepEqual(
      segments.map(({ low, high, owner }) => [low, high, owner]),
      [
        [TOKEN_MIN, 0n, 'a'],
        [1n, 100n, 'b'],
        [101n, TOKEN_MAX, 'a'],
      ],
    );
    assert.equal(Math.round(segments.reduce((sum, segment) => sum + segment.sharePercent, 0)), 100);
  });

  it('are cut where a move begins and ends, inside a range, at its edges and over several', () => {
    const segments = ringSegments(
      snapshotOf(ring, [move('copying', [-10n, -5n], [90n, 110n], [TOKEN_MAX, TOKEN_MAX])]),
    );
    assert.deepEqual(
      segments.map(({ low, high, move: found }) => [low, high, found?.other]),
      [
        [TOKEN_MIN, -11n, undefined],
        [-10n, -5n, 'd'],
        [-4n, 0n, undefined],
        [1n, 89n, undefined],
        [90n, 100n, 'd'],
        [101n, 110n, 'd'],
        [111n, TOKEN_MAX - 1n, undefined],
        [TOKEN_MAX, TOKEN_MAX, 'd'],
      ],
    );
  });

  it('name the source of a move that is switched already', () => {
    const switched = new Ring([
      { token: 0n, owner: 'd' },
      { token: 100n, owner: 'b' },
    ]);
    const [first] = ringSegments(snapshotOf(switched, [move('switched', [TOKEN_MIN, 0n])]));
    assert.deepEqual([first!.owner, first!.move!.other, first!.move!.state], ['d', 'a', 'switched']);
  });
});

describe('the shares of shards', () => {
  it('add up to all keys', () => {
    const shares = shardShares(Ring.of(['a', 'b', 'c'], 64));
    assert.equal(Math.round([...shares.values()].reduce((sum, share) => sum + share, 0)), 100);
  });
});
