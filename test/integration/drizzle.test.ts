import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { and, asc, count, desc, eq, inArray, sql, sum } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { startThreeShards, uuidOf } from './three-shards.js';

const customers = pgTable('customers', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull(),
  country: text('country').notNull(),
});
const orders = pgTable(
  'orders',
  {
    customerId: uuid('customer_id').notNull(),
    number: integer('number').notNull(),
    total: integer('total').notNull(),
    placed: timestamp('placed', { withTimezone: true }).defaultNow().notNull(),
  },
  (table) => [primaryKey({ columns: [table.customerId, table.number] })],
);

const { ringferry, atEnd } = await startThreeShards(
  after,
  [
    'CREATE TABLE customers (id uuid PRIMARY KEY, name text NOT NULL, country text NOT NULL)',
    'CREATE TABLE orders (customer_id uuid NOT NULL, number int NOT NULL, total int NOT NULL, placed timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (customer_id, number))',
  ],
  { customers: { key: 'id' }, orders: { key: 'customer_id' } },
);
const pool = new pg.Pool({ connectionString: ringferry.url(), max: 4 });
// The pool's end does not wait for its sockets: the proxy's farewell may still reach them.
pool.on('error', () => {});
atEnd(() => pool.end());
const db = drizzle(pool);

describe('Drizzle ORM against three shards', () => {
  test('insert, select, update and delete by the key', async () => {
    await db.insert(customers).values(
      Array.from({ length: 60 }, (_, n) => ({
        id: uuidOf(n),
        name: `customer ${n}`,
        country: n % 2 === 0 ? 'SE' : 'NO',
      })),
    );
    await db
      .update(customers)
      .set({ name: 'Grace' })
      .where(eq(customers.id, uuidOf(7)));
    const deleted = await db
      .delete(customers)
      .where(eq(customers.id, uuidOf(8)))
      .returning();
    assert.deepEqual(deleted, [{ id: uuidOf(8), name: 'customer 8', country: 'SE' }]);
    assert.deepEqual(
      await db
        .select()
        .from(customers)
        .where(eq(customers.id, uuidOf(7))),
      [{ id: uuidOf(7), name: 'Grace', country: 'NO' }],
    );
  });

  test('upserts by the key', async () => {
    const upsert = (name: string) =>
      db
        .insert(customers)
        .values({ id: uuidOf(500), name, country: 'FI' })
        .onConflictDoUpdate({ target: customers.id, set: { name } })
        .returning({ name: customers.name });
    assert.deepEqual(await upsert('first'), [{ name: 'first' }]);
    assert.deepEqual(await upsert('second'), [{ name: 'second' }]);
  });

  test('a transaction of an order, and a join on the key', async () => {
    await db.transaction(async (transaction) => {
      await transaction.insert(orders).values([
        { customerId: uuidOf(7), number: 1, total: 30 },
        { customerId: uuidOf(7), number: 2, total: 12 },
      ]);
    });
    const rows = await db
      .select({ name: customers.name, number: orders.number })
      .from(customers)
      .innerJoin(orders, eq(orders.customerId, customers.id))
      .where(and(eq(customers.id, uuidOf(7))))
      .orderBy(desc(orders.number));
    assert.deepEqual(rows, [
      { name: 'Grace', number: 2 },
      { name: 'Grace', number: 1 },
    ]);
  });

  test('aggregates, groups and order over all shards', async () => {
    const groups = await db
      .select({ country: customers.country, n: count() })
      .from(customers)
      .groupBy(customers.country)
      .orderBy(asc(customers.country));
    assert.deepEqual(groups, [
      { country: 'FI', n: 1 },
      { country: 'NO', n: 30 },
      { country: 'SE', n: 29 },
    ]);
    const [total] = await db.select({ total: sum(orders.total) }).from(orders);
    assert.equal(total!.total, '42');
    const some = await db
      .select({ id: customers.id })
      .from(customers)
      .where(inArray(customers.id, [uuidOf(1), uuidOf(2), uuidOf(3), uuidOf(4)]))
      .orderBy(asc(customers.id))
      .limit(2)
      .offset(1);
    assert.deepEqual(some, [{ id: uuidOf(2) }, { id: uuidOf(3) }]);
  });

  test('raw SQL with a scatter', async () => {
    const result = await db.execute(
      sql`SELECT count(*)::int AS n FROM customers WHERE name LIKE ${'customer%'}`,
    );
    assert.deepEqual(result.rows, [{ n: 58 }]);
  });
});
