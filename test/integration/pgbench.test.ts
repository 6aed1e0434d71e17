import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';
import { pgbench } from './programs.js';

const SCALE = 10;
const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 3 });
const [a, b, c] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
// Each table is keyed by its own id, so that a TPC-B transaction writes to up to three shards and needs two-phase commit.
for (const server of servers) {
  await runSql(
    server.url(),
    'CREATE TABLE pgbench_accounts (aid int NOT NULL PRIMARY KEY, bid int, abalance int, filler char(84))',
    'CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))',
    'CREATE TABLE pgbench_branches (bid int NOT NULL PRIMARY KEY, bbalance int, filler char(88))',
    'CREATE TABLE pgbench_tellers (tid int NOT NULL PRIMARY KEY, bid int, tbalance int, filler char(84))',
  );
}
const ringferry = await startRingferry(atEnd, {
  shards: { a, b, c },
  tables: {
    pgbench_accounts: { key: 'aid' },
    pgbench_history: { key: 'aid' },
    pgbench_tellers: { key: 'tid' },
    pgbench_branches: { key: 'bid' },
  },
});
const url = ringferry.url();

async function over(table: string, expression: string): Promise<number> {
  const rows = await Promise.all(
    servers.map((server) =>
      runSql(server.url(), `SELECT coalesce(${expression}, 0)::int AS n FROM ${table}`),
    ),
  );
  return rows.reduce((total, [row]) => total + Number(row!['n']), 0);
}

describe('pgbench against three shards', () => {
  test(`its own initialization fills the tables at scale ${SCALE} through the proxy`, async () => {
    const init = await pgbench(url, '-i', '-I', 'g', '-s', String(SCALE), '--quiet');
    assert.equal(init.status, 0, init.stderr);
    assert.equal(await over('pgbench_accounts', 'count(*)'), SCALE * 100_000);
    const onB = await runSql(b.url(), 'SELECT count(*)::int AS n FROM pgbench_accounts');
    assert.ok(Number(onB[0]!['n']) > SCALE * 10_000, 'the accounts are spread');
    assert.equal(await over('pgbench_tellers', 'count(*)'), SCALE * 10);
  });

  for (const mode of ['simple', 'extended', 'prepared']) {
    test(`-S -M ${mode} runs without an error`, async () => {
      const run = await pgbench(url, '-S', '-M', mode, '-c', '8', '-T', '2', '-s', String(SCALE), '-n');
      assert.equal(run.status, 0, run.stderr);
      assert.match(run.stdout, /number of failed transactions: 0 /);
      assert.ok(Number(/number of transactions actually processed: (\d+)/.exec(run.stdout)?.[1]) > 100);
    });

    test(`TPC-B -M ${mode} keeps the sums of accounts, tellers, branches and history equal over all shards`, async () => {
      const run = await pgbench(url, '-M', mode, '-c', '8', '-t', '50', '-s', String(SCALE), '-n');
      assert.equal(run.status, 0, run.stderr);
      assert.match(run.stdout, /number of transactions actually processed: 400\/400/);
      const [history, accounts] = [
        await over('pgbench_history', 'sum(delta)'),
        await over('pgbench_accounts', 'sum(abalance)'),
      ];
      assert.equal(accounts, history);
      assert.equal(await over('pgbench_tellers', 'sum(tbalance)'), history);
      assert.equal(await over('pgbench_branches', 'sum(bbalance)'), history);
    });
  }

  test('1,200 transactions have left 1,200 lines of history and no prepared transaction', async () => {
    assert.equal(await over('pgbench_history', 'count(*)'), 1200);
    for (const server of servers)
      assert.deepEqual(await runSql(server.url(), 'SELECT gid FROM pg_prepared_xacts'), []);
  });
});
