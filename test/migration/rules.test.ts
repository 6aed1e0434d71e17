import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { untilAborted } from '../../src/lib/until-aborted.js';
import { TimedOut, within } from '../../src/migration/interrupt.js';
import { isBeforeCutover, isOver, PHASE_RULES } from '../../src/migration/phases.js';
import { PHASES } from '../../src/migration/record.js';
import { recordOf } from '../../src/migration/record-document.js';
import { backoffMs, isTransient } from '../../src/migration/retry.js';
import { isPassing as isPassingOnMysql } from '../../src/mysql/passing-errors.js';
import { isPassing } from '../../src/postgres/passing-errors.js';
import { FileStore } from '../../src/topology/file-store.js';
import { VirtualTime } from '../simulation/virtual-time.js';
import { ADD_D, Stage } from './stage.js';

test('every phase can be left for the end of the migration, and only ends cannot', () => {
  for (const phase of PHASES) {
    const reached = new Set([phase]);
    for (const from of reached) for (const next of PHASE_RULES[from].next) reached.add(next);
    assert.ok([...reached].some(isOver), phase);
  }
  assert.deepEqual(PHASES.filter(isOver), ['done', 'aborted', 'failed']);
});

test('an abort is possible before the cutover and in no phase after it', () => {
  const before = PHASES.filter(isBeforeCutover);
  assert.deepEqual(before, [
    'planned',
    'preparing',
    'backfilling',
    'catching-up',
    'verifying',
    'mirroring',
    'ready',
    'cutting-over',
  ]);
  for (const phase of before) assert.ok(PHASE_RULES[phase].next.includes('aborting'), phase);
  assert.ok(!PHASE_RULES.switched.next.includes('aborting'), 'the way out of switched is a rollback');
});

test('errors that pass by themselves are told from those that do not', () => {
  const withCode = (code: string) => Object.assign(new Error('x'), { code });
  const passing = [
    withCode('ECONNREFUSED'),
    withCode('57P01'),
    withCode('08006'),
    withCode('53300'),
    withCode('40001'),
    withCode('55006'),
    new OperatingError('shard-unavailable', 'x'),
    new TimedOut('x', 1),
    new Error('Connection terminated unexpectedly'),
  ];
  const lasting = [
    withCode('23505'),
    withCode('42P01'),
    withCode('22P02'),
    new OperatingError('migration', 'x'),
    new Error('x'),
  ];
  for (const error of passing)
    assert.equal(
      isTransient(error, { isPassing }),
      true,
      `${error.message} ${(error as { code?: string }).code}`,
    );
  for (const error of lasting)
    assert.equal(
      isTransient(error, { isPassing }),
      false,
      `${error.message} ${(error as { code?: string }).code}`,
    );
});

test('each engine knows which of its errors pass', () => {
  const withErrno = (errno: number) => Object.assign(new Error('x'), { errno, sqlState: 'HY000' });
  const engine = { isPassing: isPassingOnMysql };
  for (const errno of [1205, 1213, 1040, 1053])
    assert.equal(isTransient(withErrno(errno), engine), true, String(errno));
  for (const errno of [1062, 1146, 1064])
    assert.equal(isTransient(withErrno(errno), engine), false, String(errno));
  assert.equal(
    isTransient(new Error("Can't add new command when connection is in closed state"), engine),
    true,
  );
});

test('pauses between tries double and are bounded', () => {
  assert.deepEqual([1, 2, 3, 4].map(backoffMs), [100, 200, 400, 800]);
  assert.equal(backoffMs(1_000), 10_000);
});

test('a limit ends the waiting but not the act, and leaves no timer behind', async () => {
  const time = new VirtualTime(1);
  let isLate = false;
  const late = within(
    time,
    100,
    'the act',
    time.sleep(500).then(() => 'done'),
  ).catch((thrown: unknown) => {
    isLate = thrown instanceof TimedOut;
  });
  await time.run(() => isLate, 150);
  await late;
  assert.equal(isLate, true);
  assert.equal(await within(time, 100, 'the act', Promise.resolve('done')), 'done');
});

test('an aborted signal ends a wait with its reason, at once when it had aborted before', async () => {
  const controller = new AbortController();
  const waiting = untilAborted(new Promise(() => {}), controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(waiting, /stop/);
  await assert.rejects(untilAborted(Promise.resolve(), controller.signal), /stop/);
});

test('a record survives the file store unchanged, and one that is damaged is refused with its id', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-record-'));
  const store = await FileStore.open(folder);
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const stage = await Stage.open();
  await stage.begin();
  await stage.reach('switched');
  const { record } = stage.state;
  await store.saveMigration('shop', { ...record });
  const [document] = await store.migrations('shop');
  assert.deepEqual(recordOf(document!), record);
  assert.throws(() => recordOf({ ...document!, phase: 'sleeping' }), {
    code: 'configuration',
    message: /migration m1/,
  });
});

test('a dry run of a wish that is refused when begun is refused as well', async () => {
  const stage = await Stage.open();
  await assert.rejects(
    stage.settle(stage.proxy.migrations.plan({ ...ADD_D, url: undefined })),
    /is not known/,
  );
});
