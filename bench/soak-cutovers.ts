import { setTimeout as sleep } from 'node:timers/promises';
import { lastFirst } from '../test/cluster.js';
import { startRingferry } from '../test/integration/harness.js';
import { OpenShop, Operator, SHOP, startShopShards } from '../test/integration/shop.js';

/**
 * Adds and removes a shard under a shop's live traffic for SOAK_MINUTES, and audits every acknowledged write at the end.
 * Prints the hold times of all cutovers: what a client can have felt.
 */
const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 5);

const endings: (() => Promise<void>)[] = [];
const atEnd = lastFirst((end) => endings.push(end));
try {
  const shards = await startShopShards(atEnd, ['d']);
  const ringferry = await startRingferry(atEnd, {
    shards: { a: shards['a']!, b: shards['b']!, c: shards['c']! },
    ...SHOP,
  });
  const operator = new Operator(ringferry.ports.admin);
  const shop = await OpenShop.open(ringferry.url(), shards, 2000);
  const holds: number[] = [];
  const end = Date.now() + MINUTES * 60_000;
  for (let isThere = false; Date.now() < end; isThere = !isThere) {
    const id = await operator.start(
      isThere ? 'REMOVE SHARD d finish=now' : `ADD SHARD d '${shards['d']!.url()}' finish=now`,
    );
    const row = await operator.until(id, ['done']);
    holds.push(Number(row['hold_ms']));
    process.stdout.write(
      `${String(holds.length).padStart(4)}  held ${String(row['hold_ms']).padStart(7)} ms  ${shop.traffic.statements} statements  ${shop.traffic.errorCount} errors  ${shop.traffic.wrongAnswers.length} wrong\n`,
    );
    await sleep(500);
  }
  await shop.traffic.stop();
  const report = await shop.audit();
  const sorted = holds.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  process.stdout.write(
    `${holds.length} cutovers: median ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${sorted.at(-1)} ms\n`,
  );
  process.stdout.write(
    `${report.checked} rows audited: ${report.lost.length} lost, ${report.doubled.length} doubled, ${report.resurrected.length} resurrected\n`,
  );
  for (const example of [
    ...shop.traffic.errors,
    ...shop.traffic.wrongAnswers,
    ...report.lost,
    ...report.doubled,
  ].slice(0, 10))
    process.stdout.write(`  ${example}\n`);
  process.exitCode =
    shop.traffic.errorCount +
      shop.traffic.wrongAnswers.length +
      report.lost.length +
      report.doubled.length +
      report.resurrected.length ===
    0
      ? 0
      : 1;
} finally {
  for (const finish of endings.reverse()) await finish();
}
