import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import type { ShopClients, ShopConnection } from '../../src/demo/engine.js';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS } from '../engines.js';
import { eventually } from './eventually.js';
import { startTwoWorkers } from './two-workers.js';

const DECISION_TIMEOUT_MS = 400;

const atEnd = lastFirst(after);
// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages = [];
for (const engine of [POSTGRES_TESTS, MARIADB_TESTS])
  stages.push(
    await startTwoWorkers(atEnd, engine, {
      tables: { accounts: { key: 'id' } },
      config: { limits: { decision_timeout_ms: DECISION_TIMEOUT_MS } },
    }),
  );

const patient = await startTwoWorkers(atEnd, MARIADB_TESTS, { tables: { accounts: { key: 'id' } } });

for (const { engine, proxy, servers, url } of stages) {
  const onEach = <T>(act: (at: string) => Promise<T>) =>
    Promise.all(servers.map((server) => act(server.url(engine.database))));
  const rowsOnEach = () => onEach(async (at) => (await engine.run(at, 'SELECT id FROM accounts')).length > 0);
  const preparedOnEach = () => onEach(async (at) => (await engine.prepared(at)).length);

  /** A transaction with rows on both shards, up to its COMMIT. */
  async function beginTransfer(clients: ShopClients): Promise<ShopConnection> {
    const teller = await clients.connect();
    await teller.run('DELETE FROM accounts WHERE id >= 0');
    await teller.begin();
    const rows = Array.from({ length: 30 }, (_, id) => `(${id})`);
    await teller.run(`INSERT INTO accounts VALUES ${rows.join(', ')}`);
    return teller;
  }

  describe(`a decision to commit over ${engine.name} that does not come in time`, () => {
    const open = () => {
      const clients = engine.demo.clients(url, { size: 1, name: 'teller', onLost: () => {} });
      atEnd(() => clients.end());
      return clients;
    };

    test('the client hears that the outcome is not known yet; when the primary goes on, it is committed', {
      timeout: 60_000,
    }, async () => {
      await engine.run(url, 'CREATE TABLE accounts (id int PRIMARY KEY)');
      const teller = await beginTransfer(open());
      proxy.signal('SIGSTOP');
      try {
        await assert.rejects(teller.commit(), /the decision to commit is not durable yet/);
        assert.deepEqual(await preparedOnEach(), [1, 1]);
        assert.deepEqual(await rowsOnEach(), [false, false]);
        // The session and its worker go on.
        assert.equal((await teller.run('SELECT count(*) AS n FROM accounts')).rows.length, 1);
      } finally {
        proxy.signal('SIGCONT');
      }
      await eventually(async () => assert.deepEqual(await preparedOnEach(), [0, 0]));
      assert.deepEqual(await rowsOnEach(), [true, true]);
      assert.equal(Number((await teller.run('SELECT count(*) AS n FROM accounts')).rows[0]!['n']), 30);
      teller.release(false);
    });

    test('when the primary dies instead, the next one rolls it back on all shards', {
      timeout: 60_000,
    }, async () => {
      const teller = await beginTransfer(open());
      proxy.signal('SIGSTOP');
      await assert.rejects(teller.commit(), /the decision to commit is not durable yet/);
      assert.deepEqual(await preparedOnEach(), [1, 1]);
      await proxy.end('SIGKILL');
      teller.release(true);
      await proxy.start();
      await eventually(async () => assert.deepEqual(await preparedOnEach(), [0, 0]));
      assert.deepEqual(await rowsOnEach(), [false, false]);
    });
  });
}

test('a shard of MariaDB that refuses to commit what is decided does so later, and never rolls it back', {
  timeout: 60_000,
}, async () => {
  const { engine, proxy, servers, url } = patient;
  await engine.run(url, 'CREATE TABLE accounts (id int PRIMARY KEY)');
  const urls = servers.map((server) => server.url(engine.database));
  const clients = engine.demo.clients(url, { size: 1, name: 'teller', onLost: () => {} });
  atEnd(() => clients.end());
  const teller = await clients.connect();
  await teller.run('SET lock_wait_timeout = 1');
  await teller.begin();
  const rows = Array.from({ length: 30 }, (_, id) => `(${id})`);
  await teller.run(`INSERT INTO accounts VALUES ${rows.join(', ')}`);
  // Between prepared and decided: the one shard's commits wait for a backup.
  proxy.signal('SIGSTOP');
  const committed = teller.commit().then(
    () => undefined,
    (error: Error) => error.message,
  );
  const prepared = () => Promise.all(urls.map((at) => engine.prepared(at)));
  await eventually(async () =>
    assert.deepEqual(
      (await prepared()).map((all) => all.length),
      [1, 1],
    ),
  );
  const backup = await mysql.createConnection(urls[0]!);
  await backup.query('FLUSH TABLES WITH READ LOCK');
  proxy.signal('SIGCONT');
  await eventually(async () => assert.deepEqual((await engine.prepared(urls[1]!)).length, 0));
  const waiting = async () =>
    (
      await engine.run(
        urls[0]!,
        `SELECT id FROM information_schema.processlist WHERE info LIKE 'XA COMMIT%' AND state LIKE 'Waiting%'`,
      )
    ).map((row) => row['id']);
  const [refused] = await eventually(async () => {
    const ids = await waiting();
    assert.equal(ids.length, 1);
    return ids;
  });
  await eventually(async () => assert.ok(!(await waiting()).includes(refused), 'XA COMMIT still waits'));
  await backup.end();
  assert.match(String(await committed), /^undefined$|decided to commit/);
  await eventually(async () => assert.deepEqual(await prepared(), [[], []]));
  const counts = await Promise.all(urls.map((at) => engine.run(at, 'SELECT id FROM accounts')));
  assert.equal(counts.flat().length, 30);
  assert.ok(
    counts.every((here) => here.length > 0),
    'rows on both shards',
  );
});
