import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { compareWithDirect, errorFields, type Operation, refusal } from './compare.js';

/** An operation on one connected client. */
function withClient(
  name: string,
  work: (client: pg.Client, url: string) => Promise<unknown>,
  facts: Partial<Operation> = {},
  config: pg.ClientConfig = {},
): Operation {
  const run = async (url: string) => {
    const client = new pg.Client({ connectionString: url, ...config });
    client.on('error', () => {});
    await client.connect();
    try {
      return await work(client, url);
    } finally {
      await client.end().catch(() => {});
    }
  };
  return { name, run, ...facts };
}

const shape = (result: pg.QueryResult) => ({
  command: result.command,
  rowCount: result.rowCount,
  rows: result.rows,
  fields: result.fields.map((field) => [field.name, field.dataTypeID, field.dataTypeModifier, field.format]),
});

const TYPES = `SELECT 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, 1.10::numeric, 'NaN'::numeric, true, 'x'::char, 'abc'::bpchar, 'v'::varchar(9), 'ü'::text,
  '\\xdeadbeef'::bytea, '2024-02-29'::date, '12:34:56.789'::time, '2024-02-29 12:34:56.789'::timestamp, '2024-02-29 12:34:56+02'::timestamptz, '1 year 2 mons 3 days'::interval,
  '{"a": [1, null]}'::json, '{"b": 2}'::jsonb, ARRAY[1, NULL, 3], ARRAY['a,b', 'c"d'], '10.0.0.1/8'::inet, 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::uuid, '(1,2)'::point, B'1010', NULL::int, '[1,5)'::int4range, ROW(1, 'x')`;

const operations: Operation[] = [
  withClient('values of many types, as text', async (client) =>
    shape(await client.query({ text: TYPES, rowMode: 'array' })),
  ),
  withClient('values of many types, as binary', async (client) =>
    shape(
      await client.query({
        text: TYPES.replace(/, ROW.*/, ''),
        rowMode: 'array',
        binary: true,
      } as pg.QueryConfig),
    ),
  ),
  withClient('parameters of many types', async (client) => {
    const values = [
      1,
      '2',
      3n,
      null,
      true,
      new Date(0),
      Buffer.from([0, 255]),
      { a: 1 },
      [1, 2],
      ['x', null],
    ];
    return shape(
      await client.query(
        'SELECT $1::int, $2::bigint, $3::bigint, $4::text, $5::bool, $6::timestamptz, $7::bytea, $8::jsonb, $9::int[], $10::text[]',
        values,
      ),
    );
  }),
  withClient('every field of an error', async (client) => {
    await client.query('CREATE TEMP TABLE err (id int PRIMARY KEY CHECK (id > 0), n int NOT NULL)');
    await client.query('BEGIN');
    const errors: unknown[] = [];
    for (const sql of [
      'INSERT INTO err VALUES (0, 1)',
      'INSERT INTO err VALUES (1, NULL)',
      'INSERT INTO err VALUES (1, 1), (1, 2)',
      'SELEC 1',
      'SELECT * FROM no_such_table',
      'SELECT nope(1)',
      "SELECT 'x'::int",
      'SELECT 1/0',
      "DO $$BEGIN RAISE EXCEPTION USING MESSAGE = 'm', DETAIL = 'd', HINT = 'h', ERRCODE = 'RF001', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 't', TABLE = 'tt', SCHEMA = 's'; END$$",
    ]) {
      await client.query('SAVEPOINT s');
      errors.push(await refusal(client.query(sql)));
      await client.query('ROLLBACK TO s');
    }
    await client.query('ROLLBACK');
    return errors;
  }),
  withClient('an error in an extended query leaves the connection usable', async (client) => [
    await refusal(client.query('SELECT $1::int', ['x'])),
    shape(await client.query('SELECT $1::int AS n', [1])),
  ]),
  withClient('notices and warnings', async (client) => {
    const notices: unknown[] = [];
    client.on('notice', (notice) => notices.push(errorFields(notice)));
    await client.query(
      "DO $$BEGIN RAISE NOTICE 'n %', 1; RAISE WARNING USING MESSAGE = 'w', HINT = 'h'; END$$",
    );
    await client.query('ROLLBACK');
    return notices;
  }),
  withClient('queued queries are answered in order', async (client) => {
    const answers = await Promise.allSettled([
      client.query('SELECT 1 AS n'),
      client.query('SELECT 1/0'),
      client.query('SELECT $1::int AS n', [3]),
      client.query({ name: 'p', text: 'SELECT 4 AS n' }),
    ]);
    return answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value.rows : errorFields(answer.reason),
    );
  }),
  withClient('several statements in one query', async (client) =>
    (
      (await client.query(
        'SELECT 1 AS a; CREATE TEMP TABLE x (i int); INSERT INTO x VALUES (1), (2); SELECT * FROM x',
      )) as unknown as pg.QueryResult[]
    ).map(shape),
  ),
  withClient('named prepared statements', async (client) => {
    const run = (n: number) => client.query({ name: 'add', text: 'SELECT $1::int + 1 AS next', values: [n] });
    return [await run(1), await run(2), await run(3)].map(shape);
  }),
  withClient('a prepared statement is gone when the table changes under it', async (client) => {
    await client.query('CREATE TEMP TABLE changing (a int)');
    const read = () => client.query({ name: 'read', text: 'SELECT * FROM changing' });
    await read();
    await client.query('ALTER TABLE changing ADD b int');
    return refusal(read());
  }),
  withClient('COPY in and out', async (client) => {
    await client.query('CREATE TEMP TABLE copied (a int, b text)');
    await pipeline(
      Readable.from(['1\tone\n', '2\t\\N\n', '3\tthr', 'ee\n']),
      client.query(copyFrom('COPY copied FROM STDIN')),
    );
    return [
      shape(await client.query('SELECT * FROM copied ORDER BY a')),
      await text(client.query(copyTo('COPY copied TO STDOUT (FORMAT csv, HEADER)'))),
    ];
  }),
  withClient('COPY of a bad row fails and the connection lives', async (client) => {
    await client.query('CREATE TEMP TABLE copied (a int)');
    const failed = await refusal(
      pipeline(Readable.from(['1\n', 'x\n']), client.query(copyFrom('COPY copied FROM STDIN'))),
    );
    return [failed, shape(await client.query('SELECT count(*) FROM copied'))];
  }),
  withClient('LISTEN and NOTIFY', async (client, url) => {
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    await client.query('LISTEN bell');
    const heard = once(client, 'notification');
    await other.query("SELECT pg_notify('bell', 'ding')");
    const [{ channel, payload }] = (await heard) as [pg.Notification];
    await other.end();
    return { channel, payload };
  }),
  withClient(
    'the backend process id and the settings that the server reports',
    async (client) => {
      const told = (client as unknown as { processID: number }).processID;
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
      return rows[0].pid === told;
    },
    { sessionOnly: true },
  ),
  withClient('SET and SHOW keep their values in the session', async (client) => {
    await client.query("SET statement_timeout = '1234ms'; SET search_path = pg_catalog");
    await client.query('BEGIN; SET LOCAL work_mem = 1024; COMMIT');
    const shown: unknown[] = [];
    for (const name of ['statement_timeout', 'search_path', 'work_mem'])
      shown.push((await client.query(`SHOW ${name}`)).rows);
    await client.query('RESET ALL');
    return [...shown, (await client.query('SHOW statement_timeout')).rows];
  }),
  withClient(
    'startup options',
    async (client) => [
      (await client.query('SHOW statement_timeout')).rows,
      (await client.query('SHOW application_name')).rows,
    ],
    {},
    { options: '-c statement_timeout=4321', application_name: 'startup' },
  ),
  withClient(
    'a statement over its timeout',
    async (client) => refusal(client.query('SELECT pg_sleep(5)')),
    {},
    { statement_timeout: 100 },
  ),
  withClient('temporary tables and advisory locks stay with the session', async (client) => {
    await client.query('CREATE TEMP TABLE mine (i int)');
    await client.query('SELECT pg_advisory_lock(4711)');
    await client.query('INSERT INTO mine VALUES (1)');
    const held = await client.query(
      "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND pid = pg_backend_pid()",
    );
    await client.query('SELECT pg_advisory_unlock(4711)');
    return [held.rows, (await client.query('SELECT * FROM mine')).rows];
  }),
  withClient('cursors', async (client) => {
    await client.query('BEGIN');
    await client.query('DECLARE k CURSOR FOR SELECT generate_series(1, 10) AS n');
    const rows = [(await client.query('FETCH 4 FROM k')).rows, (await client.query('FETCH ALL FROM k')).rows];
    await client.query('COMMIT');
    return rows;
  }),
  withClient('large objects', async (client) => {
    await client.query('BEGIN');
    const { rows } = await client.query('SELECT lo_create(0) AS oid');
    await client.query("SELECT lo_put($1, 0, '\\x0102030405')", [rows[0].oid]);
    const opened = await client.query('SELECT lo_open($1, 262144) AS fd', [rows[0].oid]);
    const read = await client.query('SELECT loread($1, 3) AS bytes', [opened.rows[0].fd]);
    await client.query('SELECT lo_unlink($1)', [rows[0].oid]);
    await client.query('COMMIT');
    return read.rows;
  }),
  withClient('a value of 20 MB, both ways', async (client) => {
    const large = 'x'.repeat(20 << 20);
    const { rows } = await client.query('SELECT $1::text AS large', [large]);
    return rows[0].large === large;
  }),
  withClient('200,000 rows', async (client) => {
    const { rows } = await client.query('SELECT n, md5(n::text) AS m FROM generate_series(1, 200000) AS n');
    return [rows.length, rows[199_999]];
  }),
  withClient('a backend that is terminated', async (client) =>
    refusal(client.query('SELECT pg_terminate_backend(pg_backend_pid())')),
  ),
  withClient('isolation levels and read-only transactions', async (client) => {
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY');
    const level = await client.query('SHOW transaction_isolation');
    const failed = await refusal(client.query('CREATE TABLE not_allowed (i int)'));
    await client.query('ROLLBACK');
    return [level.rows, failed];
  }),
  withClient('two-phase commit by the application itself', async (client) => {
    await client.query('CREATE TABLE IF NOT EXISTS prepared_by_hand (i int)');
    await client.query('BEGIN');
    await client.query('INSERT INTO prepared_by_hand VALUES (1)');
    await client.query("PREPARE TRANSACTION 'by hand'");
    const seen = await client.query("SELECT gid FROM pg_prepared_xacts WHERE gid = 'by hand'");
    await client.query("ROLLBACK PREPARED 'by hand'");
    return seen.rows;
  }),
  {
    name: 'an unknown database',
    run: async (url) => {
      const client = new pg.Client({ connectionString: url.replace(/\/[^/]*$/, '/no_such_database') });
      client.on('error', () => {});
      const { code, message } = await refusal(client.connect());
      return { code, message };
    },
  },
];

await compareWithDirect('node-postgres', operations);
