import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { after, describe, test } from 'node:test';
import mysql, { type ResultSetHeader } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { eventually } from '../eventually.js';
import { fileOf } from './load-files.js';
import { load, rowsOf, startForLoads } from './load-fixture.js';

const { servers, url, connect, through, shards, empty } = await startForLoads(lastFirst(after));

describe('LOAD DATA LOCAL INFILE over shards, as a write', () => {
  const sql = "LOAD DATA LOCAL INFILE 'f' INTO TABLE items FIELDS TERMINATED BY ','";
  const many = Array.from({ length: 2_000 }, (_, n) => `${n},1,v\n`).join('');
  const counts = () =>
    Promise.all(
      shards.map(async (shard) => (await rowsOf(shard, 'SELECT count(*) FROM items'))[0]![0] as number),
    );
  const untilNone = () => eventually(async () => assert.deepEqual(await counts(), [0, 0, 0]));

  test('it is part of the client’s transaction', async () => {
    await empty('items');
    await through.query('BEGIN');
    assert.equal((await load(through, sql, many)).affectedRows, 2_000);
    assert.deepEqual(await rowsOf(through, 'SELECT count(*) FROM items'), [[2_000]]);
    await through.query('ROLLBACK');
    assert.deepEqual(await counts(), [0, 0, 0]);
    await through.query('BEGIN');
    await load(through, sql, many);
    await through.query('COMMIT');
    assert.equal(
      (await counts()).reduce((sum, count) => sum + count),
      2_000,
    );
    assert.ok(
      (await counts()).every((count) => count > 0),
      'every shard has its rows',
    );
  });

  test('a transaction in which it failed can only be rolled back', async () => {
    await empty('items');
    await through.query('BEGIN');
    await through.query("INSERT INTO items VALUES (9000, 1, 'before')");
    assert.match((await load(through, sql, `${many}NULL,1,v\n`)).message ?? '', /no shard key/);
    await assert.rejects(through.query('SELECT 1 FROM items'));
    await assert.rejects(through.query('COMMIT'));
    await untilNone();
    assert.deepEqual(await rowsOf(through, 'SELECT 1'), [[1]]);
  });

  test('a client that goes away in the middle leaves nothing', async () => {
    await empty('items');
    const client = await mysql.createConnection(url);
    const stream = new PassThrough();
    void client.query({ sql, infileStreamFactory: () => stream }).catch(() => undefined);
    stream.write(many);
    await eventually(async () => {
      const loading = await Promise.all(shards.map((shard) => rowsOf(shard, 'SHOW PROCESSLIST')));
      assert.ok(
        loading.every((rows) => rows.some((row) => JSON.stringify(row).includes('LOAD DATA'))),
        'every shard takes its rows',
      );
    });
    client.destroy();
    await eventually(async () => {
      const loading = await Promise.all(shards.map((shard) => rowsOf(shard, 'SHOW PROCESSLIST')));
      assert.ok(!JSON.stringify(loading).includes('LOAD DATA'), 'no shard waits for rows');
    });
    await untilNone();
    for (const shard of shards) assert.deepEqual(await rowsOf(shard, 'XA RECOVER'), []);
  });

  test('a shard that is lost in the middle leaves nothing on the others', async () => {
    await empty('items');
    const client = await connect(url);
    const stream = new PassThrough();
    const told = client.query({ sql, infileStreamFactory: () => stream }).catch((error) => error);
    stream.write(many);
    let victim = 0;
    await eventually(async () => {
      const found = (await rowsOf(shards[1]!, 'SHOW PROCESSLIST')).find((row) =>
        String(row[7]).startsWith('LOAD DATA'),
      );
      victim = Number(found?.[0]);
      assert.ok(victim > 0, 'the shard takes its rows');
    });
    await shards[1]!.query(`KILL ${victim}`);
    stream.end(many.replaceAll(',1,', ',2,'));
    assert.ok((await told) instanceof Error, 'the client is told');
    await untilNone();
    assert.deepEqual(await rowsOf(client, 'SELECT 1'), [[1]]);
  });

  test('one shard that refuses from the start: the others do not wait for rows', async () => {
    await empty('items');
    await shards[2]!.query('RENAME TABLE items TO hidden');
    // The first shard asks for rows when the last has refused them already.
    await shards[0]!.query('LOCK TABLES items WRITE');
    try {
      await through.query('BEGIN');
      assert.equal((await load(through, sql, many)).errno, 1146);
      await shards[0]!.query('UNLOCK TABLES');
      await eventually(async () => {
        const loading = await rowsOf(shards[0]!, 'SHOW PROCESSLIST');
        assert.ok(!JSON.stringify(loading).includes('LOAD DATA'), 'the shard waits for rows');
      });
      await assert.rejects(through.query('COMMIT'));
    } finally {
      await shards[0]!.query('UNLOCK TABLES');
      await shards[2]!.query('RENAME TABLE hidden TO items');
    }
    await untilNone();
  });

  test('a shard that takes no rows holds the sender back', { timeout: 120_000 }, async () => {
    const client = await connect(url);
    const block = Buffer.from(Array.from({ length: 4_096 }, (_, n) => `${n}\t${'v'.repeat(120)}\n`).join(''));
    const blocks = 128;
    let sent = 0;
    function* file() {
      for (; sent < blocks; sent++) {
        if (sent === 1) servers[1]!.freeze();
        yield block;
      }
    }
    const told = client.query({
      sql: "LOAD DATA LOCAL INFILE 'f' INTO TABLE big",
      infileStreamFactory: () => fileOf(file()),
    });
    try {
      let before = -1;
      await eventually(async () => {
        const isStill = sent === before;
        before = sent;
        if (!isStill) await new Promise((resolve) => setTimeout(resolve, 500));
        assert.ok(isStill && sent > 0, 'it goes on sending');
      });
      assert.ok(sent < blocks / 2, `${sent} of ${blocks} blocks were taken`);
    } finally {
      servers[1]!.thaw();
    }
    const [{ affectedRows }] = (await told) as [ResultSetHeader, unknown];
    assert.equal(affectedRows, blocks * 4_096);
  });

  test('a large file does not make memory grow', { timeout: 120_000 }, async () => {
    const line = `\t${'v'.repeat(116)}\n`;
    const rows = 512 * 1024;
    function* lines() {
      for (let id = 0; id < rows; id += 512)
        yield Buffer.from(
          Array.from({ length: 512 }, (_, n) => `${id + n}`.padStart(8, '0') + line).join(''),
        );
    }
    await empty('big');
    const before = process.memoryUsage();
    let most = 0;
    const watch = setInterval(() => {
      const { arrayBuffers, external } = process.memoryUsage();
      most = Math.max(most, arrayBuffers + external);
    }, 10);
    const [result] = await through.query({
      sql: "LOAD DATA LOCAL INFILE 'f' INTO TABLE big",
      infileStreamFactory: () => fileOf(lines()),
    });
    clearInterval(watch);
    assert.equal((result as ResultSetHeader).affectedRows, rows);
    const grown = (most - before.arrayBuffers - before.external) / 1024 / 1024;
    // The sender is in this process too.
    assert.ok(grown < 64, `${grown.toFixed()} MiB at most`);
    assert.deepEqual(await rowsOf(through, 'SELECT count(*) FROM big'), [[rows]]);
  });
});
