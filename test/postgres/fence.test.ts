import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { CopyTask, ShardAddress } from '../../src/migration/engine.js';
import { selectionTest } from '../../src/migration/selection.js';
import { HALF, keyspaceOf, sql, startPair, tasksOf, texts } from './engine-fixture.js';

const pair = await startPair(atEnd);
const { engine } = pair;

/** A database with a fenced table; keys 1…100, of which some move. */
async function fenced(
  name: string,
): Promise<{ source: ShardAddress; tasks: CopyTask[]; moving: number; alsoMoving: number; staying: number }> {
  const { source } = await pair.databases(name);
  await sql(
    source.url,
    'CREATE TABLE customers (id int PRIMARY KEY, name text)',
    `INSERT INTO customers SELECT i, 'n' FROM generate_series(1, 100) i`,
  );
  const keyspace = await keyspaceOf(source, { customers: 'id:integer' });
  const tasks = tasksOf(keyspace, HALF);
  const isMoving = selectionTest(tasks[0]!);
  const keys = Array.from({ length: 100 }, (_, index) => index + 1);
  await engine.prepareFence(source, name, tasks);
  const [moving, alsoMoving] = keys.filter((key) => isMoving(String(key)));
  return {
    source,
    tasks,
    moving: moving!,
    alsoMoving: alsoMoving!,
    staying: keys.find((key) => !isMoving(String(key)))!,
  };
}

async function client(
  address: ShardAddress,
  t: { after(end: () => Promise<void>): void },
): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: address.url });
  await made.connect();
  t.after(() => made.end());
  return made;
}

const refused = { code: '40001', message: /rows of customers are moving to another shard/ };

test('a raised fence refuses every kind of write of moving rows and no other, until it is lowered', async (t) => {
  const { source, tasks, moving, staying } = await fenced('kinds');
  const writer = await client(source, t);
  await writer.query(`UPDATE customers SET name = 'before' WHERE id = $1`, [moving]);
  const fence = await engine.raiseFence(source, 'kinds', tasks, 2_000);
  const writes = [
    `UPDATE customers SET name = 'x' WHERE id = ${moving}`,
    `DELETE FROM customers WHERE id = ${moving}`,
    `INSERT INTO customers VALUES (${moving}, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x'`,
    `UPDATE customers SET id = ${moving} WHERE id = ${staying}`,
    `UPDATE customers SET id = -${staying} WHERE id = ${moving}`,
    'TRUNCATE customers',
    `SET session_replication_role = replica; DELETE FROM customers WHERE id = ${moving}`,
    `MERGE INTO customers USING (VALUES (${moving})) v(id) ON v.id = customers.id WHEN MATCHED THEN DELETE`,
  ];
  for (const write of writes) await assert.rejects(writer.query(write), refused, write);
  await writer.query(`UPDATE customers SET name = 'y' WHERE id = ${staying}`);
  assert.equal((await writer.query('SELECT count(*)::int AS n FROM customers')).rows[0].n, 100);
  await fence.lower();
  await writer.query(`UPDATE customers SET name = 'after' WHERE id = ${moving}`);
});

test('raising waits for a writer inside and lets it commit', async (t) => {
  const { source, tasks, moving, alsoMoving } = await fenced('inside');
  const writer = await client(source, t);
  await writer.query('BEGIN');
  await writer.query(`UPDATE customers SET name = 'first' WHERE id = ${moving}`);
  let isUp = false;
  const raising = engine.raiseFence(source, 'inside', tasks, 5_000).then((fence) => {
    isUp = true;
    return fence;
  });
  await sleep(200);
  assert.equal(isUp, false);
  // A newcomer is refused while the fence waits; the one inside may go on.
  const newcomer = await client(source, t);
  await assert.rejects(newcomer.query(`UPDATE customers SET name = 'new' WHERE id = ${alsoMoving}`), refused);
  await writer.query(`UPDATE customers SET name = 'second' WHERE id = ${moving}`);
  await writer.query('COMMIT');
  await raising;
  await assert.rejects(writer.query(`UPDATE customers SET name = 'third' WHERE id = ${moving}`), refused);
  assert.deepEqual(await texts(source.url, `SELECT name FROM customers WHERE id = ${moving}`), ['second']);
});

test('at the deadline the fence is down again and refuses nobody', async (t) => {
  const { source, tasks, moving } = await fenced('deadline');
  const writer = await client(source, t);
  await writer.query('BEGIN');
  await writer.query(`UPDATE customers SET name = 'first' WHERE id = ${moving}`);
  await assert.rejects(engine.raiseFence(source, 'deadline', tasks, 150), /did not end within 150 ms/);
  await writer.query('COMMIT');
  await writer.query(`UPDATE customers SET name = 'second' WHERE id = ${moving}`);
});

test('a prepared transaction is a writer inside until it is committed', async (t) => {
  const { source, tasks, moving } = await fenced('prepared');
  const writer = await client(source, t);
  await writer.query('BEGIN');
  await writer.query(`UPDATE customers SET name = 'prepared' WHERE id = ${moving}`);
  await writer.query(`PREPARE TRANSACTION 'p1'`);
  await assert.rejects(engine.raiseFence(source, 'prepared', tasks, 150), /did not end/);
  const raising = engine.raiseFence(source, 'prepared', tasks, 5_000);
  await sleep(100);
  await writer.query(`COMMIT PREPARED 'p1'`);
  await raising;
});

test('a transaction whose snapshot is older than the fence is refused', async (t) => {
  const { source, tasks, moving } = await fenced('snapshot');
  const writer = await client(source, t);
  await writer.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await writer.query('SELECT count(*) FROM customers');
  await engine.raiseFence(source, 'snapshot', tasks, 1_000);
  await assert.rejects(writer.query(`UPDATE customers SET name = 'late' WHERE id = ${moving}`), refused);
  await writer.query('ROLLBACK');
});

test('a fence stands after its process is gone and the server was killed, until a later one lowers it', async (t) => {
  const { source, tasks, moving } = await fenced('crash');
  const fence = await engine.raiseFence(source, 'crash', tasks, 1_000);
  await fence.keep();
  await fence.release();
  await pair.servers[0].crash();
  await pair.servers[0].start();
  const writer = await client(source, t);
  await assert.rejects(writer.query(`UPDATE customers SET name = 'x' WHERE id = ${moving}`), refused);
  await engine.lowerKeptFence(source, 'crash');
  await writer.query(`UPDATE customers SET name = 'x' WHERE id = ${moving}`);
  await engine.lowerKeptFence(source, 'never');
});

test('our own sessions pass the fence', async (t) => {
  const { source, tasks, moving } = await fenced('own');
  await engine.raiseFence(source, 'own', tasks, 1_000);
  const applier = await client(source, t);
  await applier.query(`SET ringferry.applier = 'on'`);
  await applier.query(`UPDATE customers SET name = 'applied' WHERE id = ${moving}`);
});

test('removing the traces removes every trigger, function and flag, and twice is harmless', async () => {
  const { source } = await fenced('traces');
  await engine.removeTraces(source, 'traces', []);
  await engine.removeTraces(source, 'traces', []);
  assert.deepEqual(await texts(source.url, `SELECT tgname FROM pg_trigger WHERE NOT tgisinternal`), []);
  assert.deepEqual(
    await texts(source.url, `SELECT nspname FROM pg_namespace WHERE nspname = 'ringferry'`),
    [],
  );
});
