import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { compareWithDirect, errorFields, type Operation, refusal } from './compare.js';

function withSql(
  name: string,
  work: (sql: postgres.Sql, url: string) => Promise<unknown>,
  options: postgres.Options<Record<string, never>> = {},
): Operation {
  const run = async (url: string) => {
    const sql = postgres(url, { max: 3, onnotice: () => {}, idle_timeout: 5, ...options });
    try {
      return await work(sql, url);
    } finally {
      await sql.end({ timeout: 2 });
    }
  };
  return { name, run };
}

const shape = (result: postgres.RowList<postgres.Row[]>) => ({
  rows: [...result].map((row) => ({ ...row })),
  count: result.count,
  command: result.command,
  columns: result.columns?.map((column) => [column.name, column.type]),
});

const operations: Operation[] = [
  withSql('types and their inference', async (sql) => {
    const rows =
      await sql`SELECT ${1}::int AS i, ${'x'} AS t, ${true}::bool AS b, ${new Date(0)}::timestamptz AS d, ${Buffer.from([1, 255])}::bytea AS y, ${sql.json({ a: [1] })} AS j, ${sql.array([1, 2], 1007)}::int[] AS a, ${null}::int AS n, ${'9007199254740993'}::int8 AS big`;
    return shape(rows);
  }),
  withSql('helpers for inserts, updates and lists', async (sql) =>
    sql.begin(async (transaction) => {
      await transaction`CREATE TEMP TABLE people (id int, name text, age int) ON COMMIT DROP`;
      const people = [
        { id: 1, name: 'a', age: 2 },
        { id: 2, name: 'b', age: 3 },
        { id: 3, name: 'c', age: 4 },
      ];
      const inserted = await transaction`INSERT INTO people ${transaction(people)} RETURNING *`;
      await transaction`UPDATE people SET ${transaction({ name: 'z' })} WHERE id = 1`;
      return [
        shape(inserted),
        shape(await transaction`SELECT * FROM people WHERE id IN ${transaction([1, 3])} ORDER BY id`),
      ];
    }),
  ),
  withSql('errors with their fields', async (sql) => [
    await refusal(sql`SELECT 1/0`),
    await refusal(sql`SELECT * FROM nowhere`),
    await refusal(sql`SELECT ${'x'}::int`),
    await refusal(sql.unsafe('SELEC 1')),
  ]),
  withSql('notices', async (_sql, url) => {
    const notices: unknown[] = [];
    const other = postgres(url, { max: 1, onnotice: (notice) => notices.push(errorFields(notice)) });
    await other.unsafe("DO $$BEGIN RAISE NOTICE 'hello'; END$$");
    await other.end();
    return notices;
  }),
  withSql('many queries at once are pipelined and answered in order', async (sql) =>
    Promise.all(
      Array.from({ length: 100 }, (_, n) => sql`SELECT ${n}::int AS n`.then((rows) => rows[0]!['n'])),
    ),
  ),
  withSql('an error among pipelined queries hits only its own', async (sql) => {
    const all = await Promise.allSettled([
      sql`SELECT 1 AS n`,
      sql`SELECT ${0}::int / 0 AS n`,
      sql`SELECT 3 AS n`,
    ]);
    return all.map((one) => (one.status === 'fulfilled' ? { ...one.value[0] } : errorFields(one.reason)));
  }),
  withSql('several statements at once', async (sql) =>
    (
      (await sql.unsafe('SELECT 1 AS a; SELECT 2 AS b').simple()) as unknown as postgres.RowList<
        postgres.Row[]
      >[]
    ).map(shape),
  ),
  withSql('transactions, savepoints and rollbacks', async (sql) => {
    const steps: unknown[] = [];
    await sql.begin(async (transaction) => {
      await transaction`CREATE TEMP TABLE t (i int) ON COMMIT DROP`;
      await transaction
        .savepoint(async (inner) => {
          await inner`INSERT INTO t VALUES (1)`;
          throw new Error('back');
        })
        .catch((error: Error) => steps.push(error.message));
      await transaction`INSERT INTO t VALUES (2)`;
      steps.push(shape(await transaction`SELECT * FROM t`));
    });
    return steps;
  }),
  withSql('cursors', async (sql) => {
    const sizes: number[] = [];
    await sql`SELECT generate_series(1, 25) AS n`.cursor(10, (rows) => {
      sizes.push(rows.length);
    });
    return sizes;
  }),
  withSql('a cursor that is left early', async (sql) => {
    const seen: unknown[] = [];
    await sql`SELECT generate_series(1, 100) AS n`.cursor((rows) => {
      seen.push(rows[0]!['n']);
      return seen.length === 3 ? sql.CLOSE : undefined;
    });
    return [seen, shape(await sql`SELECT 1 AS after`)];
  }),
  withSql('forEach over rows', async (sql) => {
    const seen: unknown[] = [];
    await sql`SELECT generate_series(1, 5) AS n`.forEach((row) => {
      seen.push(row['n']);
    });
    return seen;
  }),
  withSql('describe', async (sql) => {
    const description = await sql`SELECT ${1}::int AS i, 'x'::text AS t`.describe();
    return [description.types, description.columns.map((column) => [column.name, column.type])];
  }),
  withSql('COPY in and out', async (sql) => {
    const connection = await sql.reserve();
    try {
      await connection`CREATE TEMP TABLE copied (a int, b text)`;
      await pipeline(
        Readable.from(['1\tx\n', '2\ty\n']),
        await connection`COPY copied FROM STDIN`.writable(),
      );
      const chunks: string[] = [];
      for await (const chunk of await connection`COPY copied TO STDOUT`.readable())
        chunks.push(String(chunk));
      return chunks.join('');
    } finally {
      connection.release();
    }
  }),
  withSql('LISTEN and NOTIFY', async (sql) => {
    const heard = new Promise((resolve) => {
      void sql.listen('chime', resolve, () => void sql.notify('chime', 'dong'));
    });
    return heard;
  }),
  withSql('cancelling a query', async (sql) => {
    const long = sql`SELECT pg_sleep(20)`;
    const failed = refusal(long);
    setTimeout(() => long.cancel(), 200);
    return [await failed, shape(await sql`SELECT 1 AS alive`)];
  }),
  withSql('without prepared statements', async (sql) => shape(await sql`SELECT ${'plain'}::text AS t`), {
    prepare: false,
  }),
  withSql(
    'large objects of many rows in raw form',
    async (sql) => (await sql`SELECT repeat('x', 1000) AS x FROM generate_series(1, 5000)`.raw()).length,
  ),
  withSql(
    'a server whose connection is killed is replaced by the driver',
    async (sql) => {
      // The driver itself tells the next query of the end of the one before; the third is well again.
      const seen: unknown[] = [];
      for (const statement of [
        'SELECT pg_terminate_backend(pg_backend_pid())',
        'SELECT 1 AS n',
        'SELECT 2 AS n',
      ]) {
        const answer = await sql.unsafe(statement).then(shape, (error: { code?: string }) => error.code);
        seen.push(answer);
        await sleep(100);
      }
      return seen;
    },
    { max: 1 },
  ),
];

await compareWithDirect('postgres.js', operations);
