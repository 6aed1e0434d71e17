import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from '../../src/routing/pace.js';

const FLOOR = 0.3;

/** Answers of one look. */
const LOOK = 16 + 64;

/** Known to be quick by two runs that had a backend for themselves. */
function quick(aloneMs: number): Pace {
  const pace = new Pace({ relations: [], functions: [] });
  pace.noteAlone(aloneMs);
  pace.noteAlone(aloneMs);
  return pace;
}

function share(pace: Pace, ms: number, count: number, atMs: number): void {
  for (let i = 0; i < count; i++) pace.noteShared(ms, atMs);
}

test('what a statement takes alone is not believed whole until it has been seen in line', () => {
  const pace = quick(0.7);
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.1) < 1e-9, `${pace.weightMs(FLOOR)}`);
  assert.equal(quick(0.31).weightMs(FLOOR), 0.03);
});

test('its weight is what it takes in line when few run at once, and a busy machine does not change it', () => {
  const pace = quick(0.7);
  share(pace, 5, 16, 0);
  share(pace, 0.06, 64, 0);
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.06) < 1e-9, `${pace.weightMs(FLOOR)}`);
  // The first look is followed by another, which finds the same.
  share(pace, 0.06, LOOK, 100);
  share(pace, 0.9, 1000, 100 + 4_999);
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.06) < 1e-9, `${pace.weightMs(FLOOR)}`);
});

test('while its weight falls it is looked at again soon, since each look is with fewer backends', () => {
  const pace = quick(1.1);
  for (const [nth, ms] of [0.7, 0.4, 0.1, 0.09].entries()) {
    share(pace, ms, LOOK, nth * 100);
    assert.ok(Math.abs(pace.weightMs(FLOOR) - ms) < 1e-9, `${pace.weightMs(FLOOR)} at look ${nth}`);
  }
  share(pace, 0.9, 1000, 300 + 4_999);
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.09) < 1e-9, `${pace.weightMs(FLOOR)}`);
});

test('a pause of the machine during a look does not make it heavy', () => {
  const pace = quick(0.7);
  share(pace, 0.06, 16 + 20, 0);
  pace.noteShared(19, 0);
  share(pace, 0.06, 64 - 21, 0);
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.06) < 1e-9, `${pace.weightMs(FLOOR)}`);
});

test('a statement that has become slower gets heavier when it is looked at again', () => {
  const pace = quick(0.7);
  for (const atMs of [0, 100]) share(pace, 0.2, LOOK, atMs);
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.2) < 1e-9, `${pace.weightMs(FLOOR)}`);
  pace.noteShared(0.8, 5_100);
  // Lines may get long, so that it is seen with few backends busy.
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.05) < 1e-9, `${pace.weightMs(FLOOR)}`);
  share(pace, 0.8, LOOK - 1, 5_100);
  assert.ok(Math.abs(pace.weightMs(FLOOR) - 0.8) < 1e-9, `${pace.weightMs(FLOOR)}`);
});

test('a statement that takes long in line is no quick one any more', () => {
  const pace = quick(0.7);
  assert.ok(pace.isQuick(FLOOR), 'quick at first');
  share(pace, 15, 40, 0);
  assert.ok(!pace.isQuick(FLOOR), 'slow now');
});

/** One run asks, and hears this. */
function judge(pace: Pace, isHarmless: boolean, nowMs: number, untilMs: number, era: number): void {
  assert.equal(pace.isToBeAskedAbout(nowMs), true);
  pace.asking(nowMs);
  assert.equal(pace.isToBeAskedAbout(nowMs), false);
  pace.judged(isHarmless, untilMs, era);
}

test('it may stand in line once the database has said that it writes nothing, for as long as that is believed', () => {
  const pace = quick(0.7);
  assert.equal(pace.isHarmless(0, 1), false);
  judge(pace, true, 0, 60_000, 1);
  assert.deepEqual([pace.isHarmless(59_999, 1), pace.isToBeAskedAbout(59_999)], [true, false]);
  // One run goes alone and asks, the others go on.
  assert.deepEqual([pace.isHarmless(60_000, 1), pace.isHarmless(60_001, 1)], [false, true]);
  judge(pace, false, 60_002, 90_000, 1);
  assert.deepEqual([pace.isHarmless(60_003, 1), pace.isToBeAskedAbout(89_999)], [false, false]);
  assert.deepEqual([pace.isHarmless(90_000, 1), pace.isToBeAskedAbout(90_000)], [false, true]);
});

test('DDL ends what the database has said, and however often it comes, there is one question in a second', () => {
  const pace = quick(0.7);
  judge(pace, true, 0, 60_000, 1);
  assert.deepEqual([pace.isHarmless(1, 2), pace.isHarmless(2, 2)], [false, false]);
  assert.deepEqual([pace.isToBeAskedAbout(999), pace.isToBeAskedAbout(1_000)], [false, true]);
  // Asked before the DDL, answered after it.
  judge(pace, true, 1_000, 60_000, 1);
  assert.equal(pace.isHarmless(1_001, 2), false);
  judge(pace, true, 2_000, 60_000, 2);
  assert.equal(pace.isHarmless(2_001, 2), true);
});
