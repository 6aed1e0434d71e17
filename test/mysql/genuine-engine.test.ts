import assert from 'node:assert/strict';
import { after as atEnd, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { preflight } from '../../src/mysql/preflight.js';
import { repairRows } from '../../src/mysql/repair.js';
import { verifyRows } from '../../src/mysql/verify.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import {
  assertSame,
  caughtUp,
  KEYED,
  openStream,
  type Pair,
  type Subject,
  startMigration,
  tasksFor,
} from './engine-fixture.js';
import { mysql56Folder, startMysql56 } from './mysql56-server.js';
import { HALF, keyspaceOf, sql, texts } from './shard-fixture.js';

const ends: (() => Promise<void>)[] = [];
atEnd(async () => {
  for (const end of ends) await end();
});

async function startMysql56Server(id: number): Promise<string> {
  const url = await startMysql56(
    (end) => ends.push(end),
    [
      '--log-bin=binlog',
      `--server-id=${id}`,
      '--gtid-mode=ON',
      '--enforce-gtid-consistency',
      '--log-slave-updates',
      '--binlog-format=ROW',
      '--innodb-large-prefix=ON',
    ],
  );
  return url.replace('//', '//root@');
}

/** URLs of two servers, without a database. */
const KINDS: Readonly<Record<string, { skip: string | false; start: () => Promise<string[]> }>> = {
  'a genuine MySQL 5.6': {
    skip: mysql56Folder() === undefined ? 'no MySQL 5.6' : false,
    start: () => Promise.all([startMysql56Server(1), startMysql56Server(2)]),
  },
  'a genuine MySQL of today': {
    skip: noGenuineMysql ?? false,
    start: async () =>
      (await startGenuineMysql((end) => ends.push(end), { count: 2 })).map((server) => server.url('')),
  },
};

const LENIENT = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'";
const NEWER_VALUES: Readonly<Record<string, string>> = {
  'geometry srid 4326': "ST_GeomFromText('POINT(48.2 16.37)', 4326)",
  'varchar(20) collate utf8mb4_0900_ai_ci': "'É '",
  'date null': "'0000-00-00'",
  'datetime null': "'2024-02-00 00:00:00'",
  'timestamp null': "'0000-00-00 00:00:00'",
  'time null': "'838:59:59'",
};
const NEWER_COLUMNS = `, hidden int INVISIBLE DEFAULT 5, plus1 int AS (id + 1) VIRTUAL, twice int AS (id * 2) STORED,
  checked int DEFAULT 1 CHECK (checked > 0) NOT ENFORCED, changed timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  made datetime(6) DEFAULT (CURRENT_TIMESTAMP(6)), KEY ((lower(c12))), KEY ((id * 3))`;

for (const [title, { skip, start }] of Object.entries(KINDS))
  describe(title, { skip }, async () => {
    if (skip !== false) return;
    const isOld = title.endsWith('5.6');
    const urls = await start();
    const sessions = new EngineSessions();
    const pair = { sessions, log: [] as string[] } as unknown as Pair;

    async function databases(name: string): Promise<{ source: ShardAddress; target: ShardAddress }> {
      for (const url of urls) await sql(`${url}mysql`, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
      return {
        source: { shard: 'a', url: `${urls[0]}${name}` },
        target: { shard: 'd', url: `${urls[1]}${name}` },
      };
    }

    async function customers(name: string): Promise<Subject> {
      const { source, target } = await databases(name);
      const ddl = 'CREATE TABLE customers (id int PRIMARY KEY, name text)';
      await sql(source.url, ddl, "INSERT INTO customers VALUES (0, 'n')");
      for (let size = 1; size < 1000; size *= 2)
        await sql(source.url, `INSERT INTO customers SELECT id + ${size}, concat('n', id) FROM customers`);
      await sql(target.url, ddl);
      const tasks = await tasksFor(source, KEYED, HALF);
      const spec: StreamSpec = { migration: name, direction: 'forward', from: source, to: target, tasks };
      return { source, target, spec, moving: [], staying: [] };
    }

    test('is copied from a snapshot and streamed from behind it by sets of GTIDs', async () => {
      const subject = await customers('streamed');
      let isWriting = true;
      const writing = (async () => {
        for (let n = 0; isWriting; n++) {
          await sql(
            subject.source.url,
            `INSERT INTO customers VALUES (${2000 + n}, 'new')`,
            `UPDATE customers SET name = 'changed ${n}', id = id + 5000 WHERE id = ${n}`,
            `DELETE FROM customers WHERE id = ${1000 - n}`,
          );
          await sleep(1);
        }
      })();
      const stream = await startMigration(pair, subject.spec, { afterCopy: () => sleep(200) });
      await sleep(300);
      isWriting = false;
      await writing;
      const rows = await assertSame(pair, subject, stream);
      assert.ok(rows.length > 300 && rows.some((row) => row.includes('changed')));
      assert.match(stream.applied, /^[0-9a-f-]{36}:1-\d+/);
      await stream.stop();
      await sql(subject.source.url, "UPDATE customers SET name = 'later'", 'CREATE TABLE others (id int)');
      const again = await openStream(pair, subject.spec);
      assert.ok((await assertSame(pair, subject, again)).every((row) => row.endsWith('later')));
      await sql(subject.source.url, 'TRUNCATE TABLE customers');
      assert.deepEqual(await assertSame(pair, subject, again), []);
      await sql(subject.source.url, 'ALTER TABLE customers ADD more int');
      await assert.rejects(again.ended, /streamed\.customers was changed \(DDL\)/);
    });

    test('a transaction in two phases comes when it is decided', async (t) => {
      const subject = await customers('phases');
      const stream = await startMigration(pair, subject.spec);
      const session = await EngineSession.connect(subject.source);
      t.after(() => session.close());
      for (const statement of [
        "XA START 'x'",
        "UPDATE customers SET name = 'two'",
        "XA END 'x'",
        "XA PREPARE 'x'",
      ])
        await session.run(statement);
      await caughtUp(pair, subject.spec, stream);
      await session.run("XA COMMIT 'x'");
      assert.ok((await assertSame(pair, subject, stream)).every((row) => row.endsWith('two')));
      await stream.stop();
    });

    test('carries its types bit by bit', async () => {
      const { source, target } = await databases('kinds');
      const values: Readonly<Record<string, string>> = {
        'bigint unsigned': '18446744073709551615',
        'decimal(20,5)': '-123456789.00001',
        float: '0.1',
        double: '-1.7976931348623157e308',
        'bit(10)': "b'1111100000'",
        'datetime(6)': "'2024-01-01 12:34:56.000001'",
        'timestamp(3) null': "'2024-06-30 23:59:59.999'",
        'time(2)': "'-12:34:56.78'",
        date: "'9999-12-31'",
        year: '2155',
        "enum('a','b')": "'b'",
        "set('a','b')": "'a,b'",
        'varchar(20)': "'😀\\\\'",
        'varchar(20) character set latin1': "X'00ff80'",
        'binary(4)': "X'ff00'",
        mediumblob: "repeat(X'00ff', 40000)",
        point: "ST_GeomFromText('POINT(0.1 -2)')",
        ...(isOld ? {} : NEWER_VALUES),
      };
      const columns = Object.keys(values).map((type, index) => `c${index} ${type}`);
      const ddl = `CREATE TABLE kinds (id int PRIMARY KEY, ${columns.join(', ')}${isOld ? '' : NEWER_COLUMNS})`;
      for (const { url } of [source, target]) await sql(url, ddl);
      const insert = (id: number): string =>
        `INSERT INTO kinds (id, ${columns.map((_, index) => `c${index}`).join(', ')}) VALUES (${id}, ${Object.values(values).join(', ')})`;
      await sql(source.url, LENIENT, 'SET NAMES utf8mb4', insert(1));
      if (!isOld)
        for (const { url } of [source, target]) {
          await sql(
            url,
            'ALTER TABLE kinds ADD later int DEFAULT 7, ADD gone int FIRST, ALGORITHM = INSTANT',
          );
          await sql(url, 'ALTER TABLE kinds DROP COLUMN gone, ALGORITHM = INSTANT');
        }
      const tasks = (await tasksFor(source, { kinds: 'id:integer' }, HALF)).map(({ table }) => ({
        table,
        selection: { type: 'all' as const },
      }));
      const spec: StreamSpec = { migration: 'kinds', direction: 'forward', from: source, to: target, tasks };
      const stream = await startMigration(pair, spec);
      await sql(
        source.url,
        LENIENT,
        'SET NAMES utf8mb4',
        insert(2),
        insert(3),
        'UPDATE kinds SET c0 = 1, c9 = NULL WHERE id = 2',
        ...(isOld
          ? []
          : ['UPDATE kinds SET hidden = 6, checked = -1, changed = NULL, later = NULL WHERE id = 3']),
      );
      await caughtUp(pair, spec, stream);
      const others = isOld ? '' : ', hidden, plus1, twice, checked, changed, made, later';
      const query = `SELECT id, ${columns.map((_, index) => `hex(c${index})`).join(', ')}${others} FROM kinds ORDER BY id`;
      assert.deepEqual(await texts(target.url, query), await texts(source.url, query));
      assert.equal((await texts(target.url, query)).length, 3);
      const { differences, comparedRows } = await verifyRows(
        stream,
        spec,
        () => {},
        AbortSignal.timeout(60_000),
      );
      assert.deepEqual([differences, comparedRows], [[], 3]);
      await stream.stop();
    });

    test('is verified and mended row by row', async () => {
      const subject = await customers('verified');
      const stream = await startMigration(pair, subject.spec);
      await caughtUp(pair, subject.spec, stream);
      const verify = async (): Promise<string[]> =>
        (await verifyRows(stream, subject.spec, () => {}, AbortSignal.timeout(60_000))).differences.map(
          ({ kind }) => kind,
        );
      assert.deepEqual(await verify(), []);
      const [one, two] = await texts(subject.target.url, 'SELECT id FROM customers LIMIT 2');
      await sql(
        subject.target.url,
        `DELETE FROM customers WHERE id = ${one}`,
        `UPDATE customers SET name = 'wrong' WHERE id = ${two}`,
      );
      const { differences } = await verifyRows(stream, subject.spec, () => {}, AbortSignal.timeout(60_000));
      assert.deepEqual(differences.map(({ kind }) => kind).sort(), ['different', 'missing']);
      await repairRows(subject.spec, stream, differences);
      assert.deepEqual(await verify(), []);
      await stream.stop();
    });

    test('the way back leaves out what came the way there', async () => {
      const subject = await customers('back');
      const { spec, source, target } = subject;
      const forward = await startMigration(pair, spec);
      const back: StreamSpec = { ...spec, direction: 'reverse', from: target, to: source };
      await sessions.use(target, async (session) => {
        const { atQuietMoment, storeStart } = await import('../../src/mysql/change-source.js');
        const moment = await atQuietMoment(
          session,
          () => {},
          async (progress) => progress,
        );
        await storeStart(session, { ...back, to: 'a' }, moment);
      });
      await sql(source.url, "UPDATE customers SET name = 'there'");
      await caughtUp(pair, spec, forward);
      await forward.stop();
      const stream = await openStream(pair, back);
      await sql(target.url, "UPDATE customers SET name = 'back'");
      await caughtUp(pair, back, stream);
      assert.equal(stream.transactionsApplied, 1);
      assert.deepEqual(
        (await texts(source.url, "SELECT id FROM customers WHERE name = 'back'")).sort(),
        (await texts(target.url, 'SELECT id FROM customers')).sort(),
      );
      await stream.stop();
    });

    test('is no shard of a migration: nothing of it could fence the rows, and the preflight says so', {
      skip: !isOld,
    }, async () => {
      const { source, target } = await customers('refused');
      const blockers = await preflight([source], [target], await keyspaceOf(source, KEYED), 'refused');
      assert.ok(blockers.length >= 2);
      assert.ok(blockers.every(({ message }) => /MySQL 5\.6\S* .*cannot be moved live/.test(message)));
    });
  });
