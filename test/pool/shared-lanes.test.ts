import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Backend, RequestLine } from '../../src/pool/backend.js';
import { SharedLanes } from '../../src/pool/shared-lanes.js';

const LOOK_MS = 20;

/** A line of so many requests on a backend that never answers by itself. */
function line(length: number): RequestLine {
  return {
    length,
    passesReady: true,
    answeredTotal: 0,
    isHeadGivenUp: false,
    takes: () => true,
    join: () => {},
    giveUp: () => {},
    dissolve: () => {},
  };
}

function open(context: TestContext) {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const lanes = new SharedLanes({
    longestLine: 4,
    lanesUnderPressure: 1,
    isTurnOfOthers: () => false,
    isUsable: () => true,
    giveBack: () => {},
  });
  const add = (length: number, weightMs: number) => {
    const lane = lanes.open({ settings: '' } as Backend, line(length));
    lane.weightMs = weightMs;
    return lane;
  };
  return { lanes, add };
}

test('reads go to the first lane whose line is short, not to the shortest, so that few are busy', (context) => {
  const { lanes, add } = open(context);
  const [first, second, third] = [add(4, 0.1), add(2, 0.4), add(1, 0.05)];
  assert.equal(lanes.best(''), second, 'the first one is full');
  second.weightMs = 0.6;
  assert.equal(lanes.best(''), third, 'the wait in the second one would be noticed');
  third.weightMs = 0.7;
  assert.equal(lanes.best(''), first, 'none is short: the one with the least to do');
  assert.equal(lanes.isShort(first), false);
  assert.equal(lanes.best('SET x = 1'), undefined, 'what is SET there is something else');
});

test('nobody joins a line that stands still while another one moves', (context) => {
  const { lanes, add } = open(context);
  const [held, moving] = [add(1, 0.05), add(1, 0.05)];
  assert.equal(lanes.best(''), held);
  (moving.line as { answeredTotal: number }).answeredTotal++;
  context.mock.timers.tick(LOOK_MS);
  assert.equal(lanes.best(''), moving);
});
