import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MYSQL_TESTS, type TestServer } from '../../engines.js';
import { noGenuineMysql } from '../../genuine-mysql.js';
import { type Ringferry, startRingferry } from '../harness.js';

const SCHEMA = [
  // The server's default collation, utf8mb4_0900_ai_ci: without regard to case and accents, trailing spaces count.
  'CREATE TABLE people (name varchar(20) PRIMARY KEY, n int DEFAULT 1, x int INVISIBLE DEFAULT 5) COLLATE utf8mb4_0900_ai_ci',
  'CREATE TABLE t (k int, id int, n int DEFAULT (1 + 1), j json, PRIMARY KEY (k, id))',
  'CREATE TABLE stock (x int INVISIBLE DEFAULT 1, n int, k int PRIMARY KEY, m int DEFAULT 9)',
  'CREATE TABLE numbered (id int AUTO_INCREMENT, k int PRIMARY KEY, n int, KEY (id))',
  'CREATE TABLE kinds (code varchar(5) PRIMARY KEY, n int)',
  'CREATE TABLE settings (id int AUTO_INCREMENT PRIMARY KEY, code varchar(5) UNIQUE, n int)',
];
const TABLES = {
  people: { key: 'name' },
  t: { key: 'k' },
  stock: { key: 'k' },
  numbered: { key: 'k' },
  kinds: { reference: true },
};

/** One after the other; all must be told as by one server with all rows. */
const EQUAL = [
  "INSERT INTO people (name, n) VALUES ('Ann', 1), ('bob', 2), ('carl', 3), ('dora', 4), ('emil', 5), ('fritz', 6), ('O''K-1', 7)",
  "INSERT INTO people (name) VALUES ('ann')",
  "INSERT INTO people (name) VALUES ('Bob ')",
  "SELECT * FROM people WHERE name = 'ANN'",
  "SELECT * FROM people WHERE name = 'ann '",
  "SELECT * FROM people WHERE name = 'ok1'",
  "SELECT * FROM people WHERE name = 'o''k-1'",
  "SELECT * FROM people WHERE name IN ('BOB', 'CARL', 'dora') ORDER BY name",
  'SELECT name, x FROM people ORDER BY name',
  "SELECT name FROM people WHERE name > 'b' ORDER BY name DESC LIMIT 3",
  "UPDATE people SET n = n + 1 WHERE name = 'CARL'",
  "DELETE FROM people WHERE name = 'EMIL'",
  'SELECT count(*), min(name), max(name) FROM people',
  `INSERT INTO t (k, id, j) VALUES (1, 1, '{"a": 1}'), (2, 1, '{"a": 2}'), (3, 1, NULL), (4, 1, '[1]'), (5, 1, '"x"')`,
  'SELECT k, n, j FROM t ORDER BY k',
  "SELECT k FROM t WHERE j->'$.a' = 2",
  "SELECT j->>'$.a' FROM t WHERE k = 2",
  'SELECT * FROM t WHERE k = 1 FOR SHARE SKIP LOCKED',
  'SELECT * FROM t WHERE k = 1 FOR UPDATE NOWAIT',
  'SELECT k, sum(n) OVER (PARTITION BY k ORDER BY id) FROM t ORDER BY k',
  'SELECT k, row_number() OVER w FROM t WHERE k = 1 WINDOW w AS (ORDER BY id)',
  'WITH x AS (SELECT k, n FROM t) SELECT * FROM x ORDER BY k',
  'SELECT t.k, l.m FROM t, LATERAL (SELECT max(n) AS m FROM t u WHERE u.k = t.k) l ORDER BY t.k',
  'SELECT /*+ SET_VAR(sort_buffer_size = 65536) */ count(*) FROM t',
  'SELECT k FROM t WHERE k = 1 EXCEPT SELECT n FROM t WHERE k = 1',
  'SELECT k, n FROM t GROUP BY k ORDER BY k',
  "SELECT k FROM t WHERE REGEXP_LIKE(j->>'$.a', '^1') ORDER BY k",
  'SELECT @@sql_mode',
  'TABLE t ORDER BY k',
  'SELECT count(*) FROM (TABLE t) x',
  'SELECT t.k FROM t JOIN (VALUES ROW(1, 2), ROW(3, 4)) AS x (a, b) ON x.a = t.k ORDER BY k',
  'TABLE settings',
  'TABLE kinds',
  'VALUES ROW(1, 2), ROW(3, 4) ORDER BY column_1 DESC LIMIT 1',
];

/** Row aliases, which drivers write since VALUES(column) is deprecated, and VALUES ROW(…). */
const UPSERTS = [
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5) AS new ON DUPLICATE KEY UPDATE n = new.n',
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 20), (3, 30), (40, 4), (50, 5) AS new ON DUPLICATE KEY UPDATE n = new.n + stock.n',
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 20), (3, 30), (40, 4), (51, 5) AS new (a, b) ON DUPLICATE KEY UPDATE n = b, k = a',
  'INSERT INTO stock (k, n) VALUES (2, 7) AS new ON DUPLICATE KEY UPDATE n = VALUES(n) + new.n',
  // The columns are those that are not invisible: n, k, m.
  'INSERT INTO stock VALUES (1, 10, 2), (3, 11, 4), (5, 12, 6) AS new ON DUPLICATE KEY UPDATE m = new.m',
  'INSERT INTO stock VALUES (2, 10, 3), (4, 11, 5), (6, 12, 7) AS new ON DUPLICATE KEY UPDATE m = new.m + stock.n',
  'INSERT INTO stock SET k = 10, n = 99 AS new ON DUPLICATE KEY UPDATE n = new.n',
  'INSERT INTO stock SET k = 13, n = 99 AS new (a, b) ON DUPLICATE KEY UPDATE n = b',
  'INSERT INTO stock (k, n) VALUES (10, 1) AS new ON DUPLICATE KEY UPDATE n = (SELECT max(t.n) FROM t WHERE t.k = new.k)',
  'INSERT INTO stock (k, n) VALUES (1, 1) AS new ON DUPLICATE KEY UPDATE n = (SELECT max(t.n) FROM t WHERE t.k = new.k)',
  "INSERT IGNORE INTO stock (k, n) VALUES (60, 'x') AS new ON DUPLICATE KEY UPDATE n = new.n",
  'INSERT INTO stock (k, n) VALUES (70, 1), (71, 2), (72, 3) AS new',
  'INSERT INTO stock (k, n) VALUES ROW(80, 1), ROW(81, DEFAULT), ROW(82, 1 + 1), ROW(1, 1) ON DUPLICATE KEY UPDATE n = 100',
  'REPLACE INTO stock (k, n) VALUES ROW(80, 1), ROW(90, 1), ROW(91, 2)',
  'SELECT *, x FROM stock ORDER BY k',
  'SELECT n FROM stock WHERE k = 12',
  'TABLE stock ORDER BY n DESC, k LIMIT 3 OFFSET 1',
  "INSERT INTO kinds VALUES ('a', 1), ('b', 2) AS new ON DUPLICATE KEY UPDATE n = new.n",
  "INSERT INTO kinds VALUES ('a', 3), ('c', 4) AS new ON DUPLICATE KEY UPDATE n = new.n + kinds.n",
  "INSERT INTO kinds VALUES ROW('d', 1), ROW('e', 2)",
  'TABLE kinds ORDER BY code',
  "INSERT INTO settings (code, n) VALUES ('a', 1), ('b', 2) AS new ON DUPLICATE KEY UPDATE n = new.n",
  "INSERT INTO settings (code, n) VALUES ('b', 3), ('c', 4) AS new ON DUPLICATE KEY UPDATE n = new.n, id = LAST_INSERT_ID(id)",
  'TABLE settings',
  // Numbers from the sequence for all shards: the alias has the columns that the client named, and rows that were there use none.
  'INSERT INTO numbered (k, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4) AS new ON DUPLICATE KEY UPDATE n = new.n',
  'INSERT INTO numbered (k, n) VALUES (2, 5) AS new ON DUPLICATE KEY UPDATE n = new.n, id = LAST_INSERT_ID(id)',
  'INSERT INTO numbered (k, n) VALUES (3, 5) AS new (a, b) ON DUPLICATE KEY UPDATE n = b',
  'INSERT INTO numbered SET k = 5, n = 6 AS new ON DUPLICATE KEY UPDATE n = new.n, id = LAST_INSERT_ID(id)',
  'INSERT INTO numbered SET k = 3, n = 6 AS new ON DUPLICATE KEY UPDATE n = new.n, id = LAST_INSERT_ID(id)',
  'INSERT INTO numbered (id, k, n) VALUES (NULL, 4, 7) AS new ON DUPLICATE KEY UPDATE n = new.n + 1',
  'INSERT INTO numbered (k, n) VALUES (2, 8), (3, 9), (4, 10) AS new ON DUPLICATE KEY UPDATE n = new.n',
  'INSERT INTO numbered (k, n) VALUES (2, 8), (3, 9), (4, 10) AS new ON DUPLICATE KEY UPDATE n = new.n',
  'INSERT IGNORE INTO numbered (k, n) VALUES (4, 8)',
  'INSERT INTO numbered (k, n) VALUES ROW(4, 8), ROW(1, 8) ON DUPLICATE KEY UPDATE n = 9',
  'INSERT INTO numbered (k) VALUES (4) AS new ON DUPLICATE KEY UPDATE n = n + 1, id = LAST_INSERT_ID(id)',
  'INSERT INTO numbered (k, n) VALUES (2, 8) AS new ON DUPLICATE KEY UPDATE n = new.id',
  'SELECT k, n FROM numbered ORDER BY k',
  // The servers' own errors.
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 20) AS new ON DUPLICATE KEY UPDATE n = n + 1',
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 20) AS stock ON DUPLICATE KEY UPDATE n = 1',
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 20) AS new (a) ON DUPLICATE KEY UPDATE n = 1',
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 20) AS new ON DUPLICATE KEY UPDATE n = new.x',
  'INSERT INTO stock (k, n) VALUES (1, 1), (2, 20) AS new (a, k) ON DUPLICATE KEY UPDATE n = new.n',
  'INSERT INTO stock (k, n) VALUES (1, 1) AS new',
];

/** Refused, because they cannot be understood or not be merged: no answer is better than a wrong one. */
const REFUSED = [
  "SELECT * FROM people WHERE name = 'änn'",
  "SELECT * FROM people WHERE name = 'a\tnn'",
  'SELECT k FROM t ORDER BY k FOR SHARE SKIP LOCKED',
  'SELECT k, row_number() OVER (ORDER BY k) FROM t',
  'INSERT INTO t (k, id) VALUES ROW(7, 1), ROW(8, 1) LIMIT 1',
  'INSERT INTO t TABLE t',
  'INSERT INTO stock (k, n) VALUES (1, 50) AS new ON DUPLICATE KEY UPDATE k = new.n',
  'INSERT INTO stock (k, n) VALUES (1, 50) AS new (n, k) ON DUPLICATE KEY UPDATE k = new.k',
  'INSERT INTO stock (k, n) VALUES (1, 50) AS excluded (n, k) ON DUPLICATE KEY UPDATE k = excluded.k',
  'INSERT INTO stock (k, n) VALUES ROW(1, 50), (2, 50)',
  'CREATE TABLE copies TABLE t',
  "SELECT t.k, jt.x FROM t, JSON_TABLE(t.j, '$[*]' COLUMNS (x int PATH '$')) AS jt WHERE t.k = 4",
  'TABLE t UNION TABLE t',
  'TABLE t ORDER BY 1',
  'SELECT k FROM t INTERSECT SELECT 1',
  'SELECT k FROM t EXCEPT SELECT k FROM t WHERE k = 1',
  'SELECT k FROM t WHERE 1 MEMBER OF (j)',
  'SELECT json_arrayagg(k) FROM t',
  'SELECT any_value(n), count(*) FROM t',
  'SELECT n, count(*) FROM t GROUP BY n WITH ROLLUP',
];

const atEnd = lastFirst(after);
const { ringferry, single } = noGenuineMysql === undefined ? await open() : {};

async function open(): Promise<{ ringferry: Ringferry; single: string }> {
  const servers = await MYSQL_TESTS.start(atEnd, 3);
  const [a, b, c] = servers as [TestServer, TestServer, TestServer];
  for (const server of servers) await MYSQL_TESTS.run(server.url(MYSQL_TESTS.database), ...SCHEMA);
  await MYSQL_TESTS.run(a.url(), 'CREATE DATABASE alone', 'USE alone', ...SCHEMA);
  const options = { engine: 'mysql', shards: { a, b, c }, tables: TABLES } as const;
  return { ringferry: await startRingferry(atEnd, options), single: a.url('alone') };
}

/** Rows or counts; or the error's number and text. */
async function told(connection: mysql.Connection, sql: string): Promise<unknown> {
  try {
    const [result] = await connection.query({ sql, rowsAsArray: true });
    if (Array.isArray(result)) return result;
    const { affectedRows, insertId, warningStatus, info } = result as mysql.ResultSetHeader;
    const [warnings] = await connection.query({ sql: 'SHOW WARNINGS', rowsAsArray: true });
    const [[id]] = await connection.query<mysql.RowDataPacket[]>('SELECT LAST_INSERT_ID() AS id');
    const told = { affectedRows, insertId, warningStatus, warnings, id: id!['id'] };
    // The text may be left out of an upsert's answer.
    return sql.includes('DUPLICATE') ? told : { ...told, info };
  } catch (thrown) {
    const { errno, message } = thrown as { errno: number; message: string };
    return `${errno} ${message.replaceAll('alone.', 'shop.')}`;
  }
}

describe('three shards of a genuine MySQL of today', { skip: noGenuineMysql ?? false }, () => {
  test('answer its own grammar, and keys of its default collation, as one server does, or refuse', async () => {
    const clients = await Promise.all(
      [ringferry!.url(), single!].map((uri) => mysql.createConnection({ uri })),
    );
    const [sharded, whole] = clients as [mysql.Connection, mysql.Connection];
    for (const sql of [...EQUAL, ...UPSERTS])
      assert.deepEqual(await told(sharded, sql), await told(whole, sql), sql);
    for (const sql of REFUSED)
      assert.match(
        String(await told(sharded, sql)),
        /^(1210|1235|1064) .*(Write|Give|Add|Use|Leave|Select|Insert|Create|Order|Group by|cannot be|can be merged)/,
        sql,
      );
    for (const client of clients) await client.end();
  });
});
