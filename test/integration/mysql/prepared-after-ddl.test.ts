import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import mysql, { type PreparedStatementInfo } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../../engines.js';
import { startRingferry } from '../harness.js';

interface Case {
  readonly table: string;
  readonly columns: string;
  readonly rows: string;
  /** Prepared before the change, and again behind it; `n` is another number for each execution. */
  readonly sql: string;
  readonly values?: (n: number) => readonly (string | number)[];
  readonly ddl: readonly string[];
}

const ROWS = Array.from({ length: 12 }, (_, id) => `(${id}, ${(id * 7) % 12}, ${100 - id})`).join(', ');
const PLAIN = { columns: 'id int PRIMARY KEY, a int, b int', rows: ROWS };
const CASES: readonly Case[] = [
  {
    ...PLAIN,
    table: 'added',
    sql: 'SELECT * FROM added ORDER BY id',
    ddl: ['ALTER TABLE added ADD COLUMN c varchar(10) DEFAULT "new"'],
  },
  {
    ...PLAIN,
    table: 'added_first',
    sql: 'SELECT * FROM added_first WHERE id = ?',
    values: (n) => [n % 12],
    ddl: ['ALTER TABLE added_first ADD COLUMN c int DEFAULT 5 FIRST'],
  },
  {
    ...PLAIN,
    table: 'replaced',
    sql: 'SELECT * FROM replaced WHERE a > ? ORDER BY b',
    values: () => [3],
    ddl: [
      'ALTER TABLE replaced DROP COLUMN a, ADD COLUMN c int DEFAULT 7',
      'ALTER TABLE replaced ADD COLUMN a int DEFAULT 4',
    ],
  },
  {
    ...PLAIN,
    table: 'dropped',
    sql: 'SELECT a, id FROM dropped ORDER BY id',
    ddl: ['ALTER TABLE dropped DROP COLUMN a'],
  },
  {
    ...PLAIN,
    table: 'widened',
    sql: 'INSERT INTO widened VALUES (?, ?, 1)',
    values: (n) => [100 + n, n],
    ddl: ['ALTER TABLE widened ADD COLUMN c int'],
  },
  {
    ...PLAIN,
    table: 'moved',
    sql: 'INSERT INTO moved VALUES (?, ?, ?)',
    values: (n) => [100 + n, 200 + n, 300 + n],
    // The key was the first value and is the second now.
    ddl: ['ALTER TABLE moved DROP COLUMN b, ADD COLUMN c int FIRST'],
  },
  {
    ...PLAIN,
    table: 'moved_rows',
    sql: 'INSERT INTO moved_rows VALUES (?, 1, ?), (?, 2, ?)',
    values: (n) => [100 + 2 * n, 201 + 2 * n, 101 + 2 * n, 200 + 2 * n],
    ddl: [
      'ALTER TABLE moved_rows MODIFY COLUMN b int FIRST',
      'ALTER TABLE moved_rows MODIFY COLUMN b int AFTER a',
    ],
  },
  {
    ...PLAIN,
    table: 'retyped',
    sql: 'SELECT id, a FROM retyped ORDER BY a, id',
    // Numbers in their order become texts in theirs.
    ddl: ['ALTER TABLE retyped MODIFY COLUMN a varchar(10)'],
  },
  {
    ...PLAIN,
    table: 'summed',
    sql: 'SELECT sum(a), max(a), min(b), count(*) FROM summed',
    ddl: ['ALTER TABLE summed MODIFY COLUMN a decimal(10,2), MODIFY COLUMN b varchar(10)'],
  },
  {
    ...PLAIN,
    table: 'grouped',
    sql: 'SELECT a, count(*) AS n FROM grouped GROUP BY a ORDER BY a',
    ddl: ['ALTER TABLE grouped MODIFY COLUMN a char(3)'],
  },
  {
    ...PLAIN,
    table: 'kept',
    sql: 'INSERT INTO kept (id, a) VALUES (?, ?)',
    values: (n) => [100 + n, `${n}.5`],
    ddl: ['ALTER TABLE kept MODIFY COLUMN a decimal(10,2)'],
  },
  {
    ...PLAIN,
    table: 'updated',
    sql: 'UPDATE updated SET a = a + ? WHERE b > ?',
    values: (n) => [n, 93],
    ddl: ['ALTER TABLE updated CHANGE COLUMN b c int, ADD COLUMN b int DEFAULT 99'],
  },
  {
    ...PLAIN,
    table: 'made_anew',
    sql: 'SELECT * FROM made_anew ORDER BY id',
    ddl: [
      'DROP TABLE made_anew',
      'CREATE TABLE made_anew (x varchar(5) DEFAULT "x", id int PRIMARY KEY)',
      'INSERT INTO made_anew (id) VALUES (1), (2), (3)',
    ],
  },
  {
    ...PLAIN,
    table: 'gone',
    sql: 'DELETE FROM gone WHERE id = ?',
    values: (n) => [n],
    ddl: ['DROP TABLE gone'],
  },
  {
    table: 'counted',
    columns: 'id int AUTO_INCREMENT PRIMARY KEY, a int',
    rows: '(NULL, 1)',
    sql: 'INSERT INTO counted VALUES (NULL, ?)',
    values: (n) => [100 + n],
    ddl: [
      'ALTER TABLE counted DROP COLUMN a, ADD COLUMN c int FIRST',
      'ALTER TABLE counted DROP COLUMN c, ADD COLUMN c int',
    ],
  },
];

const atEnd = lastFirst(after);
const [a, b, through, alone] = (await MARIADB_TESTS.start(atEnd, 4)) as [
  TestServer,
  TestServer,
  TestServer,
  TestServer,
];
for (const server of [a, b, through, alone])
  await MARIADB_TESTS.run(
    server.url(MARIADB_TESTS.database),
    ...CASES.map(({ table, columns }) => `CREATE TABLE ${table} (${columns})`),
  );
/** As many connections as there are transactions at once, in one process: workers would divide them. */
const narrow = { engine: 'mysql', pool: { mode: 'transaction', size: 3 }, config: { workers: 1 } } as const;
const passedThrough = await startRingferry(atEnd, { ...narrow, shards: { through } });
const sharded = await startRingferry(atEnd, {
  ...narrow,
  shards: { a, b },
  tables: Object.fromEntries(CASES.map(({ table }) => [table, { key: 'id' }])),
});

/** What a client is told. */
async function outcome(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (answer) => {
      const [result, fields] = answer as [unknown, readonly mysql.FieldPacket[] | undefined];
      if (!Array.isArray(result)) return { affectedRows: (result as mysql.ResultSetHeader).affectedRows };
      return { rows: result, columns: fields?.map(({ name, columnType }) => [name, columnType]) };
    },
    ({ errno }: { errno?: number }) => ({ errno }),
  );
}

/** What clients see who prepared before the change, and who do behind it. */
async function story({ table, rows, sql, values, ddl }: Case, url: string): Promise<unknown> {
  const connections: mysql.Connection[] = [];
  const connect = async () => {
    const connection = await mysql.createConnection({ uri: url, dateStrings: true });
    connections.push(connection);
    return connection;
  };
  let n = 0;
  const told: unknown[] = [];
  const runs = async (statement: PreparedStatementInfo) => {
    told.push(await outcome(statement.execute([...(values?.(n++) ?? [])])));
  };
  try {
    const admin = await connect();
    await admin.query(`INSERT INTO ${table} VALUES ${rows}`);
    const early = [await connect(), await connect(), await connect()];
    const statements: PreparedStatementInfo[] = [];
    // Each in a transaction that has begun, so that each of the pool's connections has the statement.
    for (const client of early) {
      await client.beginTransaction();
      await client.query(`SELECT count(*) FROM ${table}`);
    }
    for (const client of early) {
      const statement = await client.prepare(sql);
      await runs(statement);
      statements.push(statement);
      await client.commit();
    }
    for (const change of ddl) {
      await admin.query(change);
      for (const statement of statements) await runs(statement);
    }
    const late = await connect();
    const again = await late.prepare(sql).catch(({ errno }) => {
      told.push({ errno });
      return undefined;
    });
    if (again !== undefined) for (let turn = 0; turn < 2; turn++) await runs(again);
    await early[0]!.beginTransaction();
    for (let turn = 0; turn < 2; turn++) await runs(statements[0]!);
    await early[0]!.commit();
    const all = await outcome(admin.query(`SELECT * FROM ${table} ORDER BY id`));
    told.push(all);
    // Each row is where its key says.
    for (const { id } of (all as { rows?: { id: number }[] }).rows ?? [])
      told.push(await outcome(admin.query(`SELECT * FROM ${table} WHERE id = ${id}`)));
    return told;
  } finally {
    for (const connection of connections) connection.destroy();
  }
}

const toldDirectly = new Map<Case, Promise<unknown>>();

for (const [name, ringferry] of Object.entries({
  'passed through': passedThrough,
  'over two shards': sharded,
}))
  for (const each of CASES)
    test(`${each.sql}; ${each.ddl.join('; ')}: as on a direct connection, ${name}`, async () => {
      const expected = toldDirectly.get(each) ?? story(each, alone.url(MARIADB_TESTS.database));
      toldDirectly.set(each, expected);
      assert.deepEqual(await story(each, ringferry.url()), await expected);
    });
