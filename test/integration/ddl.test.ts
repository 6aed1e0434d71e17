import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 3 });
const [a, b, c] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
const ringferry = await startRingferry(atEnd, {
  shards: { a, b, c },
  tables: { people: { key: 'id' }, pets: { key: 'owner' }, kinds: { reference: true } },
});
const client = new pg.Client({ connectionString: ringferry.url() });
client.on('error', () => {});
await client.connect();
atEnd(() => client.end());

async function tablesOn(server: (typeof servers)[0]): Promise<string[]> {
  const rows = await runSql(
    server.url(),
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
  );
  return rows.map((row) => String(row['relname']));
}

test('CREATE TABLE of declared tables goes to every shard, of others to home', async () => {
  await client.query('CREATE TABLE people (id int PRIMARY KEY, name text)');
  await client.query('CREATE TABLE kinds (code int PRIMARY KEY)');
  await client.query('CREATE TABLE notes (id int PRIMARY KEY)');
  assert.deepEqual(await tablesOn(a), ['kinds', 'notes', 'people']);
  assert.deepEqual(await tablesOn(b), ['kinds', 'people']);
  await client.query("INSERT INTO people VALUES (1, 'one'), (2, 'two'), (3, 'three')");
  assert.equal((await client.query('SELECT count(*)::int AS n FROM people')).rows[0].n, 3);
});

test('a table made in a transaction is known when it has committed', async () => {
  await client.query('BEGIN');
  await client.query('CREATE TABLE pets (owner int, name text, PRIMARY KEY (owner, name))');
  await client.query('COMMIT');
  await client.query("INSERT INTO pets VALUES (1, 'rex'), (2, 'tom')");
  const joined = await client.query(
    'SELECT p.name, t.name AS pet FROM people p JOIN pets t ON t.owner = p.id ORDER BY p.id',
  );
  assert.deepEqual(joined.rows, [
    { name: 'one', pet: 'rex' },
    { name: 'two', pet: 'tom' },
  ]);
});

test('DDL that fails on one shard is undone on all', async () => {
  await runSql(c.url(), 'ALTER TABLE people ADD COLUMN odd int');
  await assert.rejects(client.query('ALTER TABLE people ADD COLUMN odd int'), /already exists/);
  const rows = await runSql(
    a.url(),
    "SELECT 1 FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'odd'",
  );
  assert.deepEqual(rows, []);
});

test('a new column is known to the next statement', async () => {
  await client.query('ALTER TABLE people ADD COLUMN age int DEFAULT 7');
  const result = await client.query('SELECT sum(age)::int AS total FROM people');
  assert.equal(result.rows[0].total, 21);
});
