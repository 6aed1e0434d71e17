import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import * as wire from '../drivers/wire-client.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 2 });
const [a, b] = servers as [(typeof servers)[0], (typeof servers)[0]];
for (const server of servers) await runSql(server.url(), 'CREATE TABLE kept (id int PRIMARY KEY)');

const ways = {
  'a pass-through in session mode': { shards: { a }, pool: { mode: 'session', size: 4 } },
  'a pass-through in transaction mode': { shards: { a }, pool: { mode: 'transaction', size: 4 } },
  'a sharded database': { shards: { a, b }, tables: { kept: { key: 'id' } } },
};

async function copying(): Promise<unknown[]> {
  const sql =
    "SELECT state, query FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND (state <> 'idle' OR pid IN (SELECT pid FROM pg_locks WHERE relation = 'kept'::regclass))";
  return (await Promise.all(servers.map((server) => runSql(server.url(), sql)))).flat();
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await condition()); await sleep(50))
    assert.ok(Date.now() < deadline, what);
}

for (const [name, options] of Object.entries(ways)) {
  describe(name, async () => {
    const ringferry = await startRingferry(atEnd, options);
    const rows = async () => {
      const counts = await Promise.all(
        servers.map((server) => runSql(server.url(), 'SELECT count(*)::int AS n FROM kept')),
      );
      return counts.reduce((total, [row]) => total + Number(row!['n']), 0);
    };

    test('Terminate in the middle of COPY FROM STDIN ends the copy, its transaction and its locks', async () => {
      for (const begin of ['BEGIN', 'SELECT 1']) {
        const client = await wire.WireClient.login(ringferry.url());
        client.send(wire.query(begin), wire.query('COPY kept FROM STDIN'));
        await client.until('G');
        client.send(wire.frame('d', '1\n2\n3\n'), wire.TERMINATE);
        await until(async () => (await copying()).length === 0, 'a backend still copies');
        assert.equal(await rows(), 0);
        client.destroy();
      }
    });

    test('Terminate behind the statement, before the server has asked for data, ends it as well', async () => {
      const client = await wire.WireClient.login(ringferry.url());
      client.send(wire.query('COPY kept FROM STDIN'), wire.frame('d', '1\n'), wire.TERMINATE);
      await client.closed();
      await until(async () => (await copying()).length === 0, 'a backend still copies');
      assert.equal(await rows(), 0);
    });

    test('a COPY that was sent whole is done, also when the client says Terminate without waiting', async () => {
      const client = await wire.WireClient.login(ringferry.url());
      client.send(
        wire.query('COPY kept FROM STDIN'),
        wire.frame('d', '1\n2\n3\n4\n5\n'),
        wire.frame('c'),
        wire.TERMINATE,
      );
      await until(async () => (await rows()) === 5, 'the rows are not there');
      await until(async () => (await copying()).length === 0, 'a backend still copies');
      for (const server of servers) await runSql(server.url(), 'DELETE FROM kept');
    });
  });
}
