import mysql from 'mysql2/promise';
import pg from 'pg';
import type { DemoEngine } from '../src/demo/engine.js';
import { MARIADB } from '../src/demo/mariadb-engine.js';
import { startMysqlServers } from '../src/demo/mysql-server.js';
import { POSTGRES } from '../src/demo/postgres-engine.js';
import { type After, runSql, startPostgres } from './cluster.js';
import { GENUINE_MYSQL, startGenuineMysql } from './genuine-mysql.js';
import { runMysql, startMariadb } from './mariadb.js';

/** A server that a test may end, freeze, and start again. */
export interface TestServer {
  readonly port: number;
  readonly processId: number;
  url(database?: string): string;
  start(): Promise<void>;
  crash(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** One kind of database, as tests that run on each of them need it. */
export interface TestEngine {
  readonly name: string;
  readonly demo: DemoEngine;
  /** The database that the shop's tables are in, at the shards and towards clients. */
  readonly database: string;
  /** Servers with that database, empty. */
  start(after: After, count: number): Promise<TestServer[]>;
  /** Runs SQL on one connection of its own and returns the rows of the last statement. */
  run(url: string, ...statements: string[]): Promise<Record<string, unknown>[]>;
  hasTable(url: string, table: string): Promise<boolean>;
  /** Everything in this database that a migration has made and not removed. */
  traces(url: string): Promise<string[]>;
  /** Names of the transactions that are prepared on a server. */
  prepared(url: string): Promise<string[]>;
  /** What a proxy that was killed in the middle of a commit leaves on a server. */
  leavePrepared(url: string, gid: string, sql: string): Promise<void>;
  rollbackPrepared(url: string, gid: string): Promise<void>;
  /** What a client may be told when the proxy or its server dies under it. */
  readonly lostConnection: RegExp;
}

export const POSTGRES_TESTS: TestEngine = {
  name: 'Postgres',
  demo: POSTGRES,
  database: 'postgres',
  start: (after, count) => startPostgres(after, { count }),
  run: runSql,
  hasTable: async (url, table) => {
    const [row] = await runSql(url, `SELECT to_regclass('${table}') IS NOT NULL AS there`);
    return row!['there'] === true;
  },
  traces: async (url) => {
    const left = await runSql(
      url,
      `SELECT 'slot ' || slot_name AS what FROM pg_replication_slots
       UNION ALL SELECT 'publication ' || pubname FROM pg_publication
       UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
       UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
       UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
       UNION ALL SELECT 'table ' || schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'ringferry'
       UNION ALL SELECT 'replica identity of ' || relname FROM pg_class WHERE relkind = 'r' AND relreplident = 'f'`,
    );
    return left.map((row) => String(row['what']));
  },
  prepared: async (url) =>
    (await runSql(url, 'SELECT gid FROM pg_prepared_xacts')).map((row) => String(row['gid'])),
  leavePrepared: async (url, gid, sql) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(`BEGIN; ${sql}; PREPARE TRANSACTION '${gid}'`);
    await client.end();
  },
  rollbackPrepared: async (url, gid) => {
    await runSql(url, `ROLLBACK PREPARED '${gid}'`);
  },
  lostConnection: /ECONNREFUSED|ECONNRESET|EPIPE|terminated unexpectedly|57P0[123]/,
};

export const MARIADB_TESTS: TestEngine = {
  name: 'MariaDB',
  demo: MARIADB,
  database: 'shop',
  start: async (after, count) => {
    const servers = await startMariadb(after, { count });
    await Promise.all(servers.map((server) => MARIADB.makeDatabase(server)));
    return servers;
  },
  run: runMysql,
  hasTable: async (url, table) => {
    const rows = await runMysql(url, `SHOW TABLES LIKE '${table}'`);
    return rows.length > 0;
  },
  traces: async (url) => {
    const left = await runMysql(
      url,
      `SELECT concat('trigger ', trigger_name) AS what FROM information_schema.triggers WHERE trigger_schema NOT IN ('sys')
       UNION ALL SELECT concat('routine ', routine_name) FROM information_schema.routines WHERE routine_schema NOT IN ('sys', 'mysql')
       UNION ALL SELECT concat('table ', table_schema, '.', table_name) FROM information_schema.tables
         WHERE table_name LIKE '%ringferry%' OR table_schema LIKE '%ringferry%'`,
    );
    const prepared = await runMysql(url, 'XA RECOVER');
    return [
      ...left.map((row) => String(row['what'])),
      ...prepared.map((row) => `prepared transaction ${row['data']}`),
    ];
  },
  prepared: async (url) => (await runMysql(url, 'XA RECOVER')).map((row) => String(row['data'])),
  leavePrepared: async (url, gid, sql) => {
    const client = await mysql.createConnection(url);
    const xid = xidOf(gid);
    for (const statement of [`XA START ${xid}`, sql, `XA END ${xid}`, `XA PREPARE ${xid}`])
      await client.query(statement);
    await client.end();
  },
  rollbackPrepared: async (url, gid) => {
    await runMysql(url, `XA ROLLBACK ${xidOf(gid)}`);
  },
  lostConnection: /ECONNREFUSED|ECONNRESET|EPIPE|PROTOCOL_CONNECTION_LOST|closed state|ER_SERVER_SHUTDOWN/,
};

/** A MySQL of today; ask `noGenuineMysql` first whether there is one. */
export const MYSQL_TESTS: TestEngine = {
  ...MARIADB_TESTS,
  name: 'MySQL',
  demo: {
    ...MARIADB,
    title: 'MySQL',
    start: (count) => startMysqlServers(GENUINE_MYSQL, { count }),
    makeDatabase: async (server) => {
      // As MariaDB's utf8mb4_nopad_bin: byte by byte.
      const collation = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin';
      await runMysql(server.url('mysql'), `CREATE DATABASE shop ${collation}`);
    },
    version: async (server) => {
      const [row] = await runMysql(server.url('mysql'), 'SELECT version() AS version');
      return `MySQL ${String(row!['version'])}`;
    },
  },
  start: async (after, count) => {
    const servers = await startGenuineMysql(after, { count });
    await Promise.all(servers.map((server) => MYSQL_TESTS.demo.makeDatabase(server)));
    return servers;
  },
};

/** Both parts of an xid take 64 bytes (MariaDB manual, XA Transactions). */
function xidOf(gid: string): string {
  return gid.length <= 64 ? `'${gid}'` : `'${gid.slice(0, 64)}','${gid.slice(64)}'`;
}
