import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { createMysqlPassThroughRouter, createMysqlRouter } from '../../src/routing/mysql-router.js';
import { canonicalKey } from '../../src/topology/key.js';
import { tokenOf } from '../../src/topology/token.js';
import { snapshotOf } from './keyspace.js';
import { MYSQL_SHOP } from './mysql-keyspace.js';
import { parametersOf, type Value } from './mysql-sharded-database.js';

const router = createMysqlRouter(MYSQL_SHOP, { maxPlans: 1_000 });
const snapshot = snapshotOf();

function ownerOf(key: string, keyType: 'integer' | 'text-ci' = 'integer'): string {
  return snapshot.ring.owner(tokenOf(canonicalKey(keyType, key)!));
}

function shardsOf(sql: string, values: readonly Value[] = []): readonly string[] {
  return router.route(router.plan(sql), parametersOf(values), snapshot).shards;
}

const plan = (sql: string) => router.plan(sql).plan;

describe('where MySQL statements go', () => {
  test('a key names one shard, however it is written', () => {
    for (const sql of [
      'SELECT * FROM customers WHERE id = 42',
      'SELECT * FROM `customers` WHERE `ID` = 42 # comment',
      "SELECT * FROM shop.customers c WHERE c.Id = '42'",
      'UPDATE customers SET age = 1 WHERE id = 42 LIMIT 1',
      'DELETE FROM customers WHERE id = 42 AND age > 3 ORDER BY age LIMIT 2',
      'INSERT INTO customers (ID, name) VALUES (42, "x")',
      "INSERT INTO customers SET name = 'x', id = 42",
      'REPLACE INTO customers VALUES (42, NULL, NULL, NULL, NULL)',
      "INSERT IGNORE customers (name, id) VALUE ('x', 42) ON DUPLICATE KEY UPDATE id = VALUES(id), name = 'y'",
      "INSERT INTO customers (name, id) VALUES ('x', 42) AS new ON DUPLICATE KEY UPDATE Id = new.ID, name = new.name",
      "INSERT INTO customers (name, id) VALUES ('x', 42) AS `a b` (n, i) ON DUPLICATE KEY UPDATE id = `a b`.i, name = n",
      "INSERT INTO customers SET name = 'x', id = 42 AS new (n, i) ON DUPLICATE KEY UPDATE id = i",
      'INSERT INTO customers (id) VALUES (42) AS new ON DUPLICATE KEY UPDATE age = (SELECT max(total) FROM orders o WHERE o.customer_id = new.id)',
      'INSERT INTO customers (id, name) VALUES ROW(42, "x")',
      'INSERT INTO hiding VALUES (7, 42)',
      'SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 42',
      'UPDATE customers c JOIN orders o ON o.customer_id = c.id SET c.age = o.total WHERE c.id = 42',
      'DELETE c, o FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 42',
      'EXPLAIN SELECT * FROM customers WHERE id = 42',
      'SELECT * FROM customers WHERE id = 42 FOR UPDATE',
      '/* ringferry: key=42 */ CALL do_it()',
    ])
      assert.deepEqual(shardsOf(sql), [ownerOf('42')], sql);
    assert.deepEqual(shardsOf("SELECT * FROM docs WHERE slug = 'Ann '"), [ownerOf('ann', 'text-ci')]);
    assert.deepEqual(shardsOf('SELECT * FROM customers WHERE id = ?', [42]), [ownerOf('42')]);
    assert.deepEqual(shardsOf('SELECT * FROM customers WHERE id = ?', ['42']), [ownerOf('42')]);
  });

  test('what could equal several keys is not routed by one', () => {
    for (const [sql, values] of [
      ["SELECT * FROM customers WHERE id = '42abc'", []],
      ['SELECT * FROM docs WHERE slug = 5', []],
      ["SELECT * FROM docs WHERE slug = 'Änn'", []],
      ['SELECT * FROM docs WHERE slug = ?', [5]],
      ['SELECT * FROM customers WHERE id = 42.5', []],
    ] as [string, Value[]][])
      assert.throws(() => shardsOf(sql, values), { code: 'invalid-key' }, sql);
    // What can be merged goes everywhere instead.
    assert.deepEqual(shardsOf("SELECT * FROM customers WHERE id IN ('1x', 2)"), ['a', 'b', 'c']);
  });

  test('a value that the key column would store as another one is refused', () => {
    for (const sql of [
      "INSERT INTO docs (slug) VALUES ('longer than ten')",
      'INSERT INTO people (Id) VALUES (3000000000)',
      'INSERT INTO customers (id) VALUES (9223372036854775808)',
      "INSERT INTO customers (id) VALUES ('5abc')",
    ])
      assert.throws(() => shardsOf(sql), { code: 'invalid-key' }, sql);
  });

  test('rows are split by owner, with the parameters of each shard in its own order', () => {
    const sql =
      "INSERT INTO customers (name, id) VALUES (?, 1), (?, 2), ('x', ?), (?, 4) ON DUPLICATE KEY UPDATE age = ?";
    const planned = router.plan(sql);
    const route = router.route(planned, parametersOf(['n1', 'n2', 3, 'n4', 9]), snapshot);
    assert.ok(route.shards.length > 1, 'the keys must be on several shards');
    const seen: number[] = [];
    for (const shard of route.shards) {
      const text = router.sqlFor(planned, route, shard, snapshot);
      const order = router.parametersFor(planned, route, shard, snapshot)!;
      assert.equal(text.split('?').length - 1, order.length, text);
      assert.match(text, / ON DUPLICATE KEY UPDATE age = \?$/);
      assert.equal(order.at(-1), 4);
      seen.push(...order.slice(0, -1));
    }
    assert.deepEqual(seen.sort(), [0, 1, 2, 3]);
  });

  test('rows with the word ROW or an alias are split like others', () => {
    for (const [sql, expected] of [
      [
        "INSERT INTO customers (id, name) VALUES ROW(1, 'row('), ROW (2, ?), ROW(3, ?)",
        / VALUES (ROW ?\([^)]*\)(, )?)+$/,
      ],
      [
        "INSERT INTO customers (id, name) VALUES (1, 'as'), (2, ?), (3, ?) AS new (a, b) ON DUPLICATE KEY UPDATE name = b",
        / VALUES (\([^)]*\)(, )?)+ AS new \(a, b\) ON DUPLICATE KEY UPDATE name = b$/,
      ],
    ] as const) {
      const planned = router.plan(sql);
      const route = router.route(planned, parametersOf(['x', 'y']), snapshot);
      assert.ok(route.shards.length > 1, 'the keys must be on several shards');
      for (const shard of route.shards)
        assert.match(router.sqlFor(planned, route, shard, snapshot), expected);
    }
  });

  test('TABLE t is a SELECT of all its columns', () => {
    const planned = router.plan('TABLE customers ORDER BY id DESC LIMIT 5');
    assert.deepEqual([planned.plan.placement.type, planned.plan.access], ['every', 'read']);
    assert.equal(planned.plan.merge?.orderBy.length, 1);
    assert.equal(plan('TABLE settings').placement.type, 'home');
    assert.equal(plan('TABLE countries').placement.type, 'anywhere');
    assert.equal(plan('VALUES ROW(1, 2), ROW(3, 4) ORDER BY column_1 LIMIT 1').placement.type, 'anywhere');
    assert.equal(
      plan('EXPLAIN TABLE customers').placement.type,
      plan('EXPLAIN SELECT * FROM customers').placement.type,
    );
  });

  test('forms of MySQL 8 are not read where the servers are MariaDB, which does not know them', () => {
    const mariadb = createMysqlRouter({ ...MYSQL_SHOP, grammar: 'mysql-5' }, { maxPlans: 10 });
    for (const sql of [
      'INSERT INTO customers (id) VALUES (1) AS new ON DUPLICATE KEY UPDATE age = new.id',
      'INSERT INTO customers (id) VALUES ROW(1)',
      'TABLE customers',
      'SELECT * FROM (TABLE customers) x',
      'VALUES ROW(1)',
    ])
      assert.throws(() => mariadb.plan(sql), { code: 'unsupported-syntax' }, sql);
    assert.equal(mariadb.plan('ANALYZE TABLE customers').plan.placement.type, 'every');
  });

  test('home, reference and catalog tables', () => {
    assert.equal(plan('SELECT * FROM settings').placement.type, 'home');
    assert.equal(plan('SELECT * FROM countries').placement.type, 'anywhere');
    assert.equal(plan('SELECT * FROM information_schema.tables').placement.type, 'home');
    assert.equal(plan('SHOW TABLES').placement.type, 'home');
    assert.equal(plan('DESCRIBE customers').placement.type, 'home');
    assert.equal(plan("UPDATE countries SET title = 'x', made = '2024-01-01'").placement.type, 'every');
    assert.equal(plan('INSERT INTO settings VALUES (UUID(), NOW())').placement.type, 'home');
  });

  test('DDL goes where its table is, outside of transactions, which it commits', () => {
    for (const sql of [
      'ALTER TABLE customers ADD COLUMN x int',
      'CREATE INDEX i ON customers (age)',
      'DROP INDEX i ON customers',
      'TRUNCATE TABLE orders',
      'CREATE TABLE invoices (id int, CUSTOMER_ID bigint)',
      'CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET @x = 1',
    ]) {
      const { placement, commitsBefore, isOutsideTransaction, access } = plan(sql);
      assert.deepEqual(
        [placement.type, commitsBefore, isOutsideTransaction, access],
        ['every', true, true, 'ddl'],
        sql,
      );
    }
    assert.equal(plan('CREATE TABLE other (id int)').placement.type, 'home');
    assert.equal(plan('ANALYZE TABLE customers').merge?.output[0]?.type, 'rest');
  });
});

describe('numbers that the database would give', () => {
  test('rows that leave the column out, or give it NULL or DEFAULT, are numbered', () => {
    const cases: [sql: string, numbers: bigint[], expected: string][] = [
      [
        'INSERT INTO tickets (customer_id) VALUES (5), (?) ON DUPLICATE KEY UPDATE customer_id = VALUES(customer_id)',
        [7n, 8n],
        'INSERT INTO tickets (customer_id, `id`) VALUES (5, 7), (?, 8) ON DUPLICATE KEY UPDATE customer_id = VALUES(customer_id)',
      ],
      [
        'INSERT INTO tickets (id, customer_id) VALUES (NULL, 5), (3, 6), ( default , 7)',
        [7n, 8n],
        'INSERT INTO tickets (id, customer_id) VALUES (7, 5), (3, 6), ( 8 , 7)',
      ],
      ['INSERT INTO tickets VALUES (null, 5)', [9n], 'INSERT INTO tickets VALUES (9, 5)'],
      ['INSERT INTO tickets SET customer_id = 5', [9n], 'INSERT INTO tickets SET customer_id = 5, `id` = 9'],
      [
        'INSERT INTO tickets SET id = DEFAULT, customer_id = 5',
        [9n],
        'INSERT INTO tickets SET id = 9, customer_id = 5',
      ],
      [
        "INSERT INTO people (name) VALUES ('a, (b)'), ('it''s')",
        [1n, 2n],
        "INSERT INTO people (name, `Id`) VALUES ('a, (b)', 1), ('it''s', 2)",
      ],
      ['INSERT INTO people () VALUES ()', [4n], 'INSERT INTO people (`Id`) VALUES (4)'],
      [
        'INSERT INTO tickets (customer_id) VALUES ROW(5), ROW(6)',
        [7n, 8n],
        'INSERT INTO tickets (customer_id, `id`) VALUES ROW(5, 7), ROW(6, 8)',
      ],
      [
        'INSERT INTO tickets (id, customer_id) VALUES ROW(NULL, 5)',
        [7n],
        'INSERT INTO tickets (id, customer_id) VALUES ROW(7, 5)',
      ],
      // The alias must neither get nor lose a column that has the name of one of the table's.
      [
        'INSERT INTO tickets (customer_id) VALUES (5) AS new ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), customer_id = new.customer_id',
        [7n],
        'INSERT INTO tickets (customer_id, `id`) VALUES (5, 7) AS new (`customer_id`, `ringferry_number`) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), customer_id = new.customer_id',
      ],
      [
        'INSERT INTO tickets (customer_id) VALUES (5), (6) AS new (c) ON DUPLICATE KEY UPDATE customer_id = c',
        [7n, 8n],
        'INSERT INTO tickets (customer_id, `id`) VALUES (5, 7), (6, 8) AS new (c, `ringferry_number`) ON DUPLICATE KEY UPDATE customer_id = c',
      ],
      [
        'INSERT INTO tickets SET customer_id = 5 AS new ON DUPLICATE KEY UPDATE customer_id = new.customer_id',
        [7n],
        'INSERT INTO tickets SET customer_id = 5, `id` = 7 AS new (`customer_id`, `ringferry_number`) ON DUPLICATE KEY UPDATE customer_id = new.customer_id',
      ],
      [
        'INSERT INTO tickets (id, customer_id) VALUES (NULL, 5) AS new ON DUPLICATE KEY UPDATE tickets.id = new.id',
        [7n],
        'INSERT INTO tickets (id, customer_id) VALUES (7, 5) AS new ON DUPLICATE KEY UPDATE tickets.id = new.id',
      ],
    ];
    for (const [sql, numbers, expected] of cases) {
      const planned = router.plan(sql);
      assert.equal(planned.plan.numbers?.rows, numbers.length, sql);
      assert.equal(router.withNumbers(planned, numbers), expected);
      assert.equal(plan(expected).numbers, undefined, expected);
      assert.equal(plan(expected).placement.type, 'rows', expected);
      // Whoever does not number them must not send them.
      assert.throws(() => shardsOf(sql), { code: 'unsupported' });
    }
  });

  test('a value that turns out to be NULL or 0 would be numbered by each shard, so it is refused', () => {
    const sql = 'INSERT INTO tickets (id, customer_id) VALUES (?, 5)';
    assert.deepEqual(shardsOf(sql, [3]), [ownerOf('5')]);
    assert.throws(() => shardsOf(sql, [null]), { code: 'unsupported' });
    assert.throws(() => shardsOf(sql, [0]), { code: 'unsupported' });
    assert.throws(() => shardsOf('INSERT INTO tickets (id, customer_id) VALUES (0, 5)'), {
      code: 'unsupported',
    });
    assert.deepEqual(shardsOf('INSERT INTO tickets (id, customer_id) VALUES (4, 5)'), [ownerOf('5')]);
    assert.throws(() => shardsOf('INSERT INTO people (Id) VALUES (0)'), { code: 'unsupported' });
  });
});

describe('what MySQL statements do to the session', () => {
  test('transactions', () => {
    const cases: [string, unknown][] = [
      ['BEGIN', { type: 'begin', isolation: undefined }],
      ['START TRANSACTION READ ONLY', { type: 'begin', isolation: undefined, readOnly: true }],
      ['COMMIT', { type: 'commit', chain: false }],
      ['COMMIT WORK AND CHAIN', { type: 'commit', chain: true }],
      ['ROLLBACK', { type: 'rollback', chain: false }],
      ['SAVEPOINT a', { type: 'savepoint', name: 'a' }],
      ['ROLLBACK TO SAVEPOINT a', { type: 'rollback-to', name: 'a' }],
      ['RELEASE SAVEPOINT a', { type: 'release', name: 'a' }],
    ];
    for (const [sql, transaction] of cases) {
      assert.deepEqual(plan(sql).transaction, transaction, sql);
      assert.deepEqual(passing.plan(sql).plan.transaction, transaction, sql);
    }
  });

  test('settings are told by name', () => {
    const cases: [string, unknown][] = [
      ['SET SESSION wait_timeout = 5', { type: 'set', name: 'wait_timeout', local: false, values: ['5'] }],
      [
        'SET @@session.Time_Zone = "+00:00"',
        { type: 'set', name: 'time_zone', local: false, values: ['+00:00'] },
      ],
      ['SET NAMES utf8mb4', { type: 'set', name: 'names', local: false, values: ['utf8mb4'] }],
      [
        'SET sort_buffer_size = 1, time_zone = SYSTEM',
        { type: 'set', name: 'sort_buffer_size,time_zone', local: false },
      ],
      ['SET autocommit = 0', { type: 'autocommit', on: false }],
      ['SET @@autocommit = ON', { type: 'autocommit', on: true }],
      ['SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', 'tx_isolation'],
      ["SET @ringferry_shard = 'b'", { type: 'set', name: 'ringferry.shard', local: false, values: ['b'] }],
      ['SET @ringferry_key = 42', { type: 'set', name: 'ringferry.key', local: false, values: ['42'] }],
      ['SET @ringferry_key = NULL', { type: 'set', name: 'ringferry.key', local: false, values: [''] }],
      ['SET @x = 1', { type: 'pin', reason: 'user variable' }],
      ['SELECT @x', { type: 'pin', reason: 'user variable' }],
      ["SELECT GET_LOCK('a', 5)", { type: 'pin', reason: 'GET_LOCK' }],
      ["DO GET_LOCK('a', 5)", { type: 'pin', reason: 'GET_LOCK' }],
      ['CREATE TEMPORARY TABLE t (id int)', { type: 'pin', reason: 'temporary table' }],
      ['LOCK TABLES settings WRITE', { type: 'pin', reason: 'LOCK TABLES' }],
      ['KILL QUERY 17', { type: 'kill', id: 17, queryOnly: true }],
      ['KILL 17', { type: 'kill', id: 17, queryOnly: false }],
    ];
    for (const [sql, expected] of cases)
      for (const [name, { session }] of Object.entries({
        sharded: plan(sql),
        passing: passing.plan(sql).plan,
      }))
        if (typeof expected === 'string')
          assert.equal(session?.type === 'set' && session.name, expected, `${name}: ${sql}`);
        else assert.deepEqual(session, expected, `${name}: ${sql}`);
  });

  test('what asks for the session’s own past says so', () => {
    for (const [sql, state] of [
      ['SELECT LAST_INSERT_ID()', 'last-insert-id'],
      ['SELECT @@identity', 'last-insert-id'],
      ['INSERT INTO settings VALUES (last_insert_id(), 1)', 'last-insert-id'],
      ['SELECT ROW_COUNT()', 'row-count'],
      ['SELECT FOUND_ROWS()', 'found-rows'],
      ['SHOW WARNINGS', 'warnings'],
      ['SHOW COUNT(*) WARNINGS', 'warnings'],
      ['SELECT @@warning_count', 'warnings'],
      ['UPDATE settings SET value = LAST_INSERT_ID(5)', 'given-insert-id'],
      ['SELECT 1', undefined],
    ] as const) {
      assert.equal(plan(sql).usesSessionState, state, sql);
      assert.equal(passing.plan(sql).plan.usesSessionState, state, sql);
    }
  });
});

const passing = createMysqlPassThroughRouter('shop', { maxPlans: 100 });

describe('one shard without tables', () => {
  test('refuses nothing, and keeps the backend where something stays in it', () => {
    const cases: [string, string | undefined][] = [
      ['SELECT 1', undefined],
      ['SELECT * FROM a JOIN b WHERE x = "y"', undefined],
      ['INSERT INTO a VALUES (1)', undefined],
      ['USE shop', undefined],
      ['USE other', 'USE'],
      ['XA START 1', 'XA'],
      ['CALL do_it()', 'CALL'],
      ["PREPARE s FROM 'SELECT 1'", 'PREPARE'],
      ['SELECT SQL_CALC_FOUND_ROWS * FROM a', 'SQL_CALC_FOUND_ROWS'],
      ['SELECT 1 INTO @x', 'SELECT … INTO'],
      ['SELECT my_function(1), @@version', 'a stored function'],
      ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SET TRANSACTION'],
      ['CREATE TABLE t (id int)', undefined],
      ['DROP TABLE t', undefined],
      ['GIBBERISH from nowhere', 'GIBBERISH (not understood)'],
    ];
    for (const [sql, reason] of cases) {
      const { session, placement } = passing.plan(sql).plan;
      assert.equal(placement.type, 'home', sql);
      assert.equal(session?.type === 'pin' ? session.reason : undefined, reason, sql);
    }
    assert.equal(passing.plan('CREATE TABLE t (id int)').plan.commitsBefore, true);
    assert.equal(passing.plan('START TRANSACTION WITH CONSISTENT SNAPSHOT').plan.transaction?.type, 'begin');
    assert.deepEqual(passing.split('SELECT 1; SELECT ";"'), ['SELECT 1', 'SELECT ";"']);
  });
});

test('plans are found again by their template', () => {
  const fresh = createMysqlRouter(MYSQL_SHOP, { maxPlans: 100 });
  for (let id = 1; id <= 20; id++) fresh.plan(`SELECT * FROM customers WHERE id = ${id} AND name = 'n${id}'`);
  assert.equal(fresh.cacheMissesTotal, 1);
  assert.equal(fresh.cacheHitsTotal, 19);
  assert.throws(() => fresh.plan('SELECT FROM WHERE'), OperatingError);
});
