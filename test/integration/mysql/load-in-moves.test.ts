import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import mysql, { type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { startRingferry } from '../harness.js';
import { Operator } from '../shop.js';
import { fileOf } from './load-files.js';

const atEnd = lastFirst(after);
const [a, b, c] = await MARIADB_TESTS.start(atEnd, 3);
for (const server of [a!, b!])
  await runMysql(
    server.url('shop'),
    'CREATE TABLE items (id int PRIMARY KEY, v varchar(40)) CHARSET utf8mb4',
  );
const ringferry = await startRingferry(atEnd, {
  engine: 'mysql',
  shards: { a: a!, b: b! },
  tables: { items: { key: 'id' } },
  facts: { local_infile: true },
});

test('files that are loaded while rows move arrive once, and no load fails', {
  timeout: 120_000,
}, async () => {
  const client = await mysql.createConnection(ringferry.url());
  atEnd(async () => client.destroy());
  const operator = new Operator(ringferry.ports.admin);
  const rows = 200;
  let loads = 0;
  let isOver = false;
  const loadAll = async () => {
    while (!isOver || loads < 5) {
      const first = loads++ * rows;
      const lines = Array.from({ length: rows }, (_, n) => `${first + n}\tv\n`).join('');
      const [result] = await client.query({
        sql: "LOAD DATA LOCAL INFILE 'f' INTO TABLE items",
        infileStreamFactory: () => fileOf([Buffer.from(lines)]),
      });
      assert.equal((result as ResultSetHeader).affectedRows, rows);
    }
  };
  const loading = loadAll();
  const moved = async () => {
    const id = await operator.start(`ADD SHARD c '${c!.url('shop')}' finish=now`);
    await operator.until(id, ['done']);
    isOver = true;
  };
  await Promise.all([loading, moved()]);
  const all = loads * rows;
  const [[counted]] = await client.query<RowDataPacket[]>('SELECT count(*) AS n, sum(id) AS s FROM items');
  assert.deepEqual(counted, { n: all, s: String((all * (all - 1)) / 2) });
  const spread = await Promise.all(
    [a!, b!, c!].map((server) => runMysql(server.url('shop'), 'SELECT count(*) AS n FROM items')),
  );
  const counts = spread.map(([row]) => Number(row!['n']));
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    all,
    String(counts),
  );
  assert.ok(
    counts.every((count) => count > 0),
    String(counts),
  );
});
