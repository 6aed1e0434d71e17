import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { withShortLocks } from '../../src/mysql/short-locks.js';
import { client, sql, startShards } from './shard-fixture.js';

const shards = await startShards(atEnd, 1);
const sessions = new EngineSessions();

test('a transaction that has read the table and now writes it is not failed for the sake of our DDL, which comes after it', async (t) => {
  const [shard] = await shards.databases('upgrade');
  await sql(shard!.url, 'CREATE TABLE customers (id int PRIMARY KEY)');
  const writer = await client(shard!, t);
  let isDone = false;
  await writer.query('START TRANSACTION');
  await writer.query('SELECT * FROM customers');
  const trigger = 'CREATE OR REPLACE TRIGGER watch BEFORE INSERT ON customers FOR EACH ROW SET @seen = 1';
  const made = sessions
    .use(shard!, (session) => withShortLocks(session, 'customers', () => session.run(trigger)))
    .then(() => {
      isDone = true;
    });
  for (let id = 0; id < 20; id++) {
    await sleep(20);
    await writer.query(`INSERT INTO customers VALUES (${id})`);
  }
  assert.equal(isDone, false);
  await writer.query('COMMIT');
  await made;
  assert.equal(isDone, true);
});
