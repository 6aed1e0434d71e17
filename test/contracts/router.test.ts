import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OperatingError } from '../../src/lib/errors.js';
import { createMysqlRouter } from '../../src/routing/mysql-router.js';
import type { ParameterValues } from '../../src/routing/plan.js';
import { createPostgresRouter } from '../../src/routing/postgres-router.js';
import type { StatementRouter } from '../../src/routing/router.js';
import { loadParser } from '../../src/sql/postgres-parser.js';
import type { Keyspace } from '../../src/topology/keyspace.js';
import { Ring } from '../../src/topology/ring.js';
import { tokenOf } from '../../src/topology/token.js';
import { SHOP, snapshotOf } from '../routing/keyspace.js';
import { MYSQL_SHOP } from '../routing/mysql-keyspace.js';

await loadParser();

interface RouterContract {
  readonly name: string;
  readonly keyspace: Keyspace;
  create(keyspace: Keyspace): StatementRouter;
  /** How a parameter stands in a text. */
  placeholder(number: number): string;
}

const WINGS: readonly RouterContract[] = [
  {
    name: 'Postgres',
    keyspace: SHOP,
    create: (keyspace) => createPostgresRouter(keyspace, { maxPlans: 100 }),
    placeholder: (number) => `$${number}`,
  },
  {
    name: 'MySQL',
    keyspace: MYSQL_SHOP,
    create: (keyspace) => createMysqlRouter(keyspace, { maxPlans: 100 }),
    placeholder: () => '?',
  },
];

const texts = (...values: string[]): ParameterValues => ({
  count: values.length,
  typeOid: () => 0,
  format: () => 0,
  bytes: (index) => Buffer.from(values[index]!),
});

const snapshot = snapshotOf();
const ownerOf = (key: number | string) => snapshot.ring.owner(tokenOf(String(key)));
const ALL = [...new Set(snapshot.ring.points.map(({ owner }) => owner))].sort();

for (const wing of WINGS) {
  describe(`a router of ${wing.name}`, () => {
    const router = wing.create(wing.keyspace);
    const shardsOf = (sql: string, parameters?: ParameterValues) =>
      router.route(router.plan(sql), parameters, snapshot).shards;

    test('finds the owner of a key, as a literal and as a parameter', () => {
      for (const key of [1, 42, 4711]) {
        assert.deepEqual(shardsOf(`SELECT * FROM customers WHERE id = ${key}`), [ownerOf(key)]);
        const prepared = `SELECT * FROM customers WHERE id = ${wing.placeholder(1)}`;
        assert.deepEqual(shardsOf(prepared, texts(String(key))), [ownerOf(key)]);
      }
    });

    test('finds the owners of several keys, and all shards without one', () => {
      const keys = [1, 2, 3, 4, 5];
      const owners = [...new Set(keys.map(ownerOf))].sort();
      assert.deepEqual(shardsOf(`SELECT * FROM customers WHERE id IN (${keys.join(', ')})`), owners);
      assert.deepEqual(shardsOf('SELECT * FROM customers'), ALL);
    });

    test('joins what lies together by its key, and refuses what does not', () => {
      const join = 'SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 7';
      assert.deepEqual(shardsOf(join), [ownerOf(7)]);
      assert.throws(
        () => shardsOf('SELECT * FROM customers c JOIN orders o ON o.id = c.id'),
        (error: OperatingError) => error.code === 'unsupported' && (error.hint ?? '').length > 10,
      );
    });

    test('deals the rows of an INSERT out to their owners', () => {
      const sql = `INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')`;
      const statement = router.plan(sql);
      const route = router.route(statement, undefined, snapshot);
      const dealt = route.shards.map((shard) => router.sqlFor(statement, route, shard, snapshot));
      for (const [index, shard] of route.shards.entries()) {
        const mine = [1, 2, 3, 4, 5].filter((key) => ownerOf(key) === shard);
        const ids = [...dealt[index]!.matchAll(/\((\d), '/g)].map(([, id]) => Number(id));
        assert.deepEqual(ids, mine);
      }
    });

    test('plans equal templates once, and no change of the ring drops a plan', () => {
      const fresh = wing.create(wing.keyspace);
      const first = fresh.plan('SELECT * FROM orders WHERE customer_id = 1').plan;
      assert.equal(
        fresh.plan('select * from orders  where customer_id = 2').plan === first,
        false,
        'case of words is text',
      );
      assert.equal(fresh.plan('SELECT *  FROM orders WHERE customer_id = 77').plan, first);
      const misses = fresh.cacheMissesTotal;
      const other = { ...snapshot, ring: Ring.of(['a', 'z'], 16) };
      const statement = fresh.plan('SELECT * FROM orders WHERE customer_id = 5');
      assert.deepEqual(fresh.route(statement, undefined, other).shards, [other.ring.owner(tokenOf('5'))]);
      assert.equal(fresh.cacheMissesTotal, misses);
    });

    test('shows a template without its literals', () => {
      const shown = router.template(`SELECT * FROM customers WHERE name = 'secret' AND id = 4711`);
      assert.doesNotMatch(shown, /secret|4711/);
    });

    test('cuts statements at top-level semicolons only', () => {
      assert.deepEqual(router.split(`SELECT 1; SELECT ';' /* ; */ ; `).length, 2);
      assert.deepEqual(router.split(' ;; '), []);
    });

    test('knows transactions and what a session keeps', () => {
      assert.equal(router.plan('BEGIN').plan.transaction?.type, 'begin');
      assert.equal(router.plan('COMMIT').plan.transaction?.type, 'commit');
      assert.equal(router.plan('ROLLBACK').plan.transaction?.type, 'rollback');
      assert.equal(router.plan('SAVEPOINT s').plan.transaction?.type, 'savepoint');
      assert.equal(router.plan('ROLLBACK TO SAVEPOINT s').plan.transaction?.type, 'rollback-to');
      assert.equal(router.plan('CREATE TEMPORARY TABLE t (x int)').plan.session?.type, 'pin');
    });

    test('takes a shard or a key said by hand', () => {
      assert.deepEqual(shardsOf('/* ringferry: shard=b */ SELECT count(*) FROM customers'), ['b']);
      assert.deepEqual(shardsOf('/* ringferry: key=42 */ SELECT count(*) FROM customers'), [ownerOf(42)]);
    });

    test('refuses a changed shard key, NULL as one, and a key that is none', () => {
      for (const sql of [
        'UPDATE customers SET id = id + 1 WHERE id = 1',
        'INSERT INTO orders (id, customer_id) VALUES (1, NULL)',
        `SELECT * FROM customers WHERE id = 'not a number'`,
      ]) {
        assert.throws(() => shardsOf(sql), { name: 'OperatingError' }, sql);
      }
    });

    test('leaves out rows that a shard only holds for a migration', () => {
      const ranges = [{ low: 0n, high: 10n ** 18n }];
      const move = { migration: 'm1', source: 'a', target: 'b', ranges, state: 'copying' } as const;
      const moving = snapshotOf(['a', 'b', 'c'], [move]);
      const statement = router.plan('SELECT count(*) FROM customers');
      const route = router.route(statement, undefined, moving);
      const [at, past] = ['a', 'b'].map((shard) => router.sqlFor(statement, route, shard, moving));
      assert.match(past!, /md5/i, 'the target must not count what it does not own yet');
      assert.notEqual(at, past);
    });
  });
}
