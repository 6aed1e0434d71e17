import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import mysql from 'mysql2/promise';
import type { ShardAddress } from '../../src/migration/engine.js';
import { openSourceSnapshot } from '../../src/mysql/source-snapshot.js';
import {
  assertSame,
  CUSTOMERS,
  caughtUp,
  KEYED,
  migrationOf,
  openStream,
  startMigration,
  startPair,
  THOUSAND,
} from './engine-fixture.js';
import { sql, texts, WHOLE } from './shard-fixture.js';

const pair = await startPair(atEnd);

async function client(
  address: ShardAddress,
  t: { after(end: () => Promise<void>): void },
): Promise<mysql.Connection> {
  const made = await mysql.createConnection({ uri: address.url });
  t.after(() => made.end());
  return made;
}

test('a copy and the stream behind it give the target exactly the moving rows', async () => {
  const subject = await migrationOf(pair, 'basics', CUSTOMERS, THOUSAND, KEYED);
  const stream = await startMigration(pair, subject.spec);
  await sql(
    subject.source.url,
    `INSERT INTO customers SELECT seq, concat('later ', seq) FROM seq_1001_to_1100`,
    `UPDATE customers SET name = concat(name, '!') WHERE id % 3 = 0`,
    'DELETE FROM customers WHERE id % 7 = 0',
  );
  const rows = await assertSame(pair, subject, stream);
  const kept = subject.moving.filter((id) => id % 7 !== 0);
  assert.deepEqual(
    rows.map((row) => Number(row.split('|')[0])).filter((id) => id <= 1000),
    kept,
  );
  assert.equal(stream.transactionsApplied, 3);
  await stream.stop();
  await stream.ended;
});

test('rows updated and deleted between the snapshot and their copy end as the source has them', async () => {
  const subject = await migrationOf(pair, 'between_', CUSTOMERS, THOUSAND, KEYED);
  const [updated, deleted, replaced] = subject.moving;
  const list = `SELECT id, name FROM customers WHERE id IN (${updated}, ${deleted}, ${replaced}) ORDER BY id`;
  const stream = await startMigration(
    pair,
    { ...subject.spec, migration: 'between' },
    {
      afterSnapshot: () =>
        sql(
          subject.source.url,
          `UPDATE customers SET name = 'newer' WHERE id = ${updated}`,
          `DELETE FROM customers WHERE id = ${deleted}`,
          `DELETE FROM customers WHERE id = ${replaced}`,
          `INSERT INTO customers VALUES (${replaced}, 'again')`,
        ),
      afterCopy: async () => {
        // The copy shows the source as it was when the snapshot was taken: older than all of these.
        assert.deepEqual(
          await texts(subject.target.url, list),
          [updated, deleted, replaced].map((id) => `${id}|n${id}`),
        );
      },
    },
  );
  await caughtUp(pair, subject.spec, stream);
  assert.deepEqual(await texts(subject.target.url, list), [`${updated}|newer`, `${replaced}|again`]);
  await stream.stop();
});

test('several tables are copied at once and show one moment', async () => {
  const names = ['t1', 't2', 't3', 't4', 't5', 't6'];
  const ddl = names.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, round int)`);
  const rows = names.map((name) => `INSERT INTO ${name} SELECT seq, 0 FROM seq_1_to_50`);
  const tables = Object.fromEntries(names.map((name) => [name, 'id:integer']));
  const subject = await migrationOf(pair, 'moment', ddl, rows, tables, WHOLE);
  let isWriting = true;
  const write = async (id: number): Promise<void> => {
    const writer = await mysql.createConnection({ uri: subject.source.url });
    for (let round = 1; isWriting; round++) {
      await writer.query('START TRANSACTION');
      for (const name of names) await writer.query(`UPDATE ${name} SET round = ${round} WHERE id = ${id}`);
      await writer.query('COMMIT');
    }
    await writer.end();
  };
  const writing = Array.from({ length: 8 }, (_, index) => write(index + 1));
  const union = names.map((name) => `SELECT * FROM ${name}`).join(' UNION ');
  const torn = `SELECT id, count(*) FROM (${union}) AS seen GROUP BY id HAVING count(*) > 1`;
  const stream = await startMigration(pair, subject.spec, {
    afterCopy: async () => assert.deepEqual(await texts(subject.target.url, torn), []),
  });
  isWriting = false;
  await Promise.all(writing);
  await caughtUp(pair, subject.spec, stream);
  for (const name of names) {
    const query = `SELECT * FROM ${name} ORDER BY id`;
    assert.deepEqual(await texts(subject.target.url, query), await texts(subject.source.url, query));
  }
  await stream.stop();
});

test('transactions that are open while the snapshot is taken are either in the copy or in the stream', async (t) => {
  const subject = await migrationOf(pair, 'open_', CUSTOMERS, THOUSAND, KEYED);
  const { source, moving } = subject;
  const writers = await Promise.all([client(source, t), client(source, t)]);
  await writers[0]!.query('START TRANSACTION');
  await writers[0]!.query(`UPDATE customers SET name = 'first' WHERE id = ${moving[0]}`);
  await writers[1]!.query('START TRANSACTION');
  await writers[1]!.query(`UPDATE customers SET name = 'second' WHERE id = ${moving[1]}`);
  await writers[1]!.query('COMMIT');
  const stream = await startMigration(
    pair,
    { ...subject.spec, migration: 'open' },
    { afterSnapshot: async () => void (await writers[0]!.query('COMMIT')) },
  );
  await assertSame(pair, subject, stream);
  await stream.stop();
});

test('concurrent transactions are applied in the order of their commits', async (t) => {
  const subject = await migrationOf(pair, 'orders_', CUSTOMERS, THOUSAND, KEYED);
  const { source, target, moving } = subject;
  const stream = await startMigration(pair, { ...subject.spec, migration: 'orders' });
  const [one, two] = await Promise.all([client(source, t), client(source, t)]);
  // `two` begins and writes later, and commits first; `one` then overwrites what it wrote.
  await one!.query('START TRANSACTION');
  await one!.query(`UPDATE customers SET name = 'one' WHERE id = ${moving[5]}`);
  await two!.query('START TRANSACTION');
  await two!.query(`UPDATE customers SET name = 'two' WHERE id = ${moving[6]}`);
  await two!.query('COMMIT');
  await one!.query(`UPDATE customers SET name = 'one' WHERE id = ${moving[6]}`);
  await one!.query('COMMIT');
  await caughtUp(pair, subject.spec, stream);
  assert.deepEqual(
    await texts(target.url, `SELECT name FROM customers WHERE id IN (${moving[5]}, ${moving[6]})`),
    ['one', 'one'],
  );
  await stream.stop();
});

test('unique values swapped between rows, through deletes and third values, touch no other row', async () => {
  const subject = await migrationOf(
    pair,
    'swap',
    ['CREATE TABLE seats (id int PRIMARY KEY, place int, UNIQUE (place))'],
    ['INSERT INTO seats SELECT seq, seq FROM seq_1_to_100'],
    { seats: 'id:integer' },
    WHOLE,
  );
  const stream = await startMigration(pair, subject.spec);
  await sql(
    subject.source.url,
    'START TRANSACTION',
    'UPDATE seats SET place = -1 WHERE id = 1',
    'UPDATE seats SET place = 1 WHERE id = 2',
    'UPDATE seats SET place = 2 WHERE id = 1',
    'COMMIT',
    'START TRANSACTION',
    'DELETE FROM seats WHERE id = 50',
    'UPDATE seats SET place = 50 WHERE id = 51',
    'INSERT INTO seats VALUES (50, 51)',
    'COMMIT',
    'UPDATE seats SET place = place + 1000 ORDER BY place DESC',
    'REPLACE INTO seats VALUES (200, 1003)',
    'INSERT INTO seats VALUES (4, 1) ON DUPLICATE KEY UPDATE place = 7',
  );
  const rows = await assertSame(pair, subject, stream);
  assert.equal(rows.length, 100);
  assert.ok(rows.includes('4|4|7') && rows.includes('1|1|1002') && !rows.some((row) => row.startsWith('3|')));
  await stream.stop();
});

test('a row follows its keys: primary key changed, shard key changed into, within and out of the moving ranges', async () => {
  const subject = await migrationOf(
    pair,
    'keys_',
    ['CREATE TABLE orders (id int PRIMARY KEY, customer int, note text)'],
    [`INSERT INTO orders SELECT seq, seq, repeat('x', 6400) FROM seq_1_to_1000`],
    { orders: 'customer:integer' },
  );
  const { moving, staying } = subject;
  const stream = await startMigration(pair, { ...subject.spec, migration: 'keys' });
  await sql(
    subject.source.url,
    `UPDATE orders SET id = id + 5000 WHERE id = ${moving[0]}`,
    `UPDATE orders SET customer = ${moving[1]} WHERE id = ${moving[2]}`,
    `UPDATE orders SET customer = ${staying[0]} WHERE id = ${moving[3]}`,
    `UPDATE orders SET customer = ${moving[4]} WHERE id = ${staying[1]}`,
    `UPDATE orders SET customer = NULL WHERE id = ${moving[5]}`,
    `UPDATE orders SET customer = ${moving[6]} WHERE id = ${moving[5]}`,
    `UPDATE orders SET customer = ${staying[2]}, id = id + 6000 WHERE id = ${staying[3]}`,
  );
  const ids = (await assertSame(pair, subject, stream)).map((row) => Number(row.split('|')[1]));
  assert.ok(ids.includes(moving[0]! + 5000) && !ids.includes(moving[0]!));
  assert.ok(ids.includes(staying[1]!) && ids.includes(moving[5]!) && !ids.includes(moving[3]!));
  await stream.stop();
});

test('keys of several columns and of texts that compare loosely address one row', async () => {
  const subject = await migrationOf(
    pair,
    'loose',
    ['CREATE TABLE words (word varchar(50), part char(5), note text, PRIMARY KEY (word, part))'],
    [`INSERT INTO words SELECT concat('Wörd ', seq), 'A', '' FROM seq_1_to_100`],
    { words: 'reference' },
  );
  const stream = await startMigration(pair, subject.spec);
  await sql(
    subject.source.url,
    `UPDATE words SET note = 'changed' WHERE word = 'WORD 7'`,
    `UPDATE words SET word = 'WÖRD 8' WHERE word = 'wörd 8'`,
    `DELETE FROM words WHERE word IN ('word 9', 'word 10')`,
  );
  const rows = await assertSame(pair, subject, stream);
  assert.equal(rows.length, 98);
  assert.ok(rows.includes('WÖRD 8|WÖRD 8|A|') && rows.includes('Wörd 7|Wörd 7|A|changed'));
  await stream.stop();
});

test('a transaction larger than every buffer is applied whole, a truncate empties, statements that fail leave nothing', async () => {
  const subject = await migrationOf(
    pair,
    'large',
    ['CREATE TABLE customers (id int PRIMARY KEY, name longtext)'],
    [],
    KEYED,
    WHOLE,
  );
  const stream = await startMigration(pair, subject.spec);
  await sql(
    subject.source.url,
    'INSERT INTO customers VALUES (1, NULL), (2, NULL)',
    'TRUNCATE TABLE customers',
    `INSERT INTO customers SELECT seq, repeat('x', 20000) FROM seq_1_to_2000`,
    `INSERT INTO customers VALUES (9999, repeat('y', 5000000))`,
    `UPDATE customers SET name = concat('z', name) WHERE id < 500`,
  );
  await assert.rejects(
    sql(subject.source.url, 'INSERT INTO customers SELECT 5000 - seq, NULL FROM seq_1_to_4500'),
  );
  await caughtUp(pair, subject.spec, stream);
  const sums = 'SELECT count(*), sum(length(name)), sum(crc32(name)) FROM customers';
  assert.deepEqual(await texts(subject.target.url, sums), await texts(subject.source.url, sums));
  assert.deepEqual(await texts(subject.target.url, 'SELECT count(*) FROM customers'), ['2001']);
  await stream.stop();
});

test('an aborted copy ends at once, and the next copy of the snapshot still works', async () => {
  const subject = await migrationOf(
    pair,
    'aborted',
    CUSTOMERS,
    [`INSERT INTO customers SELECT seq, repeat('x', 500) FROM seq_1_to_60000`],
    KEYED,
    WHOLE,
  );
  const snapshot = await openSourceSnapshot(subject.source, 'aborted', ['d'], () => {});
  const abort = new AbortController();
  await assert.rejects(
    snapshot.copy(
      subject.spec.tasks[0]!,
      subject.target,
      () => abort.abort(new Error('enough')),
      abort.signal,
    ),
    /enough/,
  );
  await sql(subject.target.url, 'DELETE FROM customers');
  let reported = 0;
  const rows = await snapshot.copy(
    subject.spec.tasks[0]!,
    subject.target,
    (count) => {
      assert.ok(count >= reported);
      reported = count;
    },
    AbortSignal.timeout(60_000),
  );
  assert.deepEqual([rows, reported], [60_000, 60_000]);
  await snapshot.close();
});

test('a stream reopened goes on behind what is committed on the target', async () => {
  const subject = await migrationOf(pair, 'reopen', CUSTOMERS, THOUSAND, KEYED);
  const first = await startMigration(pair, subject.spec);
  await sql(subject.source.url, `UPDATE customers SET name = 'one'`);
  await caughtUp(pair, subject.spec, first);
  await first.stop();
  await sql(
    subject.source.url,
    `UPDATE customers SET name = concat(name, ' two')`,
    'DELETE FROM customers WHERE id < 100',
  );
  const second = await openStream(pair, subject.spec);
  await assertSame(pair, subject, second);
  assert.equal(second.transactionsApplied, 2);
  await second.stop();
});
