import type mysql from 'mysql2/promise';
import type { Operation } from './compare.js';
import { each, type Outcome, shape, withConnection } from './mysql2-client.js';

const LARGE_BYTES = 17 << 20;

/** Both ways, as text and prepared. */
async function bothWays(connection: mysql.Connection, sql: string, values: string[] = []): Promise<unknown> {
  return [
    shape((await connection.query(sql, values)) as Outcome),
    shape((await connection.execute(sql, values)) as Outcome),
  ];
}

const OUTS = `CREATE OR REPLACE PROCEDURE outs(IN a int, OUT b int, INOUT c varchar(20))
  BEGIN SET b = a + 1; SET c = concat(c, 'x'); SELECT a; SELECT 2 AS two, b; END`;

async function callsOuts(connection: mysql.Connection): Promise<unknown> {
  return [
    await each(connection, OUTS, "SET @b = 1, @c = 'c'", 'CALL outs(1, @b, @c)', 'SELECT @b, @c'),
    await bothWays(connection, 'CALL outs(5, @b, @c)'),
    shape((await connection.execute('CALL outs(?, ?, ?)', [5, 6, 'seven'])) as Outcome),
    await each(connection, 'SELECT @b, @c'),
  ];
}

/** What a genuine MySQL has and MariaDB has not, or has otherwise. */
export const genuineOperations: readonly Operation[] = [
  withConnection('JSON, vectors and geometry', async (connection) => {
    const made = await each(
      connection,
      'CREATE OR REPLACE TABLE modern (id int PRIMARY KEY, j json, v vector(3), g geometry, p point SRID 4326, h int INVISIBLE DEFAULT 7)',
      `INSERT INTO modern VALUES (1, '{"a": [1, 2.5, null, "x"]}', TO_VECTOR('[1,2,3]'), ST_GeomFromText('POINT(1 2)'), NULL)`,
      'INSERT INTO modern (id, h) VALUES (2, 8)',
      'SELECT id, h FROM modern ORDER BY id',
      'SHOW CREATE TABLE modern',
    );
    const rows = await bothWays(connection, 'SELECT * FROM modern ORDER BY id');
    const parts = await bothWays(
      connection,
      "SELECT j->'$.a', j->>'$.a[3]', VECTOR_TO_STRING(v), ST_AsText(g) FROM modern WHERE j->>'$.a[3]' = ?",
      ['x'],
    );
    return [made, rows, parts];
  }),
  withConnection('its own grammar', async (connection) =>
    each(
      connection,
      'CREATE OR REPLACE TABLE grammar (id int PRIMARY KEY, n int DEFAULT (1 + 1))',
      'INSERT INTO grammar VALUES ROW(1, 10), ROW(2, 20)',
      'INSERT INTO grammar (id) VALUES (1), (3) AS new ON DUPLICATE KEY UPDATE n = new.id + 100',
      'TABLE grammar ORDER BY id LIMIT 2',
      'VALUES ROW(1, 2), ROW(3, 4)',
      'SELECT id FROM grammar INTERSECT SELECT 1',
      'SELECT id FROM grammar EXCEPT SELECT 1 ORDER BY id',
      'SELECT id, row_number() OVER w AS r FROM grammar WINDOW w AS (ORDER BY n) ORDER BY id',
      "SELECT * FROM JSON_TABLE('[1, 2]', '$[*]' COLUMNS (x int PATH '$')) AS t",
      'SELECT g.id, l.m FROM grammar g, LATERAL (SELECT max(n) AS m FROM grammar h WHERE h.id <= g.id) l ORDER BY g.id',
      'SELECT id FROM grammar WHERE id = 1 FOR SHARE SKIP LOCKED',
      'SELECT /*+ MAX_EXECUTION_TIME(1000) SET_VAR(sort_buffer_size = 65536) */ @@sort_buffer_size',
      'WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT * FROM c',
      'EXPLAIN FORMAT=TREE SELECT * FROM grammar',
    ),
  ),
  withConnection('a procedure with OUT parameters, whose driver does not ask for them', callsOuts),
  withConnection(
    'a procedure with OUT parameters, all in rows',
    async (connection) => {
      // The driver takes the rows of OUT parameters for the last, since MySQL says no more of what follows.
      await each(connection, OUTS);
      const [results] = await connection.execute('CALL outs(?, ?, ?)', [5, 6, 'seven']);
      return (results as unknown[][]).slice(0, 3);
    },
    { flags: ['PS_MULTI_RESULTS'] },
  ),
  withConnection('the isolation of the session, and its other settings', async (connection) =>
    each(
      connection,
      'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
      'SELECT @@transaction_isolation',
      "SET transaction_isolation = 'SERIALIZABLE'",
      'SET SESSION TRANSACTION READ ONLY',
      'SELECT @@transaction_isolation, @@transaction_read_only',
      'SET SESSION max_execution_time = 30000',
      'SELECT @@max_execution_time, @@sql_mode, @@collation_connection',
    ),
  ),
  withConnection('and the next client finds none of it', async (connection) =>
    each(connection, 'SELECT @@transaction_isolation, @@transaction_read_only, @@max_execution_time'),
  ),
  withConnection(
    'messages of a pinned session',
    async (connection) =>
      each(
        connection,
        'SET @n = 1',
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'oops'",
        'SHOW ERRORS',
        "SELECT CAST('12abc' AS SIGNED) AS n",
        'GET DIAGNOSTICS @n = NUMBER',
        'SELECT @n',
      ),
    { charset: 'UTF8MB4_0900_AI_CI' },
  ),
  withConnection('roles', async (connection) => {
    await each(connection, 'CREATE ROLE IF NOT EXISTS reader');
    return each(
      connection,
      'GRANT SELECT ON shop.* TO reader',
      'GRANT reader TO root',
      'SET ROLE reader',
      'SELECT CURRENT_ROLE()',
      'SET ROLE NONE',
      'REVOKE reader FROM root',
    );
  }),
  withConnection('a value of 17 MB', async (connection) => {
    const large = Buffer.alloc(LARGE_BYTES, 'x');
    const [[row]] = (await connection.query('SELECT ? AS large', [large])) as unknown as [
      { large: Buffer }[],
    ];
    return Buffer.compare(Buffer.from(row!.large), large);
  }),
];
