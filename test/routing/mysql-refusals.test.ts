import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { createMysqlRouter } from '../../src/routing/mysql-router.js';
import { MYSQL_SHOP } from './mysql-keyspace.js';

const router = createMysqlRouter(MYSQL_SHOP, { maxPlans: 1_000 });

/** Statements whose answer from shards could differ from that of one database. */
const REFUSED = [
  // Tables that are not tied by their keys.
  'SELECT * FROM customers, orders',
  'SELECT * FROM customers c JOIN orders o ON o.id = c.id + 1',
  'SELECT * FROM customers c JOIN docs d ON d.slug = c.id',
  'SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = 5',
  'SELECT * FROM countries n LEFT JOIN customers c ON c.city = n.code',
  'SELECT * FROM customers WHERE id = 1 AND EXISTS (SELECT 1 FROM orders)',
  'SELECT * FROM customers, settings WHERE id = 1',
  'SELECT * FROM grown',
  'SELECT * FROM customers WHERE id = @x',
  'SELECT @x := id FROM customers',
  'SELECT id FROM customers UNION SELECT customer_id FROM orders',
  // Texts whose order and equality only the database knows.
  'SELECT DISTINCT * FROM customers',
  'SELECT DISTINCT *, id AS k, name AS n FROM customers ORDER BY n',
  'SELECT DISTINCT name, row_number() OVER (PARTITION BY id ORDER BY age) FROM customers',
  'SELECT * FROM customers ORDER BY mood',
  'SELECT min(mood) FROM customers',
  // The largest of a BIT is told in decimal digits, which do not compare as bytes.
  'SELECT max(marks) FROM customers',
  'SELECT age, min(ifnull(marks, 0)) FROM customers GROUP BY age',
  'SELECT count(*) FROM customers GROUP BY (SELECT title FROM countries WHERE code = city)',
  'SELECT count(*) FROM customers GROUP BY CONCAT(city, RAND())',
  'SELECT DISTINCT name FROM customers ORDER BY city',
  // Merges that would be wrong.
  'SELECT age, count(*) FROM customers GROUP BY age HAVING avg(id) > 1',
  "SELECT age, count(*) FROM customers GROUP BY age HAVING count(*) > '1'",
  'SELECT age, count(*) FROM customers GROUP BY age HAVING count(*) > sum(id)',
  'SELECT age, count(*) FROM customers GROUP BY age HAVING count(*) > 1 AND city = 1',
  'SELECT age + 1 AS city, count(*) FROM customers GROUP BY age HAVING city > 1 AND count(*) > 1',
  'SELECT age, name, count(*) FROM customers GROUP BY age',
  'SELECT count(DISTINCT city) FROM customers',
  'SELECT group_concat(name) FROM customers',
  'SELECT sum(age) / count(*) FROM customers',
  'SELECT age FROM customers GROUP BY age WITH ROLLUP',
  'SELECT row_number() OVER (ORDER BY id) FROM customers',
  'SELECT DISTINCT age FROM customers ORDER BY id',
  'SELECT age AS id FROM customers ORDER BY id + 1',
  'SELECT SQL_CALC_FOUND_ROWS id FROM customers',
  'SELECT * FROM customers FOR UPDATE',
  'SELECT * FROM customers LOCK IN SHARE MODE',
  'SELECT id FROM customers INTO @x',
  "SELECT id FROM customers INTO OUTFILE '/tmp/x'",
  // Functions that may read anything.
  'SELECT my_function(id) FROM customers WHERE id = 1',
  'SELECT shop.lower(name) FROM customers WHERE id = 1',
  "SELECT GET_LOCK('a', 1), id FROM customers WHERE id = 1",
  'CALL do_it()',
  // Writes.
  "INSERT INTO customers (name) VALUES ('x')",
  "INSERT INTO customers (id, name) VALUES (DEFAULT, 'x')",
  "INSERT INTO customers (id, name) VALUES (NULL, 'x')",
  'INSERT INTO customers (id) VALUES (1 + 1)',
  'INSERT INTO customers (id) VALUES (1) ON DUPLICATE KEY UPDATE id = 2',
  'INSERT INTO customers (id) VALUES (1) ON DUPLICATE KEY UPDATE ID = VALUES(id) + 1',
  'INSERT INTO customers (id, age) VALUES (1, 2) AS new ON DUPLICATE KEY UPDATE id = new.age',
  'INSERT INTO customers (id, age) VALUES (1, 2) AS new ON DUPLICATE KEY UPDATE id = new.id + 1',
  'INSERT INTO customers (id, age) VALUES (1, 2) AS new (a, id) ON DUPLICATE KEY UPDATE id = new.id',
  'INSERT INTO customers (id, age) VALUES (1, 2) AS excluded (age, id) ON DUPLICATE KEY UPDATE id = excluded.id',
  'INSERT INTO customers (id, age) VALUES (1, 2) AS new (a, b) ON DUPLICATE KEY UPDATE id = b',
  'INSERT INTO customers (id, age) VALUES (1, 2), (2, 3) AS new ON DUPLICATE KEY UPDATE age = (SELECT max(id) FROM orders WHERE customer_id = new.id)',
  'INSERT INTO customers VALUES ROW(1, 2), ROW(2, 3) LIMIT 1',
  'INSERT INTO customers TABLE customers',
  'INSERT INTO tickets TABLE orders',
  'CREATE TABLE copies TABLE customers',
  'INSERT INTO customers (id) SELECT id + 1 FROM customers',
  'INSERT INTO customers (id) SELECT id FROM settings',
  'INSERT INTO tickets (customer_id) SELECT id FROM customers',
  'INSERT INTO tickets (id, customer_id) VALUES (1 + 1, 5)',
  'UPDATE customers SET id = 2 WHERE id = 1 AND age = 3 OR id = 4',
  'UPDATE customers SET Id = id + 1',
  'UPDATE customers SET age = 1 LIMIT 5',
  'UPDATE customers SET age = 1 ORDER BY id',
  'DELETE FROM customers WHERE age = 1 LIMIT 5',
  'UPDATE customers c JOIN orders o ON o.customer_id = c.id SET c.age = 1',
  'UPDATE customers c JOIN orders o ON o.customer_id = c.id SET o.customer_id = 7 WHERE c.id = 5',
  'UPDATE customers c, countries n SET n.title = c.name WHERE c.id = 5',
  'DELETE c FROM customers c JOIN orders o ON o.customer_id = c.id',
  'DELETE n FROM countries n JOIN customers c ON c.city = n.code WHERE c.id = 1',
  "INSERT INTO countries (code, title) VALUES ('SE', 'Sverige')",
  "INSERT INTO countries (code, title, made) VALUES ('SE', 'x', NOW())",
  "UPDATE countries SET title = 'x'",
  "UPDATE countries SET made = '2024-01-01', title = 'x' LIMIT 1",
  "INSERT INTO countries (code, made) SELECT name, '2024-01-01' FROM customers",
  // The session.
  'XA START 1',
  "SET sql_mode = 'ANSI_QUOTES'",
  "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
  'SET GLOBAL max_connections = 5',
  'SET NAMES latin1',
  'SET sql_log_bin = 0',
  'SET sql_select_limit = 10',
  'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
  'START TRANSACTION WITH CONSISTENT SNAPSHOT',
  "PREPARE s FROM 'SELECT 1'",
  'LOCK TABLES customers WRITE',
  'HANDLER customers OPEN',
  "LOAD DATA INFILE 'x' INTO TABLE customers",
  'USE other',
  'FLUSH TABLES',
  // DDL.
  'ALTER TABLE customers MODIFY ID int',
  'ALTER TABLE customers DROP COLUMN id',
  'ALTER TABLE customers CONVERT TO CHARACTER SET latin1',
  'ALTER TABLE customers RENAME TO clients',
  'RENAME TABLE customers TO clients',
  'DROP TABLE customers, settings',
  'CREATE TABLE invoices (id int)',
  'CREATE TABLE copy AS SELECT * FROM customers',
  'CREATE TEMPORARY TABLE customers (id int)',
  'DROP DATABASE shop',
];

describe('refused on MySQL with words that say what to do', () => {
  for (const sql of REFUSED) {
    test(sql, () => {
      const { placement, numbers } = router.plan(sql).plan;
      assert.equal(placement.type, 'refused', JSON.stringify(placement));
      assert.equal(numbers, undefined);
      assert.ok(placement.type === 'refused' && placement.error instanceof OperatingError);
      assert.match(placement.error.code, /^unsupported$/);
    });
  }
});
