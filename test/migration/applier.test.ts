import assert from 'node:assert/strict';
import test from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { Applier } from '../../src/migration/applier.js';
import type { AppliedStream } from '../../src/migration/engine.js';
import type { Fault } from '../../src/migration/stream-ends.js';
import { VirtualTime } from '../simulation/virtual-time.js';
import { MemoryEnds } from './memory-ends.js';
import { SPEC } from './stream-spec.js';

const RETRY_FOR_MS = 60_000;

/** An error that the wing judges to be this. */
const fault = (kind: Fault): Error => new Error(kind);
const LOST = new OperatingError('shard-unavailable', 'the connection was lost');

function stage(ends = new MemoryEnds()) {
  const time = new VirtualTime(1);
  const log: string[] = [];
  const signal = new AbortController();
  const open = (): Promise<AppliedStream> =>
    Applier.open(
      SPEC,
      ends,
      {
        log: (_level, message) => log.push(message),
        retryForMs: RETRY_FOR_MS,
        maxLagBytes: 100,
        clock: time,
      },
      signal.signal,
    );
  const pass = (ms = 0) => time.run(() => false, ms);
  return { ends, time, log, open, pass, abort: () => signal.abort() };
}

async function outcomeOf(promise: Promise<void>): Promise<unknown> {
  return await promise.then(
    () => 'stopped',
    (error: unknown) => error,
  );
}

test('whole transactions that are here go together, with the place of the last', async () => {
  const { ends, open, pass } = stage();
  ends.write(['a', 'b']);
  ends.write(['late c']);
  const stream = await open();
  await pass();
  ends.write(['d']);
  await pass();
  assert.deepEqual(ends.batches, [
    { steps: ['a', 'b', 'late c'], place: 2 },
    { steps: ['d'], place: 3 },
  ]);
  assert.deepEqual([stream.applied, stream.transactionsApplied, stream.rowsApplied], ['3', 3, 4]);
  await stream.stop();
  assert.equal(ends.open, 0);
});

test('a transaction larger than a batch goes in pieces, and its place with the last of them', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  const large = 'x'.repeat(600_000);
  ends.write([large, large, large]);
  await pass();
  assert.deepEqual(
    ends.batches.map(({ steps, place }) => [steps.length, place]),
    [
      [2, undefined],
      [1, 1],
    ],
  );
  await stream.stop();
});

test('a transaction that is not whole is not committed, and a stop does not wait for its end', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  ends.log!.begin('a');
  await pass();
  await stream.stop();
  assert.deepEqual(ends.batches, []);
});

test('log that is none of ours is passed without a commit, and noted once in an interval where it must be', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  const waiting = stream.waitFor(String(ends.write('none of ours')));
  await pass(20_000);
  await waiting;
  assert.deepEqual(ends.batches, []);
  await stream.stop();
  const noting = stage();
  noting.ends.noteIntervalMs = 5_000;
  const other = await noting.open();
  for (let round = 0; round < 11; round++) {
    await noting.pass(1_000);
    noting.ends.write('none of ours');
  }
  await noting.pass();
  assert.equal(other.applied, '11');
  assert.deepEqual(noting.ends.batches, [
    { steps: [], place: 5 },
    { steps: [], place: 10 },
  ]);
  await other.stop();
});

test('a stream whose connection is lost begins again behind what is committed, and who waited goes on waiting', async () => {
  const { ends, open, pass, log } = stage();
  const stream = await open();
  ends.write(['a']);
  await pass();
  const waiting = stream.waitFor('2');
  ends.log!.fail(LOST);
  await pass(1_000);
  ends.write(['b']);
  await pass();
  await waiting;
  assert.deepEqual(
    ends.batches.map(({ steps }) => steps),
    [['a'], ['b']],
  );
  assert.equal(ends.opened, 2);
  assert.deepEqual(log, ['stream a → b begins again: the connection was lost']);
  assert.deepEqual(ends.wanted, [2, 2], 'the second log was told who waits');
  await stream.stop();
  assert.equal(ends.open, 0);
});

for (const [kind, limitMs, code] of [
  ['passing', RETRY_FOR_MS, 'shard-unavailable'],
  ['taken', RETRY_FOR_MS, 'shard-unavailable'],
  ['conflict', 20_000, 'migration'],
  ['lasting', 0, 'migration'],
] as const) {
  test(`an error of the kind ${kind} is tried again for ${limitMs} ms without getting on`, async () => {
    const { ends, open, pass, time } = stage();
    const stream = await open();
    ends.lag = 1;
    for (let n = 0; n < 10_000; n++) ends.commitErrors.push(fault(kind));
    const beganMs = time.now();
    let endedMs: number | undefined;
    const outcome = outcomeOf(stream.ended).finally(() => {
      endedMs = time.now();
    });
    const waiting = outcomeOf(stream.waitFor(String(ends.write(['a']))));
    await pass(limitMs + 3_000);
    assert.ok(endedMs !== undefined && endedMs - beganMs >= limitMs, `after ${endedMs} ms`);
    const error = (await outcome) as OperatingError;
    assert.deepEqual(
      [error.code, error.message],
      [code, `changes of shard a cannot be applied on b: ${kind}`],
    );
    assert.equal(await waiting, error);
    await assert.rejects(stream.waitFor('9'), error);
  });
}

test('a stream that gets on between its errors is tried for ever', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  ends.lag = 1;
  for (let round = 0; round < 10; round++) {
    ends.commitErrors.push(fault('passing'));
    ends.write([`step ${round}`]);
    await pass(RETRY_FOR_MS - 5_000);
    assert.equal(stream.applied, String(round + 1));
  }
  await stream.stop();
});

test('a stream that had nothing to do for long is as patient as one that has just got on', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  await pass(10 * RETRY_FOR_MS);
  ends.lag = 1;
  for (let n = 0; n < 3; n++) ends.commitErrors.push(fault('passing'));
  ends.write(['a']);
  await pass(5_000);
  assert.equal(stream.applied, '1');
  await stream.stop();
});

test('what was passed and not noted stays applied when the stream begins again', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  ends.write('none of ours');
  await pass();
  ends.openErrors.push(fault('passing'));
  ends.log!.fail(LOST);
  await pass(1_000);
  assert.equal(ends.opened, 2);
  assert.equal(stream.applied, '1');
  await stream.waitFor('1');
  await stream.stop();
});

test('a row that the target does not hold ends the stream at once, and says what to do', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  ends.commitErrors.push(fault('missing-row'));
  ends.write(['a']);
  await pass();
  await assert.rejects(stream.ended, {
    code: 'migration',
    message: 'shard b does not hold a row that a changed (missing-row)',
    hint: /abort the migration/,
  });
});

test('an error of our own that does not pass ends the stream as it is', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  const changed = new OperatingError('migration', 'table items was changed (DDL)');
  ends.log!.fail(changed);
  await pass();
  await assert.rejects(stream.ended, changed);
});

test('a stream that cannot begin tells who opens it at once, unless an older one has to let go first', async () => {
  const lost = stage();
  lost.ends.openErrors.push(LOST);
  await assert.rejects(lost.open(), LOST);
  const taken = stage();
  for (let n = 0; n < 3; n++) taken.ends.openErrors.push(fault('taken'));
  const opening = taken.open();
  await taken.pass(5_000);
  const stream = await opening;
  await stream.stop();
});

test('a stop that comes during a commit ends the stream when the commit is done, not with the next change', async () => {
  const { ends, open, pass } = stage();
  const stream = await open();
  let commit: () => void = () => {};
  ends.untilCommit = new Promise((resolve) => {
    commit = resolve;
  });
  ends.write(['a']);
  await pass();
  let isStopped = false;
  void stream.stop().then(() => {
    isStopped = true;
  });
  await pass();
  assert.equal(isStopped, false, 'the commit was not waited for');
  commit();
  await pass();
  assert.equal(isStopped, true, 'the stop was missed');
  assert.equal(stream.applied, '1');
});

test('an abort stops the stream, also while it waits to begin again', async () => {
  const { ends, open, pass, abort } = stage();
  const stream = await open();
  const waiting = outcomeOf(stream.waitFor('1'));
  ends.log!.fail(LOST);
  await pass();
  abort();
  await stream.ended;
  assert.match(String(await waiting), /was stopped/);
  await assert.rejects(stream.waitFor('1'), /has ended/);
  await assert.rejects(open(), { name: 'AbortError' });
});

test('the source is asked once a second how far its log goes, and a lag is warned about once', async () => {
  const { ends, open, pass, log } = stage();
  const stream = await open();
  ends.lag = 101;
  await pass(10_500);
  assert.equal(ends.beats, 11);
  assert.equal(stream.lagBytes, 101);
  assert.deepEqual(log, ['stream a → b is 101 bytes of log behind']);
  ends.lag = 0;
  await pass(2_000);
  ends.lag = 102;
  await pass(2_000);
  assert.equal(log.length, 2);
  const { beats } = ends;
  await stream.stop();
  await pass(5_000);
  assert.equal(ends.beats, beats, 'a stopped stream still asks');
});
