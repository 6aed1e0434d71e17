import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { AppliedStream, ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { selectionTest } from '../../src/migration/selection.js';
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

const pair = await startPair(atEnd);
const { engine } = pair;

async function migrationOf(name: string, ddl: string[], tables: Record<string, string>, ranges = HALF) {
  const { source, target } = await pair.databases(name);
  await sql(source.url, ...ddl);
  const keyspace = await keyspaceOf(source, tables);
  const spec: StreamSpec = {
    migration: name,
    direction: 'forward',
    from: source,
    to: target,
    tasks: tasksOf(keyspace, ranges),
  };
  const isMoving = selectionTest(spec.tasks[0]!);
  const keys = Array.from({ length: 1000 }, (_, index) => index + 1);
  const moving = keys.filter((key) => isMoving(String(key)));
  const staying = keys.filter((key) => !isMoving(String(key)));
  return { source, target, keyspace, spec, moving, staying };
}

const CUSTOMERS = [
  'CREATE TABLE customers (id int PRIMARY KEY, name text)',
  `INSERT INTO customers SELECT i, 'n' || i FROM generate_series(1, 1000) i`,
];

async function assertSame(spec: StreamSpec, stream: AppliedStream): Promise<number> {
  await caughtUp(engine, spec, stream);
  const { comparedRows, differences } = await engine.verify(
    stream,
    spec,
    () => {},
    AbortSignal.timeout(20_000),
  );
  assert.deepEqual(differences, []);
  return comparedRows;
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

test('a copy and the stream behind it give the target exactly the moving rows', async () => {
  const { source, target, keyspace, spec, moving } = await migrationOf('basics', CUSTOMERS, {
    customers: 'id:integer',
  });
  const stream = await startMigration(engine, spec, keyspace);
  await sql(
    source.url,
    `INSERT INTO customers SELECT i, 'later ' || i FROM generate_series(1001, 1100) i`,
    `UPDATE customers SET name = name || '!' WHERE id % 3 = 0`,
    'DELETE FROM customers WHERE id % 7 = 0',
  );
  const rows = await assertSame(spec, stream);
  assert.deepEqual(await texts(target.url, 'SELECT count(*) FROM customers'), [String(rows)]);
  const expected = moving.filter((id) => id % 7 !== 0);
  assert.deepEqual(
    await texts(target.url, 'SELECT id FROM customers WHERE id <= 1000 ORDER BY id'),
    expected.map(String),
  );
  await stream.stop();
  await stream.ended;
});

test('rows updated and deleted between the snapshot and their copy end as the source has them', async () => {
  const { source, target, keyspace, spec, moving } = await migrationOf('between', CUSTOMERS, {
    customers: 'id:integer',
  });
  const [updated, deleted, replaced] = moving;
  const stream = await startMigration(engine, spec, keyspace, {
    afterSnapshot: () =>
      sql(
        source.url,
        `UPDATE customers SET name = 'newer' WHERE id = ${updated}`,
        `DELETE FROM customers WHERE id = ${deleted}`,
        `DELETE FROM customers WHERE id = ${replaced}`,
        `INSERT INTO customers VALUES (${replaced}, 'again')`,
      ),
    afterCopy: async () => {
      // The copy shows the source as it was when the slot was made: older than all of these.
      assert.deepEqual(
        await texts(
          target.url,
          `SELECT name FROM customers WHERE id IN (${updated}, ${deleted}, ${replaced}) ORDER BY id`,
        ),
        [`n${updated}`, `n${deleted}`, `n${replaced}`],
      );
    },
  });
  await caughtUp(engine, spec, stream);
  assert.deepEqual(
    await texts(
      target.url,
      `SELECT id, name FROM customers WHERE id IN (${updated}, ${deleted}, ${replaced}) ORDER BY id`,
    ),
    [`${updated}|newer`, `${replaced}|again`],
  );
  await stream.stop();
});

test('transactions that are open while the slot is made are either in the copy or in the stream', async (t) => {
  const { source, keyspace, spec, moving } = await migrationOf('open', CUSTOMERS, {
    customers: 'id:integer',
  });
  const writers = await Promise.all([client(source, t), client(source, t), client(source, t)]);
  await writers[0]!.query('BEGIN');
  await writers[0]!.query(`UPDATE customers SET name = 'first' WHERE id = ${moving[0]}`);
  const starting = startMigration(engine, spec, keyspace);
  await sleep(300);
  await writers[1]!.query('BEGIN');
  await writers[1]!.query(`UPDATE customers SET name = 'second' WHERE id = ${moving[1]}`);
  await writers[0]!.query('COMMIT');
  await sleep(100);
  await writers[2]!.query(`UPDATE customers SET name = 'third' WHERE id = ${moving[2]}`);
  await writers[1]!.query('COMMIT');
  const stream = await starting;
  await assertSame(spec, stream);
  await stream.stop();
});

test('concurrent transactions are applied in the order of their commits', async (t) => {
  const { source, target, keyspace, spec, moving } = await migrationOf('orders', CUSTOMERS, {
    customers: 'id:integer',
  });
  const stream = await startMigration(engine, spec, keyspace);
  const [one, two] = await Promise.all([client(source, t), client(source, t)]);
  // `two` begins and writes first elsewhere, and commits first; `one` then overwrites what it wrote.
  await one!.query('BEGIN');
  await one!.query(`UPDATE customers SET name = 'one' WHERE id = ${moving[5]}`);
  await two!.query('BEGIN');
  await two!.query(`UPDATE customers SET name = 'two' WHERE id = ${moving[6]}`);
  await two!.query('COMMIT');
  await one!.query(`UPDATE customers SET name = 'one' WHERE id = ${moving[6]}`);
  await one!.query('COMMIT');
  await caughtUp(engine, spec, stream);
  assert.deepEqual(
    await texts(target.url, `SELECT name FROM customers WHERE id IN (${moving[5]}, ${moving[6]})`),
    ['one', 'one'],
  );
  await stream.stop();
});

test('unique values swapped within one transaction, in one statement or through a third value', async () => {
  const { source, target, keyspace, spec } = await migrationOf(
    'swap',
    [
      'CREATE TABLE seats (id int PRIMARY KEY, place int, row int, UNIQUE (place) DEFERRABLE INITIALLY IMMEDIATE, UNIQUE (row))',
      'INSERT INTO seats SELECT i, i, i FROM generate_series(1, 100) i',
    ],
    { seats: 'id:integer' },
    WHOLE,
  );
  const stream = await startMigration(engine, spec, keyspace);
  await sql(
    source.url,
    'UPDATE seats SET place = 101 - place',
    'BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE seats SET place = 2 WHERE id = 1; UPDATE seats SET place = 100 WHERE id = 99; COMMIT',
    'BEGIN; UPDATE seats SET row = -1 WHERE id = 1; UPDATE seats SET row = 1 WHERE id = 2; UPDATE seats SET row = 2 WHERE id = 1; COMMIT',
    'BEGIN; DELETE FROM seats WHERE id = 50; UPDATE seats SET row = 50 WHERE id = 51; INSERT INTO seats VALUES (50, 51, 51); COMMIT',
  );
  await caughtUp(engine, spec, stream);
  assert.deepEqual(
    await texts(target.url, 'SELECT * FROM seats ORDER BY id'),
    await texts(source.url, 'SELECT * FROM seats ORDER BY id'),
  );
  await stream.stop();
});

test('a row follows its keys: primary key changed, shard key changed into, within and out of the moving ranges', async () => {
  const { source, target, keyspace, spec, moving, staying } = await migrationOf(
    'keys',
    [
      'CREATE TABLE orders (id int PRIMARY KEY, customer int, note text)',
      `INSERT INTO orders SELECT i, i, (SELECT string_agg(md5(i::text || j::text), '') FROM generate_series(1, 200) j) FROM generate_series(1, 1000) i`,
    ],
    { orders: 'customer:integer' },
  );
  const stream = await startMigration(engine, spec, keyspace);
  await sql(
    source.url,
    `UPDATE orders SET id = id + 5000 WHERE id = ${moving[0]}`,
    `UPDATE orders SET customer = ${moving[1]} WHERE id = ${moving[2]}`,
    `UPDATE orders SET customer = ${staying[0]} WHERE id = ${moving[3]}`,
    // The note is large and unchanged: the log carries it in the old row only.
    `UPDATE orders SET customer = ${moving[4]} WHERE id = ${staying[1]}`,
    `UPDATE orders SET customer = NULL WHERE id = ${moving[5]}`,
    `UPDATE orders SET customer = ${moving[6]} WHERE id = ${moving[5]}`,
    `UPDATE orders SET customer = ${staying[2]}, id = id + 6000 WHERE id = ${staying[3]}`,
  );
  await assertSame(spec, stream);
  const ids = await texts(target.url, 'SELECT id, customer, length(note) FROM orders ORDER BY id');
  assert.ok(ids.includes(`${moving[0]! + 5000}|${moving[0]}|6400`));
  assert.ok(ids.includes(`${staying[1]}|${moving[4]}|6400`));
  assert.ok(!ids.some((row) => row.startsWith(`${moving[3]}|`)));
  assert.ok(ids.includes(`${moving[5]}|${moving[6]}|6400`));
  await stream.stop();
});

test('a key with a large value beside it that moves in while its identity is the primary key', async () => {
  const { source, target, keyspace, spec, moving, staying } = await migrationOf(
    'toast',
    [
      'CREATE TABLE docs (id int PRIMARY KEY, body text)',
      `INSERT INTO docs SELECT i, (SELECT string_agg(md5(i::text || j::text), '') FROM generate_series(1, 200) j) FROM generate_series(1, 100) i`,
    ],
    { docs: 'id:integer' },
  );
  const stream = await startMigration(engine, spec, keyspace);
  const free = moving.find((key) => key > 100)!;
  await sql(source.url, `UPDATE docs SET id = ${free} WHERE id = ${staying[0]}`);
  await assertSame(spec, stream);
  assert.deepEqual(await texts(target.url, `SELECT length(body) FROM docs WHERE id = ${free}`), ['6400']);
  await stream.stop();
});

test('a truncated table loses on the target only what came from this source', async () => {
  const { source, target, keyspace, spec, staying } = await migrationOf('truncated', CUSTOMERS, {
    customers: 'id:integer',
  });
  const stream = await startMigration(engine, spec, keyspace);
  await sql(target.url, `INSERT INTO customers VALUES (${staying[0]}, 'another source')`);
  await sql(
    source.url,
    'TRUNCATE customers',
    `INSERT INTO customers SELECT i, 'new' FROM generate_series(1, 50) i`,
  );
  await assertSame(spec, stream);
  assert.ok((await texts(target.url, 'SELECT name FROM customers')).includes('another source'));
  await stream.stop();
});

test('triggers, cascades and rules of the source arrive as rows; those of the target do not fire', async () => {
  const { source, target, keyspace, spec } = await migrationOf(
    'effects',
    [
      'CREATE TABLE customers (id int PRIMARY KEY, changes int NOT NULL DEFAULT 0)',
      'CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE)',
      `CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.changes := NEW.changes + 1; RETURN NEW; END'`,
      'CREATE TRIGGER counted BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION count_change()',
      'INSERT INTO customers SELECT i FROM generate_series(1, 100) i',
      'INSERT INTO orders SELECT i, 1 + i % 100 FROM generate_series(1, 1000) i',
    ],
    { customers: 'id:integer', orders: 'customer:integer' },
    WHOLE,
  );
  const stream = await startMigration(engine, spec, keyspace);
  await sql(
    source.url,
    'UPDATE customers SET changes = changes WHERE id < 10',
    'DELETE FROM customers WHERE id = 50',
    'UPDATE customers SET id = 150 WHERE id = 51',
  );
  await assertSame(spec, stream);
  assert.deepEqual(await texts(target.url, 'SELECT changes, count(*) FROM customers GROUP BY 1 ORDER BY 1'), [
    '1|89',
    '2|10',
  ]);
  assert.deepEqual(await texts(target.url, 'SELECT count(*) FROM orders WHERE customer IN (50, 51, 150)'), [
    '10',
  ]);
  await stream.stop();
});

test('DDL in the middle stops the stream with an error that names the table', async () => {
  const { source, keyspace, spec, moving } = await migrationOf('ddl', CUSTOMERS, { customers: 'id:integer' });
  const stream = await startMigration(engine, spec, keyspace);
  await sql(
    source.url,
    'CREATE INDEX ON customers (name)',
    `UPDATE customers SET name = 'x' WHERE id = ${moving[0]}`,
  );
  await caughtUp(engine, spec, stream);
  await sql(
    source.url,
    'ALTER TABLE customers ADD COLUMN more int',
    `UPDATE customers SET more = 1 WHERE id = ${moving[0]}`,
  );
  await assert.rejects(stream.ended, {
    code: 'migration',
    message: /table public\.customers was changed \(DDL\)/,
  });
});

test('a row that is missing on the target stops the stream instead of diverging in silence', async () => {
  const { source, target, keyspace, spec, moving } = await migrationOf('missing', CUSTOMERS, {
    customers: 'id:integer',
  });
  const stream = await startMigration(engine, spec, keyspace);
  await sql(target.url, `DELETE FROM customers WHERE id = ${moving[0]}`);
  await sql(
    source.url,
    `BEGIN; UPDATE customers SET name = 'x' WHERE id = ${moving[1]}; UPDATE customers SET name = 'x' WHERE id = ${moving[0]}; COMMIT`,
  );
  await assert.rejects(stream.ended, {
    code: 'migration',
    message: /does not hold a row that a changed \(update in public\.customers/,
  });
  assert.deepEqual(
    await texts(target.url, `SELECT name FROM customers WHERE id = ${moving[1]}`),
    [`n${moving[1]}`],
    'half a transaction was applied',
  );
  await assert.rejects(stream.waitFor('FF/0'), /does not hold a row/);
});

test('a transaction far larger than a batch arrives whole, and not before its commit', async () => {
  const { source, target, keyspace, spec } = await migrationOf(
    'large',
    CUSTOMERS,
    { customers: 'id:integer' },
    WHOLE,
  );
  const stream = await startMigration(engine, spec, keyspace);
  await sql(
    source.url,
    `INSERT INTO customers SELECT i, repeat('x', 200) FROM generate_series(1001, 40000) i`,
  );
  const seen = new Set<string>();
  const done = caughtUp(engine, spec, stream).then(() => true);
  while (!(await Promise.race([done, sleep(20).then(() => false)]))) {
    for (const count of await texts(target.url, 'SELECT count(*) FROM customers')) seen.add(count);
  }
  assert.ok(
    [...seen].every((count) => count === '1000' || count === '40000'),
    [...seen].join(),
  );
  assert.deepEqual(await texts(target.url, 'SELECT count(*) FROM customers'), ['40000']);
  assert.equal(stream.transactionsApplied, 1);
  assert.equal(stream.rowsApplied, 39_000);
  await stream.stop();
});

test('log that holds nothing for the stream is passed promptly', async () => {
  const { source, keyspace, spec } = await migrationOf(
    'unrelated',
    [...CUSTOMERS, 'CREATE TABLE other (id int)'],
    { customers: 'id:integer' },
  );
  const stream = await startMigration(engine, spec, keyspace);
  await caughtUp(engine, spec, stream);
  const waits: number[] = [];
  for (let round = 0; round < 20; round++) {
    await sql(source.url, 'INSERT INTO other SELECT generate_series(1, 100)');
    const position = await engine.currentPosition(source);
    const began = performance.now();
    await stream.waitFor(position);
    waits.push(performance.now() - began);
  }
  waits.sort((a, b) => a - b);
  assert.ok(waits[10]! < 60, `median wait ${waits[10]} ms`);
  await stream.stop();
  await assert.rejects(stream.waitFor('FF/0'), /ended/);
});

test('none of these streams had to begin again', () => {
  assert.deepEqual(
    pair.log.filter((line) => line.includes('begins again')),
    [],
  );
});
