import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type After, lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS, type TestEngine, type TestServer } from '../engines.js';
import { eventually } from './eventually.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);

async function openStage(engine: TestEngine, later: After) {
  const [a, b, c] = (await engine.start(later, 3)) as [TestServer, TestServer, TestServer];
  const shards = { a, b, c };
  for (const server of [a, b, c])
    await engine.run(server.url(engine.database), 'CREATE TABLE kept (id int PRIMARY KEY, v int)');
  const options = {
    engine: engine.demo.protocol,
    shards,
    tables: { kept: { key: 'id' } },
    pool: { size: 4, connect_timeout_ms: 1000, wait_timeout_ms: 2000 },
  };
  return { engine, shards, options };
}

/** What a client may be told of a shard that is down: the states of Postgres, the numbers of MySQL. */
const OUTAGE = /^(08006|08001|08007|53300|57P0\d|2013|2003|1040|1053|1927)$/;
const codeOf = (error: Error): string => {
  const { errno, code } = error as { errno?: number; code?: string };
  return String(errno ?? code);
};

// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages = [await openStage(POSTGRES_TESTS, atEnd), await openStage(MARIADB_TESTS, atEnd)];

for (const { engine, shards, options } of stages) {
  const { a, b, c } = shards;
  const connect = (url: string, size: number) =>
    engine.demo.clients(url, { size, name: 'app', onLost: () => {} });

  /** Ids by the shard that holds them. */
  async function idsByShard(): Promise<Record<string, number[]>> {
    const found: Record<string, number[]> = {};
    for (const [name, server] of Object.entries(shards)) {
      const rows = await engine.run(server.url(engine.database), 'SELECT id FROM kept ORDER BY id');
      found[name] = rows.map((row) => Number(row['id']));
    }
    return found;
  }

  describe(`shards of ${engine.name} that are down`, () => {
    test('a shard that dies under load fails its own statements with an error that names it, and nobody else; it is back when it is back', {
      timeout: 60_000,
    }, async (t) => {
      const later = lastFirst(t.after.bind(t));
      const ringferry = await startRingferry(later, options);
      const pool = connect(ringferry.url(), 8);
      later(() => pool.end());
      for (let id = 1; id <= 60; id++) await pool.run('INSERT INTO kept VALUES ($1, 0)', [id]);
      const ids = await idsByShard();
      assert.ok(ids['a']!.length > 3 && ids['b']!.length > 3 && ids['c']!.length > 3);

      const failures: { shard: string; error: Error & { code?: string } }[] = [];
      const successes: Record<string, number> = { a: 0, b: 0, c: 0 };
      let isRunning = true;
      later(async () => {
        isRunning = false;
      });
      const load = Object.keys(shards).flatMap((shard) =>
        [0, 1].map(async () => {
          while (isRunning) {
            const id = ids[shard]![Math.floor(Math.random() * ids[shard]!.length)];
            await pool.run('UPDATE kept SET v = v + 1 WHERE id = $1', [id]).then(
              () => successes[shard]!++,
              (error: Error) => failures.push({ shard, error }),
            );
            await sleep(2);
          }
        }),
      );
      /** A busy machine may take its time for that many. */
      const until = (least: Readonly<Record<string, number>>) =>
        eventually(async () => {
          for (const [shard, count] of Object.entries(least))
            assert.ok(successes[shard]! >= count, `${shard}: ${successes[shard]} of ${count} statements`);
        }, 20_000);
      await until({ a: 10, b: 10, c: 10 });
      assert.equal(failures.length, 0, failures[0]?.error.message);
      await b.crash();
      const before = { ...successes };
      await sleep(2500);
      await until({ a: before['a']! + 20, c: before['c']! + 20 });
      assert.ok(failures.length > 0, 'statements for b fail');
      for (const { shard, error } of failures) {
        assert.equal(shard, 'b', `a statement for ${shard} failed: ${error.message}`);
        assert.match(codeOf(error), OUTAGE);
      }
      assert.ok(
        failures.some(({ error }) => /\bb\b/.test(error.message)),
        `names the shard: ${failures[0]!.error.message}`,
      );
      await assert.rejects(pool.run('SELECT count(*) FROM kept'), 'a scatter needs all shards');
      await b.start();
      await sleep(1500);
      failures.length = 0;
      await until({ b: successes['b']! + 10 });
      assert.deepEqual(
        failures.map(({ error }) => error.message),
        [],
      );
      isRunning = false;
      await Promise.all(load);
      const { rows } = await pool.run('SELECT count(*) AS n FROM kept');
      assert.equal(Number(rows[0]!['n']), 60);
    });

    test('a shard that is down at the start is named in the error, the others serve, and it joins when it comes up', {
      timeout: 60_000,
    }, async (t) => {
      const later = lastFirst(t.after.bind(t));
      const ids = await idsByShard();
      await c.crash();
      const ringferry = await startRingferry(later, options);
      const one = (id: number) => engine.run(ringferry.url(), `SELECT id FROM kept WHERE id = ${id}`);
      assert.deepEqual(await one(ids['a']![0]!), [{ id: ids['a']![0] }]);
      assert.deepEqual(await one(ids['b']![0]!), [{ id: ids['b']![0] }]);
      await assert.rejects(
        one(ids['c']![0]!),
        (error: Error) => OUTAGE.test(codeOf(error)) && /\bc\b/.test(error.message),
      );
      await c.start();
      await eventually(async () => assert.deepEqual(await one(ids['c']![0]!), [{ id: ids['c']![0] }]));
    });

    test('a frozen shard does not hold up statements for the others', { timeout: 60_000 }, async (t) => {
      const later = lastFirst(t.after.bind(t));
      const ids = await idsByShard();
      const ringferry = await startRingferry(later, options);
      const pool = connect(ringferry.url(), 10);
      later(() => pool.end());
      const read = (id: number) => pool.run('SELECT v FROM kept WHERE id = $1', [id]);
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
}
