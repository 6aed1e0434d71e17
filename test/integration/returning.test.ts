import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 3 });
for (const server of servers) {
  await runSql(
    server.url(),
    'CREATE TABLE people (id int PRIMARY KEY, name text)',
    'CREATE TABLE kinds (code int PRIMARY KEY, name text)',
  );
}
const [a, b, c] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
const ringferry = await startRingferry(atEnd, {
  shards: { a, b, c },
  tables: { people: { key: 'id' }, kinds: { reference: true } },
});
const client = new pg.Client({ connectionString: ringferry.url() });
client.on('error', () => {});
await client.connect();
atEnd(() => client.end());

test('rows of a split INSERT … RETURNING come in the order of its VALUES', async () => {
  const ids = Array.from({ length: 60 }, (_, index) => (index * 37) % 60);
  const values = ids.map((id) => `(${id}, 'n${id}')`).join(', ');
  const simple = await client.query(`INSERT INTO people VALUES ${values} RETURNING id, name`);
  assert.deepEqual(
    simple.rows.map((row) => row.id),
    ids,
  );
  assert.equal(simple.rowCount, 60);
  await client.query('DELETE FROM people');
  const bound = await client.query(
    `INSERT INTO people VALUES ${ids.map((_, index) => `($${index + 1}, 'x')`).join(', ')} RETURNING id`,
    ids,
  );
  assert.deepEqual(
    bound.rows.map((row) => row.id),
    ids,
  );
});

test('UPDATE … RETURNING over all shards brings every row once', async () => {
  const result = await client.query("UPDATE people SET name = 'y' RETURNING id");
  assert.deepEqual(
    result.rows.map((row) => row.id).sort((x, y) => x - y),
    Array.from({ length: 60 }, (_, id) => id),
  );
  assert.equal(result.rowCount, 60);
});

test("a reference table's write answers once and stands on every shard", async () => {
  const result = await client.query("INSERT INTO kinds VALUES (1, 'one'), (2, 'two') RETURNING code");
  assert.deepEqual(result.rows, [{ code: 1 }, { code: 2 }]);
  assert.equal(result.rowCount, 2);
  for (const server of servers) {
    assert.deepEqual(await runSql(server.url(), 'SELECT count(*)::int AS n FROM kinds'), [{ n: 2 }]);
  }
});
