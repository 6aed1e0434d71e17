import assert from 'node:assert/strict';
import { after as atEnd, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppliedStream, StreamSpec } from '../../src/migration/engine.js';
import { atQuietMoment } from '../../src/mysql/change-source.js';
import { createMysqlEngine } from '../../src/mysql/engine.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { advanceSequences } from '../../src/mysql/sequences.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import {
  assertSame,
  CUSTOMERS,
  caughtUp,
  KEYED,
  migrationOf,
  openStream,
  type Subject,
  startMigration,
  startPair,
  THOUSAND,
} from './engine-fixture.js';
import { client, sql, texts } from './shard-fixture.js';

describe('the log of a genuine MySQL of today', { skip: noGenuineMysql ?? false }, async () => {
  if (noGenuineMysql !== undefined) return;
  const pair = await startPair(atEnd, {}, startGenuineMysql);
  const begin = async (name: string): Promise<{ subject: Subject; stream: AppliedStream }> => {
    const subject = await migrationOf(pair, name, CUSTOMERS, THOUSAND, KEYED);
    return { subject, stream: await startMigration(pair, subject.spec) };
  };

  test('GTIDs with tags count by themselves, also when the stream comes back', async () => {
    const { subject, stream } = await begin('tags');
    const { source } = subject;
    const tagged = ["SET gtid_next = 'AUTOMATIC:shop'", "UPDATE customers SET name = 'tagged'"];
    await sql(source.url, ...tagged, "SET gtid_next = 'AUTOMATIC'", 'DELETE FROM customers WHERE id < 100');
    await assertSame(pair, subject, stream);
    assert.match(stream.applied, /:shop:1/);
    await stream.stop();
    await sql(source.url, ...tagged, 'UPDATE customers SET name = concat(name, id)');
    const again = await openStream(pair, subject.spec);
    assert.ok((await assertSame(pair, subject, again)).every((row) => /tagged\d+$/.test(row)));
    await again.stop();
  });

  test('a log of several files is one, for transactions in two phases too', async (t) => {
    const { subject, stream } = await begin('files');
    const { source, spec } = subject;
    const branch = await client(source, t);
    await branch.query("XA START 'long'");
    await branch.query(`UPDATE customers SET name = 'prepared' WHERE id = ${subject.moving[0]}`);
    await branch.query("XA END 'long'");
    await branch.query("XA PREPARE 'long'");
    const second = `UPDATE customers SET name = 'second' WHERE id = ${subject.moving[1]}`;
    await sql(source.url, 'FLUSH LOGS', second, 'FLUSH LOGS');
    await caughtUp(pair, spec, stream);
    await stream.stop();
    const again = await openStream(pair, spec);
    await sql(source.url, 'FLUSH LOGS');
    await branch.query("XA COMMIT 'long'");
    assert.ok((await assertSame(pair, subject, again)).some((row) => row.endsWith('prepared')));
    await again.stop();
  });

  const UNREADABLE: Readonly<Record<string, readonly [setting: string, pattern: RegExp, hint: RegExp]>> = {
    compressed: [
      'binlog_transaction_compression = ON',
      /a compressed transaction/,
      /binlog_transaction_compression = OFF/,
    ],
    partial: [
      "binlog_row_value_options = 'PARTIAL_JSON'",
      /a change of parts of a JSON value/,
      /binlog_row_value_options = ''/,
    ],
    minimal: [
      "binlog_row_image = 'MINIMAL'",
      /minimal\.customers: the log does not carry column/,
      /binlog_row_image must be FULL/,
    ],
  };
  for (const [name, [setting, message, hint]] of Object.entries(UNREADABLE))
    test(`a session that says ${setting} ends the stream by name`, async () => {
      const { subject, stream } = await begin(name);
      await sql(
        subject.source.url,
        'CREATE TABLE documents (id int PRIMARY KEY, body json)',
        `INSERT INTO documents VALUES (1, '{"a": "${'x'.repeat(200)}", "b": 1}')`,
        `SET SESSION ${setting}`,
        "UPDATE documents SET body = JSON_SET(body, '$.b', 2)",
        `UPDATE customers SET name = 'x' WHERE id = ${subject.moving[0]}`,
      );
      await assert.rejects(stream.ended, (error: Error & { hint?: string; code?: string }) => {
        assert.match(error.message, message);
        assert.match(error.hint ?? '', hint);
        return error.code === 'migration';
      });
    });

  test('DDL ends the stream with the table’s name; an index and other tables may change', async () => {
    const { subject, stream } = await begin('changed');
    await sql(
      subject.source.url,
      'CREATE TABLE others AS SELECT * FROM customers',
      'ALTER TABLE others ADD customers int',
      'CREATE INDEX customers_name ON customers (name(10))',
      'CREATE VIEW seen AS SELECT * FROM customers',
      'DROP TABLE others',
      "INSERT INTO customers VALUES (5000, 'new')",
    );
    await assertSame(pair, subject, stream);
    await sql(subject.source.url, 'ALTER TABLE customers ADD more int DEFAULT 5, ALGORITHM = INSTANT');
    await assert.rejects(stream.ended, /changed\.customers was changed \(DDL\)/);
  });

  test('an idle server shows that it lives, and log that was purged is gone for good', async () => {
    const subject = await migrationOf(pair, 'purged', CUSTOMERS, THOUSAND, KEYED);
    const stream = await startMigration(pair, subject.spec, {}, { silenceMs: 2_000 });
    await sleep(3_000);
    await assertSame(pair, subject, stream);
    await stream.stop();
    await sql(subject.source.url, "UPDATE customers SET name = 'lost'", 'FLUSH LOGS');
    const last = (await texts(subject.source.url, 'SHOW BINARY LOGS')).at(-1)!.split('|')[0];
    await sql(subject.source.url, `PURGE BINARY LOGS TO '${last}'`);
    const again = openStream(pair, subject.spec).then((opened) => opened.ended);
    await assert.rejects(again, /shard a: its log cannot be read: .*purged/);
  });

  test('a TRUNCATE past the fence closes the way back, whatever the table is called', async () => {
    const name = 'ü ß$x€/#1';
    const ddl = [
      `CREATE TABLE \`${name}\` (id int PRIMARY KEY)`,
      'CREATE TABLE `ö ß$x€/#1` (id int PRIMARY KEY)',
    ];
    const subject = await migrationOf(pair, 'emptied', ddl, [], { [name]: 'id:integer' });
    const { spec, source, target } = subject;
    const forward = await startMigration(pair, spec);
    await forward.stop();
    const back: StreamSpec = { ...spec, direction: 'reverse', from: target, to: source };
    await createMysqlEngine().prepareReverse(back);
    await sql(source.url, `CREATE INDEX again ON \`${name}\` (id)`, `ANALYZE TABLE \`${name}\``);
    await (await openStream(pair, back)).stop();
    await sql(source.url, `TRUNCATE TABLE \`${name}\``);
    await assert.rejects(openStream(pair, back), /table emptied\.ü ß\$x€\/#1 was emptied or built anew/);
  });

  test('a snapshot waits for a long statement by itself: nobody else does', async (t) => {
    const { source } = await migrationOf(pair, 'report', CUSTOMERS, THOUSAND, KEYED);
    const [report, reader] = [await client(source, t), await client(source, t)];
    const ends: string[] = [];
    const long = report.query('SELECT SLEEP(4) FROM customers LIMIT 1').then(() => ends.push('report'));
    const running = `SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'report' AND time >= 1 AND state = 'User sleep'`;
    while ((await texts(source.url, running))[0] !== '1') await sleep(50);
    const session = await EngineSession.connect(source);
    const quiet = atQuietMoment(
      session,
      () => {},
      async () => void ends.push('snapshot'),
    );
    for (let round = 0; round < 15; round++) {
      await reader.query('SELECT count(*) FROM customers');
      await sleep(100);
    }
    ends.push('reader');
    await Promise.all([long, quiet]);
    assert.deepEqual(ends, ['reader', 'report', 'snapshot']);
    await session.close();
  });

  test('numbers go on behind the source’s of this moment, not of yesterday', async () => {
    const ddl = ['CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, name text)'];
    const { source, target, spec } = await migrationOf(pair, 'numbered', ddl, THOUSAND, KEYED);
    const next =
      "SELECT auto_increment FROM information_schema.tables WHERE table_schema = 'numbered' AND table_name = 'customers'";
    for (const { url } of [source, target]) await sql(url, next);
    await sql(source.url, "INSERT INTO customers VALUES (7000, 'by hand')");
    await advanceSequences(pair.sessions, [source], target, spec.tasks);
    await sql(target.url, "INSERT INTO customers (name) VALUES ('first')");
    assert.ok(Number((await texts(target.url, 'SELECT max(id) FROM customers'))[0]) > 7000);
  });
});
