import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditReport, audit } from '../../src/demo/audit.js';
import { Journal } from '../../src/demo/journal.js';
import { seedShop } from '../../src/demo/seed.js';
import { SHOP_SCHEMA } from '../../src/demo/shop.js';
import { Traffic } from '../../src/demo/traffic.js';
import { runSql, startPostgres } from '../cluster.js';

// The control run: traffic and audit without a proxy, so that whatever the audit finds later is not the demo's own doing.
const journal = new Journal();
const servers = await startPostgres(after, { count: 2 });
for (const server of servers) await runSql(server.url(), SHOP_SCHEMA);

function auditBoth(): Promise<AuditReport> {
  return audit(
    journal,
    servers.map((server, index) => ({ name: `s${index}`, url: server.url() })),
  );
}

function findings(report: AuditReport): number[] {
  return [report.lost.length, report.doubled.length, report.resurrected.length];
}

test('on one database the traffic meets no error, no wrong answer, and the audit finds every write', async () => {
  const { customerIds, rows } = await seedShop(
    servers[0]!.url(),
    { customers: 300, ordersPerCustomer: 2 },
    journal,
  );
  assert.ok(rows > 1500);
  const traffic = new Traffic({ url: servers[0]!.url(), shoppers: 6, thinkMs: 1, customerIds, journal });
  traffic.start('before');
  await sleep(1500);
  traffic.enter('after');
  await sleep(300);
  await traffic.stop();
  assert.deepEqual(traffic.errors, []);
  assert.deepEqual(traffic.wrongAnswers, []);
  assert.ok(traffic.counts > 10 && traffic.statements > 300, `${traffic.statements} statements`);
  assert.ok(traffic.sections[0]!.latencies.quantileMs(0.5) > 0);
  const report = await auditBoth();
  assert.deepEqual([report.lost, report.doubled, report.resurrected, report.uncertain], [[], [], [], 0]);
  assert.equal(report.checked, journal.points.size + journal.orders.size + journal.cancelled.size);
});

test('the audit finds a row that is gone, a row that is on two shards, a lost and a doubled update, and a deleted row that came back', async () => {
  const url = servers[0]!.url();
  const order = [...journal.orders.keys()];
  await runSql(
    url,
    `DELETE FROM order_items WHERE order_id = '${order[0]}'`,
    `DELETE FROM orders WHERE id = '${order[0]}'`,
  );
  assert.deepEqual(findings(await auditBoth()), [1, 0, 0]);
  const [customer, other] = [...journal.points.keys()];
  await runSql(url, `UPDATE customers SET points = points - 1 WHERE id = '${customer}'`);
  assert.deepEqual(findings(await auditBoth()), [2, 0, 0]);
  await runSql(url, `UPDATE customers SET points = points + 1 WHERE id = '${other}'`);
  assert.deepEqual(findings(await auditBoth()), [2, 1, 0]);
  await runSql(url, `UPDATE orders SET status = 'shipped' WHERE id = '${order[1]}'`);
  const shipped = await auditBoth();
  assert.deepEqual(findings(shipped), [3, 1, 0]);
  const third = [...journal.points.keys()][5]!;
  await runSql(servers[1]!.url(), "INSERT INTO countries VALUES ('SE', 'Sweden')");
  await runSql(
    servers[1]!.url(),
    `INSERT INTO customers VALUES ('${third}', 'x', 'SE', ${journal.points.get(third)})`,
  );
  assert.deepEqual(findings(await auditBoth()), [3, 2, 0]);
  const gone = [...journal.cancelled][0]!;
  await runSql(url, `INSERT INTO orders VALUES ('${customer}', '${gone}', 'placed', 1)`);
  assert.deepEqual(findings(await auditBoth()), [3, 2, 1]);
});
