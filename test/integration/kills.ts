import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastFirst } from '../cluster.js';
import type { TestEngine } from '../engines.js';
import { makeProxyProcess, ROLE } from './harness.js';
import { mustHaveNoTraces, OpenShop, Operator, SHOP, startShopShards } from './shop.js';

/**
 * Tests that kill the process with SIGKILL at these stop points of a migration, restart it, and hold the journal against the
 * shards. Adding and removing the shard take turns, so both are killed.
 */
export async function testKills(
  engine: TestEngine,
  onTheWay: readonly string[],
  onTheWayBack: Readonly<Record<string, readonly string[]>> = {},
): Promise<void> {
  const atEnd = lastFirst(after);
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-kills-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const shards = await startShopShards(atEnd, ['d'], engine);
  const { a, b, c } = shards as {
    a: (typeof shards)[string];
    b: (typeof shards)[string];
    c: (typeof shards)[string];
  };
  const proxy = await makeProxyProcess(atEnd, {
    engine: engine.demo.protocol,
    shards: { a, b, c },
    ...SHOP,
  });
  const operator = new Operator(proxy.ports.admin);
  const url = proxy.url(engine.database, ROLE[engine.demo.protocol], engine.demo.protocol);
  const env = { RINGFERRY_PAUSE_FOLDER: folder };
  await proxy.start(env);
  let shop = await OpenShop.open(url, shards, 300, engine);
  await shop.traffic.stop();
  const urlOfD = shards['d']!.url(engine.database);
  let hasD = false;
  /** The proxy that the last point's migration ended in is the next one's, unless that failed. */
  let isFine = true;

  /** Brings the process to a stop point of a migration, kills it there, and starts it again. */
  async function killAt(point: string, act: () => Promise<void>): Promise<void> {
    const [wanted, come] = [join(folder, 'stop-at'), join(folder, 'stopped-at')];
    await rm(come, { force: true });
    await writeFile(wanted, point);
    if (!isFine) {
      await shop.traffic.stop().catch(() => {});
      await proxy.end('SIGKILL');
      await proxy.start(env);
    }
    isFine = false;
    shop = OpenShop.reopen(url, shop);
    await sleep(200);
    // At an early point the command is not answered any more.
    let refusal: unknown;
    const acted = act().catch((error: unknown) => {
      refusal = error;
    });
    const deadline = Date.now() + 60_000;
    while (!existsSync(come)) {
      if (Date.now() > deadline)
        assert.fail(
          `it never came to "${point}": ${refusal ?? JSON.stringify(await operator.lastMigration())}`,
        );
      await sleep(20);
    }
    await sleep(100);
    await proxy.end('SIGKILL');
    await acted;
    for (const file of [wanted, come]) await rm(file);
    await proxy.start(env);
  }

  /** Clients may see that the connection was lost, and nothing else. */
  async function closeShop(): Promise<void> {
    await shop.untilAuditable();
    await shop.traffic.stop();
    const strange = shop.traffic.errors.filter((error) => !engine.lostConnection.test(error));
    assert.deepEqual(strange, []);
    assert.deepEqual(shop.traffic.wrongAnswers, []);
  }

  for (const point of onTheWay) {
    test(`killed at "${point}", a restarted proxy goes on: one owner, no loss, nothing left behind`, {
      timeout: 120_000,
    }, async () => {
      await killAt(point, async () => {
        await operator.start(hasD ? 'REMOVE SHARD d finish=now' : `ADD SHARD d '${urlOfD}' finish=now`);
      });
      const id = String((await operator.lastMigration())['id']);
      await operator.until(id, ['done']);
      hasD = !hasD;
      await closeShop();
      const report = await shop.mustBeWhole();
      assert.ok(
        report.uncertain < report.checked / 4,
        `${report.uncertain} of ${report.checked} writes have an unknown outcome`,
      );
      assert.equal((report.spread.get('d') ?? 0) > 0, hasD);
      await mustHaveNoTraces(shards, engine);
      isFine = true;
    });
  }

  for (const [command, points] of Object.entries(onTheWayBack)) {
    for (const point of points) {
      test(`killed at "${point}" of ${command}, a restarted proxy brings everything back as it was`, {
        timeout: 120_000,
      }, async () => {
        const before = (await shop.audit()).spread;
        await killAt(point, async () => {
          const options = command === 'ABORT' ? 'cutover=manual' : 'finish=manual';
          const id = await operator.start(
            hasD ? `REMOVE SHARD d ${options}` : `ADD SHARD d '${urlOfD}' ${options}`,
          );
          await operator.until(id, [command === 'ABORT' ? 'ready' : 'switched']);
          await sleep(200);
          await operator.run(`MIGRATE ${command} ${id}`);
        });
        const id = String((await operator.lastMigration())['id']);
        await operator.until(id, ['aborted', 'done']);
        await closeShop();
        const report = await shop.mustBeWhole();
        assert.deepEqual([...report.spread], [...before]);
        await mustHaveNoTraces(shards, engine);
        isFine = true;
      });
    }
  }
}
