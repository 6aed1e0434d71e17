import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../engines.js';
import { runMysql } from '../mariadb.js';
import { eventually } from './eventually.js';
import { startRingferry } from './harness.js';
import { Operator } from './shop.js';

const atEnd = lastFirst(after);
const [server] = (await MARIADB_TESTS.start(atEnd, 1)) as [TestServer];
await runMysql(server.url(''), 'CREATE DATABASE depot', 'CREATE TABLE shop.t (id int PRIMARY KEY)');

for (const mode of ['transaction', 'session'])
  describe(`COM_CHANGE_USER (${mode} mode)`, () => {
    test('to another user, database and character set is a new login on the same connection', async () => {
      const users = [
        { name: 'root', auth: 'trust' },
        { name: 'ann', password: 'secret' },
      ];
      const shards = { a: { url: server.url('shop') } };
      const pool = { mode, size: 3 };
      const ringferry = await startRingferry(atEnd, {
        engine: 'mysql',
        shards: { a: server },
        pool,
        users,
        config: {
          databases: {
            shop: { engine: 'mysql', pool, shards },
            depot: { engine: 'mysql', pool, shards: { a: { url: server.url('depot') } } },
          },
        },
      });
      const operator = new Operator(ringferry.ports.admin);
      const clients = async () =>
        (await operator.run('SHOW CLIENTS')).filter((row) => row['database'] !== 'ringferry');
      const connection = await mysql.createConnection({ uri: ringferry.url('shop') });
      connection.on('error', () => {});
      const value = async (sql: string) =>
        Object.values((await connection.query<RowDataPacket[]>(sql))[0][0] ?? {})[0];
      await connection.query('SET @mine = 1');
      await connection.beginTransaction();
      await connection.query('INSERT INTO t VALUES (1)');
      await connection.changeUser({
        user: 'ann',
        password: 'secret',
        database: 'depot',
        charset: 'latin1_swedish_ci',
      });
      assert.equal(await value('SELECT DATABASE()'), 'depot');
      assert.equal(await value('SELECT @mine'), null);
      assert.equal(await value('SELECT @@character_set_client'), 'latin1');
      assert.equal(await value("SELECT 'ü'"), 'ü');
      await eventually(async () => {
        const [client, ...others] = await clients();
        assert.deepEqual([client?.['user'], client?.['database'], others], ['ann', 'depot', []]);
      });
      assert.deepEqual(
        await runMysql(server.url('shop'), 'SELECT * FROM t'),
        [],
        'the transaction is rolled back',
      );

      // Back, and at once with a command behind it.
      const back = connection.changeUser({ user: 'root', database: 'shop', charset: 'utf8mb4_general_ci' });
      const first = value('SELECT DATABASE()');
      await back;
      assert.equal(await first, 'shop');
      await assert.rejects(connection.changeUser({ user: 'ann', password: 'wrong' }), { errno: 1045 });
      await eventually(async () => assert.deepEqual(await clients(), []));
      await ringferry.stop();
    });
  });
