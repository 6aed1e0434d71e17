import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mariadb from 'mariadb';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../engines.js';
import { runMysql } from '../mariadb.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const [a, b, c, whole] = (await MARIADB_TESTS.start(atEnd, 4)) as [
  TestServer,
  TestServer,
  TestServer,
  TestServer,
];
for (const server of [a, b, c, whole])
  await runMysql(
    server.url('shop'),
    'CREATE TABLE names (name varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY)',
    'CREATE TABLE words (id int PRIMARY KEY, word varchar(40)) CHARACTER SET utf8mb4',
  );
const start = (shards: Record<string, TestServer>, mode: string) =>
  startRingferry(atEnd, {
    engine: 'mysql',
    shards,
    pool: { mode, size: 2 },
    ...(Object.keys(shards).length === 1 ? {} : { tables: { words: { key: 'id' }, names: { key: 'name' } } }),
  });
const DOORS = {
  transaction: await start({ whole }, 'transaction'),
  session: await start({ whole }, 'session'),
  sharded: await start({ a, b, c }, 'transaction'),
};
const SETS = [
  { charset: 'latin1_swedish_ci', word: 'Größe ÄÖÜß' },
  { charset: 'gbk_chinese_ci', word: '中文字符' },
  { charset: 'sjis_japanese_ci', word: '日本語ソ表' },
];

async function words(connection: mysql.Connection, id: number, isPrepared: boolean): Promise<unknown> {
  const sql = 'SELECT word FROM words WHERE id = ?';
  const [rows] = await (isPrepared
    ? connection.execute<RowDataPacket[]>(sql, [id])
    : connection.query<RowDataPacket[]>(sql, [id]));
  return rows[0]?.['word'];
}

describe('clients in other character sets', () => {
  for (const name of ['transaction', 'session'] as const)
    for (const [index, { charset, word }] of SETS.entries())
      test(`${charset}: what one writes the others read, as text and prepared (${name} mode)`, async () => {
        const url = DOORS[name].url();
        const foreign = await mysql.createConnection({ uri: url, charset });
        const ours = await mysql.createConnection({ uri: url, charset: 'utf8mb4' });
        try {
          const ids = [10 * index, 10 * index + 1] as const;
          await ours.query('DELETE FROM words WHERE id IN (?, ?)', [...ids]);
          await foreign.query('INSERT INTO words VALUES (?, ?)', [ids[0]!, word]);
          await foreign.execute('INSERT INTO words VALUES (?, ?)', [ids[1]!, word]);
          for (let round = 0; round < 3; round++)
            for (const connection of [ours, foreign])
              for (const id of ids)
                for (const isPrepared of [false, true])
                  assert.equal(await words(connection, id, isPrepared), word);
          await assert.rejects(foreign.query(`SELECT '${word}' FROM nowhere`), { errno: 1146 });
        } finally {
          await Promise.all([foreign.end(), ours.end()]);
        }
      });

  for (const [name, ringferry] of Object.entries({ transaction: DOORS.transaction, session: DOORS.session }))
    test(`a driver that is told of SET NAMES writes what it was told (${name})`, async () => {
      const connection = await mysql.createConnection({ uri: ringferry.url() });
      try {
        await connection.query('SET NAMES latin1');
        const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@character_set_client AS c, 7 AS n');
        assert.deepEqual(row, { c: 'latin1', n: 7 });
        assert.deepEqual((await connection.query<RowDataPacket[]>("SELECT 'ü' AS u"))[0], [{ u: 'ü' }]);
        await connection.query('SET NAMES utf8mb4');
        assert.deepEqual((await connection.query<RowDataPacket[]>("SELECT 'ü' AS u"))[0], [{ u: 'ü' }]);
      } finally {
        await connection.end();
      }
    });

  test('the mariadb connector with a collation of latin1 reads and writes through a pass-through', async () => {
    const where = { host: '127.0.0.1', port: DOORS.transaction.ports.mysql!, user: 'root', database: 'shop' };
    const connection = await mariadb.createConnection({ ...where, collation: 'latin1_swedish_ci' });
    try {
      await connection.query('REPLACE INTO words VALUES (?, ?)', [70, 'Übergröße']);
      await connection.execute('REPLACE INTO words VALUES (?, ?)', [71, 'Übergröße']);
      for (const id of [70, 71])
        assert.deepEqual(
          [...(await connection.query('SELECT word FROM words WHERE id = ?', [id]))],
          [{ word: 'Übergröße' }],
        );
    } finally {
      await connection.end();
    }
    const [row] = await runMysql(
      whole.url('shop'),
      'SELECT HEX(CONVERT(word USING latin1)) AS h FROM words WHERE id = 70',
    );
    assert.deepEqual(row, { h: 'DC6265726772F6DF65' });
  });

  test('over shards what is not UTF-8 is refused, values of prepared statements are not, and the client goes on', async () => {
    const foreign = await mysql.createConnection({ uri: DOORS.sharded.url(), charset: 'latin1_swedish_ci' });
    const ours = await mysql.createConnection({ uri: DOORS.sharded.url() });
    try {
      await assert.rejects(foreign.query("INSERT INTO words VALUES (1, 'größer')"), {
        errno: 1235,
        message: /not UTF-8/,
      });
      await assert.rejects(foreign.query("INSERT INTO words VALUES (1, 'Ã¤')"), { errno: 1235 });
      await foreign.query("INSERT INTO words VALUES (1, 'plain')");
      await foreign.execute('INSERT INTO words VALUES (?, ?)', [2, 'größer']);
      for (const id of [1, 2])
        for (const isPrepared of [false, true])
          for (const connection of [foreign, ours])
            assert.equal(await words(connection, id, isPrepared), id === 1 ? 'plain' : 'größer');
      const [all] = await foreign.query<RowDataPacket[]>('SELECT word FROM words ORDER BY id');
      assert.deepEqual(all, [{ word: 'plain' }, { word: 'größer' }]);
    } finally {
      await Promise.all([foreign.end(), ours.end()]);
    }
  });

  test('over shards a key in another character set is found by everybody, or refused', async () => {
    const foreign = await mysql.createConnection({ uri: DOORS.sharded.url(), charset: 'latin1_swedish_ci' });
    const ours = await mysql.createConnection({ uri: DOORS.sharded.url() });
    try {
      for (const name of ['ä', 'Ã¤', 'Ã¶', 'Ã¼', 'Größe', 'ñandú', 'plain', 'simple']) {
        const isWritten = await foreign.execute('INSERT INTO names VALUES (?)', [name]).then(
          () => true,
          ({ errno }) => {
            assert.equal(errno, 1235);
            return false;
          },
        );
        assert.equal(isWritten, /^[a-z]+$/.test(name), name);
        if (!isWritten) await ours.execute('INSERT INTO names VALUES (?)', [name]);
        const [rows] = await ours.execute('SELECT name FROM names WHERE name = ?', [name]);
        assert.deepEqual(rows, [{ name }]);
      }
    } finally {
      await Promise.all([foreign.end(), ours.end()]);
    }
  });
});
