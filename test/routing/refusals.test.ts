import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPostgresRouter } from '../../src/routing/postgres-router.js';
import { SHOP } from './keyspace.js';

const router = createPostgresRouter(SHOP, { maxPlans: 1_000 });

/** Statements whose answer from shards could differ from that of one database. */
const REFUSED = [
  // Tables that are not tied by their keys.
  'SELECT * FROM customers, orders',
  'SELECT * FROM customers c JOIN orders o ON o.id = c.id',
  'SELECT * FROM customers c JOIN orders o ON o.customer_id = c.age',
  'SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id OR c.age = 3',
  'SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id + 1',
  'SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = 5',
  'SELECT * FROM customers c JOIN docs d ON d.slug = c.name',
  'SELECT * FROM customers WHERE id = 1 AND EXISTS (SELECT 1 FROM orders)',
  'SELECT * FROM customers c WHERE c.id = 1 AND c.age = (SELECT max(id) FROM orders)',
  'SELECT * FROM orders o FULL JOIN customers c ON c.id = o.customer_id',
  'SELECT * FROM countries n LEFT JOIN customers c ON c.city = n.code',
  'SELECT * FROM countries n LEFT JOIN orders o ON o.customer_id = n.x',
  'SELECT * FROM customers RIGHT JOIN countries ON code = city',
  'SELECT * FROM orders NATURAL JOIN customers',
  'SELECT a.id FROM customers a JOIN customers b ON a.city = b.city',
  // Home tables beside sharded ones.
  'SELECT * FROM customers, settings WHERE id = 1',
  'SELECT * FROM customers WHERE id = 1 AND name IN (SELECT value FROM settings)',
  'SELECT * FROM settings WHERE name IN (SELECT name FROM customers)',
  'SELECT * FROM customers, pg_class WHERE id = 1',
  'SELECT * FROM unknown_table, orders',
  'SELECT * FROM grown',
  // Writes through views would reach one shard's rows or copy only.
  'INSERT INTO grown VALUES (1)',
  'UPDATE grown SET id = 2',
  'DELETE FROM grown WHERE id = 1',
  "INSERT INTO lands VALUES ('SE')",
  "UPDATE lands SET code = 'NO'",
  'DELETE FROM lands',
  // Merges that would be wrong.
  'SELECT city, count(*) FROM customers GROUP BY city HAVING count(*) > sum(id)',
  "SELECT city, count(*) FROM customers GROUP BY city HAVING min(name) > 'a'",
  'SELECT city, count(*) FROM customers GROUP BY city HAVING bool_and(age > 1)',
  'SELECT count(DISTINCT city) FROM customers',
  "SELECT string_agg(name, ',') FROM customers",
  'SELECT array_agg(id ORDER BY id) FROM customers',
  'SELECT sum(age) / count(*) FROM customers',
  'SELECT city, name, count(*) FROM customers GROUP BY city',
  'SELECT count(*) + 1 FROM customers',
  'SELECT coalesce(max(age), 0) FROM customers',
  'SELECT coalesce(sum(age), 1) FROM customers',
  'SELECT city FROM customers GROUP BY ROLLUP (city)',
  'SELECT count(*) FROM customers GROUP BY GROUPING SETS ((city), ())',
  'SELECT row_number() OVER (ORDER BY id) FROM customers',
  'SELECT rank() OVER w FROM customers WINDOW w AS (PARTITION BY city)',
  'SELECT count(*), row_number() OVER () FROM customers',
  'SELECT DISTINCT ON (city) city, id FROM customers ORDER BY city COLLATE "C"',
  'SELECT * FROM customers ORDER BY name',
  'SELECT name FROM customers ORDER BY name COLLATE "en_US"',
  'SELECT min(name) FROM customers',
  'SELECT id FROM customers ORDER BY id USING >',
  'SELECT * FROM customers ORDER BY 2',
  'SELECT * FROM customers ORDER BY id FETCH FIRST 3 ROWS WITH TIES',
  'SELECT * FROM customers ORDER BY id LIMIT 1 + 1',
  'SELECT * FROM customers FOR UPDATE',
  'SELECT * FROM customers WHERE id IN (1, 2) FOR SHARE',
  'SELECT * FROM customers TABLESAMPLE system (10)',
  'SELECT ctid FROM customers',
  'SELECT tableoid::regclass, id FROM customers',
  'SELECT * FROM (SELECT * FROM customers ORDER BY id LIMIT 3) x',
  'SELECT * FROM (SELECT city, count(*) FROM customers GROUP BY city) x',
  'SELECT max(n) FROM (SELECT count(*) AS n FROM orders) x',
  'SELECT * FROM (SELECT DISTINCT city FROM customers) x',
  'WITH x AS (SELECT count(*) AS n FROM customers) SELECT n FROM x',
  'SELECT id FROM customers UNION SELECT id FROM orders',
  'SELECT id FROM customers UNION ALL SELECT 1',
  'SELECT id FROM customers WHERE id = 1 EXCEPT SELECT customer_id FROM orders',
  'SELECT id FROM customers WHERE id NOT IN (SELECT customer_id FROM orders)',
  'SELECT id FROM customers WHERE city IN (SELECT id::text FROM orders)',
  'SELECT id IN (SELECT customer_id FROM orders) FROM customers',
  'SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders LIMIT 5)',
  // Functions that may read anything, or mean one shard's own state.
  'SELECT my_function(id) FROM customers WHERE id = 1',
  'SELECT my_function()',
  'SELECT app.lower(name) FROM customers WHERE id = 1',
  "SELECT query_to_xml('SELECT * FROM customers', true, true, '')",
  "SELECT set_config('search_path', 'x', false)",
  "SELECT nextval('s'), id FROM customers WHERE id = 1",
  'SELECT pg_advisory_lock(id) FROM customers WHERE id = 1',
  'CALL do_it()',
  "DO 'BEGIN DELETE FROM customers; END'",
  // Writes.
  "INSERT INTO customers (name) VALUES ('x')",
  "INSERT INTO customers (id, name) VALUES (DEFAULT, 'x')",
  'INSERT INTO customers DEFAULT VALUES',
  'INSERT INTO customers (id) VALUES (NULL)',
  'INSERT INTO customers (id) VALUES (1 + 1)',
  "INSERT INTO customers (id) VALUES (nextval('s'))",
  'INSERT INTO customers (id) VALUES ((SELECT 1))',
  'INSERT INTO customers (id, name) VALUES (1, (SELECT value FROM settings))',
  'INSERT INTO customers (id, age) VALUES (1, 2), (2, (SELECT count(*) FROM orders WHERE customer_id = 2))',
  'INSERT INTO tickets DEFAULT VALUES',
  'INSERT INTO tickets (id, customer_id) OVERRIDING USER VALUE VALUES (1, 5)',
  'INSERT INTO tickets (customer_id) VALUES (5) LIMIT 1',
  "SELECT currval('s')",
  'SELECT lastval()',
  'INSERT INTO tickets (customer_id) SELECT id FROM customers',
  "INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET id = 2",
  'INSERT INTO orders (id, customer_id) SELECT id, age FROM customers',
  'INSERT INTO orders SELECT * FROM orders',
  'INSERT INTO orders (id, customer_id) SELECT id, 5 FROM orders',
  'INSERT INTO customers (id) SELECT generate_series FROM generate_series(1, 10)',
  'INSERT INTO customers (id) SELECT id FROM customers ORDER BY id LIMIT 1',
  'INSERT INTO customers (id, name) SELECT 1, value FROM settings',
  'INSERT INTO settings SELECT name, city FROM customers WHERE id = 1',
  'INSERT INTO countries (code, title, made) SELECT city, name, NULL FROM customers',
  "INSERT INTO countries (code, title) VALUES ('x', 'y')",
  "INSERT INTO countries VALUES ('x', 'y', now())",
  'UPDATE customers SET id = 5',
  "UPDATE customers SET id = 5 WHERE name = 'x'",
  'UPDATE customers SET id = id + 1 WHERE id = 5',
  "UPDATE customers SET (name, id) = ('x', 5)",
  'UPDATE customers SET name = o.id::text FROM orders o WHERE o.id = customers.age',
  'UPDATE customers SET age = (SELECT count(*) FROM orders)',
  'UPDATE customers SET name = value FROM settings WHERE id = 1',
  'UPDATE countries SET title = random()::text',
  'UPDATE countries SET title = (SELECT name FROM customers WHERE id = 1)',
  'DELETE FROM countries USING customers WHERE code = city',
  "DELETE FROM customers WHERE ctid = '(0,1)'",
  'MERGE INTO customers USING orders ON customer_id = customers.id WHEN MATCHED THEN DELETE',
  "WITH x AS (UPDATE countries SET title = 'x' RETURNING *) SELECT * FROM x",
  'WITH x AS (DELETE FROM customers RETURNING id) SELECT count(*) FROM x',
  'WITH x AS (DELETE FROM orders WHERE customer_id = 1 RETURNING id) SELECT * FROM customers',
  'SELECT * INTO copy FROM customers',
  'CREATE TABLE copy AS SELECT * FROM customers WHERE id = 1',
  'CREATE TEMP TABLE customers (id int)',
  'CREATE TABLE invoices (id int)',
  'CREATE MATERIALIZED VIEW v AS SELECT * FROM customers',
  'ALTER TABLE customers DROP COLUMN id',
  'ALTER TABLE customers ALTER COLUMN id TYPE text',
  'ALTER TABLE customers RENAME COLUMN id TO key',
  'ALTER TABLE customers RENAME TO clients',
  'LOCK TABLE orders, settings',
  // Sessions and the like.
  'PREPARE p AS SELECT * FROM customers WHERE id = $1',
  'DECLARE c CURSOR FOR SELECT * FROM customers',
  'EXPLAIN SELECT * FROM customers',
  "PREPARE TRANSACTION 'x'",
  'SET standard_conforming_strings = off',
  "SET client_encoding = 'LATIN1'",
  "COPY customers TO '/tmp/x'",
  "COPY customers FROM PROGRAM 'cat'",
  'COPY customers (name) FROM STDIN',
  'COPY tickets (customer_id) FROM STDIN',
  'COPY customers FROM STDIN WITH (FORMAT binary)',
  'COPY customers TO STDOUT WITH (FORMAT binary)',
  'COPY (SELECT * FROM customers ORDER BY id) TO STDOUT',
  'COPY (SELECT count(*) FROM customers) TO STDOUT',
  'COPY countries (code) FROM STDIN',
];

describe('what could be answered wrong is refused', () => {
  for (const sql of REFUSED) {
    test(sql, () => {
      const { placement, access, numbers } = router.plan(sql).plan;
      assert.equal(numbers, undefined);
      assert.equal(placement.type, 'refused', JSON.stringify(placement));
      if (placement.type !== 'refused') return;
      assert.equal(placement.error.sqlstate, '0A000', placement.error.message);
      assert.ok(
        placement.error.hint !== undefined && placement.error.hint.length > 10,
        `no hint: ${placement.error.message}`,
      );
      assert.notEqual(access, undefined);
    });
  }

  test('a hint sends what is refused to the shard that it names', () => {
    for (const sql of [
      '/* ringferry: shard=b */ SELECT my_function()',
      "/* ringferry: key=7 */ SELECT string_agg(name, ',') FROM customers",
    ]) {
      assert.match(router.plan(sql).plan.placement.type, /^(shard|key-by-hand)$/);
    }
    assert.equal(
      router.plan('INSERT INTO customers (id) VALUES (1) /* ringferry: shard=b */').plan.placement.type,
      'rows',
      'rows belong to their owners, whatever a hint says',
    );
  });
});
