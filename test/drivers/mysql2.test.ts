import { setTimeout as sleep } from 'node:timers/promises';
import type mysqlCallback from 'mysql2';
import mysql from 'mysql2/promise';
import { MARIADB_TESTS, MYSQL_TESTS } from '../engines.js';
import { noGenuineMysql } from '../genuine-mysql.js';
import { compareWithDirect, errorFields, type Operation, refusal } from './compare.js';
import { EMPTY, each, type Outcome, ROW, shape, TABLE, withConnection } from './mysql2-client.js';
import { definitionOperations, mariadbOperations } from './mysql2-definitions.js';
import { genuineOperations } from './mysql2-genuine.js';

const operations: Operation[] = [
  ...definitionOperations,
  withConnection(
    'values of many types, as text and prepared, with their column definitions',
    async (connection) => {
      await each(connection, "SET time_zone = '+00:00'", TABLE, ROW, EMPTY);
      const options = { supportBigNumbers: true, bigNumberStrings: true, dateStrings: true };
      const sql = 'SELECT * FROM types ORDER BY id';
      return [
        shape((await connection.query({ sql, ...options })) as Outcome),
        shape((await connection.execute({ sql, ...options })) as Outcome),
        shape((await connection.query({ sql, rowsAsArray: true })) as Outcome),
      ];
    },
  ),
  withConnection('columns that are expressions, aliases, joins and unions', async (connection) => {
    await each(connection, TABLE, ROW, EMPTY);
    return each(
      connection,
      "SELECT 1, 'x' AS x, NULL, 1.5, 1e3, now() IS NULL, x'00', true, 18446744073709551615",
      'SELECT a.v AS one, b.id + 1 AS two, count(*) FROM types AS a JOIN types b USING (id) GROUP BY a.v, b.id',
      "SELECT v FROM types UNION SELECT 'other' ORDER BY 1",
      'SHOW COLUMNS FROM types',
      'EXPLAIN SELECT * FROM types WHERE id = 1',
      "SHOW VARIABLES LIKE 'character_set_client'",
    );
  }),
  withConnection('parameters of many types', async (connection) => {
    const sql = 'SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS f, ? AS g';
    const values = [1, '2', 1.5, null, true, Buffer.from([0, 39, 255]), 'grüße 🎉'];
    const dates = [new Date(0), new Date('2024-02-29T12:34:56.789Z')];
    return [
      shape((await connection.execute(sql, values)) as Outcome),
      shape((await connection.query(sql, values)) as Outcome),
      shape((await connection.execute('SELECT ? AS a, ? AS b', dates)) as Outcome),
      shape(
        (await connection.execute('SELECT CAST(? AS UNSIGNED) AS n', ['18446744073709551615'])) as Outcome,
      ),
    ];
  }),
  withConnection('every field of an error', async (connection) => [
    ...(await each(
      connection,
      'CREATE OR REPLACE TABLE err (id int PRIMARY KEY CHECK (id > 0), n int NOT NULL)',
      'INSERT INTO err VALUES (0, 1)',
      'INSERT INTO err VALUES (1, NULL)',
      'INSERT INTO err VALUES (1, 1), (1, 2)',
      'SELEC 1',
      'SELECT * FROM no_such_table',
      'SELECT nope(1)',
      'SELECT nope',
      "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'm', MYSQL_ERRNO = 4711",
      'SELECT * FROM no_such_database.t',
      'USE no_such_database',
      "INSERT INTO err VALUES ('x', 1)",
      'SELECT * FROM err',
    )),
    await refusal(connection.execute('SELECT ? + nope', [1])),
    await refusal(connection.prepare('SELEC ?')),
    shape((await connection.execute('SELECT ? AS n', [1])) as Outcome),
  ]),
  withConnection(
    'warnings are counted, and shown until the next statement',
    async (connection) =>
      each(
        connection,
        'CREATE OR REPLACE TABLE w (t tinyint, v varchar(3))',
        "SET sql_mode = ''",
        "INSERT INTO w VALUES (999, 'abcdef'), (-999, 'x')",
        'SHOW WARNINGS',
        'SELECT @@warning_count',
        "SELECT CAST('12abc' AS SIGNED) AS n",
        'SHOW WARNINGS LIMIT 1',
        'SELECT 1/0',
        'SHOW COUNT(*) WARNINGS',
        'DROP TABLE IF EXISTS not_there',
        'SHOW WARNINGS',
        'SELEC 1',
        'SHOW ERRORS',
      ),
    {},
  ),
  withConnection(
    'affected, changed and matched rows, LAST_INSERT_ID, ROW_COUNT and FOUND_ROWS',
    async (connection) => {
      const run = (...statements: string[]) => each(connection, ...statements);
      const ids = 'SELECT LAST_INSERT_ID() AS id';
      return [
        ...(await run('CREATE OR REPLACE TABLE ids (id int AUTO_INCREMENT PRIMARY KEY, v int UNIQUE)', ids)),
        ...(await run('INSERT INTO ids (v) VALUES (10)', ids, 'INSERT INTO ids (v) VALUES (20), (30)', ids)),
        ...(await run('INSERT INTO ids VALUES (100, 40)', ids, 'UPDATE ids SET v = v WHERE id = 1')),
        ...(await run('SELECT ROW_COUNT() AS n', 'UPDATE ids SET v = v + 1000', 'SELECT ROW_COUNT() AS n')),
        ...(await run(
          'INSERT INTO ids (v) VALUES (1010) ON DUPLICATE KEY UPDATE v = 11',
          'REPLACE INTO ids VALUES (1, 12)',
          ids,
        )),
        shape((await connection.execute('REPLACE INTO ids VALUES (?, ?)', [200, 13])) as Outcome),
        ...(await run(ids)),
        shape((await connection.execute('INSERT INTO ids VALUES (?, ?)', ['300', 14])) as Outcome),
        ...(await run(ids)),
        shape((await connection.execute('INSERT INTO ids (v) VALUES (?)', [15])) as Outcome),
        ...(await run(
          ids,
          'INSERT INTO ids VALUES (400, 16), (401, 17)',
          ids,
          'INSERT INTO ids VALUES (200 + 200 + 10, 18)',
          ids,
          'INSERT INTO ids SELECT 500, 19',
          ids,
          'INSERT INTO ids (v) SELECT 20',
          ids,
          'INSERT INTO ids VALUES (600, 21) RETURNING id',
          ids,
          'INSERT INTO ids (v) VALUES (22) RETURNING id',
          ids,
          'INSERT INTO ids VALUES (700, 23), (NULL, 24)',
          ids,
          'INSERT INTO ids VALUES (800, 25) ON DUPLICATE KEY UPDATE v = 26',
          ids,
          'INSERT INTO ids (v) VALUES (23) ON DUPLICATE KEY UPDATE v = 27',
          ids,
          'INSERT INTO ids (v) VALUES (25) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)',
          ids,
        )),
        ...(await run(
          'SELECT SQL_CALC_FOUND_ROWS id FROM ids ORDER BY id LIMIT 1',
          'SELECT FOUND_ROWS() AS n',
        )),
        ...(await run(
          'DELETE FROM ids WHERE id < 3',
          'SELECT ROW_COUNT() AS n',
          'SELECT LAST_INSERT_ID(77)',
          ids,
        )),
      ];
    },
  ),
  withConnection(
    'affected and changed rows and numbers given, as each answer tells them',
    async (connection) => {
      const ids = 'SELECT LAST_INSERT_ID() AS id';
      return each(
        connection,
        'CREATE OR REPLACE TABLE given (id int AUTO_INCREMENT PRIMARY KEY, v int UNIQUE)',
        'INSERT INTO given (v) VALUES (10)',
        ids,
        'INSERT INTO given (v) VALUES (20), (30)',
        ids,
        'UPDATE given SET v = v WHERE id = 1',
        'UPDATE given SET v = v + 1000',
        'INSERT INTO given (v) VALUES (1010) ON DUPLICATE KEY UPDATE v = 11',
        'REPLACE INTO given VALUES (1, 12)',
        'INSERT IGNORE INTO given (v) VALUES (12)',
        'DELETE FROM given WHERE id < 3',
      );
    },
  ),
  withConnection(
    'without found rows the server counts what has changed',
    async (connection) =>
      each(
        connection,
        'CREATE OR REPLACE TABLE found (id int PRIMARY KEY, v int)',
        'INSERT INTO found VALUES (1, 1), (2, 2)',
        'UPDATE found SET v = 1',
        'UPDATE found SET v = 1',
      ),
    { flags: ['-FOUND_ROWS'] },
  ),
  withConnection(
    'several statements in one query, and an error among them',
    async (connection) =>
      each(
        connection,
        'SELECT 1 AS a; DO 1; SELECT 2 AS b, 3 AS c; SET @x = 5; SELECT @x',
        'SELECT 1 AS a; SELEC 2; SELECT 3',
        'CREATE OR REPLACE PROCEDURE two() BEGIN SELECT 1 AS one; SELECT 2 AS two; END',
        'CALL two()',
      ),
    { multipleStatements: true },
  ),
  withConnection('several statements are refused when they were not asked for', async (connection) => {
    const { errno, sqlState } = await refusal(connection.query('SELECT 1; SELECT 2'));
    return [errno, sqlState, await each(connection, 'SELECT 1')];
  }),
  withConnection('prepared statements are run, run again, closed, and prepared again', async (connection) => {
    const statement = await connection.prepare('SELECT ? + 1 AS next');
    const answers = [
      await statement.execute([1]),
      await statement.execute([2]),
      await statement.execute([null]),
    ];
    await statement.close();
    connection.unprepare('SELECT ? + 1 AS next');
    const again = await connection.prepare('SELECT ? + 1 AS next');
    answers.push(await again.execute([3]));
    const many = await Promise.all(
      Array.from({ length: 50 }, (_, n) => connection.execute(`SELECT ? AS v${n}`, [n])),
    );
    return [...answers, ...many].map((answer) => shape(answer as unknown as Outcome));
  }),
  withConnection('a prepared statement sees that its table has changed', async (connection) => {
    await each(connection, 'CREATE OR REPLACE TABLE changing (a int)', 'INSERT INTO changing VALUES (1)');
    const statement = await connection.prepare('SELECT * FROM changing');
    const before = shape((await statement.execute([])) as unknown as Outcome);
    await each(connection, 'ALTER TABLE changing ADD b int DEFAULT 7');
    return [before, shape((await statement.execute([])) as unknown as Outcome)];
  }),
  withConnection('queued queries are answered in order', async (connection) => {
    const answers = await Promise.allSettled([
      connection.query('SELECT 1 AS n'),
      connection.query('SELEC 1'),
      connection.execute('SELECT ? AS n', [3]),
      connection.query('SELECT 4 AS n'),
    ]);
    return answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value[0] : errorFields(answer.reason),
    );
  }),
  withConnection('transactions, savepoints, and what ends them by itself', async (connection) =>
    each(
      connection,
      'CREATE OR REPLACE TABLE tx (id int PRIMARY KEY)',
      'START TRANSACTION',
      'INSERT INTO tx VALUES (1)',
      'SAVEPOINT s',
      'INSERT INTO tx VALUES (2)',
      'INSERT INTO tx VALUES (1)',
      'ROLLBACK TO SAVEPOINT s',
      'ROLLBACK TO SAVEPOINT nope',
      'INSERT INTO tx VALUES (3)',
      'COMMIT',
      'SELECT * FROM tx ORDER BY id',
      'BEGIN',
      'DELETE FROM tx',
      'ROLLBACK',
      'SELECT count(*) FROM tx',
      'BEGIN',
      'INSERT INTO tx VALUES (9)',
      'CREATE OR REPLACE TABLE ends_it (i int)',
      'ROLLBACK',
      'SELECT count(*) FROM tx',
      'SET autocommit = 0',
      'DELETE FROM tx',
      'ROLLBACK',
      'SET autocommit = 1',
      'SELECT count(*) FROM tx',
      'START TRANSACTION READ ONLY',
      'DELETE FROM tx',
      'COMMIT',
      'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
      'SELECT @@in_transaction',
    ),
  ),
  withConnection('two-phase commit by the application itself', async (connection) =>
    each(
      connection,
      'CREATE OR REPLACE TABLE xa (id int PRIMARY KEY)',
      "XA START 'mine'",
      'INSERT INTO xa VALUES (1)',
      "XA END 'mine'",
      "XA PREPARE 'mine'",
      "XA ROLLBACK 'mine'",
      'SELECT * FROM xa',
    ),
  ),
  withConnection('settings and variables keep their values in the session', async (connection) =>
    each(
      connection,
      "SET @name = 'Ada', @n = 5",
      "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT', time_zone = '+05:30'",
      `SELECT "x" || 'y'`,
      "SELECT 'x' || 'y', @name, @n + 1, @@session.time_zone, @@sql_mode",
      'SELECT @name := concat(@name, 1)',
      'SELECT @name',
    ),
  ),
  withConnection('temporary tables, named locks and LOCK TABLES stay with the session', async (connection) =>
    each(
      connection,
      'CREATE OR REPLACE TABLE locked (i int)',
      'CREATE TEMPORARY TABLE mine (i int)',
      "SELECT GET_LOCK('ringferry', 5)",
      'INSERT INTO mine VALUES (1)',
      "SELECT IS_USED_LOCK('ringferry') = CONNECTION_ID()",
      'SELECT * FROM mine',
      "SELECT RELEASE_LOCK('ringferry')",
      'LOCK TABLES locked WRITE',
      'INSERT INTO locked VALUES (1)',
      'SELECT * FROM types',
      'UNLOCK TABLES',
      'SELECT * FROM locked',
      'DROP TEMPORARY TABLE mine',
    ),
  ),
  withConnection('PREPARE, EXECUTE and cursors in SQL', async (connection) =>
    each(
      connection,
      "PREPARE plus FROM 'SELECT ? + ? AS sum'",
      'SET @a = 2, @b = 3',
      'EXECUTE plus USING @a, @b',
      'DEALLOCATE PREPARE plus',
      'EXECUTE plus USING @a, @b',
      'HANDLER types OPEN',
      'HANDLER types READ FIRST LIMIT 1',
      'HANDLER types CLOSE',
    ),
  ),
  withConnection('the session is reset, and the user changed', async (connection) => {
    await connection.query("SET @x = 1, time_zone = '+01:00'");
    await connection.query('CREATE TEMPORARY TABLE gone (i int)');
    const reset = await new Promise((resolve) =>
      (connection as unknown as { connection: mysqlCallback.Connection }).connection.changeUser(
        { user: 'root' },
        (error) => resolve(error),
      ),
    );
    return [reset ?? 'changed', ...(await each(connection, 'SELECT @x, @@time_zone', 'SELECT * FROM gone'))];
  }),
  withConnection('ping, USE and the current database', async (connection) => {
    await connection.ping();
    await connection.query('CREATE DATABASE IF NOT EXISTS other');
    return each(
      connection,
      'SELECT database()',
      'USE other',
      'SELECT database()',
      'CREATE OR REPLACE TABLE here (i int)',
      'SHOW TABLES',
    );
  }),
  withConnection(
    'other character sets of the connection',
    async (connection) =>
      each(connection, "SELECT 'grüße', length('ü'), @@character_set_connection, @@collation_connection"),
    { charset: 'latin1_swedish_ci' },
  ),
  withConnection('200,000 rows at once, and as a stream', async (connection) => {
    await each(
      connection,
      'CREATE OR REPLACE TABLE digits (d int)',
      'INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)',
    );
    const n = 'a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d';
    const sql = `SELECT ${n} AS n, repeat(char(97 + a.d), 32) AS m FROM digits a, digits b, digits c, digits d, digits e, digits f WHERE f.d < 2`;
    const [rows] = (await connection.query(sql)) as unknown as [{ n: number }[]];
    let count = 0;
    const raw = (connection as unknown as { connection: mysqlCallback.Connection }).connection;
    for await (const row of raw.query(sql).stream({ highWaterMark: 10 })) count += (row as { n: number }).n;
    const sum = rows.reduce((total, row) => total + row.n, 0);
    return [rows.length, sum, count];
  }),
  withConnection('LOAD DATA LOCAL and INTO OUTFILE are answered alike', async (connection) =>
    each(
      connection,
      'CREATE OR REPLACE TABLE loaded (i int)',
      "LOAD DATA INFILE '/nowhere/x' INTO TABLE loaded",
    ),
  ),
  withConnection('a statement over its time', async (connection) =>
    each(connection, 'SET STATEMENT max_statement_time = 0.1 FOR SELECT sleep(5)', 'SELECT 1'),
  ),
  withConnection('a statement that is killed by the id that the client was told', async (connection, url) => {
    const other = await mysql.createConnection(url);
    try {
      await each(connection, TABLE, ROW, EMPTY);
      const long = refusal(connection.query('UPDATE types SET t = sleep(20) WHERE id = 1'));
      await sleep(200);
      await other.query(`KILL QUERY ${connection.threadId}`);
      return [await long, await each(connection, 'SELECT 1')];
    } finally {
      other.destroy();
    }
  }),
  {
    name: 'an unknown database',
    run: async (url) => {
      const login = mysql.createConnection(url.replace(/\/[^/]*$/, '/no_such_database'));
      const { code, errno, sqlState } = await refusal(login);
      return { code, errno, sqlState };
    },
  },
];

await compareWithDirect('mysql2', [...operations, ...mariadbOperations], MARIADB_TESTS);
if (noGenuineMysql === undefined)
  await compareWithDirect('mysql2 on MySQL', [...operations, ...genuineOperations], MYSQL_TESTS);
