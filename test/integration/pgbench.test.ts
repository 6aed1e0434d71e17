import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst, type PostgresServer, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';
import { pgbench } from './programs.js';

const SCALE = 10;
const atEnd = lastFirst(after);
const TABLES = {
  pgbench_accounts: 'aid int NOT NULL PRIMARY KEY, bid int, abalance int, filler char(84)',
  pgbench_history: 'tid int, bid int, aid int, delta int, mtime timestamp, filler char(22)',
  pgbench_branches: 'bid int NOT NULL PRIMARY KEY, bbalance int, filler char(88)',
  pgbench_tellers: 'tid int NOT NULL PRIMARY KEY, bid int, tbalance int, filler char(84)',
} as const;
type Table = keyof typeof TABLES;

const placements: Record<string, Readonly<Partial<Record<Table, { readonly key: string }>>>> = {
  // As one would place it who has only the accounts to spread: a transaction writes to home and to one other shard at most.
  'with accounts sharded and all else at home': { pgbench_accounts: { key: 'aid' } },
  // A TPC-B transaction writes to up to three shards and needs two-phase commit.
  'with each table keyed by its own id': {
    pgbench_accounts: { key: 'aid' },
    pgbench_history: { key: 'aid' },
    pgbench_tellers: { key: 'tid' },
    pgbench_branches: { key: 'bid' },
  },
};

/** Tables that live at home exist there only. */
async function makeTables(servers: readonly PostgresServer[], sharded: readonly string[]): Promise<void> {
  for (const [nth, server] of servers.entries()) {
    const present = Object.entries(TABLES).filter(([table]) => nth === 0 || sharded.includes(table));
    await runSql(server.url(), ...present.map(([table, columns]) => `CREATE TABLE ${table} (${columns})`));
  }
}

for (const [name, tables] of Object.entries(placements)) {
  describe(`pgbench against three shards, ${name}`, async () => {
    const servers = await startPostgres(atEnd, { count: 3 });
    const [a, b, c] = servers as [PostgresServer, PostgresServer, PostgresServer];
    await makeTables(servers, Object.keys(tables));
    const ringferry = await startRingferry(atEnd, { shards: { a, b, c }, home: 'a', tables });
    const url = ringferry.url();

    const over = async (table: Table, expression: string): Promise<number> => {
      const holders = table in tables ? servers : [a];
      const rows = await Promise.all(
        holders.map((server) =>
          runSql(server.url(), `SELECT coalesce(${expression}, 0)::int AS n FROM ${table}`),
        ),
      );
      return rows.reduce((total, [row]) => total + Number(row!['n']), 0);
    };

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
        const run = await pgbench(url, '-S', '-M', mode, '-c', '8', '-t', '50', '-s', String(SCALE), '-n');
        assert.equal(run.status, 0, run.stderr);
        assert.match(run.stdout, /number of failed transactions: 0 /);
        assert.match(run.stdout, /number of transactions actually processed: 400\/400/);
      });

      test(`TPC-B -M ${mode} keeps the sums of accounts, tellers, branches and history equal over all shards`, async () => {
        const run = await pgbench(url, '-M', mode, '-c', '8', '-t', '50', '-s', String(SCALE), '-n');
        assert.equal(run.status, 0, run.stderr);
        assert.match(run.stdout, /number of transactions actually processed: 400\/400/);
        const history = await over('pgbench_history', 'sum(delta)');
        assert.equal(await over('pgbench_accounts', 'sum(abalance)'), history);
        assert.equal(await over('pgbench_tellers', 'sum(tbalance)'), history);
        assert.equal(await over('pgbench_branches', 'sum(bbalance)'), history);
      });
    }

    test('1,200 transactions have left 1,200 lines of history and no prepared transaction', async () => {
      assert.equal(await over('pgbench_history', 'count(*)'), 1200);
      for (const server of servers)
        assert.deepEqual(await runSql(server.url(), 'SELECT gid FROM pg_prepared_xacts'), []);
    });

    test('its own end drops all tables in one statement, on every shard that has them', async () => {
      const end = await pgbench(url, '-i', '-I', 'd');
      assert.equal(end.status, 0, end.stderr);
      for (const server of servers) {
        const left = await runSql(server.url(), "SELECT relname FROM pg_class WHERE relname LIKE 'pgbench%'");
        assert.deepEqual(left, []);
      }
    });
  });
}
