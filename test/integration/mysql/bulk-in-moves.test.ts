import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import mariadb, { type UpsertResult } from 'mariadb';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { startRingferry } from '../harness.js';
import { Operator } from '../shop.js';

const atEnd = lastFirst(after);
const [a, b, c] = await MARIADB_TESTS.start(atEnd, 3);
for (const server of [a!, b!])
  await runMysql(
    server.url('shop'),
    'CREATE TABLE items (id int PRIMARY KEY, v varchar(40), n int NOT NULL DEFAULT 0) CHARSET utf8mb4',
  );
const ringferry = await startRingferry(atEnd, {
  engine: 'mysql',
  shards: { a: a!, b: b! },
  tables: { items: { key: 'id' } },
});

test('batches that are written while rows move arrive once, and none fails', {
  timeout: 120_000,
}, async () => {
  const where = { host: '127.0.0.1', port: ringferry.ports.mysql!, user: 'root', database: 'shop' };
  const client = await mariadb.createConnection(where);
  atEnd(() => client.end());
  const operator = new Operator(ringferry.ports.admin);
  const rows = 200;
  let batches = 0;
  let isOver = false;
  const affected = async (sql: string, values: unknown[][]) =>
    ((await client.batch(sql, values)) as UpsertResult).affectedRows;
  const writeAll = async () => {
    while (!isOver || batches < 5) {
      const ids = Array.from({ length: rows }, (_, n) => batches * rows + n);
      batches++;
      const inserted = await affected(
        'INSERT INTO items (id, v) VALUES (?, ?)',
        ids.map((id) => [id, `v${id}`]),
      );
      const updated = await affected(
        'UPDATE items SET n = n + ? WHERE id = ?',
        ids.map((id) => [id % 7, id]),
      );
      const isSeventh = ids.filter((id) => id % 7 === 0);
      const deleted = await affected(
        'DELETE FROM items WHERE id = ?',
        isSeventh.map((id) => [id]),
      );
      // The connector counts rows that are found, also where nothing changes in them.
      assert.deepEqual([inserted, updated, deleted], [rows, rows, isSeventh.length]);
    }
  };
  const moved = async () => {
    const id = await operator.start(`ADD SHARD c '${c!.url('shop')}' finish=now`);
    await operator.until(id, ['done']);
    isOver = true;
  };
  await Promise.all([writeAll(), moved()]);
  const left = Array.from({ length: batches * rows }, (_, id) => id).filter((id) => id % 7 !== 0);
  const found = await runMysql(ringferry.url(), 'SELECT id, v, n FROM items ORDER BY id');
  assert.deepEqual(
    found,
    left.map((id) => ({ id, v: `v${id}`, n: id % 7 })),
  );
  const spread = await Promise.all(
    [a!, b!, c!].map((server) => runMysql(server.url('shop'), 'SELECT count(*) AS n FROM items')),
  );
  const counts = spread.map(([row]) => Number(row!['n']));
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    left.length,
    String(counts),
  );
  assert.ok(
    counts.every((count) => count > 0),
    String(counts),
  );
});
