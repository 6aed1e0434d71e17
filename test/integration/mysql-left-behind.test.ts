import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../engines.js';
import { runMysql } from '../mariadb.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const servers = (await MARIADB_TESTS.start(atEnd, 5)) as [
  TestServer,
  TestServer,
  TestServer,
  TestServer,
  TestServer,
];
const [a, b, c, whole, direct] = servers;
for (const server of servers)
  await runMysql(
    server.url(MARIADB_TESTS.database),
    'CREATE TABLE t (id int PRIMARY KEY, s varchar(3), n int NOT NULL DEFAULT 0)',
    'CREATE TABLE ids (id int AUTO_INCREMENT PRIMARY KEY, s varchar(3))',
  );
await runMysql(
  whole.url('shop'),
  'CREATE PROCEDURE put() INSERT IGNORE INTO t VALUES (900, "long", 0), (901, "x", 0)',
);
await runMysql(
  direct.url('shop'),
  'CREATE PROCEDURE put() INSERT IGNORE INTO t VALUES (900, "long", 0), (901, "x", 0)',
);
const pool = { mode: 'transaction', size: 4 };
const passed = await startRingferry(atEnd, { engine: 'mysql', shards: { whole }, pool });
const sharded = await startRingferry(atEnd, {
  engine: 'mysql',
  shards: { a, b, c },
  pool,
  tables: { t: { key: 'id' } },
});
const WAYS = { 'passed through': passed, 'over three shards': sharded };

const QUESTIONS = [
  'SELECT ROW_COUNT()',
  'SELECT FOUND_ROWS() AS `how many`, row_count( ) n',
  'SELECT @@warning_count, @@session.error_count AS errors',
  'SHOW COUNT(*) WARNINGS',
  'SHOW ERRORS',
  'SHOW WARNINGS LIMIT 1, 1',
];
/** Behind a statement without tables servers keep the messages of the one before, which nobody asks for; here they are gone. */
const WITHOUT_TABLES = /^(BEGIN|ROLLBACK|SET|SELEC)/;
/** What FOUND_ROWS() is behind an error is not told. */
const FAILS = /^SELEC |^INSERT INTO t (VALUES \(1, 'a', 0\)$|\(id\))/;
const STATEMENTS = [
  "INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)",
  "INSERT IGNORE INTO t VALUES (11, 'long', 0), (11, 'longer', 0), (11, 'x', 0)",
  'SELECT id FROM t',
  'SELECT id FROM t WHERE id = 2',
  'UPDATE t SET n = n + 1 WHERE id IN (1, 2, 3)',
  'UPDATE t SET n = n + 1 WHERE id = 1',
  'DELETE FROM t WHERE id = 77',
  'BEGIN',
  'INSERT INTO t (id) VALUES (50)',
  'ROLLBACK',
  "INSERT INTO t VALUES (1, 'a', 0)",
  'SELEC nonsense',
  'SET NAMES utf8mb4',
  'SELECT id FROM t WHERE id IN (1, 2, 3)',
  "INSERT INTO ids (s) VALUES ('x'), ('y')",
  'SELECT SQL_CALC_FOUND_ROWS id FROM t WHERE id = 1 LIMIT 0',
];

type Told = { rows: unknown; names: string[] } | { errno: number | undefined };

async function ask(connection: mysql.Connection, sql: string, isPrepared: boolean): Promise<Told> {
  try {
    const [rows, fields] = await (isPrepared ? connection.execute(sql) : connection.query(sql));
    return {
      rows,
      names: (fields ?? []).map(
        ({ name, columnType, flags }) => `${name} ${columnType} ${JSON.stringify(flags)}`,
      ),
    };
  } catch (error) {
    return { errno: (error as { errno?: number }).errno };
  }
}

for (const [name, ringferry] of Object.entries(WAYS))
  describe(`what statements leave behind, ${name}`, () => {
    for (const isPrepared of [false, true])
      test(`is told as one server tells it, ${isPrepared ? 'prepared' : 'as text'}`, async () => {
        for (const server of servers) await runMysql(server.url('shop'), 'DELETE FROM t');
        const ours = await mysql.createConnection({ uri: ringferry.url() });
        const theirs = await mysql.createConnection({ uri: direct.url('shop') });
        // Others use the same connections in between.
        const other = mysql.createPool({ uri: ringferry.url(), connectionLimit: 4 });
        let isOver = false;
        const noise = (async () => {
          while (!isOver)
            await Promise.all(
              [1, 2, 3].map((id) => other.query(`SELECT id FROM t WHERE id = ${id} OR id = 4`)),
            );
        })();
        try {
          for (const sql of STATEMENTS)
            for (const question of QUESTIONS) {
              if (FAILS.test(sql) && /found/i.test(question)) continue;
              if (WITHOUT_TABLES.test(sql) && /warn|error/i.test(question)) continue;
              const before = sql.startsWith('INSERT INTO t VALUES') ? 'DELETE FROM t WHERE id < 4' : 'DO 0';
              for (const connection of [ours, theirs]) {
                await connection.query('ROLLBACK');
                if (/^INSERT INTO t VALUES .*\(3/.test(sql)) await connection.query(before);
                await connection.query(sql).catch(() => {});
              }
              const told = [await ask(ours, question, isPrepared), await ask(theirs, question, isPrepared)];
              assert.deepEqual(told[0], told[1], `${sql}; ${question}`);
            }
        } finally {
          isOver = true;
          await noise;
          await Promise.all([ours.end(), theirs.end(), other.end()]);
        }
      });

    test('is refused where only the server of that statement knows', async () => {
      const connection = await mysql.createConnection({ uri: ringferry.url() });
      try {
        await connection.query('SELECT id FROM t WHERE id = 1 LIMIT 1');
        await assert.rejects(connection.query('SELECT FOUND_ROWS()'), { errno: 1235 });
        await connection.query('UPDATE t SET n = 5 WHERE id = 2');
        await assert.rejects(connection.query('SELECT id, ROW_COUNT() FROM t WHERE id = 1'), { errno: 1235 });
        await assert.rejects(connection.query('GET DIAGNOSTICS @n = ROW_COUNT'), { errno: 1235 });
        const [[row]] = await connection.query<RowDataPacket[][]>('SELECT 5 AS five');
        assert.deepEqual(row, { five: 5 }, 'the connection goes on');
      } finally {
        await connection.end();
      }
    });
  });

describe('CONNECTION_ID()', () => {
  for (const [name, ringferry] of Object.entries(WAYS))
    test(`is the number that the client was told when it came, and KILL knows it (${name})`, async () => {
      const [one, other] = [1, 2].map(() => mysql.createConnection({ uri: ringferry.url() }));
      const connection = await one!;
      try {
        for (const isPrepared of [false, true]) {
          const told = (await ask(connection, 'select connection_id( ) AS id', isPrepared)) as {
            rows: RowDataPacket[];
          };
          assert.deepEqual(told.rows, [{ id: connection.threadId }]);
        }
        const theirs = await mysql.createConnection({ uri: direct.url('shop') });
        const sql = 'SELECT CONNECTION_ID()';
        const names = await Promise.all(
          [connection, theirs].map(async (each) => (await ask(each, sql, false)) as { names: string[] }),
        );
        await theirs.end();
        assert.deepEqual(names[0]!.names, names[1]!.names);
        const killed = new Promise((resolve) => connection.on('error', resolve));
        await (await other!).query(`KILL ${connection.threadId}`);
        await killed;
      } finally {
        connection.destroy();
        await (await other!).end();
      }
    });
});

describe('a session that is pinned', () => {
  test('has its own id on the connection it is pinned to, and what that connection knows is asked there', async () => {
    const ours = await mysql.createConnection({ uri: passed.url() });
    const theirs = await mysql.createConnection({ uri: direct.url('shop') });
    const stranger = await mysql.createConnection({ uri: passed.url() });
    try {
      const told: unknown[][] = [];
      for (const connection of [ours, theirs]) {
        const answers: unknown[] = [];
        await connection.query('ALTER TABLE ids AUTO_INCREMENT = 5000');
        await connection.query("INSERT INTO ids (s) VALUES ('p')");
        // The next one finds a connection that gave an id to somebody else.
        if (connection === ours) await stranger.query('INSERT INTO ids VALUES (NULL, "q"), (NULL, "r")');
        await connection.query('CREATE TEMPORARY TABLE here (id int)');
        answers.push((await connection.query('SELECT LAST_INSERT_ID() + 0 AS id'))[0]);
        await connection.query('CALL put()');
        answers.push((await connection.query('SELECT ROW_COUNT() AS n'))[0]);
        await connection.query("INSERT IGNORE INTO here VALUES ('x')");
        answers.push((await connection.query('SHOW WARNINGS'))[0]);
        await connection.query('SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 0');
        await connection.query('SELECT FOUND_ROWS() > 0 AS n');
        told.push(answers);
      }
      assert.deepEqual(told[0], told[1]);
    } finally {
      await Promise.all([ours.end(), theirs.end(), stranger.end()]);
    }
  });

  test('may ask in the same text for what an earlier statement of it has left', async () => {
    const connection = await mysql.createConnection({ uri: passed.url(), multipleStatements: true });
    try {
      const [results] = await connection.query<RowDataPacket[][]>(
        'INSERT INTO ids (s) VALUES ("m"); SELECT id > 0 AS ok FROM ids WHERE ROW_COUNT() = 1 AND id = LAST_INSERT_ID()',
      );
      assert.deepEqual(results[1], [{ ok: 1 }]);
    } finally {
      await connection.end();
    }
  });
});
