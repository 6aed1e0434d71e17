import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import mysql from 'mysql2/promise';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { prepareFence, removeFence } from '../../src/mysql/fence.js';
import { AT_ONCE } from '../../src/mysql/short-locks.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { HALF, keyspaceOf, numbersTo, type Shards, sql, startShards, tasksOf } from './shard-fixture.js';

const ROUNDS = 12;
const TABLES = ['customers', 'orders', 'stock'];

const SERVERS: Readonly<Record<string, Shards>> = {
  MariaDB: await startShards(atEnd, 1),
  ...(noGenuineMysql === undefined ? { MySQL: await startShards(atEnd, 1, {}, startGenuineMysql) } : {}),
};

for (const [title, shards] of Object.entries(SERVERS))
  test(`${title}: prepared statements of clients go on while the fence is made and removed`, {
    timeout: 120_000,
  }, async () => {
    const [shard] = await shards.databases('shop');
    await sql(
      shard!.url,
      ...TABLES.flatMap((table) => [
        `CREATE TABLE ${table} (id int PRIMARY KEY, pieces int NOT NULL)`,
        `INSERT INTO ${table} SELECT seq, 0 FROM ${numbersTo(100)}`,
      ]),
    );
    const tasks = tasksOf(
      await keyspaceOf(shard!, Object.fromEntries(TABLES.map((table) => [table, 'id:integer']))),
      HALF,
    );
    const session = await EngineSession.connect(shard!, { batches: true });
    const errors: string[] = [];
    let isOpen = true;
    let writes = 0;
    const writers = Array.from({ length: 8 }, async () => {
      const connection = await mysql.createConnection(shard!.url);
      while (isOpen) {
        try {
          const table = TABLES[writes++ % TABLES.length]!;
          const id = 1 + Math.floor(Math.random() * 100);
          await connection.execute(`UPDATE ${table} SET pieces = pieces + 1 WHERE id = ?`, [id]);
        } catch (error) {
          errors.push(String(error));
        }
      }
      await connection.end();
    });
    for (let round = 0; round < ROUNDS; round++) {
      await prepareFence(session, 'm1', tasks, AT_ONCE);
      await removeFence(session, 'm1', AT_ONCE);
    }
    isOpen = false;
    await Promise.all(writers);
    await session.close();
    assert.deepEqual(errors, []);
    assert.ok(writes > ROUNDS * 10, `${writes} writes`);
  });
