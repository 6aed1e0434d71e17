import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 3 });
const [a, b, c] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
for (const server of servers) await runSql(server.url(), 'CREATE TABLE kept (id int PRIMARY KEY, v int)');
const shards = { a, b, c };
const options = {
  shards,
  tables: { kept: { key: 'id' } },
  pool: { size: 4, connect_timeout_ms: 1000, wait_timeout_ms: 2000 },
};

/** Ids by the shard that holds them. */
async function idsByShard(): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const [name, server] of Object.entries(shards)) {
    const rows = await runSql(server.url(), 'SELECT id FROM kept ORDER BY id');
    found[name] = rows.map((row) => Number(row['id']));
  }
  return found;
}

describe('shards that are down', () => {
  test('a shard that dies under load fails its own statements with an error that names it, and nobody else; it is back when it is back', {
    timeout: 60_000,
  }, async (t) => {
    const later = lastFirst(t.after.bind(t));
    const ringferry = await startRingferry(later, options);
    const pool = new pg.Pool({ connectionString: ringferry.url(), max: 8 });
    pool.on('error', () => {});
    later(() => pool.end());
    await pool.query(`INSERT INTO kept SELECT 0, 0 WHERE false`).catch(() => {});
    for (let id = 1; id <= 60; id++) await pool.query('INSERT INTO kept VALUES ($1, 0)', [id]);
    const ids = await idsByShard();
    assert.ok(ids['a']!.length > 3 && ids['b']!.length > 3 && ids['c']!.length > 3);

    const failures: { shard: string; error: Error & { code?: string } }[] = [];
    const successes: Record<string, number> = { a: 0, b: 0, c: 0 };
    let isRunning = true;
    const load = Object.keys(shards).flatMap((shard) =>
      [0, 1].map(async () => {
        while (isRunning) {
          const id = ids[shard]![Math.floor(Math.random() * ids[shard]!.length)];
          await pool.query('UPDATE kept SET v = v + 1 WHERE id = $1', [id]).then(
            () => successes[shard]!++,
            (error: Error) => failures.push({ shard, error }),
          );
          await sleep(2);
        }
      }),
    );
    await sleep(500);
    assert.equal(failures.length, 0, failures[0]?.error.message);
    await b.crash();
    const before = { ...successes };
    await sleep(2500);
    assert.ok(
      successes['a']! > before['a']! + 20 && successes['c']! > before['c']! + 20,
      'other shards go on',
    );
    assert.ok(failures.length > 0);
    for (const { shard, error } of failures) {
      assert.equal(shard, 'b', `a statement for ${shard} failed: ${error.message}`);
      assert.match(String(error.code), /^(08006|08001|08007|53300|57P0\d)$/);
    }
    assert.ok(
      failures.some(({ error }) => /\bb\b/.test(error.message)),
      `names the shard: ${failures[0]!.error.message}`,
    );
    await assert.rejects(pool.query('SELECT count(*) FROM kept'), 'a scatter needs all shards');
    await b.start();
    await sleep(1500);
    failures.length = 0;
    const afterwards = successes['b']!;
    await sleep(1000);
    assert.deepEqual(
      failures.map(({ error }) => error.message),
      [],
    );
    assert.ok(successes['b']! > afterwards, 'the shard is back');
    isRunning = false;
    await Promise.all(load);
    assert.equal((await pool.query('SELECT count(*)::int AS n FROM kept')).rows[0].n, 60);
  });

  test('a shard that is down at the start is named in the error, the others serve, and it joins when it comes up', {
    timeout: 60_000,
  }, async (t) => {
    const later = lastFirst(t.after.bind(t));
    const ids = await idsByShard();
    await c.crash();
    const ringferry = await startRingferry(later, options);
    const one = (id: number) => runSql(ringferry.url(), `SELECT id FROM kept WHERE id = ${id}`);
    assert.deepEqual(await one(ids['a']![0]!), [{ id: ids['a']![0] }]);
    assert.deepEqual(await one(ids['b']![0]!), [{ id: ids['b']![0] }]);
    await assert.rejects(
      one(ids['c']![0]!),
      (error: { code: string; message: string }) => /^08/.test(error.code) && /\bc\b/.test(error.message),
    );
    await c.start();
    await sleep(1500);
    assert.deepEqual(await one(ids['c']![0]!), [{ id: ids['c']![0] }]);
  });

  test('a frozen shard does not hold up statements for the others', { timeout: 60_000 }, async (t) => {
    const later = lastFirst(t.after.bind(t));
    const ids = await idsByShard();
    const ringferry = await startRingferry(later, options);
    const pool = new pg.Pool({ connectionString: ringferry.url(), max: 10 });
    pool.on('error', () => {});
    later(() => pool.end());
    const read = (id: number) => pool.query('SELECT v FROM kept WHERE id = $1', [id]);
    await Promise.all([...ids['a']!, ...ids['b']!, ...ids['c']!].map(read));
    await a.freeze();
    const frozen = Promise.allSettled([read(ids['a']![0]!), read(ids['a']![1]!)]);
    const begin = performance.now();
    for (let n = 0; n < 20; n++) await read(ids['b']![n % ids['b']!.length]!);
    assert.ok(performance.now() - begin < 1000);
    await a.thaw();
    const results = await frozen;
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'fulfilled'],
    );
  });
});
