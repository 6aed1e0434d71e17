import mysql from 'mysql2/promise';
import { startMariadbServers } from '../src/demo/mariadb-server.js';
import type { MysqlServer, MysqlServersOptions } from '../src/demo/mysql-server.js';
import type { After } from './cluster.js';
import { templateFolder } from './templates.js';

export type { MysqlServer } from '../src/demo/mysql-server.js';

/** Real MariaDB servers for one test (or `before` hook); `after` stops them. */
export async function startMariadb(
  after: After,
  options: Partial<MysqlServersOptions> = {},
): Promise<MysqlServer[]> {
  const servers = await startMariadbServers({ count: 1, template: templateFolder('mariadb'), ...options });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  return servers;
}

/** Runs SQL on one connection of its own and returns the rows of the last statement. */
export async function runMysql(url: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const connection = await mysql.createConnection({ uri: url, supportBigNumbers: true, dateStrings: true });
  try {
    let rows: unknown = [];
    for (const statement of statements) [rows] = await connection.query(statement);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  } finally {
    await connection.end();
  }
}
