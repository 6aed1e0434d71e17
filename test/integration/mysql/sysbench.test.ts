import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst } from '../../cluster.js';
import { sysbench } from '../programs.js';
import { startThreeShards } from './shards.js';

const SIZE = 3000;
const atEnd = lastFirst(after);
const { url, onEach } = await startThreeShards(atEnd, [], { sbtest1: { key: 'id' } });
const common = [`--table-size=${SIZE}`, '--tables=1', '--auto_inc=off', '--rand-type=uniform'];

async function rows(): Promise<number> {
  return (await onEach('SELECT count(*) FROM sbtest1')).reduce((x, y) => x + y);
}

describe('sysbench against three shards', () => {
  test('its prepare makes the table on every shard and spreads the rows', async () => {
    const prepare = await sysbench(url, 'oltp_read_write', 'prepare', ...common);
    assert.equal(prepare.status, 0, prepare.stdout + prepare.stderr);
    assert.equal(await rows(), SIZE);
    const spread = await onEach('SELECT count(*) FROM sbtest1');
    assert.ok(
      spread.every((count) => count > SIZE / 10),
      `spread ${spread}`,
    );
  });

  for (const mode of ['auto', 'disable']) {
    test(`oltp_point_select runs without an error, prepared statements: ${mode}`, async () => {
      const limits = ['--threads=8', '--events=4000', '--time=0', `--db-ps-mode=${mode}`];
      const run = await sysbench(url, 'oltp_point_select', 'run', ...common, ...limits);
      assert.equal(run.status, 0, run.stdout + run.stderr);
      assert.match(run.stdout, /transactions: +4000 /);
      assert.match(run.stdout, /ignored errors: +0 /);
    });

    test(`oltp_read_write keeps every row once, prepared statements: ${mode}`, async () => {
      const limits = ['--threads=1', '--events=150', '--time=0', `--db-ps-mode=${mode}`];
      const run = await sysbench(url, 'oltp_read_write', 'run', ...common, ...limits);
      assert.equal(run.status, 0, run.stdout + run.stderr);
      assert.match(run.stdout, /transactions: +150 /);
      assert.match(run.stdout, /ignored errors: +0 /);
      assert.equal(await rows(), SIZE);
    });
  }

  test('many clients write at once; who meets a deadlock is told, and no row is lost or doubled', async () => {
    const limits = ['--threads=6', '--events=300', '--time=0', '--range-selects=off'];
    const run = await sysbench(url, 'oltp_read_write', 'run', ...common, ...limits);
    assert.equal(run.status, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /transactions: +300 /);
    assert.equal(await rows(), SIZE);
    assert.deepEqual(await onEach('SELECT count(*) FROM information_schema.innodb_trx'), [0, 0, 0]);
  });
});
