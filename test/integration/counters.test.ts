import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { lastFirst, startPostgres } from '../cluster.js';
import { MARIADB_TESTS } from '../engines.js';
import { eventually } from './eventually.js';
import { type Ringferry, startRingferry } from './harness.js';

const ending = lastFirst(after);
const [postgres] = await startPostgres(ending);
const [mariadb] = await MARIADB_TESTS.start(ending, 1);
const atPostgres = await startRingferry(ending, { shards: { a: postgres! } });
const atMariadb = await startRingferry(ending, { engine: 'mysql', shards: { a: mariadb! } });

/** The totals of SHOW STATS for the one database. */
async function statsOf({ ports }: Ringferry): Promise<Record<string, number>> {
  const client = new pg.Client({ host: '127.0.0.1', port: ports.admin, database: 'ringferry', user: 'ops' });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, string>>('SHOW STATS');
    const row = rows.find(({ database }) => database !== 'ringferry')!;
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)]));
  } finally {
    await client.end();
  }
}

async function mustHaveCounted(ringferry: Ringferry, act: () => Promise<void>): Promise<void> {
  const before = await statsOf(ringferry);
  await act();
  await eventually(async () => {
    const now = await statsOf(ringferry);
    const grown = (name: string) => now[name]! - before[name]!;
    assert.equal(grown('total_client_parse_count'), 1);
    assert.equal(grown('total_bind_count'), 2);
    assert.ok(grown('total_received') > 2_000, `${grown('total_received')} bytes received`);
    assert.ok(grown('total_sent') > 10_000, `${grown('total_sent')} bytes sent`);
    // Microseconds: the pause inside the transaction belongs to it.
    assert.ok(grown('total_xact_time') > 90_000, `${grown('total_xact_time')} µs in transactions`);
  });
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

test('what Postgres clients do is counted: bytes both ways, statements prepared and bound, time in transactions', async () => {
  await mustHaveCounted(atPostgres, async () => {
    const client = new pg.Client({ connectionString: atPostgres.url() });
    await client.connect();
    for (const value of ['a', 'b'])
      await client.query({ name: 's', text: 'SELECT $1::text', values: [value] });
    await client.query(`SELECT '${'x'.repeat(2_000)}', repeat('y', 10000)`);
    await client.query('BEGIN');
    await pause();
    await client.query('COMMIT');
    await client.end();
  });
});

test('what MySQL clients do is counted in the same way', async () => {
  await mustHaveCounted(atMariadb, async () => {
    const client = await mysql.createConnection({ uri: atMariadb.url() });
    for (const value of ['a', 'b']) await client.execute('SELECT ?', [value]);
    await client.query(`SELECT '${'x'.repeat(2_000)}', repeat('y', 10000)`);
    await client.query('BEGIN');
    await pause();
    await client.query('COMMIT');
    await client.end();
  });
});

async function plansAskedFor({ ports }: Ringferry): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ports.http}/metrics`)).text();
  const total = (name: string) => Number(new RegExp(`^${name}\\{[^}]*\\} (\\d+)`, 'm').exec(text)![1]);
  return total('ringferry_plan_cache_hits_total') + total('ringferry_plan_cache_misses_total');
}

test('each statement is counted once among those that asked for a plan, whether it could share a backend or not', async () => {
  const client = new pg.Client({ connectionString: atPostgres.url() });
  await client.connect();
  await client.query('CREATE TABLE planned (id int)');
  const before = await plansAskedFor(atPostgres);
  for (let id = 0; id < 5; id++) {
    await client.query(`INSERT INTO planned VALUES (${id})`);
    await client.query('SELECT id FROM planned WHERE id = $1', [id]);
    await client.query('UPDATE planned SET id = id WHERE id = $1', [id]);
    await client.query(`SELECT id FROM planned WHERE id = ${id}`);
  }
  assert.equal((await plansAskedFor(atPostgres)) - before, 20);
  await client.end();
});
