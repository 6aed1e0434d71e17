import assert from 'node:assert/strict';
import test from 'node:test';
import { ApplyQueue, type QueueEntry } from '../../src/migration/apply-queue.js';

class Flow {
  readonly calls: string[] = [];
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
}

const MEGABYTE = 1 << 20;

function takeAll(queue: ApplyQueue<number, string>): QueueEntry<number, string>[] {
  const entries: QueueEntry<number, string>[] = [];
  for (let entry = queue.next(); entry !== undefined; entry = queue.next()) entries.push(entry);
  return entries;
}

test('entries come out in the order in which they went in, however many', () => {
  const queue = new ApplyQueue<number, string>();
  const steps: string[] = [];
  for (let n = 0; n < 5_000; n++) {
    queue.addStep(`step ${n}`, 1);
    const entry = n % 3 === 0 ? undefined : queue.next();
    if (entry?.type === 'step') steps.push(entry.step);
  }
  for (const entry of takeAll(queue)) if (entry.type === 'step') steps.push(entry.step);
  assert.deepEqual(
    steps,
    Array.from({ length: 5_000 }, (_, n) => `step ${n}`),
  );
});

test('of places passed one behind the other only the last is kept, and none that was taken', () => {
  const queue = new ApplyQueue<number, string>();
  for (const place of [1, 2]) queue.addPassed(place);
  queue.addStep('a', 1);
  queue.addCommit(3);
  for (const place of [4, 5]) queue.addPassed(place);
  const told = takeAll(queue).map((entry) =>
    'place' in entry ? `${entry.type} ${entry.place}` : entry.step,
  );
  assert.deepEqual(told, ['passed 2', 'a', 'commit 3', 'passed 5']);
  queue.addPassed(6);
  assert.equal(queue.next()?.type, 'passed');
});

test('the source waits above 16 MB and goes on below half of it', () => {
  const queue = new ApplyQueue<number, string>();
  const flow = new Flow();
  queue.control(flow);
  for (let n = 0; n < 15; n++) queue.addStep('x', MEGABYTE);
  assert.deepEqual(flow.calls, []);
  for (let n = 0; n < 3; n++) queue.addStep('x', MEGABYTE);
  assert.deepEqual(flow.calls, ['pause']);
  for (let n = 0; n < 10; n++) queue.next();
  assert.deepEqual(flow.calls, ['pause']);
  queue.next();
  assert.deepEqual(flow.calls, ['pause', 'resume']);
});

test('a source that had filled the queue before it could be controlled waits from then on', () => {
  const queue = new ApplyQueue<number, string>();
  for (let n = 0; n < 20; n++) queue.addStep('x', MEGABYTE);
  const flow = new Flow();
  queue.control(flow);
  assert.deepEqual(flow.calls, ['pause']);
});

test('the first failure comes before what is still here, and wakes who waits', async () => {
  const queue = new ApplyQueue<number, string>();
  const arrived = queue.arrived();
  queue.fail(new Error('first'));
  await arrived;
  queue.fail(new Error('second'));
  queue.addStep('a', 1);
  assert.throws(() => queue.next(), /first/);
  await queue.arrived();
});
