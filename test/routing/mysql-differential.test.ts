import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { lastFirst } from '../cluster.js';
import {
  type Answer,
  type MysqlShardedDatabase,
  openMysqlShardedDatabase,
  type Value,
} from './mysql-sharded-database.js';

const SCHEMA = [
  `CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(40), city varchar(40) COLLATE utf8mb4_nopad_bin,
     age int, score decimal(10,2), weight double, born date, seen datetime(3), tag varbinary(16), wake time(2), flags bit(9), size float,
     fixed double(10, 2) DEFAULT 1.25, big decimal(65, 30) DEFAULT 1.000000000000000000000000000001)`,
  'CREATE TABLE orders (id bigint, customer_id bigint, total decimal(12,4), note varchar(40), PRIMARY KEY (customer_id, id))',
  'CREATE TABLE docs (slug varchar(20) PRIMARY KEY, body varchar(100))',
  'CREATE TABLE people (Id int AUTO_INCREMENT PRIMARY KEY, name varchar(40))',
  'CREATE TABLE countries (code varchar(2) PRIMARY KEY, title varchar(40))',
  'CREATE TABLE settings (name varchar(40) PRIMARY KEY, value varchar(40))',
];
const TABLES = {
  customers: { key: 'id' },
  orders: { key: 'customer_id' },
  docs: { key: 'slug' },
  people: { key: 'id' },
  countries: { reference: true },
} as const;

/** Reads with the values of their parameters. */
const READS: readonly { readonly sql: string; readonly values?: readonly Value[] }[] = [
  { sql: 'SELECT * FROM customers WHERE id = 7' },
  { sql: "SELECT * FROM customers WHERE id = '7'" },
  { sql: 'SELECT * FROM customers WHERE id = 7.0 OR id = 9e0' },
  { sql: 'SELECT name FROM customers WHERE id IN (1, 2, 3, 50)' },
  { sql: 'SELECT name FROM customers WHERE id = ?', values: [7] },
  { sql: 'SELECT name FROM customers WHERE id = ?', values: ['7'] },
  { sql: 'SELECT name FROM customers WHERE id = ?', values: [null] },
  { sql: 'SELECT name FROM customers WHERE ID IN (?, ?)', values: [3, 12] },
  { sql: "SELECT * FROM docs WHERE slug = 'DOC-7 '" },
  { sql: "SELECT * FROM docs WHERE slug IN ('doc-1', 'Doc-2', 'nothing')" },
  { sql: 'SELECT count(*) FROM customers' },
  { sql: 'SELECT COUNT( * ), Sum(age), min(age), MAX(age), avg(age) FROM customers' },
  { sql: 'SELECT avg(score), sum(score), avg(weight) > 0 FROM customers WHERE id < 40 AND id = 3' },
  { sql: 'SELECT sum(score), avg(score), count(score) FROM customers' },
  {
    sql: 'SELECT sum(fixed), avg(fixed), min(fixed), avg(size) > 0, avg(id), sum(flags), avg(big) FROM customers GROUP BY NULL, id ORDER BY id',
  },
  {
    sql: 'SELECT sum(fixed), avg(fixed), max(fixed), avg(big), sum(big), avg(id) AS a, count(*) n FROM customers',
  },
  { sql: 'SELECT min(born), max(seen), min(wake), max(flags + 0), min(weight) FROM customers' },
  { sql: 'SELECT coalesce(sum(age), 0) FROM customers WHERE age > 1000' },
  { sql: 'SELECT age, count(*) AS n FROM customers GROUP BY age ORDER BY age' },
  { sql: 'SELECT age, count(*) FROM customers GROUP BY age ORDER BY count(*) DESC, age LIMIT 4' },
  { sql: 'SELECT age, count(*) FROM customers GROUP BY age ORDER BY age LIMIT 3 OFFSET 2' },
  { sql: 'SELECT year(born) AS y, count(*) FROM customers GROUP BY y ORDER BY y' },
  { sql: 'SELECT city, sum(score) FROM customers GROUP BY city ORDER BY city' },
  { sql: 'SELECT tag, count(*) FROM customers GROUP BY tag ORDER BY tag DESC' },
  { sql: 'SELECT age + 1, count(*) FROM customers GROUP BY age + 1 ORDER BY age + 1' },
  { sql: 'SELECT age, count(*) FROM customers GROUP BY age HAVING count(*) > 6 ORDER BY age' },
  { sql: 'SELECT age, count(*) AS n FROM customers GROUP BY age HAVING n > ? ORDER BY age', values: [6] },
  {
    sql: 'SELECT age FROM customers GROUP BY age HAVING sum(id) >= 300.5 AND age > 18 ORDER BY age DESC LIMIT 3',
  },
  {
    sql: 'SELECT age FROM customers GROUP BY age HAVING NOT (min(id) BETWEEN 2 AND 4) OR age IS NULL ORDER BY age',
  },
  {
    sql: 'SELECT age, max(score) FROM customers GROUP BY age HAVING max(score) IN (4.25, 4.45, ?) ORDER BY age',
    values: [4],
  },
  {
    sql: 'SELECT age FROM customers GROUP BY age HAVING count(age) NOT IN (5, 6, 8) AND 3 < count(*) ORDER BY age',
  },
  {
    sql: 'SELECT year(born) AS y, count(*) FROM customers GROUP BY y HAVING y > 1980 AND count(*) <> 3 ORDER BY y',
  },
  {
    sql: "SELECT name, count(*) FROM customers GROUP BY name HAVING name LIKE 'n%7' AND sum(weight) < 8.2 ORDER BY name",
  },
  { sql: 'SELECT count(*) FROM customers HAVING count(*) > 1000' },
  { sql: 'SELECT sum(age) FROM customers WHERE id > 500 HAVING sum(age) > ?', values: [0] },
  { sql: 'SELECT sum(age) FROM customers WHERE id > 500 HAVING sum(age) IS NULL' },
  { sql: 'SELECT age FROM customers GROUP BY age HAVING max(score) > ? ORDER BY age', values: [null] },
  { sql: 'SELECT DISTINCT count(*) AS n FROM customers GROUP BY age HAVING n < 9 AND age < 24 ORDER BY n' },
  { sql: 'SELECT id, name FROM customers ORDER BY id LIMIT 5' },
  { sql: 'SELECT id, name FROM customers ORDER BY id DESC LIMIT 5, 3' },
  { sql: 'SELECT id, name FROM customers ORDER BY id LIMIT ? OFFSET ?', values: [4, 3] },
  { sql: 'SELECT id FROM customers WHERE age > ? ORDER BY -id LIMIT ?', values: [20, 3] },
  { sql: 'SELECT name FROM customers ORDER BY age, id' },
  { sql: 'SELECT name FROM customers ORDER BY age DESC, id DESC' },
  { sql: 'SELECT * FROM customers ORDER BY seen, id' },
  { sql: 'SELECT * FROM customers ORDER BY wake DESC, id LIMIT 7' },
  { sql: 'SELECT id FROM customers ORDER BY score DESC, weight, id' },
  { sql: 'SELECT id FROM customers ORDER BY city, id' },
  { sql: 'SELECT * FROM customers ORDER BY name DESC LIMIT 7' },
  { sql: 'SELECT id FROM customers ORDER BY CONCAT(name, ?), id LIMIT ?', values: ['x', 9] },
  { sql: 'SELECT DISTINCT CONCAT(name, ?) AS n FROM customers ORDER BY n', values: ['!'] },
  { sql: 'SELECT min(name), max(name) FROM customers' },
  { sql: 'SELECT id, max(name) AS m FROM customers GROUP BY id ORDER BY m DESC LIMIT 5' },
  { sql: 'SELECT DISTINCT id, name FROM customers ORDER BY name, id LIMIT 5' },
  {
    sql: 'SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.note, c.name DESC, o.id',
  },
  { sql: 'SELECT id FROM customers ORDER BY name COLLATE utf8mb4_nopad_bin, id' },
  { sql: 'SELECT id FROM customers ORDER BY CAST(name AS BINARY), id', values: [] },
  { sql: 'SELECT id, age AS x FROM customers ORDER BY x, id' },
  { sql: 'SELECT id FROM customers ORDER BY NULL' },
  { sql: 'SELECT DISTINCT age FROM customers ORDER BY age' },
  { sql: 'SELECT DISTINCT city, age FROM customers' },
  { sql: 'SELECT DISTINCT year(born) FROM customers' },
  { sql: "SELECT id, concat(name, '!') FROM customers ORDER BY age + 1, id LIMIT 3" },
  {
    sql: 'SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.total, c.id, o.id',
  },
  {
    sql: 'SELECT c.id, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id',
  },
  { sql: 'SELECT c.name, n.title FROM customers c JOIN countries n ON n.code = c.city ORDER BY c.id' },
  { sql: 'SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 5' },
  { sql: 'SELECT * FROM customers JOIN orders USING (id) WHERE customers.id = 5 AND customer_id = 5' },
  { sql: 'SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 30)' },
  {
    sql: 'SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id) ORDER BY id',
  },
  {
    sql: 'SELECT (SELECT sum(total) FROM orders o WHERE o.customer_id = c.id) AS s FROM customers c ORDER BY c.id',
  },
  {
    sql: 'SELECT customer_id, max(total) FROM orders GROUP BY customer_id HAVING max(total) > 20 ORDER BY customer_id',
  },
  { sql: 'SELECT sum(t) FROM (SELECT customer_id, sum(total) AS t FROM orders GROUP BY customer_id) x' },
  { sql: 'WITH big AS (SELECT * FROM orders WHERE total > 20) SELECT count(*) FROM big' },
  { sql: "SELECT 'x', id, 1 + 1 FROM customers WHERE id < 5 ORDER BY id" },
  { sql: "SELECT count(*), sum(total * 2), 'fixed' FROM orders WHERE note <> 'it''s'" },
  { sql: "SELECT id FROM customers WHERE born >= DATE '1990-01-01' AND seen < '2024-06-01' ORDER BY id" },
  { sql: 'SELECT id FROM customers WHERE name LIKE ? AND age > ? ORDER BY id', values: ['%1%', 21] },
  { sql: 'SELECT id FROM customers WHERE age > ? ORDER BY age + ?, id', values: [20, 1] },
  {
    sql: 'SELECT id, age + ? AS a FROM customers WHERE age > ? ORDER BY age * ?, id LIMIT ? OFFSET ?',
    values: [5, 19, -1, 4, 2],
  },
  { sql: 'SELECT * FROM countries n RIGHT JOIN customers c ON n.code = c.city ORDER BY c.age, c.id LIMIT 9' },
  {
    sql: 'SELECT o.*, c.name FROM customers c STRAIGHT_JOIN orders o ON o.customer_id = c.id ORDER BY c.age, o.id',
  },
  { sql: 'SELECT sql_no_cache id FROM customers FORCE INDEX (PRIMARY) ORDER BY age DESC, id LIMIT 3' },
  {
    sql: 'SELECT IF(age > 20, 1, 0) AS old, count(*) FROM customers WHERE age IS NOT NULL GROUP BY age ORDER BY age',
  },
  { sql: 'SELECT * FROM settings ORDER BY name' },
  { sql: 'SELECT * FROM countries ORDER BY code' },
  { sql: 'SELECT 1 + 1, now() IS NOT NULL' },
];

let database: MysqlShardedDatabase;

describe('MySQL: sharded against single', () => {
  const atEnd = lastFirst(after);
  before(async () => {
    database = await openMysqlShardedDatabase(atEnd);
    await database.everywhere(...SCHEMA);
    await database.readSchema(TABLES);
    for (const sql of data()) await both(sql);
  });

  for (const { sql, values } of READS)
    test(`one database and three shards answer alike: ${sql}`, () => sameAnswer(sql, values));

  test('rows that a migration has copied are counted once, from either side', async () => {
    const before = database.snapshot;
    const owned = before.ring
      .ranges()
      .filter(({ owner }) => owner === 'b')
      .map(({ range }) => range);
    const copied = await database.copyRanges('b', 'c', owned.slice(0, 8), 'copying');
    assert.ok(copied > 10, 'something must have been copied');
    for (const { sql, values } of READS) await sameAnswer(sql, values);
  });
});

/** Rows in every form of INSERT, by the router and to the one database alike. */
function data(): string[] {
  const statements: string[] = [];
  for (let id = 1; id <= 60; id += 3) {
    const rows = [id, id + 1, id + 2].map((each) => {
      const isNull = each % 11 === 0;
      const age = isNull ? 'NULL' : String(18 + (each % 7));
      return `(${each}, 'Name ${each}', '${['SE', 'no', 'DE', 'dk'][each % 4]}', ${age}, ${each % 5}.${each % 9}5, ${each} / 7e0, '19${70 + (each % 30)}-01-0${1 + (each % 9)}',
        '2024-0${1 + (each % 9)}-01 10:00:00.${each % 10}', x'0${each % 4}ff', ${isNull ? 'NULL' : `'${each % 3 === 0 ? '-' : ''}${each}:00:0${each % 10}.5'`}, ${each % 300}, ${each}.5)`;
    });
    statements.push(
      `INSERT INTO customers (id, name, city, age, score, weight, born, seen, tag, wake, flags, size) VALUES ${rows.join(', ')}`,
    );
  }
  for (let id = 1; id <= 50; id++)
    statements.push(
      `INSERT INTO orders (id, customer_id, total, note) VALUES (${id}, ${(id % 17) + 1}, ${id}.25, 'it''s ${id}')`,
    );
  for (let id = 1; id <= 20; id++)
    statements.push(`INSERT INTO docs SET slug = 'Doc-${id}', body = 'Body; of (${id})'`);
  statements.push(
    "INSERT INTO countries VALUES ('SE', 'Sverige'), ('no', 'Norge'), ('DE', 'Deutschland')",
    "INSERT INTO settings VALUES ('a', '1'), ('b', '2')",
    "REPLACE INTO docs (slug, body) VALUES ('doc-3', 'replaced'), ('DOC-21', 'new')",
    "INSERT IGNORE INTO docs (body, slug) VALUES ('ignored', 'doc-4'), ('kept', 'doc-22')",
    "INSERT INTO docs VALUES ('DOC-5', 'x'), ('doc-30', 'y') ON DUPLICATE KEY UPDATE body = concat(body, VALUES(body))",
    'UPDATE customers SET age = age + 1 WHERE id = 4',
    'UPDATE customers SET score = score + 1 WHERE age > 20',
    'UPDATE customers SET age = 99 WHERE id = 7 ORDER BY name LIMIT 1',
    'UPDATE customers c JOIN orders o ON o.customer_id = c.id SET c.weight = 1.5, o.note = c.name WHERE c.id = 3',
    'DELETE o FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.id = 6 AND o.total > 10',
    'DELETE FROM orders WHERE customer_id = 2',
    'DELETE FROM orders WHERE total > 48',
    "UPDATE countries SET title = 'Danmark' WHERE code = 'dk'",
    'INSERT INTO orders (id, customer_id, total) SELECT id + 1000, customer_id, total FROM orders WHERE total < 5',
  );
  return statements;
}

/** PRI_KEY, PART_KEY and GROUP: shards are asked for DISTINCT as GROUP BY, of which no column is a key. */
const KEY_FLAGS = 0x0002 | 0x4000 | 0x8000;

function told({ columns }: Answer, sql: string): unknown {
  if (!sql.includes('DISTINCT')) return columns;
  return columns.map((column) => ({ ...column, typeModifier: (column.typeModifier ?? 0) & ~KEY_FLAGS }));
}

async function both(sql: string): Promise<void> {
  const expected = await database.ask(database.whole, sql);
  const actual = await database.execute(sql);
  assert.equal(actual.affected, expected.affected, sql);
  for (const table of ['customers', 'orders', 'docs', 'settings']) {
    if (!sql.includes(table)) continue;
    const { whole, shards } = await database.contents(table);
    assert.deepEqual(shards, whole, sql);
  }
}

async function sameAnswer(sql: string, values: readonly Value[] = []): Promise<void> {
  const expected = await database.ask(database.whole, sql, values);
  let actual: Awaited<ReturnType<MysqlShardedDatabase['execute']>>;
  try {
    actual = await database.execute(sql, values);
  } catch (error) {
    assert.ok(error instanceof OperatingError, String(error instanceof Error ? error.stack : error));
    assert.fail(`refused: ${error.message} (${error.hint})`);
  }
  assert.deepEqual(actual.names, expected.names, sql);
  assert.deepEqual(told(actual, sql), told(expected, sql), sql);
  const texts = (rows: readonly (Buffer | null)[][]) =>
    rows.map((row) => row.map((field) => field?.toString('latin1') ?? null));
  const isOrdered = /order by (?!null)/i.test(sql.replace(/\([^()]*\)/g, ''));
  const sorted = (rows: readonly unknown[]) =>
    isOrdered ? rows : rows.map((row) => JSON.stringify(row)).sort();
  assert.deepEqual(sorted(texts(actual.rows)), sorted(texts(expected.rows)), sql);
}
