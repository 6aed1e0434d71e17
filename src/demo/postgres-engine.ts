import { rm } from 'node:fs/promises';
import pg from 'pg';
import type { DemoEngine } from './engine.js';
import { embeddedBinaries } from './postgres-binaries.js';
import { PostgresClients } from './postgres-clients.js';
import { startPostgresServers } from './postgres-server.js';
import { unprivilegedUser } from './run-as.js';

const SHOP_SCHEMA = `
CREATE TABLE countries (
  code char(2) PRIMARY KEY,
  name text NOT NULL
);
CREATE TABLE customers (
  id      uuid PRIMARY KEY,
  name    text NOT NULL,
  country char(2) NOT NULL REFERENCES countries,
  points  bigint NOT NULL DEFAULT 0,
  joined  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE orders (
  customer_id uuid NOT NULL REFERENCES customers,
  id          uuid NOT NULL,
  status      text NOT NULL CHECK (status IN ('placed', 'shipped', 'delivered')),
  total_cents bigint NOT NULL,
  placed      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (customer_id, id)
);
CREATE TABLE order_items (
  customer_id uuid NOT NULL,
  order_id    uuid NOT NULL,
  line        int NOT NULL,
  product     text NOT NULL,
  quantity    int NOT NULL,
  price_cents bigint NOT NULL,
  PRIMARY KEY (customer_id, order_id, line),
  FOREIGN KEY (customer_id, order_id) REFERENCES orders
);`;

/** Postgres from npm. */
export const POSTGRES: DemoEngine = {
  protocol: 'postgres',
  title: 'Postgres',
  usualPort: 6432,
  schema: SHOP_SCHEMA,
  words: {
    preparing: 'tables on the new shard, slots and publications on the others',
    cleaning: 'slots, publications, triggers and rows left behind are gone',
  },
  start: async (count, atEnd) => {
    const binaries = await embeddedBinaries(unprivilegedUser());
    if (binaries.copy !== undefined) atEnd(() => rm(binaries.copy!, { recursive: true, force: true }));
    return startPostgresServers({ binaries, count });
  },
  makeDatabase: async (server) => {
    await execute(server.url('postgres'), 'CREATE ROLE app LOGIN');
    await execute(server.url('postgres'), 'CREATE DATABASE shop OWNER app');
  },
  makeTables: async (server) => {
    await execute(server.url('shop'), `SET ROLE app; ${SHOP_SCHEMA}`);
  },
  version: async (server) => {
    const [row] = await execute(server.url('postgres'), 'SHOW server_version');
    return `PostgreSQL ${String(row?.['server_version']).split(' ')[0]} from npm`;
  },
  clients: (url, options) => new PostgresClients(url, options),
  commandLine: (port, sql) => `psql -h 127.0.0.1 -p ${port} -U app shop -c '${sql}'`,
};

async function execute(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows ?? [];
  } finally {
    await client.end();
  }
}
