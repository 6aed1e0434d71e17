import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst } from '../../cluster.js';
import { mariadb } from '../programs.js';
import { startThreeShards } from './shards.js';

const atEnd = lastFirst(after);
const { url, onEach, servers } = await startThreeShards(
  atEnd,
  [
    'CREATE TABLE people (id int PRIMARY KEY, name varchar(60), age int)',
    'CREATE TABLE colours (name varchar(30) PRIMARY KEY)',
    'CREATE TABLE notes (id int PRIMARY KEY, note text)',
  ],
  { people: { key: 'id' }, colours: { reference: true } },
);

describe('the mariadb command line client against three shards', () => {
  test('rows written one by one and many at once are spread and found again', async () => {
    const values = Array.from({ length: 300 }, (_, i) => `(${i + 1}, 'name ${i + 1}', ${20 + (i % 50)})`);
    const insert = await mariadb(
      url,
      `INSERT INTO people VALUES ${values.join(', ')};\nINSERT INTO people VALUES (301, 'last', 99);`,
    );
    assert.deepEqual([insert.status, insert.stderr], [0, '']);
    const spread = await onEach('SELECT count(*) FROM people');
    assert.equal(
      spread.reduce((x, y) => x + y),
      301,
    );
    assert.ok(
      spread.every((count) => count > 40),
      `spread ${spread}`,
    );
    const read = await mariadb(
      url,
      'SELECT count(*), min(age), max(age), sum(id) FROM people; SELECT name FROM people WHERE id = 42; SELECT id FROM people ORDER BY id DESC LIMIT 1, 3;',
    );
    assert.deepEqual(read.lines, ['301\t20\t99\t45451', 'name 42', '300', '299', '298'], read.stderr);
  });

  test('a statement given with -e, in batch mode with headings, and as a table', async () => {
    const batch = await mariadb(url, '', '--column-names', '-e', 'SELECT id, name FROM people WHERE id = 7');
    assert.deepEqual(batch.lines, ['id\tname', '7\tname 7'], batch.stderr);
    const table = await mariadb(
      url,
      '',
      '-t',
      '-e',
      'SELECT age FROM people WHERE id IN (1, 2) ORDER BY age',
    );
    assert.deepEqual(table.lines.filter((line) => line.startsWith('|')).length, 2, table.stdout);
    const verbose = await mariadb(url, 'UPDATE people SET age = 20 WHERE id < 11; SHOW WARNINGS;', '-vvv');
    assert.match(verbose.stdout, /Query OK, 9 rows affected/);
    assert.match(verbose.stdout, /Rows matched: 10 {2}Changed: 9 {2}Warnings: 0/);
  });

  test('GROUP BY, aggregates and DISTINCT are merged', async () => {
    const read = await mariadb(
      url,
      'SELECT age, count(*) FROM people WHERE age < 23 GROUP BY age ORDER BY age; SELECT DISTINCT age FROM people WHERE age < 25 ORDER BY 1;',
    );
    assert.equal(read.status, 0, read.stderr);
    assert.deepEqual(read.lines, ['20\t15', '21\t5', '22\t5', '20', '21', '22', '23', '24']);
  });

  test('a reference table is on every shard, an unsharded table on the first', async () => {
    const put = await mariadb(
      url,
      "INSERT INTO colours VALUES ('red'), ('blue'); INSERT INTO notes VALUES (1, 'here'); SELECT count(*) FROM colours; SELECT note FROM notes;",
    );
    assert.deepEqual(put.lines, ['2', 'here'], put.stderr);
    assert.deepEqual(await onEach('SELECT count(*) FROM colours'), [2, 2, 2]);
    assert.deepEqual(await onEach('SELECT count(*) FROM notes'), [1, 0, 0]);
  });

  test('a transaction over shards is rolled back and committed whole', async () => {
    const count = 'SELECT count(*) FROM people WHERE age = 77;';
    const change = 'UPDATE people SET age = 77 WHERE id IN (31, 32, 33, 34);';
    const back = await mariadb(url, `BEGIN; ${change} ROLLBACK; ${count}`);
    assert.deepEqual(back.lines, ['0'], back.stderr);
    const forth = await mariadb(url, `START TRANSACTION; ${change} COMMIT; ${count}`);
    assert.deepEqual(forth.lines, ['4'], forth.stderr);
    for (const server of servers) {
      const prepared = await mariadb(server.url('shop'), 'XA RECOVER;');
      assert.deepEqual(prepared.lines, [], prepared.stderr);
    }
  });

  test('what cannot be answered right is refused with 1235 and says why', async () => {
    const result = await mariadb(url, 'SELECT p.name, q.name FROM people p JOIN people q ON p.age = q.id;');
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, /ERROR 1235 \(42000\)/);
  });

  test('errors of the servers come through with their number and state', async () => {
    const result = await mariadb(url, "INSERT INTO people VALUES (5, 'again', 1);");
    assert.match(result.stderr, /ERROR 1062 \(23000\).*Duplicate entry '5' for key 'PRIMARY'/);
  });

  test('what reads the catalogue works', async () => {
    const tables = await mariadb(url, 'SHOW TABLES; DESCRIBE people; USE shop; status;');
    assert.equal(tables.status, 0, tables.stderr);
    for (const expected of ['colours', 'people', /^name\tvarchar\(60\)/m, /Current database:\s+shop/])
      assert.match(tables.stdout, new RegExp(expected));
  });
});
