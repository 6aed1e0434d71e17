import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { quietOn } from '../../src/migration/quiet.js';
import type { Run } from '../../src/migration/run.js';
import { Gate, Ticket } from '../../src/topology/gate.js';
import { Participants } from '../../src/topology/participants.js';
import { Ring } from '../../src/topology/ring.js';
import { VirtualTime } from '../simulation/virtual-time.js';

const ring = Ring.of(['a', 'b'], 4);
const tokenOn = (shard: string) => ring.ranges().find(({ owner }) => owner === shard)!.range.high;
const touchOn = (shard: string) => ({ tokens: [tokenOn(shard)], sharded: false, reference: false });

function stage() {
  const gate = new Gate();
  const participants = new Participants(gate);
  const clock = new VirtualTime(1);
  const world = { clock, topology: { participants, current: { ring } } };
  const run = { world, signal: new AbortController().signal } as unknown as Run;
  return { gate, participants, clock, quiet: quietOn(run, 'a') };
}

test('the work waits for those inside on the shard, and newcomers wait for the work; other shards notice nothing', async () => {
  const { gate, quiet } = stage();
  const [inside, newcomer, elsewhere] = [new Ticket(), new Ticket(), new Ticket()];
  assert.ok(gate.tryEnter(inside, touchOn('a')));
  const told: string[] = [];
  const done = quiet(async () => {
    told.push('begun');
    assert.ok(!gate.tryEnter(newcomer, touchOn('a')), 'a newcomer waits');
    assert.ok(gate.tryEnter(elsewhere, touchOn('b')), 'another shard does not');
    return 7;
  });
  await turn();
  assert.deepEqual(told, []);
  gate.leave(inside);
  assert.equal(await done, 7);
  assert.ok(gate.tryEnter(newcomer, touchOn('a')), 'the hold has ended');
});

test('work that fails ends the hold', async () => {
  const { gate, quiet } = stage();
  await assert.rejects(
    quiet(async () => Promise.reject(new Error('no'))),
    /^Error: no$/,
  );
  assert.ok(gate.tryEnter(new Ticket(), touchOn('a')));
});

test('while somebody never leaves, or a cutover holds, moments are tried and given up, and at last the work is done all the same', async () => {
  const { gate, participants, clock, quiet } = stage();
  const [inside, newcomer] = [new Ticket(), new Ticket()];
  assert.ok(gate.tryEnter(inside, touchOn('a')));
  const hold = { ranges: [], reference: false };
  void participants.hold(hold);
  let isDone = false;
  let letIn = 0;
  const done = quiet(async () => {
    isDone = true;
  });
  await clock.run(() => isDone, 250);
  assert.equal(participants.standingHold, hold, 'the cutover holds still');
  participants.release();
  // Between two moments statements come through.
  for (let step = 0; step < 1_000 && !isDone; step++) {
    await clock.run(() => isDone, 20);
    if (gate.tryEnter(newcomer, touchOn('a'))) {
      letIn++;
      gate.leave(newcomer);
    }
  }
  await done;
  assert.ok(isDone && letIn > 20, `${letIn} were let in`);
});
