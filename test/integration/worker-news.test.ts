import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, afterEach, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { parse, stringify } from 'yaml';
import type { ShopConnection } from '../../src/demo/engine.js';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS } from '../engines.js';
import { eventually } from './eventually.js';
import { startTwoWorkers } from './two-workers.js';

const atEnd = lastFirst(after);
const TABLES = { late: { key: 'id' } };
// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages = [
  await startTwoWorkers(atEnd, POSTGRES_TESTS, { tables: TABLES }),
  await startTwoWorkers(atEnd, MARIADB_TESTS, {
    tables: TABLES,
    users: ['root', 'app'].map((name) => ({ name, auth: 'trust' })),
  }),
];

for (const { engine, proxy, operator, url, servers, onEach } of stages) {
  describe(`what one worker of ${engine.name} must hear of`, () => {
    const closing: (() => Promise<unknown>)[] = [];
    afterEach(async () => {
      await Promise.all(closing.splice(0).map((close) => close()));
    });

    /** A client of its own for each connection: none may take another's. */
    async function connect(at = url): Promise<ShopConnection> {
      const clients = engine.demo.clients(at, { size: 1, name: 'app', onLost: () => {} });
      const connection = await clients.connect();
      closing.push(async () => {
        connection.release(true);
        await clients.end();
      });
      return connection;
    }

    test('a sharded table that another worker’s client makes, and makes anew with its columns in another order', async () => {
      const [one, other] = await onEach(connect);
      await other.run('SELECT 1');
      const rowsOf = async (connection: ShopConnection) =>
        (await connection.run('SELECT id, other FROM late ORDER BY id')).rows.map((row) => [
          row['id'],
          row['other'],
        ]);
      const rows = Array.from({ length: 40 }, (_, n): [number, number] => [n, 1000 - n]);
      await one.run('CREATE TABLE late (id int PRIMARY KEY, other int)');
      for (const [id, value] of rows) await other.run(`INSERT INTO late VALUES (${id}, ${value})`);
      assert.deepEqual(await rowsOf(one), rows);
      for (const server of servers) {
        const here = await engine.run(server.url(engine.database), 'SELECT id FROM late');
        assert.ok(here.length > 5 && here.length < 35, `${here.length} of 40 rows on one shard`);
      }
      await one.run('DROP TABLE late');
      await one.run('CREATE TABLE late (other int, id int PRIMARY KEY)');
      for (const [id, value] of rows) await other.run(`INSERT INTO late VALUES (${value}, ${id})`);
      for (const [id, value] of rows) {
        const found = await one.run(`SELECT other FROM late WHERE id = ${id}`);
        assert.deepEqual(
          found.rows.map((row) => row['other']),
          [value],
          `row ${id}`,
        );
      }
      await one.run('DROP TABLE late');
    });

    test('RECONNECT: every worker’s connections are new', async () => {
      const pair = await onEach(connect);
      const backends = async () =>
        new Set((await operator.run('SHOW SERVERS')).map((row) => `${row['shard']} ${row['remote_pid']}`));
      // Two at once of each worker, and each shard of the one stays with it.
      for (const connection of pair) {
        await connection.begin();
        await connection.run('SELECT 1');
      }
      for (const connection of pair) await connection.commit();
      const before = await backends();
      assert.ok(before.size >= 2, `${before.size} connections`);
      await operator.run('RECONNECT');
      for (const connection of pair) await connection.run('SELECT 1');
      const now = await backends();
      assert.deepEqual(
        [...now].filter((id) => before.has(id)),
        [],
      );
    });

    test('RELOAD: a user who was added can log in at every worker', async () => {
      const { protocol } = engine.demo;
      const newcomer = proxy.url(engine.database, 'newcomer', protocol);
      await assert.rejects(connect(newcomer));
      const config = parse(await readFile(proxy.configPath, 'utf8'));
      config.users.push({ name: 'newcomer', auth: 'trust' });
      await writeFile(proxy.configPath, stringify(config));
      await operator.run('RELOAD');
      await onEach(() => connect(newcomer));
    });
  });
}

test('a text that was prepared before another worker’s DDL is a new statement when it is prepared after it', async () => {
  const { url, onEach } = stages[0]!;
  const [one, other] = await onEach(async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return client;
  });
  try {
    const text = 'SELECT * FROM late WHERE id = $1';
    const columns = async (name: string) =>
      (await other.query({ name, text, values: [1] })).fields.map((field) => field.name);
    await one.query('CREATE TABLE late (id int PRIMARY KEY)');
    assert.deepEqual(await columns('before'), ['id']);
    await one.query('ALTER TABLE late ADD COLUMN more int');
    assert.deepEqual(await columns('after'), ['id', 'more']);
    await one.query('DROP TABLE late');
  } finally {
    await Promise.all([one.end(), other.end()]);
  }
});

describe('KILL of a client at another worker', () => {
  const { url, proxy, operator, onEach } = stages[1]!;
  const connections: mysql.Connection[] = [];
  afterEach(async () => {
    await Promise.all(connections.splice(0).map((connection) => connection.end().catch(() => {})));
  });
  const connect = async (at = url) => {
    const connection = await mysql.createConnection(at);
    connection.on('error', () => {});
    connections.push(connection);
    return connection;
  };
  const errnoOf = (act: Promise<unknown>) =>
    act.then(
      () => 'it went through',
      (error: { errno?: number }) => error.errno,
    );

  test('KILL QUERY ends its statement and leaves it its session', async () => {
    const [victim, killer] = await onEach(connect);
    const slept = errnoOf(victim.query('SELECT sleep(30)'));
    await eventually(async () => {
      const rows = await operator.run('SHOW CLIENTS');
      assert.equal(rows.filter((row) => row['state'] === 'active').length, 1);
    });
    await killer.query(`KILL QUERY ${victim.threadId}`);
    assert.equal(await slept, 1317);
    await victim.query('SELECT 1');
  });

  test('KILL ends its session', async () => {
    const [victim, killer] = await onEach(connect);
    await killer.query(`KILL ${victim.threadId}`);
    await assert.rejects(victim.query('SELECT 1'), 'the session is gone');
    await killer.query('SELECT 1');
  });

  test('an unknown number is refused, and so is another user’s session', async () => {
    const users = ['root', 'app'];
    const [victim, stranger] = await onEach(() =>
      connect(proxy.url(MARIADB_TESTS.database, users.shift()!, 'mysql')),
    );
    assert.equal(await errnoOf(stranger.query('KILL 999999')), 1094);
    for (const what of ['KILL', 'KILL QUERY'])
      assert.equal(await errnoOf(stranger.query(`${what} ${victim.threadId}`)), 1045, what);
    await victim.query('SELECT 1');
  });
});
