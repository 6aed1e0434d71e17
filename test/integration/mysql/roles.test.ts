import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { startRingferry } from '../harness.js';

const atEnd = lastFirst(after);
const [server] = (await MARIADB_TESTS.start(atEnd, 1)) as [TestServer];
await runMysql(
  server.url('shop'),
  "CREATE USER ann@'%' IDENTIFIED BY 'x'",
  "CREATE USER bob@'%' IDENTIFIED BY 'y'",
  'CREATE ROLE day',
  'CREATE ROLE night',
  "GRANT day TO ann@'%', bob@'%'",
  "GRANT night TO bob@'%'",
  "SET DEFAULT ROLE night FOR bob@'%'",
  'CREATE TABLE secret (id int PRIMARY KEY)',
  'GRANT SELECT ON shop.secret TO day',
  // What may be used at all: without it the database is refused before a role is chosen.
  "GRANT CREATE TEMPORARY TABLES ON shop.* TO ann@'%', bob@'%'",
);
const users = [
  { name: 'ann', password: 'x' },
  { name: 'bob', password: 'y' },
];
const shards = { a: server.url('shop').replace('root@', '') };
const doors = {
  session: await startRingferry(atEnd, {
    engine: 'mysql',
    shards,
    users,
    pool: { mode: 'session', size: 1 },
  }),
  transaction: await startRingferry(atEnd, {
    engine: 'mysql',
    shards,
    users,
    pool: { mode: 'transaction', size: 1 },
  }),
};

const SETS = [
  'SET ROLE day',
  "EXECUTE IMMEDIATE 'SET ROLE day'",
  'BEGIN NOT ATOMIC SET ROLE day; END',
  'SET @mine = 1; SET ROLE day',
];

for (const [mode, { url }] of Object.entries(doors))
  for (const [user, password, own] of [
    ['ann', 'x', null],
    ['bob', 'y', 'night'],
  ] as const)
    test(`a role that a client has set is not the next one's: ${user} in ${mode} mode`, async () => {
      const uri = url().replace('root@', `${user}:${password}@`);
      const connect = () => mysql.createConnection({ uri, multipleStatements: true });
      const roleOf = async (client: mysql.Connection) =>
        (await client.query<RowDataPacket[]>('SELECT CURRENT_ROLE() AS role'))[0][0]!['role'];
      for (const sql of SETS) {
        const client = await connect();
        assert.equal(await roleOf(client), own, `before ${sql}`);
        await client.query(sql);
        assert.equal(await roleOf(client), 'day', sql);
        assert.deepEqual((await client.query('SELECT * FROM secret'))[0], []);
        await client.end();
        const next = await connect();
        assert.equal(await roleOf(next), own, `behind ${sql}`);
        await assert.rejects(next.query('SELECT * FROM secret'), { errno: 1142 });
        await next.end();
      }
    });

test('a connection whose role nobody has changed is reset and used again', async () => {
  const uri = doors.transaction.url().replace('root@', 'bob:y@');
  const connections = async () => {
    const [row] = await runMysql(server.url('shop'), "SHOW GLOBAL STATUS LIKE 'Connections'");
    return Number(row!['Value']);
  };
  await runMysql(uri, 'SELECT 1');
  const before = await connections();
  for (let turn = 0; turn < 5; turn++) await runMysql(uri, 'SET @mine = 1', 'SELECT @mine');
  // The one that asks.
  assert.equal((await connections()) - before, 1);
});
