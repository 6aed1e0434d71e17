import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastFirst } from '../cluster.js';
import type { TestEngine, TestServer } from '../engines.js';
import { eventually } from './eventually.js';
import { startRingferry } from './harness.js';

export interface CancellingClient {
  query(sql: string): Promise<readonly Record<string, unknown>[]>;
  /** Cancels what it runs, by way of another connection; resolves when that has been answered. */
  cancel(): Promise<void>;
  /** Is gone without a word. */
  vanish(): void;
  end(): Promise<void>;
}

/** What the tests say to one kind of server. */
export interface CancelWords {
  connect(url: string): Promise<CancellingClient>;
  /** An expression that waits for so many seconds. */
  sleep(seconds: number): string;
  /** What a client is told whose statement was cancelled. */
  readonly cancelled: object;
  /** Statements that wait at a server, as `n`. */
  readonly countSleeping: string;
}

/** Cancelled statements, and those of clients that vanish: alone, passed through, and over shards. */
export async function testCancels(engine: TestEngine, words: CancelWords): Promise<void> {
  const { protocol } = engine.demo;
  const ending = lastFirst(after);
  const [a, b] = (await engine.start(ending, 2)) as [TestServer, TestServer];
  const urls = [a, b].map((server) => server.url(engine.database));
  for (const url of urls) await engine.run(url, 'CREATE TABLE things (id int PRIMARY KEY)');
  const passThrough = (mode: string) =>
    startRingferry(ending, { engine: protocol, shards: { a }, pool: { mode, size: 4 } });
  const sharded = await startRingferry(ending, {
    engine: protocol,
    shards: { a, b },
    tables: { things: { key: 'id' } },
  });
  const ALONE = `SELECT ${words.sleep(30)}`;
  const EVERYWHERE = `SELECT ${words.sleep(30)} FROM things WHERE id >= 0`;
  const ways = [
    { name: 'session mode', proxy: await passThrough('session'), sql: ALONE },
    { name: 'transaction mode', proxy: await passThrough('transaction'), sql: ALONE },
    { name: 'two shards', proxy: sharded, sql: ALONE },
    { name: 'two shards at once', proxy: sharded, sql: EVERYWHERE },
  ];
  const ids = Array.from({ length: 10 }, (_, id) => `(${id})`);
  await engine.run(sharded.url(), `INSERT INTO things VALUES ${ids}`);

  for (const { name, proxy, sql } of ways) {
    test(`a cancel hits the statement that runs and never the next, in ${name}`, async () => {
      const client = await words.connect(proxy.url());
      try {
        for (let turn = 0; turn < 25; turn++) {
          if (turn % 5 === 4) await client.query('BEGIN');
          const sleeping = assert.rejects(client.query(sql), words.cancelled);
          // Also when it has not reached the server yet.
          await sleep(turn % 3 === 0 ? 0 : 20);
          let isOver = false;
          void sleeping.then(() => {
            isOver = true;
          });
          while (!isOver) await client.cancel();
          await sleeping;
          if (turn % 5 === 4) await client.query('ROLLBACK');
          const [row] = await client.query(`SELECT 1 AS one, ${words.sleep(0.01)} AS slept`);
          assert.equal(row!['one'], 1);
        }
      } finally {
        await client.end();
      }
    });

    test(`a client that vanishes has its statement cancelled, and nobody else, in ${name}`, async () => {
      const counts = () => Promise.all(urls.map((url) => engine.run(url, words.countSleeping)));
      const sleeping = async () => (await counts()).map(([row]) => Number(row!['n']));
      const [vanishing, staying] = [await words.connect(proxy.url()), await words.connect(proxy.url())];
      const stayed = assert.rejects(staying.query(sql), words.cancelled);
      // A driver may never say what became of it.
      vanishing.query(sql).catch(() => undefined);
      const each = sql === ALONE ? [2, 0] : [2, 2];
      await eventually(async () => assert.deepEqual(await sleeping(), each));
      vanishing.vanish();
      const left = each.map((count) => count / 2);
      // Long before the proxy would close the connections of what does not end by being cancelled.
      await eventually(async () => assert.deepEqual(await sleeping(), left), 6_000);
      await staying.cancel();
      await stayed;
      assert.deepEqual(await sleeping(), [0, 0]);
      await staying.end();
    });
  }
}
