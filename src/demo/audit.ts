import type { DemoEngine } from './engine.js';
import type { Journal } from './journal.js';

/** A shard as the audit reads it: directly, past the proxy. */
export interface AuditedShard {
  readonly name: string;
  readonly url: string;
}

export interface AuditReport {
  readonly checked: number;
  /** Acknowledged but not there, or there with another value. */
  readonly lost: string[];
  /** There more than once, or counted twice; this holds for writes of unknown outcome too. */
  readonly doubled: string[];
  /** Acknowledged as deleted, but there; or there though nobody wrote it. */
  readonly resurrected: string[];
  /** Not decided, because the write's own outcome was an error. */
  readonly uncertain: number;
  /** Customers on each shard. */
  readonly spread: ReadonlyMap<string, number>;
}

interface FoundOrder {
  readonly shard: string;
  readonly customerId: string;
  readonly status: string;
  readonly totalCents: number;
  readonly itemCount: number;
}

/**
 * Compares what was acknowledged to the application with what the shards' own tables hold: every customer and every
 * order exactly once over all shards, with its last acknowledged value, and nothing else. Nobody may write meanwhile.
 */
export async function audit(
  engine: DemoEngine,
  journal: Journal,
  shards: readonly AuditedShard[],
): Promise<AuditReport> {
  const report = {
    checked: 0,
    lost: [] as string[],
    doubled: [] as string[],
    resurrected: [] as string[],
    uncertain: 0,
    spread: new Map<string, number>(),
  };
  const customers = new Map<string, { shard: string; points: number }[]>();
  const orders = new Map<string, FoundOrder[]>();
  for (const shard of shards) await readShard(engine, shard, customers, orders, report.spread);
  checkCustomers(journal, customers, report);
  checkOrders(journal, orders, report);
  return report;
}

type Findings = {
  checked: number;
  lost: string[];
  doubled: string[];
  resurrected: string[];
  uncertain: number;
};

function checkCustomers(
  journal: Journal,
  found: ReadonlyMap<string, { shard: string; points: number }[]>,
  report: Findings,
): void {
  for (const [id, points] of journal.points) {
    report.checked++;
    const copies = found.get(id) ?? [];
    if (copies.length === 0) report.lost.push(`customer ${id} is on no shard`);
    else if (copies.length > 1) report.doubled.push(`customer ${id} is on ${names(copies)}`);
    else if (journal.uncertain.has(id)) report.uncertain++;
    else if (copies[0]!.points < points)
      report.lost.push(`customer ${id} has ${copies[0]!.points} points instead of ${points}`);
    else if (copies[0]!.points > points)
      report.doubled.push(`customer ${id} has ${copies[0]!.points} points instead of ${points}`);
  }
  for (const [id, copies] of found)
    if (!journal.points.has(id))
      report.resurrected.push(`customer ${id} on ${names(copies)} was never written`);
}

function checkOrders(journal: Journal, found: ReadonlyMap<string, FoundOrder[]>, report: Findings): void {
  for (const [id, facts] of journal.orders) {
    report.checked++;
    const copies = found.get(id) ?? [];
    const [copy] = copies;
    if (copies.length > 1) report.doubled.push(`order ${id} is on ${names(copies)}`);
    else if (journal.uncertain.has(id)) report.uncertain++;
    else if (copy === undefined) report.lost.push(`order ${id} is on no shard`);
    else if (copy.status !== facts.status)
      report.lost.push(`order ${id} is ${copy.status} instead of ${facts.status}`);
    else if (copy.customerId !== facts.customerId || copy.totalCents !== facts.totalCents)
      report.lost.push(`order ${id} has other values than written`);
    else if (copy.itemCount < facts.itemCount)
      report.lost.push(`order ${id} has ${copy.itemCount} items instead of ${facts.itemCount}`);
    else if (copy.itemCount > facts.itemCount)
      report.doubled.push(`order ${id} has ${copy.itemCount} items instead of ${facts.itemCount}`);
  }
  report.checked += journal.cancelled.size;
  for (const [id, copies] of found) {
    if (journal.orders.has(id)) continue;
    if (copies.length > 1) report.doubled.push(`order ${id} is on ${names(copies)}`);
    else if (!journal.uncertain.has(id))
      report.resurrected.push(
        `order ${id} on ${names(copies)} ${journal.cancelled.has(id) ? 'was deleted' : 'was never written'}`,
      );
  }
}

function names(copies: readonly { shard: string }[]): string {
  return copies.map((copy) => copy.shard).join(' and ');
}

async function readShard(
  engine: DemoEngine,
  shard: AuditedShard,
  customers: Map<string, { shard: string; points: number }[]>,
  orders: Map<string, FoundOrder[]>,
  spread: Map<string, number>,
): Promise<void> {
  const clients = engine.clients(shard.url, { size: 1, name: 'audit' });
  try {
    const people = await clients.run('SELECT id, points FROM customers');
    for (const { id, points } of people.rows)
      append(customers, String(id), { shard: shard.name, points: Number(points) });
    spread.set(shard.name, people.rows.length);
    const bought = await clients.run(
      `SELECT o.id, o.customer_id, o.status, o.total_cents, coalesce(i.items, 0) AS items FROM orders o
       LEFT JOIN (SELECT customer_id, order_id, count(*) AS items FROM order_items GROUP BY customer_id, order_id) i
       ON i.customer_id = o.customer_id AND i.order_id = o.id`,
    );
    for (const row of bought.rows)
      append(orders, String(row['id']), {
        shard: shard.name,
        customerId: String(row['customer_id']),
        status: String(row['status']),
        totalCents: Number(row['total_cents']),
        itemCount: Number(row['items']),
      });
    const stray = await clients.run(
      `SELECT i.customer_id, i.order_id, i.line FROM order_items i
       LEFT JOIN orders o ON o.customer_id = i.customer_id AND o.id = i.order_id WHERE o.id IS NULL`,
    );
    for (const row of stray.rows)
      append(orders, `${row['order_id']} (its line ${row['line']} without the order)`, {
        shard: shard.name,
        customerId: String(row['customer_id']),
        status: 'stray',
        totalCents: 0,
        itemCount: 1,
      });
  } finally {
    await clients.end();
  }
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
