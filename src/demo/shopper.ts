import { randomUUID } from 'node:crypto';
import { asError } from '../lib/errors.js';
import type { Answer, ShopClients, ShopConnection } from './engine.js';
import type { Journal, OrderFacts } from './journal.js';
import { someItems, totalOf } from './shop.js';

export interface ShopperEvents {
  onStatement(ms: number): void;
  onError(error: Error): void;
  onWrongAnswer(text: string): void;
}

type Run = (sql: string, values?: readonly unknown[]) => Promise<Answer>;

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
  readonly #clients: ShopClients;
  readonly #customerIds: readonly string[];
  readonly #journal: Journal;
  readonly #events: ShopperEvents;
  /** Orders that this shopper placed and nobody else touches. */
  readonly #ownOrders: string[] = [];

  constructor(clients: ShopClients, customerIds: readonly string[], journal: Journal, events: ShopperEvents) {
    this.#clients = clients;
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
      // The customer first: InnoDB's check of the foreign key shares that row, and two who then write it wait for each other.
      await run('UPDATE customers SET points = points + $2 WHERE id = $1', [customerId, points]);
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

  /** One whose state is known: after a write of unknown outcome nobody can say what reading it should give. */
  #ownOrder(): [string, OrderFacts] | undefined {
    const id = this.#ownOrders[Math.floor(Math.random() * this.#ownOrders.length)];
    const isKnown = id !== undefined && !this.#journal.uncertain.has(id);
    const facts = isKnown ? this.#journal.orders.get(id) : undefined;
    return id === undefined || facts === undefined ? undefined : [id, facts];
  }

  /** Statements outside a transaction. */
  async #alone(ids: string[], work: (run: Run) => Promise<void>): Promise<void> {
    try {
      await work((sql, values) => this.#timed(() => this.#clients.run(sql, values)));
    } catch (thrown) {
      if (!wasNeverSent(thrown)) this.#journal.outcomeUnknown(...ids);
      this.#events.onError(asError(thrown));
    }
  }

  /** Statements in one transaction; true when its COMMIT was acknowledged. */
  async #together(ids: string[], work: (run: Run) => Promise<void>): Promise<boolean> {
    let connection: ShopConnection | undefined;
    let isCommitting = false;
    try {
      const own = await this.#clients.connect();
      connection = own;
      await this.#timed(() => own.begin());
      await work((sql, values) => this.#timed(() => own.run(sql, values)));
      isCommitting = true;
      await this.#timed(() => own.commit());
      own.release(false);
      return true;
    } catch (thrown) {
      connection?.release(true);
      if (isCommitting) this.#journal.outcomeUnknown(...ids);
      this.#events.onError(asError(thrown));
      return false;
    }
  }

  async #timed<Result>(work: () => Promise<Result>): Promise<Result> {
    const begin = performance.now();
    const result = await work();
    this.#events.onStatement(performance.now() - begin);
    return result;
  }
}

/** Nobody was there to take the connection: the statement cannot have happened. */
function wasNeverSent(thrown: unknown): boolean {
  return (thrown as { code?: string }).code === 'ECONNREFUSED';
}
