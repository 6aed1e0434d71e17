import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastFirst } from '../cluster.js';
import type { TestEngine } from '../engines.js';
import { startRingferry } from './harness.js';
import { mustHaveNoTraces, OpenShop, Operator, SHOP, startShopShards } from './shop.js';

/**
 * Moves in a row under a shop's live traffic, an abort and a rollback, on servers of this kind; `count` of the ten. RINGFERRY_TEST_WORKERS
 * says how many workers serve it.
 */
export async function testMoves(engine: TestEngine, count = 10): Promise<void> {
  const atEnd = lastFirst(after);
  const shards = await startShopShards(atEnd, ['d', 'e'], engine);
  const { a, b, c } = shards as {
    a: (typeof shards)[string];
    b: (typeof shards)[string];
    c: (typeof shards)[string];
  };
  const ringferry = await startRingferry(atEnd, {
    engine: engine.demo.protocol,
    shards: { a, b, c },
    ...SHOP,
  });
  const operator = new Operator(ringferry.ports.admin);
  const shop = await OpenShop.open(ringferry.url(), shards, 600, engine);
  atEnd(() => shop.traffic.stop().catch(() => {}));

  const urlOf = (name: string) => shards[name]!.url(engine.database);
  const MOVES = ['+d', '+e', '-d', '+d', '-b', '-e', '+b', '-c', '+e', '-d'].slice(0, count);
  const commandOf = (move: string): string => {
    const name = move[1]!;
    return `${move[0] === '+' ? `ADD SHARD ${name} '${urlOf(name)}'` : `REMOVE SHARD ${name}`} finish=now`;
  };
  const isServing = (name: string): boolean =>
    (MOVES.findLast((move) => move.endsWith(name)) ?? ('abc'.includes(name) ? '+' : '-')).startsWith('+');

  test(`${count} moves in a row under load: no client error, no wrong count, every acknowledged write exactly once, nothing left behind`, {
    timeout: 300_000,
  }, async () => {
    const holds: number[] = [];
    for (const [nth, move] of MOVES.entries()) {
      const command = commandOf(move);
      const id = await operator.start(command);
      const row = await operator.until(id, ['done']);
      holds.push(Number(row['hold_ms']));
      assert.ok(
        Number(row['copied_rows']) > 100,
        `move ${nth + 1} (${command}) copied ${row['copied_rows']} rows`,
      );
      assert.deepEqual(shop.traffic.errors, [], `after move ${nth + 1}: ${command}`);
      assert.deepEqual(shop.traffic.wrongAnswers, [], `after move ${nth + 1}: ${command}`);
    }
    await shop.traffic.stop();
    assert.ok(shop.traffic.counts > 100 && shop.traffic.statements > 1000, `${shop.traffic.counts} counts`);
    assert.ok(Math.max(...holds) < 2000, `holds ${holds}`);
    const report = await shop.mustBeWhole();
    assert.equal(report.uncertain, 0);
    const populated = [...report.spread].filter(([, count]) => count > 0).map(([name]) => name);
    assert.deepEqual(populated, [...'abcde'].filter(isServing));
    await mustHaveNoTraces(shards, engine);
  });

  test('what was left behind on a removed shard is nothing', async () => {
    for (const name of [...'abcde'].filter((each) => !isServing(each))) {
      for (const table of ['customers', 'orders', 'order_items']) {
        assert.deepEqual(
          await engine.run(urlOf(name), `SELECT 1 AS there FROM ${table}`),
          [],
          `${table} on ${name}`,
        );
      }
    }
  });

  test('an aborted migration leaves everything as it was', { timeout: 120_000 }, async (t) => {
    const again = OpenShop.reopen(ringferry.url(), shop);
    t.after(() => again.traffic.stop().catch(() => {}));
    const id = await operator.start(`ADD SHARD d '${urlOf('d')}' cutover=manual`);
    await operator.until(id, ['ready']);
    await sleep(500);
    await operator.run(`MIGRATE ABORT ${id}`);
    await operator.until(id, ['aborted']);
    await again.traffic.stop();
    assert.deepEqual([again.traffic.errors, again.traffic.wrongAnswers], [[], []]);
    const report = await again.mustBeWhole();
    assert.equal(report.spread.get('d'), 0);
    await mustHaveNoTraces(shards, engine);
  });

  test('a rollback after the cutover loses nothing that was written on the new shard', {
    timeout: 120_000,
  }, async (t) => {
    const again = OpenShop.reopen(ringferry.url(), shop);
    t.after(() => again.traffic.stop().catch(() => {}));
    const id = await operator.start(`ADD SHARD d '${urlOf('d')}'`);
    await operator.until(id, ['switched']);
    await sleep(1500);
    await operator.run(`MIGRATE ROLLBACK ${id}`);
    await operator.until(id, ['aborted', 'done']);
    await again.traffic.stop();
    assert.deepEqual([again.traffic.errors, again.traffic.wrongAnswers], [[], []]);
    const report = await again.mustBeWhole();
    assert.equal(report.spread.get('d'), 0);
    await mustHaveNoTraces(shards, engine);
  });
}
