import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { CopyTask, ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { selectionTest } from '../../src/migration/selection.js';
import { selectionSql } from '../../src/postgres/selection.js';
import { sql, startPair, texts } from './engine-fixture.js';
import { assertSame, soon, startShop, startStorm } from './engine-shop.js';

const pair = await startPair(atEnd);
const { engine } = pair;

/** Everything of a migration that could be left in a database. */
async function tracesIn(address: ShardAddress): Promise<string[]> {
  return texts(
    address.url,
    `SELECT 'slot', slot_name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT 'publication', pubname FROM pg_publication
     UNION ALL SELECT 'origin', roname FROM pg_replication_origin WHERE roname LIKE 'ringferry_' || replace(current_database(), '_', '') || '%'
     UNION ALL SELECT 'trigger', tgname FROM pg_trigger WHERE NOT tgisinternal
     UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname = 'ringferry'
     UNION ALL SELECT 'identity', relname FROM pg_class WHERE relreplident <> 'd' AND relnamespace = 'public'::regnamespace AND relkind = 'r'
     UNION ALL SELECT 'prepared', gid FROM pg_prepared_xacts WHERE database = current_database()`,
  );
}

const rangeTasks = (spec: StreamSpec): CopyTask[] =>
  spec.tasks.filter((task) => task.selection.type === 'ranges');

test('there, switched, back and forgotten: the whole way of the moving rows', async () => {
  const { source, target, spec, back, moving, stream } = await startShop(pair, 'whole');
  await engine.prepareFence(source, 'whole', rangeTasks(spec));
  await engine.prepareReverse(back);
  const reverse = await engine.openStream(back, soon());
  // Writes before the switch go forth, and must not come back.
  await sql(
    source.url,
    `UPDATE customers SET name = 'forth', version = version + 1`,
    `INSERT INTO countries VALUES ('new', 'land')`,
  );
  const fence = await engine.raiseFence(source, 'whole', rangeTasks(spec), 2_000);
  await stream.waitFor(await engine.writeMarker(source, 'whole'));
  await engine.advanceSequences([source], target, spec.tasks);
  await fence.keep();
  await stream.stop();
  assert.equal(reverse.rowsApplied, 0, 'the way back brought back what came from there');
  await reverse.waitFor(await engine.writeMarker(target, 'whole'));

  // Switched: the target takes the writes, the source follows behind its fence.
  assert.deepEqual(await texts(target.url, `SELECT nextval('customers_id_seq'), nextval('orders_id_seq')`), [
    '501|2001',
  ]);
  const isMoving = selectionTest(spec.tasks.find((task) => task.table.name === 'customers')!);
  const created = Array.from({ length: 50 }, (_, index) => 10_000 + index).filter((key) =>
    isMoving(String(key)),
  );
  await sql(
    target.url,
    `UPDATE customers SET version = version + 1`,
    ...created.map((id) => `INSERT INTO customers (id, name) VALUES (${id}, 'new')`),
    `DELETE FROM orders WHERE customer = ${moving[0]}`,
    `INSERT INTO countries VALUES ('both', 'written by the proxy on every shard')`,
  );
  await sql(source.url, `INSERT INTO countries VALUES ('both', 'written by the proxy on every shard')`);
  assert.ok((await assertSame(engine, { ...back, tasks: rangeTasks(back) }, reverse)) > 500);
  await assert.rejects(
    sql(source.url, `UPDATE customers SET name = 'old owner' WHERE id = ${moving[1]}`),
    /are moving to another shard/,
  );

  // Rolled back: the target is fenced, the source owns again.
  await engine.prepareFence(target, 'wholer', rangeTasks(spec));
  const fenceBack = await engine.raiseFence(target, 'wholer', rangeTasks(spec), 2_000);
  await reverse.waitFor(await engine.writeMarker(target, 'whole'));
  await fenceBack.keep();
  await engine.lowerKeptFence(source, 'whole');
  await reverse.stop();
  await sql(source.url, `UPDATE customers SET name = 'home again' WHERE id = ${moving[1]}`);
  assert.deepEqual(await texts(source.url, `SELECT count(*) FROM customers WHERE version = 2`), [
    String(moving.length),
  ]);

  await engine.clearTarget(target, spec.tasks);
  assert.deepEqual(
    await texts(
      target.url,
      'SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM countries)',
    ),
    ['0'],
  );
  for (const address of [source, target]) {
    for (const name of ['whole', 'wholer']) await engine.removeTraces(address, name, []);
    assert.deepEqual(await tracesIn(address), []);
  }
});

test('after finish the source keeps the rows that stayed, and nothing else', async () => {
  const { source, spec, stream } = await startShop(pair, 'finish');
  await engine.prepareFence(source, 'finish', rangeTasks(spec));
  await engine.raiseFence(source, 'finish', rangeTasks(spec), 2_000);
  await stream.stop();
  const count = `SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders)`;
  const before = Number((await texts(source.url, count))[0]);
  const deleted = await engine.deleteRows(source, 'finish', rangeTasks(spec), soon());
  assert.ok(deleted > 800);
  assert.deepEqual(await texts(source.url, count), [String(before - deleted)]);
  for (const task of rangeTasks(spec))
    assert.deepEqual(
      await texts(source.url, `SELECT count(*) FROM ${task.table.name} WHERE ${selectionSql(task)}`),
      ['0'],
    );
  assert.equal(await engine.deleteRows(source, 'finish', rangeTasks(spec), soon()), 0);
  await engine.removeTraces(source, 'finish', []);
  assert.deepEqual(await tracesIn(source), []);
});

test('traces go also while a stream still runs, and identities are as they were', async () => {
  const { source, target, stream } = await startShop(pair, 'early');
  assert.ok((await tracesIn(source)).includes('identity|orders'));
  stream.ended.catch(() => {});
  await engine.removeTraces(source, 'early', []);
  await stream.stop();
  await engine.removeTraces(target, 'early', []);
  assert.deepEqual([...(await tracesIn(source)), ...(await tracesIn(target))], []);
});

test('an injected difference of each kind is found with its key, and repaired', async () => {
  const { target, spec, moving, stream } = await startShop(pair, 'injected');
  await sql(
    target.url,
    `UPDATE customers SET name = 'changed' WHERE id = ${moving[0]}`,
    `DELETE FROM customers WHERE id = ${moving[1]}`,
    `INSERT INTO orders (id, customer, total) VALUES (999999, ${moving[2]}, 1)`,
    `UPDATE countries SET name = NULL WHERE code = 'c7'`,
  );
  const { differences } = await engine.verify(stream, spec, () => {}, soon());
  const shown = differences.map(({ table, key, kind }) => `${table} ${key} ${kind}`).sort();
  assert.deepEqual(shown, [
    'public.countries ["c7"] different',
    `public.customers ["${moving[0]}"] different`,
    `public.customers ["${moving[1]}"] missing`,
    'public.orders ["999999"] extra',
  ]);
  await engine.repair(spec, differences);
  await assertSame(engine, spec, stream);
  await stream.stop();
});

test('verification under a storm of writes reports nothing that is not there, and still finds what is', async (t) => {
  const { source, target, spec, moving, stream } = await startShop(pair, 'storm');
  const storm = startStorm(source, t);
  try {
    const quiet = await engine.verify(stream, spec, () => {}, soon());
    assert.deepEqual(quiet.differences, []);
    assert.ok(quiet.comparedRows > 1_000);
    await sql(target.url, `INSERT INTO orders (id, customer, total) VALUES (888888, ${moving[3]}, 1)`);
    const { differences } = await engine.verify(stream, spec, () => {}, soon());
    assert.deepEqual(
      differences.map(({ key, kind }) => `${key} ${kind}`),
      ['["888888"] extra'],
    );
  } finally {
    await storm.stop();
  }
  await stream.stop();
});
