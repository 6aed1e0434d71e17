import assert from 'node:assert/strict';
import { appendFile, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import { FileDecisionLog } from '../../src/topology/decision-log.js';

async function path(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-decisions-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'decisions.log');
}

async function listOf(file: string): Promise<string[]> {
  const log = await FileDecisionLog.open(file);
  const list = await log.list();
  await log.close();
  return list.sort();
}

test('a decision is in the file when its promise resolves, whatever happens to the process then', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  await log.record('g1');
  const text = await readFile(file, 'utf8');
  assert.match(text, /\+ g1\n/);
  await log.close();
  assert.deepEqual(await listOf(file), ['g1']);
});

test('what is forgotten is not found again, and forgetting what is unknown is harmless', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  await Promise.all([log.record('g1'), log.record('g2')]);
  await log.forget('g1');
  await log.forget('never');
  assert.deepEqual(await log.list(), ['g2']);
  await log.close();
  assert.deepEqual(await listOf(file), ['g2']);
});

test('decisions of one moment share a flush', async (t) => {
  const log = await FileDecisionLog.open(await path(t));
  const probe = await open('/dev/null');
  const prototype = Object.getPrototypeOf(probe) as { datasync(): Promise<void> };
  await probe.close();
  const datasync = t.mock.method(prototype, 'datasync');
  await Promise.all(Array.from({ length: 500 }, (_, i) => log.record(`g${i}`)));
  assert.ok(datasync.mock.callCount() <= 3, `${datasync.mock.callCount()} flushes for 500 decisions`);
  await log.close();
});

test('a file cut at any byte loses only decisions that were not acknowledged', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  const ends: number[] = [];
  for (let i = 0; i < 6; i++) {
    await log.record(`gid_${i}`);
    ends.push(Buffer.byteLength(await readFile(file, 'utf8')));
  }
  await log.close();
  const whole = await readFile(file);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (length) => {
      await writeFile(file, whole);
      await truncate(file, length);
      const durable = ends.filter((end) => end <= length).map((_, i) => `gid_${i}`);
      assert.deepEqual(await listOf(file), durable);
    }),
    { numRuns: 40 },
  );
});

test('a damaged line is refused with the name of the file', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  await Promise.all([log.record('g1'), log.record('g2')]);
  await log.close();
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('g1', 'g7'));
  await assert.rejects(FileDecisionLog.open(file), /decisions\.log cannot be read: line 1 is damaged/);
});

test('a decision that could not be written is rejected and certainly not there', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  await log.record('g1');
  const probe = await open(file);
  const prototype = Object.getPrototypeOf(probe) as { datasync(): Promise<void> };
  await probe.close();
  const datasync = t.mock.method(prototype, 'datasync');
  datasync.mock.mockImplementationOnce(async () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  });
  await assert.rejects(log.record('g2'), { code: 'internal', sqlstate: '58030' });
  assert.deepEqual(await log.list(), ['g1']);
  assert.doesNotMatch(await readFile(file, 'utf8'), /g2/);
  await log.record('g3');
  await log.close();
  assert.deepEqual(await listOf(file), ['g1', 'g3']);
});

test('a log that can be neither written nor cut back says that the outcome is not known, and takes no more', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  const probe = await open(file);
  const prototype = Object.getPrototypeOf(probe) as { datasync(): Promise<void> };
  await probe.close();
  const datasync = t.mock.method(prototype, 'datasync', async () => {
    throw Object.assign(new Error('input/output error'), { code: 'EIO' });
  });
  await assert.rejects(log.record('g1'), { code: 'outcome-unknown' });
  datasync.mock.restore();
  await assert.rejects(log.record('g2'), { code: 'outcome-unknown' });
  await log.close();
});

test('a log that has grown is rewritten without what is forgotten, and loses nothing', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  await log.record('kept');
  for (let round = 0; round < 14; round++) {
    const gids = Array.from({ length: 500 }, (_, i) => `gone_${round}_${i}_${'x'.repeat(150)}`);
    await Promise.all(gids.map((gid) => log.record(gid)));
    await Promise.all(gids.map((gid) => log.forget(gid)));
  }
  await log.record('last');
  assert.ok((await readFile(file)).length < 1 << 20);
  await log.close();
  assert.deepEqual(await listOf(file), ['kept', 'last']);
});

test('an identifier that would break the file is refused', async (t) => {
  const log = await FileDecisionLog.open(await path(t));
  for (const gid of ['', 'a b', 'a\nb', 'x'.repeat(200)]) await assert.rejects(log.record(gid), RangeError);
  await log.close();
});

test('a file with half a line at its end takes new decisions behind what was whole', async (t) => {
  const file = await path(t);
  const log = await FileDecisionLog.open(file);
  await log.record('g1');
  await log.close();
  await appendFile(file, '1234');
  const again = await FileDecisionLog.open(file);
  await again.record('g2');
  await again.close();
  assert.deepEqual(await listOf(file), ['g1', 'g2']);
});
