import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS, type TestEngine, type TestServer } from '../engines.js';
import { makeProxyProcess } from './harness.js';
import { mustHaveNoTraces, OpenShop, Operator, SHOP, startShopShards } from './shop.js';

const atEnd = lastFirst(after);

async function openStage(engine: TestEngine) {
  const shards = await startShopShards(atEnd, ['d'], engine);
  const { a, b, c, d } = shards as Record<'a' | 'b' | 'c' | 'd', TestServer>;
  const { protocol } = engine.demo;
  const proxy = await makeProxyProcess(atEnd, { engine: protocol, shards: { a, b, c }, ...SHOP });
  return { engine, shards, a, d, proxy };
}

// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages = [await openStage(POSTGRES_TESTS), await openStage(MARIADB_TESTS)];

for (const { engine, shards, a, d, proxy } of stages) {
  const operator = new Operator(proxy.ports.admin);
  let shop: OpenShop;

  describe(`${engine.name} standing still`, () => {
    before(async () => {
      await proxy.start();
      const user = engine.demo.protocol === 'postgres' ? 'postgres' : 'root';
      const url = proxy.url(engine.database, user, engine.demo.protocol);
      shop = await OpenShop.open(url, shards, 400, engine);
    });
    after(() => shop.traffic.stop().catch(() => {}));

    /** Who stands still, and how to make them do so. */
    const SLEEPERS = [
      {
        name: 'the proxy',
        stop: async () => proxy.signal('SIGSTOP'),
        go: async () => proxy.signal('SIGCONT'),
      },
      { name: 'a source', stop: () => a.freeze(), go: () => a.thaw() },
      { name: 'the target', stop: () => d.freeze(), go: () => d.thaw() },
    ] as const;

    for (const [nth, sleeper] of SLEEPERS.entries()) {
      const command =
        nth % 2 === 0 ? `ADD SHARD d '${d.url(engine.database)}' finish=now` : 'REMOVE SHARD d finish=now';
      test(`${sleeper.name} stands still again and again while rows move: late, but no error and no loss`, {
        timeout: 180_000,
      }, async () => {
        const id = await operator.start(command);
        let isOver = false;
        const freezing = (async () => {
          for (let round = 0; !isOver && round < 12; round++) {
            await sleep(100 + Math.random() * 400);
            await sleeper.stop();
            await sleep(300 + Math.random() * 500);
            await sleeper.go();
          }
        })();
        try {
          await operator.until(id, ['done'], 120_000);
        } finally {
          isOver = true;
          await freezing;
        }
        assert.deepEqual(shop.traffic.errors, []);
        assert.deepEqual(shop.traffic.wrongAnswers, []);
      });
    }

    test('after all of it every acknowledged write is there exactly once', { timeout: 60_000 }, async () => {
      await sleep(300);
      await shop.traffic.stop();
      const report = await shop.mustBeWhole();
      assert.equal(report.uncertain, 0);
      await mustHaveNoTraces(shards, engine);
    });
  });
}
