import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { explainRoute } from '../../src/admin/explain-route.js';
import { parseConfig } from '../../src/config/load.js';
import { createPostgresRouter } from '../../src/routing/postgres-router.js';
import type { StatementRouter } from '../../src/routing/router.js';
import { loadParser } from '../../src/sql/postgres-parser.js';
import type { Column, Keyspace, Table } from '../../src/topology/keyspace.js';
import { Ring } from '../../src/topology/ring.js';
import type { Snapshot } from '../../src/topology/snapshot.js';
import { tokenOf } from '../../src/topology/token.js';

const SHARDS = ['a', 'b', 'c'];

const column = (name: string): Column => ({
  name,
  type: 'bigint',
  typeOid: 20,
  isNotNull: true,
  defaultSql: undefined,
  isSequenceFilled: false,
  isGenerated: false,
  hasByteOrder: true,
});

function table(name: string, placement: Table['placement'], key?: string): Table {
  const columns = ['id', 'customer_id', 'total'].map(column);
  return {
    schema: 'public',
    name,
    kind: 'table',
    placement,
    key: key === undefined ? undefined : { column: key, type: 'integer' },
    columns,
    primaryKey: ['id'],
    reads: [],
  };
}

const tables = [
  table('orders', 'sharded', 'customer_id'),
  table('countries', 'reference'),
  table('settings', 'home'),
];
const keyspace: Keyspace = {
  database: 'shop',
  home: 'a',
  tables: new Map(tables.map((each) => [`public.${each.name}`, each])),
  searchPath: ['public'],
  builtinFunctions: new Set(['count', 'sum', 'now']),
  hasByteOrder: true,
};
const snapshot: Snapshot = {
  database: 'shop',
  epoch: 1,
  ring: Ring.of(SHARDS, 64),
  shards: SHARDS.map((name) => ({ name, url: '', isServing: true })),
  home: 'a',
  moves: [],
};
const owner = (key: number) => snapshot.ring.owner(tokenOf(String(key)));

let router: StatementRouter;

before(async () => {
  await loadParser();
  const { limits } = parseConfig(
    'users: [{name: x, auth: trust}]\ndatabases: {x: {shards: {a: {url: postgres://h/x}}}}',
    'x.yaml',
    {},
  ).config;
  router = createPostgresRouter(keyspace, limits);
});

describe('EXPLAIN ROUTE', () => {
  const KINDS: readonly (readonly [sql: string, kind: string, shards: () => string[], key: string])[] = [
    ['SELECT * FROM orders WHERE customer_id = 42', 'single-shard', () => [owner(42)], '42'],
    ['SELECT * FROM orders WHERE customer_id = $1', 'single-shard', () => [], '$1'],
    ['SELECT * FROM orders WHERE customer_id = ANY($1)', 'several shards', () => [], 'ANY ($1)'],
    ['SELECT count(*) FROM orders', 'scatter', () => SHARDS, ''],
    ['DELETE FROM orders', 'every shard', () => SHARDS, ''],
    ['SELECT * FROM countries', 'any shard', () => SHARDS, ''],
    ['SELECT * FROM settings', 'home', () => ['a'], ''],
    ['INSERT INTO orders (id, customer_id, total) VALUES (1, 7, 3)', 'single-shard', () => [owner(7)], '7'],
    ['BEGIN', 'session', () => [], ''],
    ['/* ringferry: shard=b */ SELECT * FROM orders', 'single-shard', () => ['b'], 'shard b'],
  ];
  for (const [sql, kind, shards, key] of KINDS) {
    it(`says how this routes: ${sql}`, () => {
      const [explained] = explainRoute(router, snapshot, sql);
      assert.deepEqual([explained!.kind, explained!.shards, explained!.key], [kind, shards(), key]);
      assert.equal(explained!.refusal, undefined);
    });
  }

  it('tells many keys by the first few', () => {
    const [explained] = explainRoute(
      router,
      snapshot,
      'SELECT * FROM orders WHERE customer_id IN (1, 2, 3, 4, 5, 6, 7, 8)',
    );
    assert.equal(explained!.key, '1, 2, 3, 4, 5, … (8)');
  });

  it('shows what a shard runs when it is not the statement itself', () => {
    const [explained] = explainRoute(
      router,
      snapshot,
      'SELECT customer_id, count(*) FROM orders GROUP BY customer_id LIMIT 3 OFFSET 2',
    );
    assert.notEqual(explained!.shardSql, '');
    assert.equal(
      explainRoute(router, snapshot, 'SELECT * FROM orders WHERE customer_id = 1')[0]!.shardSql,
      '',
    );
  });

  it('says why a statement is not supported and what to write instead', () => {
    const [explained] = explainRoute(
      router,
      snapshot,
      'SELECT * FROM orders o JOIN orders p ON o.total = p.total',
    );
    assert.equal(explained!.kind, 'not supported');
    assert.equal(explained!.refusal!.sqlstate, '0A000');
    assert.notEqual(explained!.refusal!.message, '');
  });

  it('says of text that is no SQL what the parser says', () => {
    const [explained] = explainRoute(router, snapshot, 'SELEKT 1');
    assert.equal(explained!.kind, 'not supported');
    assert.equal(explained!.refusal!.sqlstate, '42601');
  });

  it('explains each statement of a text', () => {
    assert.deepEqual(
      explainRoute(router, snapshot, "SELECT 1; SELECT ';' ; ").map(({ statement }) => statement),
      ['SELECT 1', "SELECT ';'"],
    );
  });
});
