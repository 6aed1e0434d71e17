import type { DemoEngine, ShopClients } from './engine.js';
import type { Journal } from './journal.js';
import { COUNTRIES, customerOf, type OrderItem, someItems, totalOf } from './shop.js';

export interface SeedSize {
  readonly customers: number;
  readonly ordersPerCustomer: number;
}

const ROWS_PER_STATEMENT = 200;

/** Fills the shop through the front door, as an application would; every row goes into the journal. Returns the customers' ids and how many rows there are. */
export async function seedShop(
  engine: DemoEngine,
  url: string,
  size: SeedSize,
  journal: Journal,
): Promise<{ customerIds: string[]; rows: number }> {
  const clients = engine.clients(url, { size: 4, name: 'seed' });
  try {
    await insert(clients, 'countries (code, name)', COUNTRIES);
    const customers = Array.from({ length: size.customers }, (_, index) => customerOf(index));
    await insert(
      clients,
      'customers (id, name, country)',
      customers.map((customer) => [customer.id, customer.name, customer.country]),
    );
    for (const customer of customers) journal.customerJoined(customer.id);
    const orders = customers.flatMap((customer, index) =>
      ordersOf(customer.id, index, size.ordersPerCustomer),
    );
    await insert(
      clients,
      'orders (customer_id, id, status, total_cents)',
      orders.map((order) => [order.customerId, order.id, 'delivered', totalOf(order.items)]),
    );
    const items = orders.flatMap((order) =>
      order.items.map((item, line) => [
        order.customerId,
        order.id,
        line + 1,
        item.product,
        item.quantity,
        item.priceCents,
      ]),
    );
    await insert(clients, 'order_items (customer_id, order_id, line, product, quantity, price_cents)', items);
    for (const { id, customerId, items } of orders) {
      journal.orderPlaced(id, {
        customerId,
        totalCents: totalOf(items),
        itemCount: items.length,
        status: 'delivered',
      });
    }
    return {
      customerIds: customers.map((customer) => customer.id),
      rows: COUNTRIES.length + customers.length + orders.length + items.length,
    };
  } finally {
    await clients.end();
  }
}

interface SeedOrder {
  readonly customerId: string;
  readonly id: string;
  readonly items: OrderItem[];
}

function ordersOf(customerId: string, index: number, count: number): SeedOrder[] {
  return Array.from({ length: count }, (_, nth) => {
    let state = index * 31 + nth + 1;
    // Park and Miller's generator: the same shop on every run.
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    return { customerId, id: customerOf(-1 - index * count - nth).id, items: someItems(random) };
  });
}

/** INSERT statements of many rows, four at a time. */
async function insert(
  clients: ShopClients,
  into: string,
  rows: readonly (readonly unknown[])[],
): Promise<void> {
  const statements: (() => Promise<unknown>)[] = [];
  for (let at = 0; at < rows.length; at += ROWS_PER_STATEMENT) {
    const part = rows.slice(at, at + ROWS_PER_STATEMENT);
    let parameter = 0;
    const tuples = part.map((row) => `(${row.map(() => `$${++parameter}`).join(', ')})`);
    const sql = `INSERT INTO ${into} VALUES ${tuples.join(', ')}`;
    statements.push(() => clients.run(sql, part.flat()));
  }
  const workers = Array.from({ length: 4 }, async () => {
    for (let next = statements.shift(); next !== undefined; next = statements.shift()) await next();
  });
  await Promise.all(workers);
}
