/** Reads that sharded tables must answer like one database. Those with ORDER BY have a total order. */
export const READS: readonly { readonly sql: string; readonly values?: readonly (string | null)[] }[] = [
  { sql: 'SELECT * FROM customers WHERE id = 5' },
  { sql: 'SELECT * FROM customers WHERE id = $1', values: ['7'] },
  { sql: 'SELECT * FROM customers WHERE id = -2' },
  { sql: "SELECT name FROM customers WHERE id = '12'" },
  { sql: 'SELECT name FROM customers WHERE id = 12.0' },
  { sql: 'SELECT name FROM customers WHERE 12 = id AND age > 0' },
  { sql: 'SELECT count(*) FROM customers WHERE id = NULL' },
  { sql: 'SELECT * FROM customers WHERE id IN (1, 2, 3, 4, 5)' },
  { sql: 'SELECT * FROM customers WHERE id = ANY($1)', values: ['{1,5,9}'] },
  { sql: 'SELECT * FROM customers WHERE id = ANY($1::bigint[]) ORDER BY id', values: ['{9,8,7,NULL}'] },
  { sql: 'SELECT * FROM customers WHERE id = ANY(ARRAY[3, 4, 5])' },
  { sql: "SELECT * FROM customers WHERE id = ANY('{3,4}')" },
  { sql: 'SELECT * FROM customers WHERE id = ANY($1)', values: ['{}'] },
  { sql: 'SELECT * FROM customers WHERE (id = 3 AND age > 1) OR (id = 4 AND age > 1) OR id IN (5, 6)' },
  { sql: 'SELECT * FROM customers WHERE (id, name) IN ((1, $1), (2, $2))', values: ['Name 1', 'Name 2'] },
  { sql: 'SELECT * FROM customers' },
  { sql: 'SELECT c.* FROM customers AS c WHERE c.age BETWEEN 10 AND 40' },
  { sql: 'SELECT * FROM customers ORDER BY id' },
  { sql: 'SELECT name, age FROM customers ORDER BY age DESC, id' },
  { sql: 'SELECT name, age FROM customers ORDER BY age NULLS FIRST, id DESC LIMIT 10' },
  { sql: 'SELECT * FROM customers ORDER BY born DESC NULLS LAST, id LIMIT 7 OFFSET 5' },
  { sql: 'SELECT * FROM customers ORDER BY score, id LIMIT $1 OFFSET $2', values: ['6', '3'] },
  { sql: 'SELECT * FROM customers ORDER BY balance, id OFFSET 20' },
  { sql: 'SELECT * FROM customers ORDER BY id LIMIT $1', values: [null] },
  { sql: 'SELECT * FROM customers ORDER BY id LIMIT 0' },
  { sql: 'SELECT id AS number, name FROM customers ORDER BY number DESC LIMIT 5' },
  {
    sql: 'SELECT id, name FROM customers ORDER BY 2 COLLATE "C", 1 LIMIT 5'.replace(
      '2 COLLATE "C"',
      'name COLLATE "C"',
    ),
  },
  { sql: 'SELECT id, age + 1 AS next FROM customers ORDER BY age + 1, id' },
  { sql: 'SELECT id FROM customers ORDER BY active, created_at DESC' },
  { sql: 'SELECT id, feeling FROM customers ORDER BY feeling DESC, id' },
  { sql: 'SELECT id FROM customers ORDER BY lower(name) COLLATE "C", id FETCH FIRST 3 ROWS ONLY' },
  { sql: 'SELECT age, count(*) FROM customers GROUP BY age HAVING count(*) > 1 ORDER BY age' },
  {
    sql: 'SELECT age, avg(score) FROM customers GROUP BY age HAVING avg(id) > $1 AND age < 40 ORDER BY age',
    values: ['20.5'],
  },
  {
    sql: 'SELECT age FROM customers GROUP BY age HAVING NOT (sum(id) BETWEEN 20 AND $1) OR max(age) IS NULL ORDER BY age',
    values: ['60'],
  },
  {
    sql: 'SELECT city, count(age) FROM customers GROUP BY city HAVING min(id) NOT IN (1, 2, 3) AND 5 <= count(*)',
  },
  { sql: 'SELECT age FROM customers GROUP BY age HAVING sum(score) > 2.5 OR count(*) = 1 ORDER BY 1' },
  { sql: 'SELECT count(*) FROM customers HAVING count(*) < 0' },
  { sql: 'SELECT sum(age)::int FROM customers WHERE id > 100000 HAVING sum(age)::int IS NULL' },
  { sql: 'SELECT age FROM customers GROUP BY age HAVING count(*) > $1', values: [null] },
  { sql: 'SELECT DISTINCT city FROM customers' },
  { sql: 'SELECT DISTINCT age, active FROM customers ORDER BY age, active' },
  { sql: 'SELECT DISTINCT id % 7 AS rest FROM customers ORDER BY rest DESC LIMIT 3 OFFSET 1' },
  { sql: 'SELECT DISTINCT id, name FROM customers ORDER BY id' },
  { sql: 'SELECT count(*) FROM customers' },
  { sql: 'SELECT count(*), count(age), count(city) FROM customers WHERE id > 10000' },
  {
    sql: 'SELECT sum(age), sum(balance), sum(id), min(age), max(age), min(born), max(created_at), min(balance) FROM customers',
  },
  { sql: 'SELECT avg(age), avg(balance), avg(id) FROM customers' },
  { sql: 'SELECT avg(age) FROM customers WHERE id > 1000' },
  { sql: 'SELECT sum(score), avg(score), min(score), max(rating) FROM customers' },
  { sql: 'SELECT bool_and(active), bool_or(active), every(age > 100) FROM customers' },
  { sql: 'SELECT count(*)::int AS n, sum(age)::text, avg(age)::int FROM customers' },
  { sql: 'SELECT coalesce(sum(balance), 0), coalesce(sum(age), 0)::int FROM customers WHERE id > 5000' },
  { sql: 'SELECT count(*) FILTER (WHERE active), sum(age) FILTER (WHERE city IS NULL) FROM customers' },
  { sql: 'SELECT city, count(*) FROM customers GROUP BY city' },
  { sql: 'SELECT city, count(*), avg(balance) AS mean FROM customers GROUP BY 1' },
  {
    sql: 'SELECT age / 10 * 10 AS decade, count(*) FROM customers GROUP BY decade ORDER BY decade NULLS FIRST',
  },
  {
    sql: 'SELECT active, feeling, max(age), sum(score) FROM customers GROUP BY active, feeling ORDER BY active, feeling',
  },
  {
    sql: 'SELECT country, count(*) AS n FROM customers GROUP BY country ORDER BY n DESC, country COLLATE "C" LIMIT 3 OFFSET 1',
  },
  { sql: "SELECT date_trunc('month', created_at) AS month, count(*) FROM customers GROUP BY 1 ORDER BY 1" },
  {
    sql: 'SELECT extract(year FROM born)::int AS year, count(*) FROM customers GROUP BY extract(year FROM born)::int ORDER BY year',
  },
  { sql: "SELECT 'all' AS label, $1::text AS wish, count(*) FROM customers", values: ['x'] },
  { sql: 'SELECT upper(city), count(*) FROM customers GROUP BY city, active' },
  { sql: 'SELECT balance > 500 AS rich, avg(age) FROM customers GROUP BY balance > 500 ORDER BY avg(age)' },
  { sql: 'SELECT DISTINCT count(*) FROM customers GROUP BY age' },
  { sql: 'SELECT age FROM customers GROUP BY age ORDER BY count(*) DESC, age LIMIT 5' },
  {
    sql: 'SELECT id, count(*), string_agg(name, $1) FROM customers GROUP BY id HAVING count(*) > 0 ORDER BY id LIMIT 4',
    values: [','],
  },
  {
    sql: 'SELECT c.id, c.name, o.id, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 3 ORDER BY o.id',
  },
  {
    sql: 'SELECT c.id, o.id, o.total FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id LIMIT 12',
  },
  {
    sql: 'SELECT count(*) FROM customers c, orders o, items i WHERE c.id = o.customer_id AND i.customer_id = c.id AND i.order_id = o.id',
  },
  {
    sql: 'SELECT c.id, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id',
  },
  {
    sql: 'SELECT c.city, sum(o.total), count(DISTINCT 1) FROM customers c LEFT JOIN orders o ON c.id = o.customer_id WHERE c.id = 4 GROUP BY c.city',
  },
  {
    sql: 'SELECT c.city, sum(i.quantity * i.price) FROM customers c JOIN items i ON c.id = i.customer_id GROUP BY c.city',
  },
  {
    sql: 'SELECT o.id, i.line FROM orders o JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id RIGHT JOIN customers c ON c.id = o.customer_id ORDER BY c.id, o.id, i.line',
  },
  {
    sql: 'SELECT * FROM orders JOIN items USING (customer_id) WHERE customer_id = 8 AND items.order_id = orders.id ORDER BY orders.id, line',
  },
  {
    sql: 'SELECT customer_id, count(*) FROM orders JOIN items USING (customer_id) GROUP BY customer_id ORDER BY customer_id',
  },
  { sql: 'SELECT c.name, n.title FROM customers c JOIN countries n ON n.code = c.country ORDER BY c.id' },
  {
    sql: 'SELECT c.name, n.title FROM customers c LEFT JOIN countries n ON n.code = c.country WHERE c.id IN (1, 2, 50)',
  },
  {
    sql: 'SELECT n.title, count(*) FROM customers c JOIN countries n USING (x) GROUP BY n.title'.replace(
      'USING (x)',
      'ON n.code = c.country',
    ),
  },
  {
    sql: 'SELECT n.code, o.id FROM countries n LEFT JOIN orders o ON o.customer_id = 5 ORDER BY n.code, o.id',
  },
  { sql: 'SELECT * FROM countries ORDER BY code' },
  { sql: 'SELECT * FROM settings ORDER BY name' },
  { sql: 'SELECT s.value, n.code FROM settings s, countries n ORDER BY 1, 2' },
  {
    sql: 'SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.total > 50) ORDER BY id',
  },
  {
    sql: 'SELECT id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id) ORDER BY id',
  },
  {
    sql: 'SELECT id, (SELECT max(o.total) FROM orders o WHERE o.customer_id = c.id) AS most FROM customers c ORDER BY id',
  },
  {
    sql: 'SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 60) ORDER BY id',
  },
  {
    sql: 'SELECT id FROM customers WHERE country IN (SELECT code FROM countries WHERE title LIKE $1) ORDER BY id',
    values: ['%d%'],
  },
  {
    sql: 'SELECT x.id, x.n FROM (SELECT c.id, count(o.id) AS n FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id) x WHERE x.n > 1 ORDER BY x.id',
  },
  {
    sql: 'SELECT sum(x.n), count(*) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) AS x',
  },
  { sql: 'SELECT x.k FROM (SELECT id, age FROM customers) AS x (k, years) WHERE x.k = 9' },
  {
    sql: 'WITH big AS (SELECT customer_id, sum(total) AS spent FROM orders GROUP BY customer_id) SELECT c.id, big.spent FROM customers c JOIN big ON big.customer_id = c.id ORDER BY c.id',
  },
  {
    sql: 'WITH one AS (SELECT * FROM orders WHERE customer_id = $1), two AS (SELECT * FROM items WHERE customer_id = $1) SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)',
    values: ['6'],
  },
  {
    sql: 'WITH RECURSIVE walk AS (SELECT id, 1 AS depth FROM orders WHERE customer_id = 6 UNION ALL SELECT o.id, depth + 1 FROM walk JOIN orders o ON o.id = walk.id + 1 AND o.customer_id = 6) SELECT * FROM walk ORDER BY 1, 2',
  },
  {
    sql: 'SELECT id FROM orders WHERE customer_id = 5 UNION SELECT line FROM items WHERE customer_id = 5 ORDER BY 1',
  },
  {
    sql: 'SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY id) FROM orders ORDER BY customer_id, id',
  },
  {
    sql: 'SELECT id, rank() OVER w FROM orders WHERE customer_id = 7 WINDOW w AS (ORDER BY total) ORDER BY 2, 1',
  },
  {
    sql: 'SELECT DISTINCT ON (customer_id) customer_id, id, total FROM orders ORDER BY customer_id, id DESC',
  },
  {
    sql: 'SELECT c.id, l.id FROM customers c LEFT JOIN LATERAL (SELECT o.id FROM orders o WHERE o.customer_id = c.id ORDER BY o.total DESC LIMIT 1) l ON true ORDER BY c.id',
  },
  {
    sql: 'SELECT a.id FROM customers a JOIN customers b ON a.id = b.id JOIN orders o ON o.customer_id = b.id WHERE b.age > 30 ORDER BY a.id, o.id',
  },
  {
    sql: 'SELECT a.id, b.id FROM customers a JOIN orders b ON b.customer_id = a.id AND a.id = 11 ORDER BY b.id',
  },
  {
    sql: 'SELECT a.id, b.id FROM customers a LEFT JOIN orders b ON b.customer_id = a.id WHERE b.customer_id = 11 ORDER BY b.id',
  },
  { sql: "SELECT * FROM docs WHERE slug = 'doc-4'" },
  { sql: "SELECT * FROM docs WHERE slug = E'tab\\there'" },
  { sql: "SELECT * FROM docs WHERE slug = U&'\\00DCn\\00EFcode \\2603' OR slug = $$doc-1$$" },
  { sql: 'SELECT * FROM docs WHERE slug = $1', values: ['Ünïcode ☃'] },
  { sql: "SELECT * FROM docs WHERE slug IN ('doc-1', 'doc-2', 'nothing')" },
  { sql: 'SELECT slug, body FROM docs ORDER BY slug COLLATE "C" DESC LIMIT 5' },
  { sql: "SELECT count(*) FROM docs WHERE slug LIKE 'doc%'" },
  { sql: "SELECT * FROM events WHERE id = '00000003-aaaa-4000-8000-000000000000'" },
  { sql: 'SELECT * FROM events WHERE id = $1::uuid', values: ['{00000004AAAA40008000000000000000}'] },
  { sql: 'SELECT * FROM events ORDER BY id DESC LIMIT 4' },
  { sql: 'SELECT kind, count(*), min(at), max(at) FROM events GROUP BY kind' },
  { sql: 'SELECT twice(3)' },
  { sql: 'SELECT id FROM customers WHERE twice(age) > 80 ORDER BY id' },
  { sql: 'SELECT 1 AS one' },
  { sql: 'SELECT * FROM titles ORDER BY code' },
  { sql: 'VALUES (1, 2), (3, 4)' },
  { sql: "SELECT relname FROM pg_class WHERE relname = 'customers'" },
  { sql: "SELECT table_name FROM information_schema.tables WHERE table_name = 'orders'" },
  {
    sql: "SELECT id, CASE WHEN age < $1 THEN 'young' ELSE 'old' END AS kind FROM customers ORDER BY id",
    values: ['30'],
  },
  {
    sql: 'SELECT CASE WHEN age < 30 THEN 1 ELSE 2 END, count(*) FROM customers GROUP BY CASE WHEN age < 30 THEN 1 ELSE 2 END',
  },
  {
    sql: "SELECT id FROM customers WHERE name LIKE 'Name 1%' AND born > date '1970-01-01' AND created_at < '2024-01-02'::timestamptz + interval '1' day ORDER BY id",
  },
];
