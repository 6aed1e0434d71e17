import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  addShard,
  applyMoves,
  changeTo,
  fractionOf,
  intersection,
  rangesOf,
  rebalance,
  removeShard,
  reversed,
} from '../../src/topology/moves.js';
import { Ring, rangeHolds } from '../../src/topology/ring.js';
import { TOKEN_MAX, TOKEN_MIN, tokenOf } from '../../src/topology/token.js';

const names = ['a', 'b', 'c', 'd', 'e'];
const rings = fc
  .record({
    shards: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 5 }),
    vnodes: fc.integer({ min: 1, max: 24 }),
  })
  .map(({ shards, vnodes }) => Ring.of(shards, vnodes));

const keys = Array.from({ length: 200 }, (_, i) => tokenOf(`key ${i}`));

function ownership(ring: Ring): string {
  const joined: string[] = [];
  for (const { range, owner } of ring.ranges()) {
    const last = joined.at(-1);
    if (last?.startsWith(`${owner} `))
      joined[joined.length - 1] = `${last.slice(0, last.lastIndexOf(' '))} ${range.high}`;
    else joined.push(`${owner} ${range.low} ${range.high}`);
  }
  return joined.join('\n');
}

test('the ring after a change is the ring before with the moves made, and the way back restores every owner', () => {
  fc.assert(
    fc.property(rings, rings, (before, after) => {
      const { moves } = changeTo(before, after);
      const moved = applyMoves(before, moves);
      assert.equal(ownership(moved), ownership(after));
      assert.equal(ownership(applyMoves(moved, reversed(moves))), ownership(before));
      for (const token of [TOKEN_MIN, TOKEN_MAX, ...keys])
        assert.equal(moved.owner(token), after.owner(token));
    }),
  );
});

test('moves are disjoint, ascending, never from a shard to itself, and hold exactly the tokens whose owner changes', () => {
  fc.assert(
    fc.property(rings, rings, (before, after) => {
      const { moves } = changeTo(before, after);
      const all = moves.flatMap((move) => move.ranges);
      for (const move of moves) {
        assert.notEqual(move.source, move.target);
        move.ranges.forEach((range, i) => {
          assert.ok(range.low <= range.high);
          if (i > 0) assert.ok(move.ranges[i - 1]!.high + 1n < range.low, 'adjacent ranges are joined');
        });
      }
      for (const token of [TOKEN_MIN, TOKEN_MAX, ...keys]) {
        const holding = all.filter((range) => rangeHolds(range, token));
        assert.equal(holding.length, before.owner(token) === after.owner(token) ? 0 : 1);
      }
    }),
  );
});

test('an added shard takes rows only to itself, and about its share of them', () => {
  const ring = Ring.of(['a', 'b', 'c'], 64);
  const { moves, after } = addShard(ring, 'd', 64);
  assert.deepEqual(
    moves.map((move) => move.target),
    ['d', 'd', 'd'],
  );
  assert.deepEqual(
    moves.map((move) => move.source),
    ['a', 'b', 'c'],
  );
  const fraction = fractionOf(moves.flatMap((move) => move.ranges));
  assert.ok(fraction > 0.15 && fraction < 0.35, `a quarter or so moves: ${fraction}`);
  assert.deepEqual(after.points, Ring.of(['a', 'b', 'c', 'd'], 64).points);
  assert.equal(fractionOf(rangesOf(after, 'd')), fraction);
});

test('a shard that was added and is removed again leaves the ring exactly as it was', () => {
  fc.assert(
    fc.property(rings, fc.integer({ min: 1, max: 24 }), (ring, vnodes) => {
      fc.pre(!ring.shards.includes('z'));
      const { after } = addShard(ring, 'z', vnodes);
      assert.deepEqual(removeShard(after, 'z').after.points, ring.points);
    }),
  );
});

test('a removed shard gives its arcs to their successors and takes none', () => {
  const { moves, after } = removeShard(Ring.of(['a', 'b', 'c'], 16), 'b');
  assert.ok(moves.length > 0 && moves.every((move) => move.source === 'b'));
  assert.deepEqual(after.shards, ['a', 'c']);
  assert.ok(Math.abs(fractionOf(moves.flatMap((move) => move.ranges)) - 1 / 3) < 0.2);
});

test('rebalancing a ring that is as it would be from the start moves nothing', () => {
  assert.deepEqual(rebalance(Ring.of(['a', 'b'], 8), ['b', 'a'], 8).moves, []);
  assert.ok(rebalance(Ring.of(['a', 'b'], 4), ['a', 'b'], 8).moves.length > 0);
});

test('a ring refuses a shard twice, one that is not there, and losing its last', () => {
  const ring = Ring.of(['a'], 4);
  assert.throws(() => addShard(ring, 'a', 4), /on the ring already/);
  assert.throws(() => removeShard(ring, 'b'), /not on the ring/);
  assert.throws(() => removeShard(ring, 'a'), /the only one/);
});

test('moves that do not fit the ring are refused', () => {
  const { moves } = addShard(Ring.of(['a', 'b'], 4), 'c', 4);
  assert.throws(() => applyMoves(Ring.of(['x', 'y'], 4), moves), RangeError);
});

test('all ranges of a ring together are all tokens, and two shards share none', () => {
  fc.assert(
    fc.property(rings, (ring) => {
      const parts = ring.shards.map((shard) => rangesOf(ring, shard));
      assert.ok(Math.abs(parts.reduce((sum, ranges) => sum + fractionOf(ranges), 0) - 1) < 1e-6);
      for (const [i, left] of parts.entries()) {
        for (const right of parts.slice(i + 1)) assert.deepEqual(intersection(left, right), []);
        assert.deepEqual(intersection(left, left), left);
      }
    }),
  );
});
