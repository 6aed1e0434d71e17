import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Plan } from '../../src/routing/plan.js';
import { createPassThroughRouter, createPostgresRouter } from '../../src/routing/postgres-router.js';
import { SHOP } from './keyspace.js';

const router = createPostgresRouter(SHOP, { maxPlans: 1_000 });
const passing = createPassThroughRouter('shop', { maxPlans: 1_000 });

function facts(sql: string): Plan {
  return router.plan(sql).plan;
}

describe('transactions', () => {
  const commands: [string, Plan['transaction']][] = [
    ['BEGIN', { type: 'begin', isolation: undefined }],
    [
      'start transaction isolation level serializable, read only',
      { type: 'begin', isolation: 'serializable' },
    ],
    ['BEGIN ISOLATION LEVEL REPEATABLE READ', { type: 'begin', isolation: 'repeatable read' }],
    ['BEGIN ISOLATION LEVEL READ UNCOMMITTED', { type: 'begin', isolation: 'read committed' }],
    ['COMMIT', { type: 'commit', chain: false }],
    ['END AND CHAIN', { type: 'commit', chain: true }],
    ['ABORT', { type: 'rollback', chain: false }],
    ['ROLLBACK AND CHAIN', { type: 'rollback', chain: true }],
    ['SAVEPOINT "A b"', { type: 'savepoint', name: 'A b' }],
    ['RELEASE x', { type: 'release', name: 'x' }],
    ['ROLLBACK TO SAVEPOINT x', { type: 'rollback-to', name: 'x' }],
  ];
  for (const [sql, command] of commands) {
    test(`are told of ${sql}, sharded or passed through`, () => {
      assert.deepEqual(facts(sql).transaction, command);
      assert.deepEqual(passing.plan(sql).plan.transaction, command);
    });
  }
});

describe('sessions', () => {
  const effects: [string, Plan['session']][] = [
    ["SET search_path TO a, 'b'", { type: 'set', name: 'search_path', local: false, values: ['a', 'b'] }],
    ['SET LOCAL work_mem = 64', { type: 'set', name: 'work_mem', local: true, values: ['64'] }],
    ["SET TIME ZONE 'UTC'", { type: 'set', name: 'timezone', local: false, values: ['UTC'] }],
    ["SET NAMES 'UTF8'", { type: 'set', name: 'client_encoding', local: false, values: ['UTF8'] }],
    ["SET ringferry.key = '42'", { type: 'set', name: 'ringferry.key', local: false, values: ['42'] }],
    ['SET x TO DEFAULT', { type: 'set', name: 'x', local: false }],
    ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', { type: 'set', name: 'transaction', local: true }],
    [
      'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
      { type: 'set', name: 'session characteristics', local: false },
    ],
    ['SET CONSTRAINTS ALL DEFERRED', { type: 'set', name: 'constraints', local: true }],
    ['SET ROLE app', { type: 'set', name: 'role', local: false, values: ['app'] }],
    ['RESET work_mem', { type: 'reset', name: 'work_mem' }],
    ['RESET ALL', { type: 'reset', name: undefined }],
    ['DISCARD ALL', { type: 'discard-all' }],
    ['LISTEN x', { type: 'pin', reason: 'LISTEN' }],
    ['CREATE TEMP TABLE t (x int)', { type: 'pin', reason: 'temporary table' }],
    ['CREATE TEMP TABLE t AS SELECT 1', { type: 'pin', reason: 'temporary table' }],
    ['SELECT 1 AS x INTO TEMP t', { type: 'pin', reason: 'temporary table' }],
    ['PREPARE p AS SELECT 1', { type: 'pin', reason: 'PREPARE' }],
    ['SELECT pg_advisory_lock(1)', { type: 'pin', reason: 'advisory lock' }],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', { type: 'pin', reason: 'cursor WITH HOLD' }],
    ["LOAD 'x'", { type: 'pin', reason: 'LOAD' }],
    ['SELECT pg_advisory_xact_lock(1)', undefined],
    ['SHOW work_mem', undefined],
    ['SELECT 1', undefined],
  ];
  for (const [sql, effect] of effects) {
    test(`are told of ${sql}, sharded or passed through`, () => {
      assert.deepEqual(facts(sql).session, effect);
      assert.deepEqual(passing.plan(sql).plan.session, effect);
    });
  }

  test('passed through, nothing is refused, even what no parser knows', () => {
    for (const sql of [
      'MERGE nonsense',
      'selec 1',
      "PREPARE TRANSACTION 'x'",
      'SELECT f()',
      '/* ringferry: what */ SELECT 1',
      '',
      "SELECT set_config('a', 'b', false)",
    ]) {
      const { plan } = passing.plan(sql);
      assert.equal(plan.placement.type, 'home', sql);
    }
    assert.deepEqual(passing.plan("SELECT set_config('a', 'b', false)").plan.session, {
      type: 'pin',
      reason: 'set_config',
    });
  });
});

describe('statements that are no queries go where their tables are', () => {
  const placed: [string, Plan['placement']['type'], Partial<Plan>][] = [
    ['CREATE TABLE x (id int)', 'home', { access: 'ddl', verb: 'CREATE TABLE' }],
    ['CREATE TABLE invoices (id int, customer_id int)', 'every', { access: 'ddl', usesSharded: true }],
    ['ALTER TABLE customers ADD COLUMN x int', 'every', { access: 'ddl', verb: 'ALTER TABLE' }],
    ['ALTER TABLE countries ADD COLUMN x int', 'every', { writesReference: true }],
    ['ALTER TABLE settings ADD COLUMN x int', 'home', {}],
    ['DROP TABLE public.orders', 'every', {}],
    ['DROP TABLE IF EXISTS settings', 'home', {}],
    [
      'CREATE INDEX CONCURRENTLY ON customers (name)',
      'every',
      { isOutsideTransaction: true, verb: 'CREATE INDEX' },
    ],
    ['CREATE UNIQUE INDEX u ON settings (name)', 'home', { verb: 'CREATE INDEX' }],
    ['DROP INDEX orders_pkey', 'every', {}],
    ['DROP INDEX settings_pkey', 'home', {}],
    ['CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()', 'every', {}],
    ['DROP TRIGGER t ON orders', 'every', {}],
    ["COMMENT ON COLUMN orders.id IS 'x'", 'every', {}],
    ['GRANT SELECT ON customers TO app', 'every', {}],
    ['GRANT SELECT ON settings TO app', 'home', {}],
    ['GRANT USAGE ON SCHEMA public TO app', 'every', {}],
    ["CREATE TYPE mood AS ENUM ('a')", 'every', { usesSharded: false }],
    ['CREATE EXTENSION citext', 'every', {}],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", 'every', { verb: 'CREATE FUNCTION' }],
    ['CREATE SEQUENCE s', 'every', {}],
    ['CREATE VIEW v AS SELECT * FROM customers', 'home', {}],
    ['TRUNCATE customers, orders', 'every', { access: 'write', usesSharded: true }],
    ['LOCK TABLE customers', 'every', {}],
    ['VACUUM customers', 'every', { isOutsideTransaction: true }],
    ['VACUUM settings', 'home', { isOutsideTransaction: true }],
    ['ANALYZE', 'every', {}],
    ["NOTIFY x, 'y'", 'home', {}],
    ['FETCH 5 FROM c', 'home', {}],
    ['DECLARE c CURSOR FOR SELECT * FROM settings', 'home', {}],
    ['EXPLAIN SELECT * FROM customers WHERE id = 5', 'keys', { access: 'read' }],
    ['EXPLAIN ANALYZE DELETE FROM customers WHERE id = 5', 'keys', { access: 'write' }],
    ["SELECT nextval('s')", 'home', { access: 'write' }],
    ['SELECT version()', 'anywhere', { access: 'read' }],
    ['SELECT * FROM countries FOR UPDATE', 'home', { access: 'write' }],
    ['COPY customers FROM STDIN', 'every', { usesSharded: true, access: 'write' }],
    ['COPY countries (code, title, made) FROM STDIN', 'every', { writesReference: true }],
    ['COPY settings TO STDOUT', 'home', {}],
    ['COPY (SELECT * FROM customers WHERE id = 5) TO STDOUT', 'keys', {}],
    ['COPY (SELECT id FROM customers WHERE age > 5) TO STDOUT', 'every', { usesSharded: true }],
  ];
  for (const [sql, type, more] of placed) {
    test(sql, () => {
      const plan = facts(sql);
      assert.equal(plan.placement.type, type, JSON.stringify(plan.placement));
      for (const [name, value] of Object.entries(more)) assert.equal(plan[name as keyof Plan], value, name);
    });
  }

  test('COPY says where the key stands and how fields are written', () => {
    const { copy } = facts(
      "COPY orders (total, customer_id) FROM STDIN (FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', NULL 'nil')",
    );
    assert.deepEqual(copy, {
      direction: 'in',
      format: 'csv',
      keyColumn: 1,
      keyType: 'integer',
      delimiter: ';',
      nullText: 'nil',
      hasHeader: true,
      quote: "'",
      escape: "'",
    });
    assert.equal(facts('COPY docs FROM STDIN').copy?.maxKeyLength, 10);
    assert.equal(facts('COPY orders FROM STDIN CSV').copy?.format, 'csv');
  });
});
