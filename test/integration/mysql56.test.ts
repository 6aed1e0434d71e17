import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mariadb from 'mariadb';
import mysql, { type FieldPacket, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { connectMysqlBackend } from '../../src/mysql/backend.js';
import { ServerFailure } from '../../src/pool/backend.js';
import { RowCollector } from '../../src/pool/row-collector.js';
import { bulkOf } from '../../src/routing/parameter-sets.js';
import { lastFirst } from '../cluster.js';
import { runMysql } from '../mariadb.js';
import { int, values } from '../mysql/backend-requests.js';
import { mysql56Folder, startMysql56 } from '../mysql/mysql56-server.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const skip = mysql56Folder() === undefined ? 'there is no MySQL 5.6 for this machine' : false;
const server = skip ? '' : (await startMysql56(atEnd)).replace('//', '//root@');
if (!skip)
  await runMysql(
    server,
    'CREATE DATABASE shop',
    'CREATE TABLE shop.t (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20), at datetime(3))',
  );

/** Without the text of an OK, whose length the driver takes for a part of it where a server does not track sessions. */
function plainOf(row: unknown): unknown {
  return row !== null && typeof row === 'object' && 'info' in row ? { ...row, info: '' } : row;
}

/** Without the character set's collation, which only a login could say to the server, and logins are shared. */
function definitionOf(field: FieldPacket | undefined): unknown {
  return field && [field.name, field.columnType, field.flags, field.columnLength, field.table];
}

for (const mode of ['transaction', 'session'])
  describe(`a genuine MySQL 5.6 behind a pass-through in ${mode} mode`, { skip }, () => {
    test('serves mysql2 as by itself: types, ids, errors, transactions, prepared statements', async () => {
      const ringferry = await startRingferry(atEnd, {
        engine: 'mysql',
        shards: { a: `${server}shop` },
        pool: { mode, size: 2 },
        config: { mysql: { server_version: '5.6.24-log' } },
      });
      const told: unknown[][] = [];
      for (const uri of [`${server}shop`, ringferry.url()]) {
        await runMysql(`${server}shop`, 'TRUNCATE TABLE t');
        const connection = await mysql.createConnection({ uri, dateStrings: true, multipleStatements: true });
        const answers: unknown[] = [];
        const note = (found: unknown) => answers.push(found);
        const plain = async (sql: string) => {
          const [rows, fields] = await connection.query(sql);
          note([rows].flat().map(plainOf));
          note((fields ?? []).flat().map(definitionOf));
        };
        await plain("INSERT INTO t (name, at) VALUES ('ä', '2020-01-02 03:04:05.678'), (NULL, NULL)");
        await plain('SELECT *, 1.50 AS d, 2e0 AS f FROM t');
        await plain("SELECT 1; INSERT INTO t (name) VALUES ('b'); SELECT LAST_INSERT_ID(), ROW_COUNT()");
        const [{ insertId }] = await connection.execute<ResultSetHeader>('INSERT INTO t (name) VALUES (?)', [
          'c',
        ]);
        note(insertId);
        note((await connection.execute('SELECT id, name, at FROM t WHERE id > ?', [1]))[0]);
        await connection.beginTransaction();
        await connection.query('DELETE FROM t');
        await connection.rollback();
        await plain('SELECT count(*) AS n FROM t');
        await connection
          .query('SELECT * FROM nothing')
          .catch(({ errno, sqlState, message }) => note([errno, sqlState, message]));
        await connection.query("INSERT INTO t (name) VALUES ('far too long for twenty characters')");
        await plain('SHOW WARNINGS');
        await connection.end();
        told.push(answers);
      }
      assert.deepEqual(told[1], told[0]);
      await ringferry.stop();
    });

    test('what one client leaves in its session the next does not find', async () => {
      const ringferry = await startRingferry(atEnd, {
        engine: 'mysql',
        shards: { a: `${server}shop` },
        pool: { mode, size: 1, wait_timeout_ms: 5_000 },
      });
      for (let round = 0; round < 3; round++) {
        const connection = await mysql.createConnection({ uri: ringferry.url() });
        const [[row]] = await connection.query<RowDataPacket[]>('SELECT @mine AS mine, @@sql_mode AS mode');
        assert.deepEqual(row, { mine: null, mode: 'IGNORE_SPACE,NO_ENGINE_SUBSTITUTION' });
        await connection.query('SET @mine = 1');
        await connection.query("SET sql_mode = 'ANSI'");
        await connection.query('CREATE TEMPORARY TABLE temp_t (id int)');
        await connection.changeUser({});
        const [[again]] = await connection.query<RowDataPacket[]>('SELECT @mine AS mine, @@sql_mode AS mode');
        assert.deepEqual(again, { mine: null, mode: 'IGNORE_SPACE,NO_ENGINE_SUBSTITUTION' });
        await connection.query('SET @mine = 2');
        await connection.query('CREATE TEMPORARY TABLE temp_t (id int)');
        await connection.end();
      }
      await ringferry.stop();
    });
  });

describe('bulk execution on a genuine MySQL 5.6, which has none', { skip }, () => {
  test('is not offered, so that the mariadb connector sends rows one by one', async () => {
    const ringferry = await startRingferry(atEnd, { engine: 'mysql', shards: { a: `${server}shop` } });
    await runMysql(`${server}shop`, 'TRUNCATE TABLE t');
    const where = { host: '127.0.0.1', port: ringferry.ports.mysql!, user: 'root', database: 'shop' };
    const connection = await mariadb.createConnection(where);
    await connection.batch('INSERT INTO t (name) VALUES (?)', [['a'], ['b'], ['c']]);
    await connection.end();
    assert.deepEqual(await runMysql(`${server}shop`, 'SELECT name FROM t ORDER BY id'), [
      { name: 'a' },
      { name: 'b' },
      { name: 'c' },
    ]);
    await ringferry.stop();
  });

  test('is refused by the connection itself when it comes all the same', async () => {
    const url = new URL(`${server}shop`);
    const target = { shard: 'a', url: url.href, user: 'root', password: undefined, database: 'shop' };
    const backend = await connectMysqlBackend(target, new Map(), AbortSignal.timeout(5_000));
    try {
      const parameters = bulkOf([values(int(1)), values(int(2))]);
      const failure = await new Promise((resolve) => {
        const sink = new RowCollector(() => resolve(undefined), resolve);
        backend.query({ sql: 'DELETE FROM t WHERE id = ?', parameters }, sink);
      });
      assert.ok(failure instanceof ServerFailure, String(failure));
      assert.match(failure.message, /no bulk execution.*Turn it off in the driver/);
      assert.equal(await backend.rows('SELECT count(*) FROM t').then(([row]) => row![0]), '3');
    } finally {
      backend.terminate();
    }
  });
});
