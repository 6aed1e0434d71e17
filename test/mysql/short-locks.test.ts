import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { AT_ONCE, withShortLocks } from '../../src/mysql/short-locks.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { client, type Shards, sql, startShards } from './shard-fixture.js';

const SERVERS: Record<string, Shards> = { MariaDB: await startShards(atEnd, 1) };
if (noGenuineMysql === undefined) SERVERS['MySQL'] = await startShards(atEnd, 1, {}, startGenuineMysql);

const TRIGGER = 'TRIGGER watch BEFORE INSERT ON customers FOR EACH ROW SET @seen = 1';

for (const [title, shards] of Object.entries(SERVERS)) {
  test(`${title}: a transaction that has read the table and now writes it is not failed for the sake of our DDL, which comes after it`, async (t) => {
    const [shard] = await shards.databases('upgrade');
    await sql(shard!.url, 'CREATE TABLE customers (id int PRIMARY KEY)');
    const [writer, session] = [await client(shard!, t), await EngineSession.connect(shard!)];
    t.after(() => session.close());
    let isDone = false;
    await writer.query('START TRANSACTION');
    await writer.query('SELECT * FROM customers');
    const made = withShortLocks(session, AT_ONCE, 'customers', async () => {
      await session.run('DROP TRIGGER IF EXISTS watch');
      await session.run(`CREATE ${TRIGGER}`);
    }).then(() => {
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

  test(`${title}: DDL that waits for a writer is given up soon, so that others do not wait behind it, and what runs next is not ended`, async (t) => {
    const [shard] = await shards.databases('behind');
    await sql(shard!.url, 'CREATE TABLE customers (id int PRIMARY KEY)');
    const [writer, other, session] = [
      await client(shard!, t),
      await client(shard!, t),
      await EngineSession.connect(shard!),
    ];
    t.after(() => session.close());
    await writer.query('START TRANSACTION');
    await writer.query('INSERT INTO customers VALUES (1)');
    const made = withShortLocks(session, AT_ONCE, 'customers', () => session.run(`CREATE ${TRIGGER}`));
    // A wait for the writer's end would never end: the writer ends when these have come through.
    for (let id = 10; id < 30; id++) {
      await other.query(`INSERT INTO customers VALUES (${id})`);
      await sleep(20);
    }
    await writer.query('COMMIT');
    await made;
    assert.equal(await session.value('SELECT SLEEP(0.3)'), '0');
  });
}
