import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuditReport, audit } from '../../src/demo/audit.js';
import { Journal } from '../../src/demo/journal.js';
import { seedShop } from '../../src/demo/seed.js';
import { Shopper } from '../../src/demo/shopper.js';
import { Traffic } from '../../src/demo/traffic.js';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS } from '../engines.js';
import { statementsOf } from '../integration/shop.js';

function findings(report: AuditReport): number[] {
  return [report.lost.length, report.doubled.length, report.resurrected.length];
}

const atEnd = lastFirst(after);
// All servers before the first test: node:test ends when it knows of no further one.
const prepared = await Promise.all(
  [POSTGRES_TESTS, MARIADB_TESTS].map(async (engine) => {
    const servers = await engine.start(atEnd, 2);
    const urls = servers.map((server) => server.url(engine.database)) as [string, string];
    for (const url of urls) await engine.run(url, ...statementsOf(engine.demo.schema));
    return { engine, urls };
  }),
);

// The control run: traffic and audit without a proxy, so that whatever the audit finds later is not the demo's own doing.
for (const { engine, urls } of prepared) {
  const journal = new Journal();
  const [url] = urls;

  const auditBoth = (): Promise<AuditReport> =>
    audit(
      engine.demo,
      journal,
      urls.map((one, index) => ({ name: `s${index}`, url: one })),
    );

  describe(`the demo's shop on ${engine.name}`, () => {
    test('on one database the traffic meets no error, no wrong answer, and the audit finds every write', async () => {
      const size = { customers: 300, ordersPerCustomer: 2 };
      const { customerIds, rows } = await seedShop(engine.demo, url, size, journal);
      assert.ok(rows > 1500);
      const traffic = new Traffic({
        engine: engine.demo,
        url,
        shoppers: 6,
        thinkMs: 1,
        customerIds,
        journal,
      });
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

    test('an order whose last write has an unknown outcome is not read back, and not called lost', async () => {
      const clients = engine.demo.clients(url, { size: 1, name: 'shopper' });
      let losesAnswers = false;
      const run: typeof clients.run = async (sql, values) => {
        const answer = await clients.run(sql, values);
        if (losesAnswers) throw new Error('Connection terminated unexpectedly');
        return answer;
      };
      const wrongAnswers: string[] = [];
      const shopper = new Shopper(
        { run, connect: () => clients.connect(), end: () => clients.end() },
        [...journal.points.keys()],
        journal,
        { onStatement: () => {}, onError: () => {}, onWrongAnswer: (text) => wrongAnswers.push(text) },
      );
      await shopper.placeOrder();
      losesAnswers = true;
      await shopper.shipOrder();
      losesAnswers = false;
      await shopper.lookUpOwnOrder();
      await clients.end();
      assert.deepEqual(wrongAnswers, []);
      const report = await auditBoth();
      assert.deepEqual([report.lost, report.uncertain], [[], 1]);
    });

    test('the audit finds a row that is gone, a row that is on two shards, a lost and a doubled update, and a deleted row that came back', async () => {
      const order = [...journal.orders.keys()];
      await engine.run(
        url,
        `DELETE FROM order_items WHERE order_id = '${order[0]}'`,
        `DELETE FROM orders WHERE id = '${order[0]}'`,
      );
      assert.deepEqual(findings(await auditBoth()), [1, 0, 0]);
      const [customer, other] = [...journal.points.keys()];
      await engine.run(url, `UPDATE customers SET points = points - 1 WHERE id = '${customer}'`);
      assert.deepEqual(findings(await auditBoth()), [2, 0, 0]);
      await engine.run(url, `UPDATE customers SET points = points + 1 WHERE id = '${other}'`);
      assert.deepEqual(findings(await auditBoth()), [2, 1, 0]);
      await engine.run(url, `UPDATE orders SET status = 'shipped' WHERE id = '${order[1]}'`);
      assert.deepEqual(findings(await auditBoth()), [3, 1, 0]);
      const third = [...journal.points.keys()][5]!;
      await engine.run(urls[1], "INSERT INTO countries (code, name) VALUES ('SE', 'Sweden')");
      await engine.run(
        urls[1],
        `INSERT INTO customers (id, name, country, points) VALUES ('${third}', 'x', 'SE', ${journal.points.get(third)})`,
      );
      assert.deepEqual(findings(await auditBoth()), [3, 2, 0]);
      const gone = [...journal.cancelled][0]!;
      const line = `INSERT INTO orders (customer_id, id, status, total_cents) VALUES ('${customer}', '${gone}', 'placed', 1)`;
      await engine.run(url, line);
      assert.deepEqual(findings(await auditBoth()), [3, 2, 1]);
    });
  });
}
