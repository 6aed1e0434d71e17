import mysql from 'mysql2/promise';
import type { DemoEngine } from './engine.js';
import { startMariadbServers } from './mariadb-server.js';
import { MysqlClients } from './mysql-clients.js';

const SHOP_SCHEMA = `
CREATE TABLE countries (
  code char(2) PRIMARY KEY,
  name varchar(60) NOT NULL
);
CREATE TABLE customers (
  id      char(36) PRIMARY KEY,
  name    varchar(100) NOT NULL,
  country char(2) NOT NULL,
  points  bigint NOT NULL DEFAULT 0,
  joined  datetime(6) NOT NULL DEFAULT current_timestamp(6),
  FOREIGN KEY (country) REFERENCES countries (code)
);
CREATE TABLE orders (
  customer_id char(36) NOT NULL,
  id          char(36) NOT NULL,
  status      varchar(20) NOT NULL CHECK (status IN ('placed', 'shipped', 'delivered')),
  total_cents bigint NOT NULL,
  placed      datetime(6) NOT NULL DEFAULT current_timestamp(6),
  PRIMARY KEY (customer_id, id),
  FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE TABLE order_items (
  customer_id char(36) NOT NULL,
  order_id    char(36) NOT NULL,
  line        int NOT NULL,
  product     varchar(60) NOT NULL,
  quantity    int NOT NULL,
  price_cents bigint NOT NULL,
  PRIMARY KEY (customer_id, order_id, line),
  FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, id)
);`;

/** The MariaDB that the system's packages installed. */
export const MARIADB: DemoEngine = {
  protocol: 'mysql',
  title: 'MariaDB',
  usualPort: 6033,
  schema: SHOP_SCHEMA,
  words: {
    preparing: 'tables on the new shard, positions in the binlogs of the others',
    cleaning: 'triggers, ledgers and rows left behind are gone',
  },
  start: (count) => startMariadbServers({ count }),
  makeDatabase: async (server) => {
    // Texts that are ordered and grouped byte by byte can be merged over shards; see docs/mysql.md.
    const collation = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin';
    await execute(server.url('mysql'), `CREATE DATABASE shop ${collation}`);
  },
  makeTables: async (server) => {
    await execute(server.url('shop'), SHOP_SCHEMA);
  },
  version: async (server) => {
    const [row] = await execute(server.url('mysql'), 'SELECT version() AS version');
    return `MariaDB ${String(row?.['version']).split('-')[0]}`;
  },
  clients: (url, options) => new MysqlClients(url, options),
  commandLine: (port, sql) => `mariadb -h 127.0.0.1 -P ${port} -u app shop -e '${sql}'`,
};

async function execute(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const connection = await mysql.createConnection({ uri: url, multipleStatements: true });
  try {
    const [rows] = await connection.query(sql);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  } finally {
    await connection.end();
  }
}
