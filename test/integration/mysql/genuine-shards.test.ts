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
];
const TABLES = { people: { key: 'name' }, t: { key: 'k' } };

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
];

/** Refused, because they cannot be understood or not be merged: no answer is better than a wrong one. */
const REFUSED = [
  "SELECT * FROM people WHERE name = 'änn'",
  "SELECT * FROM people WHERE name = 'a\tnn'",
  'SELECT k FROM t ORDER BY k FOR SHARE SKIP LOCKED',
  'SELECT k, row_number() OVER (ORDER BY k) FROM t',
  'INSERT INTO t (k, id) VALUES ROW(7, 1), ROW(8, 1)',
  'INSERT INTO t (k, id, n) VALUES (1, 1, 50) AS new ON DUPLICATE KEY UPDATE n = new.n',
  "SELECT t.k, jt.x FROM t, JSON_TABLE(t.j, '$[*]' COLUMNS (x int PATH '$')) AS jt WHERE t.k = 4",
  'TABLE t',
  'VALUES ROW(1, 2), ROW(3, 4)',
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
    return { affectedRows, insertId, warningStatus, info };
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
    for (const sql of EQUAL) assert.deepEqual(await told(sharded, sql), await told(whole, sql), sql);
    for (const sql of REFUSED)
      assert.match(
        String(await told(sharded, sql)),
        /^(1210|1235|1064) .*(Write|Give|Add|Group by|cannot be|can be merged)/,
        sql,
      );
    for (const client of clients) await client.end();
  });
});
