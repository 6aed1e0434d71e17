import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { StreamSpec } from '../../src/migration/engine.js';
import { createMysqlEngine } from '../../src/mysql/engine.js';
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
import { sql, texts } from './shard-fixture.js';

const pair = await startPair(atEnd);

test('a table that changes ends the stream with its name; its index and AUTO_INCREMENT may change, and other tables', async () => {
  const ddl = [
    'CREATE TABLE customers (id int PRIMARY KEY AUTO_INCREMENT, name text)',
    'CREATE TABLE others (id int)',
    'CREATE TABLE `two words, (odd) ``one``` (id int PRIMARY KEY AUTO_INCREMENT)',
  ];
  const subject = await migrationOf(pair, 'ddl', ddl, THOUSAND, {
    ...KEYED,
    'two words, (odd) `one`': 'id:integer',
  });
  const stream = await startMigration(pair, subject.spec);
  await sql(
    subject.source.url,
    'ALTER TABLE others ADD customers int',
    'CREATE INDEX customers_name ON customers (name(10))',
    'ALTER TABLE customers AUTO_INCREMENT = 5000',
    'ALTER TABLE ddl.`two words, (odd) ``one``` AUTO_INCREMENT = 5000',
    `SET SESSION sql_mode = 'ANSI_QUOTES'`,
    'ALTER TABLE "two words, (odd) `one`" AUTO_INCREMENT = 6000',
    `SET SESSION sql_mode = ''`,
    'CREATE VIEW seen AS SELECT * FROM customers',
    'CREATE TRIGGER counted AFTER INSERT ON others FOR EACH ROW DELETE FROM customers WHERE id = 0',
    'DROP TRIGGER counted',
    'DROP TABLE others',
    `INSERT INTO customers (name) VALUES ('new')`,
  );
  await assertSame(pair, subject, stream);
  await sql(subject.source.url, 'ALTER TABLE customers ADD more int DEFAULT 5');
  await assert.rejects(stream.ended, /ddl\.customers was changed \(DDL\)/);
  await assert.rejects(stream.waitFor('1-1-99999999'), /was changed/);
});

test('a change that is in the log as a statement ends the stream', async () => {
  const subject = await migrationOf(pair, 'statement', CUSTOMERS, THOUSAND, KEYED);
  const stream = await startMigration(pair, subject.spec);
  await sql(subject.source.url, `SET SESSION binlog_format = 'STATEMENT'`, `UPDATE customers SET name = 'x'`);
  await assert.rejects(
    stream.ended,
    /statement\.customers: a change of its rows is in the log as a statement/,
  );
});

test('a row image that is not whole ends the stream', async () => {
  const subject = await migrationOf(pair, 'image', CUSTOMERS, THOUSAND, KEYED);
  const stream = await startMigration(pair, subject.spec);
  await sql(
    subject.source.url,
    `SET SESSION binlog_row_image = 'MINIMAL'`,
    `UPDATE customers SET name = 'x' WHERE id = ${subject.moving[0]}`,
  );
  await assert.rejects(stream.ended, /image\.customers: the log does not carry column/);
});

test('a row that the target lost ends the stream and is not made up', async () => {
  const subject = await migrationOf(pair, 'lost', CUSTOMERS, THOUSAND, KEYED);
  const stream = await startMigration(pair, subject.spec);
  const [first, second] = subject.moving;
  await sql(subject.target.url, `DELETE FROM customers WHERE id = ${first}`);
  await sql(
    subject.source.url,
    `UPDATE customers SET name = 'x' WHERE id = ${second}`,
    `UPDATE customers SET name = 'x' WHERE id = ${first}`,
  );
  await assert.rejects(stream.ended, /does not hold a row that a changed/);
  assert.deepEqual(await texts(subject.target.url, `SELECT id FROM customers WHERE id = ${first}`), []);
});

test('a TRUNCATE of the old owner past the fence closes the way back, which names it, for good', async () => {
  const subject = await migrationOf(
    pair,
    'emptied',
    ['CREATE TABLE customers (id int PRIMARY KEY AUTO_INCREMENT, name text)'],
    THOUSAND,
    KEYED,
  );
  const forward = await startMigration(pair, subject.spec);
  const engine = createMysqlEngine();
  const { source, target, spec } = subject;
  const back: StreamSpec = { ...spec, direction: 'reverse', from: target, to: source };
  await engine.prepareReverse(back);
  await forward.stop();
  const stream = await openStream(pair, back);
  await sql(target.url, `UPDATE customers SET name = 'x' WHERE id = ${subject.moving[0]}`);
  await sql(
    source.url,
    'CREATE TABLE others (id int)',
    'CREATE INDEX named ON customers (name(5))',
    'ALTER TABLE customers AUTO_INCREMENT = 90000',
    'ANALYZE TABLE customers',
  );
  await caughtUp(pair, back, stream);
  await stream.stop();
  await (await openStream(pair, back)).stop();
  const last = await openStream(pair, back);
  await sql(source.url, 'TRUNCATE customers');
  const emptied = /shard a: table emptied\.customers was emptied or built anew \(TRUNCATE/;
  await assert.rejects(last.ended, emptied);
  await assert.rejects(openStream(pair, back), emptied);
});
