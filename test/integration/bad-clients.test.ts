import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import * as wire from '../drivers/wire-client.js';
import { eventually } from './eventually.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 2 });
const [a, b] = servers as [(typeof servers)[0], (typeof servers)[0]];
for (const server of servers) await runSql(server.url(), 'CREATE TABLE kept (id int PRIMARY KEY, v int)');
const ringferry = await startRingferry(atEnd, {
  shards: { a, b },
  tables: { kept: { key: 'id' } },
  pool: { size: 4 },
  users: [
    { name: 'postgres', auth: 'trust' },
    { name: 'safe', password: 'right' },
    { name: 'old', password: 'right', auth: 'md5' },
  ],
  config: { limits: { max_clients: 40, auth_timeout_ms: 1000 } },
});
const url = ringferry.url();
const alive = () => runSql(url, 'SELECT 1 AS one');

/** Fatal error as the client saw it, with the connection closed after it. */
async function fatal(client: wire.WireClient): Promise<Record<string, string> | undefined> {
  await client.closed(5000).catch(() => assert.fail('the connection was left open'));
  return undefined;
}

async function lastError(client: wire.WireClient): Promise<Record<string, string>> {
  const messages = await client.until('E');
  const error = messages.find((message) => message.type === 'E');
  assert.ok(error !== undefined, 'no error came');
  return wire.fieldsOf(error);
}

describe('bad clients', () => {
  test('garbage instead of a startup packet closes the connection and nothing else', async () => {
    for (const garbage of [
      randomBytes(1000),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(8),
      Buffer.from([0, 0, 0, 1]),
    ]) {
      const client = await wire.WireClient.open(url);
      client.send(garbage);
      await fatal(client);
    }
    await alive();
  });

  test('a startup packet that says it has 2 GB is refused before anything is kept for it', async () => {
    const before = process.memoryUsage().rss;
    const clients = await Promise.all(Array.from({ length: 20 }, () => wire.WireClient.open(url)));
    for (const client of clients)
      client.send(wire.int32(0x7fff_ffff), wire.int32(0x0003_0000), Buffer.alloc(64, 'x'));
    await Promise.all(clients.map(fatal));
    assert.ok(process.memoryUsage().rss - before < 100 << 20);
    await alive();
  });

  test('half a startup packet is given up after the authentication timeout', async () => {
    const client = await wire.WireClient.open(url);
    client.send(wire.startup({ user: 'postgres', database: 'postgres' }).subarray(0, 10));
    const begin = Date.now();
    await fatal(client);
    assert.ok(Date.now() - begin >= 900, 'it waited');
    await alive();
  });

  test('half messages, fed byte by byte, are as good as whole ones', async () => {
    const client = await wire.WireClient.login(url);
    for (const byte of wire.query('SELECT 5 AS n')) {
      client.send(Buffer.from([byte]));
      await sleep(1);
    }
    const types = (await client.until('Z')).map((message) => message.type).join('');
    assert.equal(types, 'TDCZ');
    client.end();
  });

  test('an unknown message, a bad length and a wrong body after login are protocol errors that end only this client', async () => {
    const badFrames = [
      wire.frame('!', 'what'),
      Buffer.from([0x51, 0, 0, 0, 2]),
      Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]),
      wire.frame('B', 'no end'),
      wire.frame('P', 'x\0'),
    ];
    for (const bytes of badFrames) {
      const client = await wire.WireClient.login(url);
      client.send(bytes);
      const error = await lastError(client);
      assert.match(error['C']!, /^(08P01|54000)$/, JSON.stringify(error));
      assert.equal(error['S'], 'FATAL');
      await fatal(client);
    }
    await alive();
  });

  test('clients that vanish in a transaction leave no transaction, no lock and no busy backend behind', async () => {
    await runSql(url, 'INSERT INTO kept VALUES (1, 0), (2, 0), (3, 0), (4, 0) ON CONFLICT DO NOTHING');
    for (let round = 0; round < 12; round++) {
      const client = await wire.WireClient.login(url);
      client.send(
        wire.query('BEGIN'),
        wire.query(`UPDATE kept SET v = v + 1 WHERE id = ${1 + (round % 4)}`),
        wire.query(`UPDATE kept SET v = v + 1 WHERE id IN (1, 2, 3, 4)`),
      );
      if (round % 2 === 0) await client.until('Z', 3);
      client.destroy();
    }
    // More than the pools hold: if any backend were lost this would wait for ever.
    const pool = new pg.Pool({ connectionString: url, max: 8 });
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        pool.query('UPDATE kept SET v = 100 WHERE id = $1', [1 + (n % 4)]),
      ),
    );
    const { rows } = await pool.query('SELECT DISTINCT v FROM kept');
    await pool.end();
    assert.deepEqual(rows, [{ v: 100 }]);
    await eventually(async () => {
      for (const server of servers) {
        const open = await runSql(
          server.url(),
          "SELECT state, query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' OR (state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend')",
        );
        assert.deepEqual(open, []);
      }
    });
  });

  test('a client that vanishes while its statement runs has it cancelled', async () => {
    const client = await wire.WireClient.login(url);
    client.send(wire.query('SELECT pg_sleep(60) FROM kept WHERE id = 1'));
    await sleep(300);
    client.destroy();
    await eventually(async () => {
      for (const server of servers) {
        const asleep = await runSql(
          server.url(),
          "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid() AND state = 'active'",
        );
        assert.deepEqual(asleep, []);
      }
    });
  });

  test('a wrong password, by SCRAM and by md5, is refused with 28P01', async () => {
    for (const user of ['safe', 'old']) {
      await assert.rejects(runSql(ringferry.url('postgres', `${user}:wrong`), 'SELECT 1'), { code: '28P01' });
      assert.deepEqual(await runSql(ringferry.url('postgres', `${user}:right`), 'SELECT 1 AS one'), [
        { one: 1 },
      ]);
    }
  });

  test('an unknown user and an unknown database are refused with their codes', async () => {
    await assert.rejects(runSql(ringferry.url('postgres', 'nobody:x'), 'SELECT 1'), { code: '28P01' });
    await assert.rejects(
      runSql(ringferry.url('nowhere'), 'SELECT 1'),
      (error: { code: string; message: string }) =>
        error.code === '3D000' && error.message.includes('nowhere'),
    );
  });

  test('one client too many gets 53300, and its place is free again when another has left', async () => {
    const clients: wire.WireClient[] = [];
    let refused: Record<string, string> | undefined;
    for (let n = 0; n < 60 && refused === undefined; n++) {
      const client = await wire.WireClient.open(url);
      client.send(wire.startup({ user: 'postgres', database: 'postgres' }));
      const messages = await client.until('Z');
      const error = messages.find((message) => message.type === 'E');
      if (error === undefined) clients.push(client);
      else refused = wire.fieldsOf(error);
    }
    assert.equal(refused?.['C'], '53300');
    assert.ok(clients.length >= 35 && clients.length <= 40, `${clients.length} clients`);
    for (const client of clients) client.end();
    await eventually(alive);
  });
});
