import type { ShardedDatabase } from './sharded-database.js';

export const SHOP_SCHEMA = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, city text, country char(2), age int, score float8, rating real, balance numeric(12,2),
    born date, active boolean, feeling mood, created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE orders (id bigint NOT NULL, customer_id int NOT NULL, total numeric, status text, placed timestamp, PRIMARY KEY (customer_id, id));
  CREATE TABLE items (customer_id bigint NOT NULL, order_id bigint NOT NULL, line int NOT NULL, product text, quantity int, price numeric, PRIMARY KEY (customer_id, order_id, line));
  CREATE TABLE countries (code char(2) PRIMARY KEY, title text);
  CREATE TABLE settings (name text PRIMARY KEY, value text);
  CREATE TABLE docs (slug varchar(40) PRIMARY KEY, body text);
  CREATE TABLE events (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), kind text, at timestamptz);
  CREATE TABLE tickets (id serial, customer_id bigint, title text);
  CREATE VIEW grown AS SELECT * FROM customers WHERE age >= 18;
  CREATE VIEW titles AS SELECT * FROM countries;
  CREATE FUNCTION all_customers() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customers';
  CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'`;

export const SHOP_TABLES = {
  customers: { key: 'id' },
  orders: { key: 'customer_id' },
  items: { key: 'customer_id' },
  countries: { reference: true },
  docs: { key: 'slug' },
  events: { key: 'id' },
  tickets: { key: 'customer_id' },
} as const;

/** A sequence of numbers from one seed, so that a failure can be seen again. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

const CITIES = ['Oslo', 'Bergen', 'Århus', 'Berlin', 'berlin', null, 'Zürich', 'Ankara'];
const COUNTRIES = ['no', 'dk', 'de', 'ch', 'tr'];

/** The same rows for the whole database and, through the router, for the shards. */
export async function fillShop(database: ShardedDatabase, customers = 60): Promise<void> {
  const random = numbers(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const text = (value: string | number | boolean | null) =>
    value === null ? 'NULL' : typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
  const put = async (sql: string) => {
    await database.whole.query(sql);
    await database.execute(sql);
  };
  for (const code of COUNTRIES) await put(`INSERT INTO countries VALUES ('${code}', 'Land ${code}')`);
  await put("INSERT INTO settings VALUES ('currency', 'NOK'), ('lines', '3')");
  const rows: string[] = [];
  const orders: string[] = [];
  const items: string[] = [];
  for (let id = -3; id < customers; id++) {
    const age = random() < 0.1 ? null : Math.floor(random() * 70);
    const feeling = random() < 0.2 ? null : pick(['sad', 'ok', 'happy']);
    rows.push(
      `(${id}, ${text(`Name ${id % 17}`)}, ${text(pick(CITIES))}, ${text(random() < 0.1 ? 'xx' : pick(COUNTRIES))}, ${text(age)}, ${text(random() < 0.1 ? null : Math.round(random() * 1000) / 8)}, ${text(Math.round(random() * 100) / 4)}, ` +
        `${text(Math.round(random() * 100_000) / 100)}, ${text(random() < 0.1 ? null : `19${60 + Math.floor(random() * 39)}-0${1 + Math.floor(random() * 9)}-15`)}, ${text(random() < 0.5)}, ${text(feeling)}, '2024-01-01 00:00:00+00'::timestamptz + ${id} * interval '1 hour')`,
    );
    for (let order = 1; order <= Math.floor(random() * 4); order++) {
      orders.push(
        `(${order}, ${id}, ${text(random() < 0.1 ? null : Math.round(random() * 10_000) / 100)}, ${text(pick(['open', 'paid', 'sent']))}, timestamp '2024-02-01' + ${Math.floor(random() * 900)} * interval '1 minute')`,
      );
      for (let line = 1; line <= 1 + Math.floor(random() * 3); line++)
        items.push(
          `(${id}, ${order}, ${line}, ${text(pick(['nut', 'bolt', "o'ring"]))}, ${1 + Math.floor(random() * 5)}, ${Math.round(random() * 1000) / 10})`,
        );
    }
  }
  await put(`INSERT INTO customers VALUES ${rows.join(', ')}`);
  await put(`INSERT INTO orders (id, customer_id, total, status, placed) VALUES ${orders.join(', ')}`);
  await put(`INSERT INTO items VALUES ${items.join(', ')}`);
  await put(
    `INSERT INTO docs VALUES ${Array.from({ length: 30 }, (_, index) => `('doc-${index}', 'body ${index}')`).join(', ')}, ('Ünïcode ☃', 'x'), (E'tab\\there', 'y')`,
  );
  await put(
    `INSERT INTO events (id, kind, at) VALUES ${Array.from({ length: 20 }, (_, index) => `('${String(index).padStart(8, '0')}-AAAA-4000-8000-000000000000', 'kind ${index % 3}', '2024-03-01 10:00:00+01')`).join(', ')}`,
  );
}
