import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lastFirst } from '../cluster.js';
import { openShardedDatabase, type ShardedDatabase } from './sharded-database.js';
import { fillShop, SHOP_SCHEMA, SHOP_TABLES } from './shop.js';

/** Writes, in this order, that must leave three shards with the rows that one database has. */
const WRITES: readonly { readonly sql: string; readonly values?: readonly (string | null)[] }[] = [
  { sql: "INSERT INTO customers (id, name, created_at) VALUES (1001, 'New', '2024-01-01')" },
  {
    sql: "INSERT INTO customers (id, name, created_at) VALUES (1002, 'a', '2024-01-01'), ($1, 'b', '2024-01-02'), (-1004, $2, '2024-01-03'), ('1005', E'd''\\n', '2024-01-04') RETURNING id, name",
    values: ['1003', 'c'],
  },
  {
    sql: 'INSERT INTO customers (name, created_at, id) VALUES ($1, $2, $3), ($4, $2, $5) RETURNING *',
    values: ['x', '2024-05-05', '1010', 'y', '1011'],
  },
  {
    sql: "INSERT INTO customers (id, name, created_at) VALUES (1001, 'Newer', '2024-01-01'), (1006, 'z', '2024-01-01') ON CONFLICT (id) DO UPDATE SET name = excluded.name || '!' RETURNING id, name",
  },
  { sql: "INSERT INTO customers (id, name) VALUES (1001, 'Newest'), (1002, 'q') ON CONFLICT DO NOTHING" },
  {
    sql: "INSERT INTO orders VALUES (1, 1001, 10.5, 'open', '2024-01-01 10:00'), (2, 1001, NULL, 'paid', NULL)",
  },
  {
    sql: 'INSERT INTO items (customer_id, order_id, line, product, quantity, price) SELECT customer_id, id, 99, status, 1, total FROM orders WHERE total > 80',
  },
  {
    sql: 'INSERT INTO items (customer_id, order_id, line) SELECT $1::int, id, 98 FROM orders WHERE customer_id = $1',
    values: ['5'],
  },
  {
    sql: "INSERT INTO docs VALUES ($1, 'one'), ('zwei', 'two'), (E'dr\\u0065i', $2)",
    values: ['eins', 'three'],
  },
  { sql: "INSERT INTO events (id, kind) VALUES ($1, 'k')", values: ['AAAAAAAA-0000-4000-8000-000000000001'] },
  { sql: "INSERT INTO tickets (id, customer_id, title) VALUES (1, 1, 't'), (2, 2, 'u')" },
  { sql: 'UPDATE customers SET name = upper(name) WHERE id = 1001 RETURNING id, name' },
  { sql: 'UPDATE customers SET age = age + 1, city = $1 WHERE city IS NULL', values: ['Nowhere'] },
  { sql: 'UPDATE customers SET id = $1, name = $2 WHERE id = $1', values: ['1002', 'same key'] },
  { sql: 'UPDATE orders o SET total = c.age FROM customers c WHERE c.id = o.customer_id AND c.active' },
  {
    sql: "UPDATE orders SET status = 'rich' WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = orders.customer_id AND c.balance > 500) RETURNING customer_id, id",
  },
  {
    sql: "UPDATE customers SET country = n.code FROM countries n WHERE n.title = 'Land no' AND customers.id IN (1, 2, 3)",
  },
  { sql: 'DELETE FROM items WHERE customer_id = 7' },
  {
    sql: 'DELETE FROM items USING orders WHERE items.customer_id = orders.customer_id AND items.order_id = orders.id AND orders.total IS NULL',
  },
  { sql: 'DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE age > 60)' },
  { sql: 'DELETE FROM customers WHERE id = ANY($1) RETURNING id', values: ['{1010,1011}'] },
  { sql: "UPDATE countries SET title = title || '!' WHERE code = 'no'" },
  { sql: "INSERT INTO countries VALUES ('se', 'Land se') ON CONFLICT (code) DO NOTHING" },
  {
    sql: 'WITH gone AS (DELETE FROM orders WHERE customer_id = 9 RETURNING *) INSERT INTO items (customer_id, order_id, line) SELECT 9, id, 77 FROM gone',
  },
  {
    sql: "WITH new AS (INSERT INTO customers (id, name, created_at) VALUES ($1, 'cte', '2024-01-01') RETURNING id) SELECT count(*) FROM new",
    values: ['1020'],
  },
  { sql: "UPDATE settings SET value = 'EUR' WHERE name = 'currency'" },
  { sql: 'DELETE FROM settings WHERE name IN (SELECT title FROM countries)' },
  { sql: 'DELETE FROM docs' },
  { sql: 'TRUNCATE items' },
  { sql: 'TRUNCATE orders, settings RESTART IDENTITY' },
];

describe('writes', () => {
  const atEnd = lastFirst(after);
  let database: ShardedDatabase;

  before(async () => {
    database = await openShardedDatabase(atEnd);
    atEnd(async () => {
      for (const client of [database.whole, ...database.shards.values()]) await client.end();
    });
    await database.everywhere(SHOP_SCHEMA);
    await database.everywhere("SET timezone = 'UTC'");
    await database.readSchema(SHOP_TABLES);
    await fillShop(database);
  });

  test('leave the shards with the rows of one database, the same rows returned and the same counts', async () => {
    for (const { sql, values } of WRITES) await writeAlike(database, sql, values);
  });

  test('leave copies of a migration alone', async () => {
    await fillAgain(database);
    const owned = database.snapshot.ring
      .ranges()
      .filter(({ owner }) => owner === 'a')
      .map(({ range }) => range);
    await database.copyRanges('a', 'b', owned.slice(0, 8), 'copying');
    const before = await copies(database);
    assert.ok(before.length > 3);
    for (const sql of [
      "UPDATE customers SET name = 'changed' WHERE age > 5",
      'DELETE FROM orders WHERE total > 10',
      'DELETE FROM customers',
    ]) {
      const expected = await database.ask(database.whole, sql);
      assert.equal((await database.execute(sql)).count, expected.count, sql);
    }
    assert.deepEqual(
      await copies(database),
      before,
      'rows that the target only holds are the change stream’s alone',
    );
  });
});

async function fillAgain(database: ShardedDatabase): Promise<void> {
  await database.everywhere('TRUNCATE customers, orders, items, countries, settings, docs, events, tickets');
  await fillShop(database);
}

/** Rows of customers on b that b does not own. */
async function copies(database: ShardedDatabase): Promise<unknown[]> {
  const { rows } = await database.ask(
    database.shards.get('b')!,
    'SELECT id, name FROM customers ORDER BY id',
  );
  const owned = await Promise.all(
    rows.map(
      async ([id]) =>
        database.router.route(
          database.router.plan(`SELECT 1 FROM customers WHERE id = ${id}`),
          undefined,
          database.snapshot,
        ).shards[0] === 'b',
    ),
  );
  return rows.filter((_, index) => !owned[index]);
}

async function writeAlike(
  database: ShardedDatabase,
  sql: string,
  values: readonly (string | null)[] = [],
): Promise<void> {
  const expected = await database.ask(database.whole, sql, values);
  const actual = await database.execute(sql, values);
  const isInsert = sql.startsWith('INSERT');
  const sorted = (rows: readonly unknown[]) =>
    isInsert ? rows : rows.map((row) => JSON.stringify(row)).sort();
  assert.deepEqual(sorted(actual.rows), sorted(expected.rows), sql);
  assert.equal(actual.count ?? 0, expected.count ?? 0, sql);
  for (const table of ['customers', 'orders', 'items', 'docs', 'events', 'tickets']) {
    const all = (await database.ask(database.whole, `SELECT * FROM ${table}`)).rows
      .map((row) => JSON.stringify(row))
      .sort();
    const parts: string[] = [];
    for (const client of database.shards.values())
      parts.push(
        ...(await database.ask(client, `SELECT * FROM ${table}`)).rows.map((row) => JSON.stringify(row)),
      );
    assert.deepEqual(parts.sort(), all, `${table} after ${sql}`);
  }
  const reference = (await database.ask(database.whole, 'SELECT * FROM countries ORDER BY code')).rows;
  for (const client of database.shards.values())
    assert.deepEqual(
      (await database.ask(client, 'SELECT * FROM countries ORDER BY code')).rows,
      reference,
      sql,
    );
}
