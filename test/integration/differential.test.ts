import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { lastFirst, type PostgresServer, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';
import { KEYS, randomFrom, SCHEMA, type Statement, StatementMaker, TABLES } from './random-statements.js';
import { Operator } from './shop.js';

const ROUNDS = Number(process.env['RINGFERRY_TEST_STATEMENTS'] ?? 600);
const SEED = Number(process.env['RINGFERRY_TEST_SEED'] ?? 20_261_121);

const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 5 });
const [a, b, c, single, d] = servers as [
  PostgresServer,
  PostgresServer,
  PostgresServer,
  PostgresServer,
  PostgresServer,
];
for (const server of [a, b, c, single]) await runSql(server.url(), SCHEMA);
const ringferry = await startRingferry(atEnd, { shards: { a, b, c }, tables: TABLES });
// Values as text, exactly as the servers wrote them.
const asText = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

interface Outcome {
  readonly tag?: string;
  readonly fields?: unknown;
  readonly rows?: unknown[];
  readonly error?: string;
}

async function outcome(
  client: pg.Client,
  { sql, isOrdered }: Statement,
  isExtended: boolean,
): Promise<Outcome> {
  try {
    const config = {
      text: sql,
      rowMode: 'array',
      types: asText,
      ...(isExtended ? { queryMode: 'extended' } : {}),
    };
    const result = await client.query(config as pg.QueryArrayConfig);
    const rows = result.rows.map((row) => JSON.stringify(row));
    return {
      tag: `${result.command} ${result.rowCount}`,
      fields: result.fields.map((field) => [field.name, field.dataTypeID, field.dataTypeModifier]),
      rows: isOrdered ? rows : rows.sort(),
    };
  } catch (error) {
    return { error: String((error as { code?: string }).code ?? error) };
  }
}

async function fill(url: string): Promise<void> {
  const items = Array.from(
    { length: KEYS * 6 },
    (_, i) =>
      `(${i % KEYS}, ${Math.floor(i / KEYS)}, ${i % 5 === 0 ? 'NULL' : `'label ${i % 7}'`}, ${(i * 37) % 100}.${i % 10}0, ${i % 4 === 0 ? 'NULL' : `'2024-0${1 + (i % 9)}-01'`}, ${i % 3 === 0})`,
  );
  const owners = Array.from(
    { length: KEYS - 5 },
    (_, k) => `(${k}, 'owner ${k % 9}', ${k % 4 === 0 ? 'NULL' : k % 2 === 0 ? "'n'" : "'s'"})`,
  );
  await runSql(
    url,
    `INSERT INTO items VALUES ${items.join(', ')}`,
    `INSERT INTO owners VALUES ${owners.join(', ')}`,
    "INSERT INTO regions VALUES ('n', 'North'), ('s', 'South'), ('w', 'West')",
  );
}

async function allRows(url: string): Promise<unknown[][]> {
  const tables = [
    'SELECT * FROM items ORDER BY k, n',
    'SELECT * FROM owners ORDER BY k',
    'SELECT * FROM regions ORDER BY region',
  ];
  return Promise.all(tables.map((sql) => runSql(url, sql)));
}

const maker = new StatementMaker(randomFrom(SEED));

/** Runs statements on both until `isOver`, and demands equal outcomes; returns how many were answered and which were refused. */
async function compareUntil(
  isOver: (round: number) => boolean,
): Promise<{ answered: number; rounds: number; refused: string[] }> {
  const clients = [ringferry.url(), single.url()].map((url) => new pg.Client({ connectionString: url }));
  const [sharded, whole] = clients as [pg.Client, pg.Client];
  for (const client of clients) await client.connect();
  const refused: string[] = [];
  const different: string[] = [];
  let [answered, rounds] = [0, 0];
  try {
    for (; !isOver(rounds); rounds++) {
      const statement = maker.next();
      const isExtended = rounds % 2 === 1;
      const got = await outcome(sharded, statement, isExtended);
      if (got.error === '0A000') {
        refused.push(statement.sql);
        continue;
      }
      const expected = await outcome(whole, statement, isExtended);
      if (expected.error === undefined) answered++;
      const [one, other] = [JSON.stringify(got), JSON.stringify(expected)];
      if (one !== other)
        different.push(
          `${statement.sql}\n    sharded: ${one.slice(0, 400)}\n    single:  ${other.slice(0, 400)}`,
        );
    }
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
  assert.deepEqual(different, []);
  assert.ok(
    answered > rounds * 0.6,
    `only ${answered} of ${rounds} were answered; refused: ${refused.slice(0, 40).join('\n')}`,
  );
  assert.deepEqual(await allRows(ringferry.url()), await allRows(single.url()));
  return { answered, rounds, refused };
}

describe(`three shards against one database, seed ${SEED}`, () => {
  test(`${ROUNDS} statements by lot give the same answer or are refused with 0A000`, {
    timeout: 300_000,
  }, async (t) => {
    await fill(single.url());
    await fill(ringferry.url());
    const { answered, refused } = await compareUntil((round) => round >= ROUNDS);
    t.diagnostic(`${answered} answered, ${refused.length} refused, e.g. ${refused.slice(0, 5).join(' | ')}`);
  });

  for (const command of [`ADD SHARD d '${d.url()}' finish=now`, 'REMOVE SHARD d finish=now']) {
    test(`and so they do during ${command.split(' ').slice(0, 3).join(' ')}`, {
      timeout: 300_000,
    }, async (t) => {
      const operator = new Operator(ringferry.ports.admin);
      const id = await operator.start(command);
      let isDone = false;
      const done = operator.until(id, ['done'], 120_000).finally(() => {
        isDone = true;
      });
      const { rounds } = await compareUntil((round) => isDone && round > 50);
      await done;
      t.diagnostic(`${rounds} statements while rows moved`);
    });
  }

  test('every row is on the shard that owns its key, and reference rows are on all', async () => {
    const found = new Map<string, string>();
    for (const [name, server] of Object.entries({ a, b, c })) {
      for (const table of ['items', 'owners']) {
        for (const { k } of await runSql(server.url(), `SELECT DISTINCT k FROM ${table}`)) {
          const owner = found.get(String(k));
          assert.ok(owner === undefined || owner === name, `key ${k} is on ${owner} and on ${name}`);
          found.set(String(k), name);
        }
      }
    }
    assert.ok(new Set(found.values()).size === 3);
    const references = await Promise.all(
      [a, b, c].map((server) => runSql(server.url(), 'SELECT * FROM regions ORDER BY region')),
    );
    assert.deepEqual(references[1], references[0]);
    assert.deepEqual(references[2], references[0]);
  });
});
