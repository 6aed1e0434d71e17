import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type mysql from 'mysql2/promise';
import { lowerFence } from '../../src/mysql/fence.js';
import { aTrigger, KITS, refused } from './fence-fixture.js';
import { client, sql, texts, untilLockWait } from './shard-fixture.js';

for (const kit of KITS) {
  test(`${kit.title}: a raised fence refuses every kind of write of moving rows and no other, until it is lowered`, async (t) => {
    const database = await kit.fenced('kinds');
    const { source, moving, staying } = database;
    const [m, s] = [moving[0]!, staying[0]!];
    await sql(
      source.url,
      'CREATE TABLE other (id int PRIMARY KEY)',
      `INSERT INTO other VALUES (${m}), (${s})`,
    );
    const writer = await client(source, t);
    await writer.query(`UPDATE customers SET name = 'before' WHERE id = ${m}`);
    const fence = await kit.raise(database, 'kinds');
    const writes = [
      `UPDATE customers SET name = 'x' WHERE id = ${m}`,
      `UPDATE IGNORE customers SET name = 'x' WHERE id = ${m}`,
      `DELETE FROM customers WHERE id = ${m}`,
      `DELETE IGNORE FROM customers WHERE id = ${m}`,
      `INSERT INTO customers VALUES (${m}, 'x') ON DUPLICATE KEY UPDATE name = 'x'`,
      `INSERT IGNORE INTO customers VALUES (${m}, 'x') ON DUPLICATE KEY UPDATE name = 'x'`,
      `REPLACE INTO customers VALUES (${m}, 'x')`,
      `UPDATE customers SET id = 1000 + id WHERE id = ${m}`,
      `UPDATE customers JOIN other USING (id) SET customers.name = 'x'`,
      'DELETE customers, other FROM customers JOIN other USING (id)',
      `INSERT INTO customers SELECT id, 'x' FROM other ON DUPLICATE KEY UPDATE name = 'x'`,
      `INSERT INTO customers (name) SELECT 'by AUTO_INCREMENT' FROM customers`,
      `INSERT IGNORE INTO customers (name) SELECT 'by AUTO_INCREMENT' FROM customers`,
    ];
    for (const write of writes) await assert.rejects(writer.query(write), refused, write);
    const [count] = await writer.query<mysql.RowDataPacket[]>('SELECT COUNT(*) AS n FROM customers');
    assert.equal(count[0]!['n'], 100);
    // Into the range and out of it.
    await writer.query(`DELETE FROM customers WHERE id = ${s}`);
    await fence.lower();
    await writer.query(`DELETE FROM customers WHERE id = ${m}`);
    const again = await kit.raise(database, 'kinds');
    await assert.rejects(writer.query(`UPDATE customers SET id = ${m} WHERE id = ${staying[1]}`), refused);
    await assert.rejects(writer.query(`INSERT INTO customers VALUES (${m}, 'x')`), refused);
    await assert.rejects(writer.query(`INSERT IGNORE INTO customers VALUES (${m}, 'x')`), refused);
    await writer.query(`INSERT INTO customers VALUES (${s}, 'y')`);
    await again.lower();
    await writer.query(`INSERT INTO customers VALUES (${m}, 'after')`);
  });

  test(`${kit.title}: LOAD DATA is refused, in each of its kinds`, async (t) => {
    const database = await kit.fenced('loads');
    const { source, moving } = database;
    await sql(source.url, `DELETE FROM customers WHERE id = ${moving[0]}`);
    const fence = await kit.raise(database, 'loads');
    const writer = await client(source, t);
    for (const kind of ['', 'IGNORE', 'REPLACE']) {
      const load = writer.query({
        sql: `LOAD DATA LOCAL INFILE 'x' ${kind} INTO TABLE customers FIELDS TERMINATED BY ','`,
        infileStreamFactory: () => Readable.from([Buffer.from(`${moving[0]},x\n${moving[1]},x\n`)]),
      });
      await assert.rejects(load, refused, kind);
    }
    await fence.lower();
    assert.deepEqual(await texts(source.url, `SELECT COUNT(*), MIN(name), MAX(name) FROM customers`), [
      '99|n|n',
    ]);
  });

  test(`${kit.title}: raising waits for a writer inside, who may go on and commit; newcomers wait and are refused then`, async (t) => {
    const database = await kit.fenced('inside');
    const { source, moving } = database;
    const [writer, newcomer] = [await client(source, t), await client(source, t)];
    await writer.query('BEGIN');
    await writer.query(`UPDATE customers SET name = 'first' WHERE id = ${moving[0]}`);
    let isUp = false;
    const raising = kit.raise(database, 'inside').then((fence) => {
      isUp = true;
      return fence;
    });
    await untilLockWait(source);
    const late = assert.rejects(
      newcomer.query(`UPDATE customers SET name = 'new' WHERE id = ${moving[1]}`),
      refused,
    );
    await untilLockWait(source, 2);
    await writer.query(`UPDATE customers SET name = 'second' WHERE id = ${moving[0]}`);
    assert.equal(isUp, false);
    await writer.query('COMMIT');
    const fence = await raising;
    await late;
    await assert.rejects(
      writer.query(`UPDATE customers SET name = 'third' WHERE id = ${moving[0]}`),
      refused,
    );
    assert.deepEqual(await texts(source.url, `SELECT name FROM customers WHERE id = ${moving[0]}`), [
      'second',
    ]);
    await fence.lower();
  });

  test(`${kit.title}: of a deadlock with the raiser no writer is the victim`, async (t) => {
    const database = await kit.fenced('deadlock');
    const { source, moving, staying } = database;
    const [inside, newcomer] = [await client(source, t), await client(source, t)];
    await inside.query('BEGIN');
    await inside.query(`UPDATE customers SET name = 'inside' WHERE id = ${moving[0]}`);
    await newcomer.query('BEGIN');
    await newcomer.query(`UPDATE customers SET name = 'newcomer' WHERE id = ${staying[0]}`);
    const raising = kit.raise(database, 'deadlock', 10_000);
    await untilLockWait(source);
    // The newcomer waits behind the raiser, the raiser for the one inside, and that for the newcomer.
    const late = newcomer.query(`UPDATE customers SET name = 'newcomer' WHERE id = ${moving[1]}`);
    late.catch(() => {});
    await untilLockWait(source, 2);
    const crossed = inside.query(`UPDATE customers SET name = 'inside' WHERE id = ${staying[0]}`);
    // The raiser gave way, so the newcomer is inside too.
    await late;
    await newcomer.query('COMMIT');
    await crossed;
    await inside.query('COMMIT');
    await (await raising).lower();
    assert.deepEqual(
      await texts(source.url, `SELECT COUNT(*) FROM customers WHERE name IN ('inside', 'newcomer')`),
      ['3'],
    );
  });

  test(`${kit.title}: at the deadline the fence is down again and refuses nobody`, async (t) => {
    const database = await kit.fenced('deadline');
    const { source, moving } = database;
    const writer = await client(source, t);
    await writer.query('BEGIN');
    await writer.query(`UPDATE customers SET name = 'first' WHERE id = ${moving[0]}`);
    await assert.rejects(kit.raise(database, 'deadline', 150), /did not end within 150 ms/);
    await sql(source.url, `UPDATE customers SET name = 'other' WHERE id = ${moving[1]}`);
    await writer.query('COMMIT');
    await writer.query(`UPDATE customers SET name = 'second' WHERE id = ${moving[0]}`);
  });

  test(`${kit.title}: a prepared transaction is a writer inside until it is committed, though InnoDB has dropped its shared locks`, async (t) => {
    const database = await kit.fenced('prepared');
    const { source, moving } = database;
    const writer = await client(source, t);
    await writer.query(`XA START 'p1'`);
    await writer.query(`UPDATE customers SET name = 'prepared' WHERE id = ${moving[0]}`);
    await writer.query(`XA END 'p1'`);
    await writer.query(`XA PREPARE 'p1'`);
    await assert.rejects(kit.raise(database, 'prepared', 150), /did not end/);
    let isUp = false;
    const raising = kit.raise(database, 'prepared', 10_000).then((fence) => {
      isUp = true;
      return fence;
    });
    await sleep(300);
    assert.equal(isUp, false);
    await writer.query(`XA COMMIT 'p1'`);
    await (await raising).lower();
  });

  test(`${kit.title}: a prepared transaction that outlived its server is a writer inside too`, async (t) => {
    const database = await kit.fenced('survivor');
    const { source, moving } = database;
    const writer = await client(source, t);
    await writer.query(`XA START 's1'`);
    await writer.query(`UPDATE customers SET name = 'prepared' WHERE id = ${moving[0]}`);
    await writer.query(`XA END 's1'`);
    await writer.query(`XA PREPARE 's1'`);
    await kit.shards.servers[0]!.crash();
    await kit.shards.servers[0]!.start();
    await assert.rejects(kit.raise(database, 'survivor', 150), /did not end/);
    await sql(source.url, `XA COMMIT 's1'`);
    await (await kit.raise(database, 'survivor')).lower();
  });

  test(`${kit.title}: a transaction whose snapshot is older than the fence is refused, in every isolation level`, async (t) => {
    const database = await kit.fenced('snapshot');
    const { source, moving } = database;
    for (const level of ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) {
      const writer = await client(source, t);
      await writer.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
      await writer.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      await writer.query('SELECT COUNT(*) FROM customers');
      const fence = await kit.raise(database, 'snapshot');
      await assert.rejects(
        writer.query(`UPDATE customers SET name = 'late' WHERE id = ${moving[0]}`),
        refused,
      );
      const lowering = fence.lower();
      const write = `UPDATE customers SET name = 'in time' WHERE id = ${moving[0]}`;
      if (kit.title === 'MySQL' && level === 'SERIALIZABLE') {
        // In this level each reading locks: the flag can be lowered when the refused transaction has ended.
        await untilLockWait(source);
      } else {
        // A refused one that leaves its transaction open does not keep the fence up.
        await lowering;
        // Where the flag is in rows, a snapshot has them as they were.
        if (kit.title === 'MySQL' && level === 'REPEATABLE READ')
          await assert.rejects(writer.query(write), refused);
        else await writer.query(write);
      }
      await writer.query('ROLLBACK');
      await lowering;
      await writer.query(write);
    }
  });

  test(`${kit.title}: TRUNCATE and other DDL wait while the fence is held`, async (t) => {
    const database = await kit.fenced('ddl');
    const { source, tasks } = database;
    const fence = await kit.raise(database, 'ddl');
    const other = await client(source, t);
    await other.query('SET lock_wait_timeout = 0');
    for (const ddl of [
      'TRUNCATE customers',
      'DROP TABLE customers',
      `DROP TRIGGER ${await aTrigger(source)}`,
    ])
      await assert.rejects(other.query(ddl), { errno: 1205 }, ddl);
    await fence.release();
    await other.query('TRUNCATE customers');
    await lowerFence(kit.sessions, source, 'ddl');
    assert.equal(tasks.length, 1);
  });
}
