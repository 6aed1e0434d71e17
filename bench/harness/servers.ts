import { lastFirst, type PostgresServer, runSql, startPostgres } from '../../test/cluster.js';
import { type MysqlServer, runMysql, startMariadb } from '../../test/mariadb.js';
import { Bench, type RunOptions } from './bench.js';
import { initialize } from './pgbench.js';
import { startRingferry } from './ringferry.js';

/** Nothing of the server's own may run in between. */
const POSTGRES = { autovacuum: 'off', shared_buffers: '512MB', max_connections: '400' };
const MARIADB = { 'innodb-buffer-pool-size': '256M', 'max-prepared-stmt-count': '100000' };

/** The database servers of one run, each started and filled when it is first asked for, ended with the run. */
export class Servers {
  /** Of those that were started. */
  readonly versions: string[] = [];
  readonly #options: RunOptions;
  readonly #endings: (() => Promise<void>)[] = [];
  readonly #atEnd = lastFirst((end) => this.#endings.push(end));
  #postgres: Promise<PostgresServer> | undefined;
  #shards: Promise<readonly PostgresServer[]> | undefined;
  #mariadb: Promise<MysqlServer> | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** One Postgres with pgbench's tables in its database `postgres`. */
  postgres(): Promise<PostgresServer> {
    this.#postgres ??= this.#makePostgres();
    return this.#postgres;
  }

  /** Three with pgbench_accounts spread over them by `aid`, the other tables on the first. */
  shards(): Promise<readonly PostgresServer[]> {
    this.#shards ??= this.#makeShards();
    return this.#shards;
  }

  /** One MariaDB with an empty database `sbtest`. */
  mariadb(): Promise<MysqlServer> {
    this.#mariadb ??= this.#makeMariadb();
    return this.#mariadb;
  }

  async end(): Promise<void> {
    for (const end of this.#endings) await end();
  }

  async #makePostgres(): Promise<PostgresServer> {
    const [server] = await startPostgres(this.#atEnd, { settings: POSTGRES });
    await initialize(server!.port, 'postgres', this.#options.scale);
    const [row] = await runSql(server!.url(), 'SHOW server_version');
    this.versions.push(`PostgreSQL ${row!['server_version']}`);
    return server!;
  }

  /** Filled through Ringferry, because it knows where a row belongs. */
  async #makeShards(): Promise<readonly PostgresServer[]> {
    const servers = await startPostgres(this.#atEnd, { count: 3, settings: POSTGRES });
    for (const server of servers) await initialize(server.port, 'postgres', 1, 'tp');
    for (const server of servers.slice(1))
      await runSql(server.url(), 'DROP TABLE pgbench_branches, pgbench_tellers, pgbench_history');
    const bench = new Bench(this.#options, this);
    try {
      const ringferry = await startRingferry(bench, {
        shards: shardUrls(servers),
        database: 'postgres',
        tables: { pgbench_accounts: { key: 'aid' } },
        pool: { size: 4 },
      });
      await initialize(ringferry.port, ringferry.database, this.#options.scale, 'g');
    } finally {
      await bench.end();
    }
    for (const server of servers) await runSql(server.url(), 'VACUUM ANALYZE');
    return servers;
  }

  async #makeMariadb(): Promise<MysqlServer> {
    const [server] = await startMariadb(this.#atEnd, { settings: MARIADB });
    const [row] = await runMysql(server!.url(), 'CREATE DATABASE sbtest', 'SELECT version() AS version');
    this.versions.push(String(row!['version']));
    return server!;
  }
}

/** The shards' names decide where rows belong, so everybody takes them from here. */
export function shardUrls(servers: readonly PostgresServer[]): Readonly<Record<string, string>> {
  return Object.fromEntries(servers.map((server, nth) => [`s${nth + 1}`, server.url()]));
}
