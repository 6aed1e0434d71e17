import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { asError } from '../lib/errors.js';
import type { Journal, OrderFacts } from './journal.js';
import { someItems, totalOf } from './shop.js';

export interface ShopperEvents {
  onStatement(ms: number): void;
  onError(error: Error): void;
  onWrongAnswer(text: string): void;
}

type Run = (sql: string, values?: unknown[]) => Promise<pg.QueryResult<Record<string, string>>>;

/** What shoppers and the shop's own people do, and how often (in hundredths). */
const ACTS: readonly (readonly [share: number, act: keyof ShopperActs])[] = [
  [34, 'lookAtAccount'],
  [18, 'lookAtOrders'],
  [8, 'lookUpOwnOrder'],
  [20, 'placeOrder'],
  [8, 'shipOrder'],
  [4, 'cancelOrder'],
  [5, 'givePoints'],
  [3, 'lookAtTheBooks'],
];

interface ShopperActs {
  lookAtAccount(): Promise<void>;
  lookAtOrders(): Promise<void>;
  lookUpOwnOrder(): Promise<void>;
  placeOrder(): Promise<void>;
  shipOrder(): Promise<void>;
  cancelOrder(): Promise<void>;
  givePoints(): Promise<void>;
  lookAtTheBooks(): Promise<void>;
}

/**
 * One client of the shop. It writes each acknowledged write into the journal only after the answer has come, and reads
 * its own writes back. What ends in an error is journalled as uncertain.
 */
export class Shopper implements ShopperActs {
  readonly #pool: pg.Pool;
  readonly #customerIds: readonly string[];
  readonly #journal: Journal;
  readonly #events: ShopperEvents;
  /** Orders that this shopper placed and nobody else touches. */
  readonly #ownOrders: string[] = [];

  constructor(pool: pg.Pool, customerIds: readonly string[], journal: Journal, events: ShopperEvents) {
    this.#pool = pool;
    this.#customerIds = customerIds;
    this.#journal = journal;
    this.#events = events;
  }

  /** Does one thing, drawn by lot; never rejects. */
  async act(): Promise<void> {
    let lot = Math.random() * 100;
    for (const [share, act] of ACTS) {
      lot -= share;
      if (lot < 0) return this[act]();
    }
  }

  async lookAtAccount(): Promise<void> {
    const id = this.#someone();
    await this.#alone([], async (run) => {
      const result = await run(
        'SELECT c.name, c.points, k.name AS country FROM customers c JOIN countries k ON k.code = c.country WHERE c.id = $1',
        [id],
      );
      if (result.rows.length !== 1)
        this.#events.onWrongAnswer(`customer ${id} was found ${result.rows.length} times`);
    });
  }

  async lookAtOrders(): Promise<void> {
    await this.#alone([], async (run) => {
      await run(
        `SELECT o.id, o.status, o.placed, count(*) AS items, sum(i.quantity * i.price_cents) AS total
         FROM orders o JOIN order_items i ON i.customer_id = o.customer_id AND i.order_id = o.id
         WHERE o.customer_id = $1 GROUP BY o.id, o.status, o.placed ORDER BY o.placed DESC LIMIT 20`,
        [this.#someone()],
      );
    });
  }

  async lookUpOwnOrder(): Promise<void> {
    const [id, facts] = this.#ownOrder() ?? [];
    if (id === undefined || facts === undefined) return this.lookAtAccount();
    await this.#alone([], async (run) => {
      const result = await run('SELECT status, total_cents FROM orders WHERE customer_id = $1 AND id = $2', [
        facts.customerId,
        id,
      ]);
      const [row] = result.rows;
      const isRight =
        result.rows.length === 1 &&
        row!['status'] === facts.status &&
        Number(row!['total_cents']) === facts.totalCents;
      if (!isRight)
        this.#events.onWrongAnswer(
          `order ${id} should be ${facts.status} but is ${JSON.stringify(result.rows)}`,
        );
    });
  }

  async placeOrder(): Promise<void> {
    const customerId = this.#someone();
    const id = randomUUID();
    const items = someItems(Math.random);
    const totalCents = totalOf(items);
    const points = Math.ceil(totalCents / 100);
    const isDone = await this.#together([id, customerId], async (run) => {
      await run("INSERT INTO orders (customer_id, id, status, total_cents) VALUES ($1, $2, 'placed', $3)", [
        customerId,
        id,
        totalCents,
      ]);
      const rows = items.map((_, i) => `($1, $2, ${i + 1}, $${i * 3 + 3}, $${i * 3 + 4}, $${i * 3 + 5})`);
      const values = items.flatMap((item) => [item.product, item.quantity, item.priceCents]);
      await run(
        `INSERT INTO order_items (customer_id, order_id, line, product, quantity, price_cents) VALUES ${rows.join(', ')}`,
        [customerId, id, ...values],
      );
      await run('UPDATE customers SET points = points + $2 WHERE id = $1', [customerId, points]);
    });
    if (!isDone) return;
    this.#journal.orderPlaced(id, { customerId, totalCents, itemCount: items.length, status: 'placed' });
    this.#journal.pointsAdded(customerId, points);
    this.#ownOrders.push(id);
  }

  async shipOrder(): Promise<void> {
    const [id, facts] = this.#ownOrder() ?? [];
    if (id === undefined || facts === undefined) return this.placeOrder();
    const status = facts.status === 'placed' ? 'shipped' : 'delivered';
    await this.#alone([id], async (run) => {
      const result = await run('UPDATE orders SET status = $3 WHERE customer_id = $1 AND id = $2', [
        facts.customerId,
        id,
        status,
      ]);
      if (result.rowCount === 1) this.#journal.statusChanged(id, status);
      else this.#events.onWrongAnswer(`UPDATE of order ${id} met ${result.rowCount} rows`);
    });
  }

  async cancelOrder(): Promise<void> {
    const [id, facts] = this.#ownOrder() ?? [];
    if (id === undefined || facts === undefined) return this.placeOrder();
    this.#ownOrders.splice(this.#ownOrders.indexOf(id), 1);
    const isDone = await this.#together([id], async (run) => {
      await run('DELETE FROM order_items WHERE customer_id = $1 AND order_id = $2', [facts.customerId, id]);
      await run('DELETE FROM orders WHERE customer_id = $1 AND id = $2', [facts.customerId, id]);
    });
    if (isDone) this.#journal.orderCancelled(id);
  }

  /** Two customers, mostly on two shards: atomic all the same. */
  async givePoints(): Promise<void> {
    // In the order of their ids, so that two gifts never wait for each other.
    const [one, two] = [this.#someone(), this.#someone()].sort() as [string, string];
    if (one === two) return;
    const isDone = await this.#together([one, two], async (run) => {
      await run('UPDATE customers SET points = points - $2 WHERE id = $1', [one, 5]);
      await run('UPDATE customers SET points = points + $2 WHERE id = $1', [two, 5]);
    });
    if (!isDone) return;
    this.#journal.pointsAdded(one, -5);
    this.#journal.pointsAdded(two, 5);
  }

  /** The owner's questions, which concern all shards. */
  async lookAtTheBooks(): Promise<void> {
    const questions = [
      'SELECT status, count(*), sum(total_cents), avg(total_cents) FROM orders GROUP BY status ORDER BY status',
      'SELECT id, name, points FROM customers ORDER BY points DESC, id LIMIT 10',
      'SELECT count(*), max(placed) FROM orders',
    ];
    await this.#alone([], async (run) => {
      await run(questions[Math.floor(Math.random() * questions.length)]!);
    });
  }

  #someone(): string {
    return this.#customerIds[Math.floor(Math.random() * this.#customerIds.length)]!;
  }

  #ownOrder(): [string, OrderFacts] | undefined {
    const id = this.#ownOrders[Math.floor(Math.random() * this.#ownOrders.length)];
    const facts = id === undefined ? undefined : this.#journal.orders.get(id);
    return id === undefined || facts === undefined ? undefined : [id, facts];
  }

  /** Statements outside a transaction. */
  async #alone(ids: string[], work: (run: Run) => Promise<void>): Promise<void> {
    try {
      await work(this.#timed(this.#pool));
    } catch (thrown) {
      if (!wasNeverSent(thrown)) this.#journal.outcomeUnknown(...ids);
      this.#events.onError(asError(thrown));
    }
  }

  /** Statements in one transaction; true when its COMMIT was acknowledged. */
  async #together(ids: string[], work: (run: Run) => Promise<void>): Promise<boolean> {
    let client: pg.PoolClient | undefined;
    let isCommitting = false;
    try {
      client = await this.#pool.connect();
      // A connection that is lost is told twice: by the statement on it, which counts, and by this event.
      client.on('error', ignore);
      const run = this.#timed(client);
      await run('BEGIN');
      await work(run);
      isCommitting = true;
      const end = await run('COMMIT');
      client.off('error', ignore);
      client.release();
      if (end.command === 'COMMIT') return true;
      throw new Error(`COMMIT was answered with ${end.command}`);
    } catch (thrown) {
      client?.release(true);
      if (isCommitting) this.#journal.outcomeUnknown(...ids);
      this.#events.onError(asError(thrown));
      return false;
    }
  }

  #timed(client: pg.Pool | pg.PoolClient): Run {
    return async (sql, values) => {
      const begin = performance.now();
      const result = await client.query<Record<string, string>>(sql, values);
      this.#events.onStatement(performance.now() - begin);
      return result;
    };
  }
}

/** Nobody was there to take the connection: the statement cannot have happened. */
function wasNeverSent(thrown: unknown): boolean {
  return (thrown as { code?: string }).code === 'ECONNREFUSED';
}

function ignore(): void {}
