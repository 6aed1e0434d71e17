import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import { decodeErr } from '../../src/mysql/result-messages.js';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../engines.js';
import { runMysql } from '../mariadb.js';
import { handshakeResponse, RawClient } from '../mysql/raw-client.js';
import { eventually } from './eventually.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const [a, b] = (await MARIADB_TESTS.start(atEnd, 2)) as [TestServer, TestServer];
const shardUrls = [a, b].map((server) => server.url(MARIADB_TESTS.database));
for (const shard of shardUrls) await runMysql(shard, 'CREATE TABLE kept (id int PRIMARY KEY, v int)');
const ringferry = await startRingferry(atEnd, {
  engine: 'mysql',
  shards: { a, b },
  tables: { kept: { key: 'id' } },
  pool: { size: 4 },
  users: [
    { name: 'root', auth: 'trust' },
    { name: 'ann', auth: 'trust' },
    { name: 'safe', password: 'right' },
  ],
  config: { limits: { max_clients: 40, auth_timeout_ms: 1000 } },
});
const url = ringferry.url();
const port = ringferry.ports.mysql!;
await runMysql(url, 'INSERT INTO kept VALUES (1, 0), (2, 0), (3, 0), (4, 0)');

async function alive(): Promise<void> {
  assert.deepEqual(await runMysql(url, 'SELECT count(*) AS n FROM kept'), [{ n: 4 }]);
}

const query = (sql: string) => Buffer.concat([Buffer.of(0x03), Buffer.from(sql)]);
const errorOf = (client: RawClient) => {
  const payload = client.payloads.find((bytes) => bytes[0] === 0xff);
  assert.ok(payload !== undefined, 'no error came');
  return decodeErr(payload);
};

const quiet = () =>
  eventually(async () => {
    for (const shard of shardUrls) {
      assert.deepEqual(await runMysql(shard, 'SELECT trx_id FROM information_schema.innodb_trx'), []);
      assert.deepEqual(await runMysql(shard, 'XA RECOVER'), []);
      const busy = await runMysql(
        shard,
        "SELECT info FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND id <> connection_id()",
      );
      assert.deepEqual(busy, []);
    }
  });

describe('bad MySQL clients', () => {
  test('garbage instead of a handshake response closes the connection and nothing else', async () => {
    const garbage = [
      randomBytes(1000),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(8),
      Buffer.from([0xff, 0xff, 0xff, 1, 1, 2, 3]),
      Buffer.from([5, 0, 0, 9, 1, 2, 3, 4, 5]),
    ];
    for (const bytes of garbage) {
      const client = await RawClient.connect(port);
      await client.greeting();
      client.send(bytes);
      await client.closed();
    }
    await alive();
  });

  test('a login that says it has 16 MB and more is refused before anything is kept for it', async () => {
    const before = process.memoryUsage().rss;
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(port)));
    for (const client of clients) client.send(Buffer.from([0xff, 0xff, 0xff, 1]), Buffer.alloc(1 << 16, 'x'));
    await Promise.all(clients.map((client) => client.closed()));
    assert.ok(process.memoryUsage().rss - before < 100 << 20);
    await alive();
  });

  test('half a login is given up after the authentication timeout', async () => {
    const client = await RawClient.connect(port);
    await client.greeting();
    const begin = Date.now();
    client.send(Buffer.from([40, 0, 0, 1, 1, 2, 3]));
    await client.closed();
    assert.ok(Date.now() - begin >= 900, 'it waited');
    await alive();
  });

  test('packets fed byte by byte are as good as whole ones', async () => {
    const client = await RawClient.enter(port);
    const sql = query('SELECT v FROM kept WHERE id = 1');
    await client.sendSlowly(Buffer.concat([Buffer.from([sql.length, 0, 0, 0]), sql]));
    // Columns, one definition, EOF, one row, EOF.
    await client.came(5);
    assert.equal(client.payloads[3]!.toString('latin1'), '\x010');
    client.socket.destroy();
  });

  test('an unknown command, an empty packet, and bodies that end too early harm only this client', async () => {
    const payloads = [
      Buffer.of(0x7f),
      Buffer.alloc(0),
      Buffer.of(0x17, 1, 0),
      Buffer.of(0x17, 9, 9, 9, 9, 0, 1, 0, 0, 0),
      Buffer.of(0x18, 1),
      Buffer.of(0x19, 1),
      Buffer.of(0x0c, 1),
      Buffer.of(0x02),
      Buffer.of(0x04),
      randomBytes(300).fill(0x17, 0, 1),
    ];
    for (const payload of payloads) {
      const client = await RawClient.enter(port);
      client.command(payload);
      client.command(Buffer.of(0x0e));
      await eventually(async () =>
        assert.ok(client.isClosed || client.payloads.length > 0, payload.toString('hex', 0, 12)),
      );
      client.socket.destroy();
    }
    await alive();
    await quiet();
  });

  test('a packet with a wrong sequence number is refused', async () => {
    const client = await RawClient.enter(port);
    client.command(query('SELECT 1'), 7);
    await eventually(async () => assert.ok(client.isClosed || client.payloads.length > 0));
    assert.match(String(errorOf(client).errno), /^(1156|1047)$/);
    await client.closed();
    await alive();
  });

  test('clients that vanish in a transaction leave no transaction, no lock and no busy backend behind', async () => {
    for (let round = 0; round < 12; round++) {
      const client = await RawClient.enter(port);
      client.command(query('BEGIN'));
      await client.came(1);
      client.command(query(`UPDATE kept SET v = v + 1 WHERE id = ${1 + (round % 4)}`));
      if (round % 2 === 0) await client.came(2);
      client.command(query('UPDATE kept SET v = v + 1 WHERE id IN (1, 2, 3, 4)'));
      if (round % 3 === 0) await client.came(3);
      client.socket.destroy();
    }
    // More than the pools hold: if any backend were lost this would wait for ever.
    const pool = mysql.createPool({ uri: url, connectionLimit: 8 });
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        pool.execute('UPDATE kept SET v = 100 WHERE id = ?', [1 + (n % 4)]),
      ),
    );
    await pool.end();
    assert.deepEqual(await runMysql(url, 'SELECT DISTINCT v FROM kept'), [{ v: 100 }]);
    await quiet();
  });

  test('clients that vanish in COMMIT leave it done or undone, on both shards alike', async () => {
    await runMysql(url, 'UPDATE kept SET v = 0');
    for (let round = 1; round <= 10; round++) {
      const client = await RawClient.enter(port);
      client.command(query('BEGIN'));
      await client.came(1);
      client.command(query(`UPDATE kept SET v = ${round} WHERE id IN (1, 2, 3, 4)`));
      await client.came(2);
      client.command(query('COMMIT'));
      await new Promise((resolve) => setTimeout(resolve, round % 5));
      client.socket.destroy();
      await quiet();
      assert.equal((await runMysql(url, 'SELECT DISTINCT v FROM kept')).length, 1, `round ${round}`);
    }
  });

  test('a client that vanishes while its statement runs has it cancelled', async () => {
    const client = await RawClient.enter(port);
    client.command(query('SELECT sleep(60) FROM kept WHERE id = 1'));
    await eventually(async () => {
      const running = await Promise.all(
        shardUrls.map((shard) =>
          runMysql(shard, "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT sleep(60)%'"),
        ),
      );
      assert.equal(running.flat().length, 1);
    });
    client.socket.destroy();
    await quiet();
  });

  test('a wrong password, an unknown user and an unknown database are refused with their numbers', async () => {
    await assert.rejects(runMysql(ringferry.url('shop', 'safe:wrong'), 'SELECT 1'), { errno: 1045 });
    await assert.rejects(runMysql(ringferry.url('shop', 'safe'), 'SELECT 1'), { errno: 1045 });
    await assert.rejects(runMysql(ringferry.url('shop', 'nobody:x'), 'SELECT 1'), { errno: 1045 });
    await assert.rejects(runMysql(ringferry.url('nowhere'), 'SELECT 1'), { errno: 1049, message: /nowhere/ });
    assert.deepEqual(await runMysql(ringferry.url('shop', 'safe:right'), 'SELECT 1 AS one'), [{ one: 1 }]);
  });

  test('one client too many gets 1040, and its place is free again when another has left', async () => {
    const clients: RawClient[] = [];
    let refused: RawClient | undefined;
    for (let n = 0; n < 60 && refused === undefined; n++) {
      const client = await RawClient.connect(port);
      client.command(handshakeResponse(await client.greeting()), 1);
      await client.came(2);
      if (client.payloads[1]![0] === 0xff) refused = client;
      else clients.push(client);
    }
    assert.ok(refused !== undefined, 'all came in');
    assert.equal(errorOf(refused).errno, 1040);
    assert.ok(clients.length >= 35 && clients.length <= 40, `${clients.length} clients`);
    for (const client of clients) client.socket.destroy();
    await eventually(alive);
  });
});
