import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after as atEnd, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { assertHeardAtOnce } from '../migration/heard-at-once.js';
import {
  caughtUp,
  HALF,
  keyspaceOf,
  sql,
  startMigration,
  startPair,
  tasksOf,
  texts,
  WHOLE,
} from './engine-fixture.js';
import { assertSame, soon, startShop, startStorm } from './engine-shop.js';

const pair = await startPair(atEnd);
const { engine } = pair;

test('writers that never pause lose nothing and double nothing through slot, copy, stream and broken servers', async (t) => {
  let storm: ReturnType<typeof startStorm> | undefined;
  const { source, target, spec, stream } = await startShop(pair, 'through', {
    afterSnapshot: async () => {
      storm = startStorm(source0(), t);
    },
  });
  function source0(): ShardAddress {
    return { shard: 'a', url: pair.servers[0].url('through') };
  }
  await sleep(300);
  await pair.servers[1].crash();
  await sleep(300);
  await pair.servers[1].start();
  await sleep(300);
  // The walsender dies, the stream's own sessions die; the writers go on.
  await sql(source.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_replication`);
  await sleep(200);
  await sql(
    target.url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ringferry' AND pid <> pg_backend_pid()`,
  );
  await sleep(300);
  assert.ok((await storm!.stop()) > 100);
  await assertSame(engine, spec, stream);
  await stream.stop();
});

/** Stands before a server and breaks a connection in the middle of what the client writes, once it is told to. */
async function startBreaker(port: number, end: (stop: () => Promise<void>) => void) {
  const sockets = new Set<Socket>();
  const breaker = { port: 0, breaksAtBytes: Number.POSITIVE_INFINITY };
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}));
    client.on('close', () => upstream.destroy());
    upstream.on('data', (bytes) => client.write(bytes)).on('close', () => client.destroy());
    client.on('data', (bytes) => {
      if (bytes.length < breaker.breaksAtBytes) return upstream.write(bytes);
      breaker.breaksAtBytes = Number.POSITIVE_INFINITY;
      client.pause();
      // FIN, then RST for what was never read: a peer that has ended and is written to is EPIPE.
      return client.end(() => client.resetAndDestroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  end(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  breaker.port = (server.address() as AddressInfo).port;
  return breaker;
}

test('a target connection that breaks during a write (EPIPE) is made anew', async (t) => {
  const { source, target } = await pair.databases('epipe');
  await sql(source.url, 'CREATE TABLE notes (id int PRIMARY KEY, note text)');
  const keyspace = await keyspaceOf(source, { notes: 'id:integer' });
  const url = new URL(target.url);
  const breaker = await startBreaker(Number(url.port), (stop) => t.after(stop));
  url.host = `127.0.0.1:${breaker.port}`;
  const to: ShardAddress = { shard: 'd', url: url.href };
  const tasks = tasksOf(keyspace, WHOLE);
  const spec: StreamSpec = { migration: 'epipe', direction: 'forward', from: source, to, tasks };
  const stream = await startMigration(engine, spec, keyspace);
  breaker.breaksAtBytes = 10_000;
  await sql(source.url, `INSERT INTO notes SELECT 1, repeat('x', 30000000)`);
  await caughtUp(engine, spec, stream);
  assert.deepEqual(await texts(target.url, 'SELECT id, length(note) FROM notes'), ['1|30000000']);
  assert.match(pair.log.join('\n'), /stream a → d begins again: .*EPIPE/);
  await stream.stop();
});

test('a second opener takes the stream over, and the first cannot commit any more', async () => {
  const { source, spec, moving, stream } = await startShop(pair, 'takeover');
  await sql(source.url, `UPDATE customers SET version = 1 WHERE id = ${moving[0]}`);
  await caughtUp(engine, spec, stream);
  const second = await engine.openStream(spec, soon());
  await stream.stop();
  await sql(source.url, `UPDATE customers SET version = version + 1`);
  await assertSame(engine, spec, second);
  await second.stop();
});

test('a stream that was stopped goes on where it was, without a change twice', async () => {
  const { source, spec, stream } = await startShop(pair, 'resumed');
  await sql(source.url, 'UPDATE customers SET version = 1');
  await caughtUp(engine, spec, stream);
  await stream.stop();
  await sql(
    source.url,
    'UPDATE customers SET version = 2',
    `DELETE FROM orders WHERE id < 100`,
    `INSERT INTO orders (customer, total) VALUES (1, 1), (2, 2)`,
  );
  const again = await engine.openStream(spec, soon());
  await assertSame(engine, spec, again);
  await again.stop();
  const third = await engine.openStream(spec, soon());
  await assertSame(engine, spec, third);
  assert.equal(third.rowsApplied, 0);
  await third.stop();
});

test('a stop that comes during a commit is heard without another change', async (t) => {
  const { source, target, spec, moving, stream } = await startShop(pair, 'stopped');
  const holder = new pg.Client({ connectionString: target.url });
  await holder.connect();
  t.after(() => holder.end());
  await holder.query(`BEGIN; UPDATE customers SET version = 1 WHERE id = ${moving[0]}`);
  await sql(source.url, `UPDATE customers SET version = 2 WHERE id = ${moving[0]}`);
  const waiting = 'SELECT count(*) FROM pg_locks WHERE NOT granted';
  while ((await texts(target.url, waiting))[0] === '0') await sleep(20);
  const stopping = stream.stop();
  await holder.query('ROLLBACK');
  await assertHeardAtOnce(stopping, () =>
    sql(source.url, `UPDATE customers SET version = 3 WHERE id = ${moving[0]}`),
  );
  const query = `SELECT version FROM customers WHERE id = ${moving[0]}`;
  assert.deepEqual(await texts(spec.to.url, query), ['2']);
});

test('a slot that is gone is not made anew in silence', async () => {
  const { source, spec, stream } = await startShop(pair, 'gone');
  await stream.stop();
  await sql(
    source.url,
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'ringferry_gone_a_d'`,
  );
  await assert.rejects(engine.openStream(spec, soon()), {
    code: 'migration',
    message: /slot ringferry_gone_a_d does not exist/,
  });
});

test('an aborted copy leaves no row, and the next try copies all', async () => {
  const { source, target } = await pair.databases('aborted');
  await sql(
    source.url,
    'CREATE TABLE big (id int PRIMARY KEY, filler text)',
    `INSERT INTO big SELECT i, repeat('x', 500) FROM generate_series(1, 60000) i`,
  );
  const keyspace = await keyspaceOf(source, { big: 'id:integer' });
  const tasks = tasksOf(keyspace, HALF);
  await engine.copySchema(source, target, keyspace);
  await engine.prepareSource(source, 'aborted', tasks);
  const snapshot = await engine.openSnapshot(source, 'aborted', ['d']);
  const abort = new AbortController();
  const copying = snapshot.copy(tasks[0]!, target, (rows) => rows > 5_000 && abort.abort(), abort.signal);
  await assert.rejects(copying, { name: 'AbortError' });
  await sleep(100);
  assert.deepEqual(await texts(target.url, 'SELECT count(*) FROM big'), ['0']);
  const seen: number[] = [];
  const rows = await snapshot.copy(tasks[0]!, target, (count) => seen.push(count), soon());
  const estimate = await snapshot.estimateRows(tasks[0]!);
  await snapshot.close();
  assert.deepEqual(await texts(target.url, 'SELECT count(*) FROM big'), [String(rows)]);
  assert.equal(seen.at(-1), rows);
  assert.ok(Math.abs(estimate - rows) < rows * 0.2, `${estimate} estimated, ${rows} copied`);
  await engine.removeTraces(source, 'aborted', []);
});

test('a copy that the target refuses names the reason', async () => {
  const { source, target } = await pair.databases('conflict');
  await sql(
    source.url,
    'CREATE TABLE t (id int PRIMARY KEY)',
    'INSERT INTO t SELECT generate_series(1, 100)',
  );
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  const tasks = tasksOf(keyspace, HALF);
  await engine.copySchema(source, target, keyspace);
  await sql(target.url, 'INSERT INTO t SELECT generate_series(1, 100)');
  await engine.prepareSource(source, 'conflict', tasks);
  const snapshot = await engine.openSnapshot(source, 'conflict', ['d']);
  await assert.rejects(
    snapshot.copy(tasks[0]!, target, () => {}, soon()),
    /duplicate key/,
  );
  await engine.clearTarget(target, tasks);
  assert.ok((await snapshot.copy(tasks[0]!, target, () => {}, soon())) > 20);
  await snapshot.close();
  await engine.removeTraces(source, 'conflict', []);
});

test('unique values that two sources pass on to each other wait for their order', async () => {
  const { source, target } = await pair.databases('passed');
  // The second source is another database on the first server.
  await sql(pair.servers[0].url('postgres'), 'CREATE DATABASE passed2');
  const other: ShardAddress = { shard: 'b', url: pair.servers[0].url('passed2') };
  const ddl = 'CREATE TABLE tags (id int PRIMARY KEY, tag text UNIQUE)';
  await sql(source.url, ddl, `INSERT INTO tags VALUES (1, 'one')`);
  await sql(other.url, ddl, `INSERT INTO tags VALUES (2, 'two')`);
  const keyspace = await keyspaceOf(source, { tags: 'id:integer' });
  const spec = (from: ShardAddress): StreamSpec => ({
    migration: 'passed',
    direction: 'forward',
    from,
    to: target,
    tasks: tasksOf(keyspace, WHOLE),
  });
  const first = await startMigration(engine, spec(source), keyspace);
  await engine.prepareSource(other, 'passed', spec(other).tasks);
  const snapshot = await engine.openSnapshot(other, 'passed', ['d']);
  await snapshot.copy(spec(other).tasks[0]!, target, () => {}, soon());
  await snapshot.close();
  await first.stop();
  // `b` takes the value that `a` has given up, and its stream runs first.
  const second = await engine.openStream(spec(other), soon());
  await sql(source.url, `UPDATE tags SET tag = 'free' WHERE id = 1`);
  await sql(other.url, `UPDATE tags SET tag = 'one' WHERE id = 2`);
  await sleep(500);
  const firstAgain = await engine.openStream(spec(source), soon());
  await caughtUp(engine, spec(source), firstAgain);
  await caughtUp(engine, spec(other), second);
  assert.deepEqual(await texts(target.url, 'SELECT * FROM tags ORDER BY id'), ['1|free', '2|one']);
  await Promise.all([firstAgain.stop(), second.stop()]);
});

test('a publication of somebody else that forbids full row images is found before the application meets it', async () => {
  const { source } = await pair.databases('foreign_publication');
  await sql(
    source.url,
    'CREATE TABLE orders (id int PRIMARY KEY, customer int, note text)',
    'INSERT INTO orders VALUES (1, 1)',
    'CREATE PUBLICATION theirs FOR TABLE orders (id, note)',
  );
  const keyspace = await keyspaceOf(source, { orders: 'customer:integer' });
  await assert.rejects(engine.prepareSource(source, 'theirs', tasksOf(keyspace, HALF)), {
    code: 'migration',
    message: /with whole rows in the log, cannot update table "orders"/,
  });
  await sql(source.url, `UPDATE orders SET note = 'still works' WHERE id = 1`);
  await engine.removeTraces(source, 'theirs', []);
  assert.deepEqual(await texts(source.url, `SELECT relreplident FROM pg_class WHERE relname = 'orders'`), [
    'd',
  ]);
});

test('a transaction that keeps the copy from beginning is named', async () => {
  const { source } = await pair.databases('waiting');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const writer = new pg.Client({ connectionString: source.url });
  await writer.connect();
  await writer.query('BEGIN; INSERT INTO t VALUES (1)');
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  await engine.prepareSource(source, 'waiting', tasksOf(keyspace, HALF));
  const opening = engine.openSnapshot(source, 'waiting', ['d']);
  while (!pair.log.some((line) => line.includes('the copy begins when open transactions have ended')))
    await sleep(100);
  const pid = (await writer.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
  assert.ok(
    pair.log.some((line) => line.includes(`process ${pid} since`)),
    pair.log.join('\n'),
  );
  await writer.query('COMMIT');
  await (await opening).close();
  await writer.end();
  await engine.removeTraces(source, 'waiting', []);
});
