import assert from 'node:assert/strict';
import test from 'node:test';
import { Gate, Ticket, type Touch } from '../../src/topology/gate.js';

const MOVING = { ranges: [{ low: 0n, high: 99n }], reference: false };

function key(token: bigint): Touch {
  return { tokens: [token], sharded: false, reference: false };
}
const SCATTER: Touch = { tokens: [], sharded: true, reference: false };
const REFERENCE: Touch = { tokens: [], sharded: false, reference: true };

function ticket(): Ticket {
  return new Ticket();
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return (
    (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, pending))])) !== pending
  );
}

test('without a hold everybody enters at once', () => {
  assert.equal(new Gate().enter(ticket(), key(5n)), undefined);
});

test('a hold keeps statements for the moving ranges waiting, and lets all others in', async () => {
  const gate = new Gate();
  gate.hold(MOVING);
  const waiting = gate.enter(ticket(), key(99n));
  assert.ok(waiting !== undefined);
  assert.ok(gate.enter(ticket(), SCATTER) !== undefined, 'a scatter touches the moving ranges too');
  assert.equal(gate.enter(ticket(), key(100n)), undefined);
  assert.equal(gate.enter(ticket(), REFERENCE), undefined);
  assert.equal(await isSettled(waiting), false);
  assert.equal(gate.waitingCount, 2);
  assert.equal(gate.heldTotal, 2);
  gate.release();
  assert.equal(await isSettled(waiting), true);
  assert.equal(gate.waitingCount, 0);
});

test('a hold on reference tables keeps their writes waiting', () => {
  const gate = new Gate();
  gate.hold({ ranges: [], reference: true });
  assert.ok(gate.enter(ticket(), REFERENCE) !== undefined);
  assert.equal(gate.enter(ticket(), SCATTER), undefined);
});

test('a transaction that is inside the moving ranges goes on during the hold, so that it can end', () => {
  const gate = new Gate();
  const open = ticket();
  gate.enter(open, key(1n));
  gate.hold(MOVING);
  assert.equal(gate.enter(open, key(2n)), undefined);
  assert.equal(gate.enter(open, SCATTER), undefined);
});

test('a transaction that is inside elsewhere waits when it comes to the moving ranges', () => {
  const gate = new Gate();
  const open = ticket();
  gate.enter(open, key(500n));
  gate.hold(MOVING);
  assert.ok(gate.enter(open, key(1n)) !== undefined);
});

test('drained resolves when the last transaction of the moving ranges has left, and not for others', async () => {
  const gate = new Gate();
  const [first, second, other] = [ticket(), ticket(), ticket()];
  gate.enter(first, key(1n));
  gate.enter(second, SCATTER);
  gate.enter(other, key(500n));
  gate.hold(MOVING);
  const drained = gate.drained();
  gate.leave(first);
  gate.leave(other);
  assert.equal(await isSettled(drained), false);
  gate.leave(second);
  assert.equal(await isSettled(drained), true);
});

test('drained resolves at once when nothing is inside, and when the hold is given up', async () => {
  const gate = new Gate();
  gate.hold(MOVING);
  assert.equal(await isSettled(gate.drained()), true);
  gate.release();
  gate.enter(ticket(), key(1n));
  gate.hold(MOVING);
  const drained = gate.drained();
  gate.release();
  assert.equal(await isSettled(drained), true);
});

test('a second hold is refused', () => {
  const gate = new Gate();
  gate.hold(MOVING);
  assert.throws(() => gate.hold(MOVING), /another cutover/);
});

test('a release tells how long it held, and one without a hold tells 0', async () => {
  const gate = new Gate();
  assert.equal(gate.release(), 0);
  gate.hold(MOVING);
  await new Promise((resolve) => setTimeout(resolve, 15));
  const heldMs = gate.release();
  assert.ok(heldMs >= 10 && heldMs === gate.lastHoldMs, String(heldMs));
});

test('passed waits for scatters that are inside now, not for later ones and not for single keys', async () => {
  const gate = new Gate();
  const [scatter, single, later] = [ticket(), ticket(), ticket()];
  gate.enter(scatter, SCATTER);
  gate.enter(single, key(1n));
  const passed = gate.passed();
  assert.equal(gate.enter(later, SCATTER), undefined, 'nobody is held back');
  assert.equal(await isSettled(passed), false);
  gate.leave(scatter);
  assert.equal(await isSettled(passed), true);
});

test('passed does not wait for the next transaction of a session that had left', async () => {
  const gate = new Gate();
  const session = ticket();
  gate.enter(session, SCATTER);
  const passed = gate.passed();
  gate.leave(session);
  gate.enter(session, SCATTER);
  assert.equal(await isSettled(passed), true);
});

test('leaving twice is harmless', () => {
  const gate = new Gate();
  const once = ticket();
  gate.enter(once, key(1n));
  gate.leave(once);
  gate.leave(once);
  gate.hold(MOVING);
  assert.equal(gate.isDrained(), true);
});
