import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS } from '../engines.js';
import { startRingferry } from './harness.js';
import { mustHaveNoTraces, OpenShop, Operator, SHOP, startShopShards } from './shop.js';

// RINGFERRY_TEST_WORKERS=2 npm test -- test/integration/moves.test.ts makes ten of them.
for (const engine of [POSTGRES_TESTS, MARIADB_TESTS]) {
  test(`a shard of ${engine.name} joins and leaves under the load of two workers: no client error, no wrong count, nothing lost`, {
    timeout: 240_000,
  }, async (t) => {
    const atEnd = lastFirst(t.after.bind(t));
    const shards = await startShopShards(atEnd, ['d'], engine);
    const { a, b, c } = shards;
    const ringferry = await startRingferry(atEnd, {
      engine: engine.demo.protocol,
      shards: { a: a!, b: b!, c: c! },
      ...SHOP,
      config: { workers: 2 },
    });
    const operator = new Operator(ringferry.ports.admin);
    const shop = await OpenShop.open(ringferry.url(), shards, 600, engine);
    atEnd(() => shop.traffic.stop().catch(() => {}));
    for (const command of [
      `ADD SHARD d '${shards['d']!.url(engine.database)}' finish=now`,
      'REMOVE SHARD d finish=now',
    ]) {
      const id = await operator.start(command);
      const row = await operator.until(id, ['done']);
      assert.ok(Number(row['copied_rows']) > 100, `${command} copied ${row['copied_rows']} rows`);
      assert.deepEqual([shop.traffic.errors, shop.traffic.wrongAnswers], [[], []], command);
    }
    const proxies = await operator.run('SHOW PROXIES');
    assert.ok(
      proxies.filter((proxy) => Number(proxy['clients']) > 0).length === 2,
      'both workers had clients',
    );
    await shop.traffic.stop();
    const report = await shop.mustBeWhole();
    assert.equal(report.uncertain, 0);
    await mustHaveNoTraces(shards, engine);
  });
}
