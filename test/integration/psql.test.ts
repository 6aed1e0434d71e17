import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';
import { psql } from './programs.js';

const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 3 });
const [a, b, c] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
for (const server of servers) {
  await runSql(
    server.url(),
    'CREATE TABLE people (id int PRIMARY KEY, name text, age int)',
    'CREATE TABLE colours (name text PRIMARY KEY)',
  );
}
await runSql(a.url(), 'CREATE TABLE notes (id int PRIMARY KEY, note text)');
const ringferry = await startRingferry(atEnd, {
  shards: { a, b, c },
  tables: { people: { key: 'id' }, colours: { reference: true } },
});
const url = ringferry.url();

async function countsPerShard(table: string): Promise<number[]> {
  const counts = await Promise.all(
    servers.map((server) => runSql(server.url(), `SELECT count(*)::int AS n FROM ${table}`)),
  );
  return counts.map((rows) => Number(rows[0]!['n']));
}

describe('psql against three shards', () => {
  test('rows written one by one and many at once are spread and found again', async () => {
    const values = Array.from({ length: 300 }, (_, i) => `(${i + 1}, 'name ${i + 1}', ${20 + (i % 50)})`);
    const insert = await psql(
      url,
      `INSERT INTO people VALUES ${values.join(', ')};\nINSERT INTO people VALUES (301, 'last', 99);`,
    );
    assert.deepEqual([insert.status, insert.stderr], [0, '']);
    const spread = await countsPerShard('people');
    assert.equal(
      spread.reduce((x, y) => x + y),
      301,
    );
    assert.ok(
      spread.every((count) => count > 40),
      `spread ${spread}`,
    );
    const read = await psql(
      url,
      'SELECT count(*), min(age), max(age), sum(id) FROM people; SELECT name FROM people WHERE id = 42; SELECT id FROM people ORDER BY id DESC LIMIT 3 OFFSET 1;',
    );
    assert.deepEqual(read.lines, ['301|20|99|45451', 'name 42', '300', '299', '298'], read.stderr);
  });

  test('GROUP BY, HAVING-free aggregates and DISTINCT are merged', async () => {
    const read = await psql(
      url,
      'SELECT age, count(*) FROM people WHERE age < 23 GROUP BY age ORDER BY age; SELECT DISTINCT age FROM people WHERE age < 22 ORDER BY 1; SELECT avg(age)::numeric(10,4) IS NOT NULL FROM people WHERE id = 7;',
    );
    assert.deepEqual(read.lines, ['20|6', '21|6', '22|6', '20', '21', 't'], read.stderr);
  });

  test('updates and deletes tell how many rows of all shards they met', async () => {
    const result = await psql(
      url,
      "\\set QUIET off\nUPDATE people SET name = 'x' WHERE age = 25;\nDELETE FROM people WHERE age = 26;\nUPDATE people SET name = 'y' WHERE id = 1;",
    );
    assert.deepEqual(
      result.lines.filter((line) => /UPDATE|DELETE/.test(line)),
      ['UPDATE 6', 'DELETE 6', 'UPDATE 1'],
      result.stderr,
    );
  });

  test('a reference table is whole on every shard and joins with sharded rows', async () => {
    const result = await psql(
      url,
      "INSERT INTO colours VALUES ('red'), ('blue');\nSELECT p.id, k.name FROM people p JOIN colours k ON k.name = 'red' WHERE p.id = 3;",
    );
    assert.deepEqual(result.lines, ['3|red'], result.stderr);
    assert.deepEqual(await countsPerShard('colours'), [2, 2, 2]);
  });

  test('COPY into a reference table puts the rows on every shard', async () => {
    const put = await psql(url, 'COPY colours FROM STDIN;\ngreen\nyellow\n\\.\n');
    assert.deepEqual([put.status, put.stderr], [0, '']);
    assert.deepEqual(await countsPerShard('colours'), [4, 4, 4]);
    const twice = await psql(url, 'COPY colours FROM STDIN;\nblack\ngreen\n\\.\n');
    assert.match(twice.stderr, /duplicate key value/);
    assert.deepEqual(await countsPerShard('colours'), [4, 4, 4]);
  });

  test('a table that is not declared lives at home', async () => {
    const result = await psql(url, "INSERT INTO notes VALUES (1, 'here');\nSELECT note FROM notes;");
    assert.deepEqual(result.lines, ['here'], result.stderr);
    assert.deepEqual(await runSql(a.url(), 'SELECT note FROM notes'), [{ note: 'here' }]);
  });

  test('a transaction over shards is atomic: all of it or nothing', async () => {
    const back = await psql(
      url,
      'BEGIN; UPDATE people SET age = 77 WHERE id IN (31, 32, 33, 34); ROLLBACK; SELECT count(*) FROM people WHERE age = 77;',
    );
    assert.deepEqual(back.lines, ['0'], back.stderr);
    const forth = await psql(
      url,
      'BEGIN; UPDATE people SET age = 77 WHERE id IN (31, 32, 33, 34); COMMIT; SELECT count(*) FROM people WHERE age = 77;',
    );
    assert.deepEqual(forth.lines, ['4'], forth.stderr);
    for (const server of servers)
      assert.deepEqual(await runSql(server.url(), 'SELECT gid FROM pg_prepared_xacts'), []);
  });

  test('what cannot be answered right is refused with 0A000 and says what to write instead', async () => {
    const result = await psql(
      url,
      'SELECT p.name, q.name FROM people p JOIN people q ON p.age = q.id;',
      '-v',
      'VERBOSITY=verbose',
    );
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, /0A000/);
    assert.match(result.stderr, /HINT/);
  });

  test('errors of the servers come through with their fields', async () => {
    const result = await psql(url, "INSERT INTO people VALUES (5, 'again', 1);", '-v', 'VERBOSITY=verbose');
    assert.match(result.stderr, /23505: duplicate key value violates unique constraint "people_pkey"/);
    assert.match(result.stderr, /DETAIL: {2}Key \(id\)=\(5\) already exists/);
    assert.match(result.stderr, /CONSTRAINT NAME: {2}people_pkey/);
  });

  test('the backslash commands that read the catalogue work', async () => {
    const tables = await psql(url, '\\dt');
    assert.match(tables.stdout, /people/, tables.stderr);
    const columns = await psql(url, '\\d people');
    assert.match(columns.stdout, /name\|text/, columns.stderr);
  });

  test('COPY in spreads the rows by key, COPY out brings all of them', async () => {
    const lines = Array.from({ length: 500 }, (_, i) => `${1000 + i}\tcopied ${i}\t\\N`).join('\n');
    const put = await psql(url, `COPY people FROM STDIN;\n${lines}\n\\.\n`);
    assert.deepEqual([put.status, put.stderr], [0, '']);
    const back = await psql(
      url,
      'SELECT count(*) FROM people WHERE id >= 1000 AND age IS NULL; SELECT name FROM people WHERE id = 1499;',
    );
    assert.deepEqual(back.lines, ['500', 'copied 499'], back.stderr);
    const got = await psql(url, 'COPY (SELECT id, name FROM people WHERE id >= 1000) TO STDOUT;');
    assert.deepEqual(got.lines.sort()[499], '1499\tcopied 499', got.stderr);
    assert.equal(got.lines.length, 500);
    const withHeader = await psql(
      url,
      'COPY (SELECT id FROM people WHERE id >= 1000) TO STDOUT WITH (FORMAT csv, HEADER);',
    );
    assert.equal(withHeader.lines.shift(), 'id', 'one header for all shards');
    const ids = Array.from({ length: 500 }, (_, i) => `${1000 + i}`);
    assert.deepEqual(withHeader.lines.sort(), ids, withHeader.stderr);
  });
});
