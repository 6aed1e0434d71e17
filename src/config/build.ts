import { resolve } from 'node:path';
import { parseAddress } from './address.js';
import type {
  Config,
  DatabaseConfig,
  HostPort,
  PoolConfig,
  TableConfig,
  TlsConfig,
  UserConfig,
} from './config.js';
import type { WrittenConfig, WrittenDatabase } from './schema.js';

/** The checked file as the configuration that the program reads; relative file names become absolute from `folder`. */
export function buildConfig(written: WrittenConfig, path: string | undefined, folder: string): Config {
  const { listen } = written;
  const hasMysql = Object.values(written.databases).some(({ engine }) => engine === 'mysql');
  return {
    path,
    listen: {
      postgres: address(listen.postgres),
      mysql: hasMysql ? address(listen.mysql) : undefined,
      admin: address(listen.admin),
      http: address(listen.http),
    },
    workers: written.workers,
    store: { kind: 'file', path: resolve(folder, written.store.kind === 'file' ? written.store.path : '') },
    tls: buildTls(written.tls, folder),
    admin: { password: written.admin.password },
    mysql: { serverVersion: written.mysql.server_version },
    users: written.users.map(buildUser),
    databases: mapValues(written.databases, (database, name) => buildDatabase(name, database, folder)),
    limits: {
      maxClients: written.limits.max_clients,
      maxStartupBytes: written.limits.max_startup_bytes,
      maxMessageBytes: written.limits.max_message_bytes,
      maxRequestBytes: written.limits.max_request_bytes,
      maxPreparedStatements: written.limits.max_prepared_statements,
      maxPlans: written.limits.max_plans,
      authTimeoutMs: written.limits.auth_timeout_ms,
      idleTransactionTimeoutMs: written.limits.idle_transaction_timeout_ms,
      maxMergeRows: written.limits.max_merge_rows,
      decisionTimeoutMs: written.limits.decision_timeout_ms,
    },
    migration: {
      parallel: written.migration.parallel,
      drainTimeoutMs: written.migration.drain_timeout_ms,
      mirrorTimeoutMs: written.migration.mirror_timeout_ms,
      maxLagBytes: written.migration.max_lag_bytes,
    },
    log: { level: written.log.level },
  };
}

function address(text: string | false): HostPort | undefined {
  return text === false ? undefined : parseAddress(text);
}

function buildTls(tls: WrittenConfig['tls'], folder: string): TlsConfig | undefined {
  if (tls === undefined) return undefined;
  const clientCa = tls.client_ca === undefined ? undefined : resolve(folder, tls.client_ca);
  return { key: resolve(folder, tls.key), cert: resolve(folder, tls.cert), clientCa, required: tls.required };
}

function buildUser(user: WrittenConfig['users'][number]): UserConfig {
  const { name, password, scram, auth } = user;
  return {
    name,
    password,
    scram,
    auth,
    backendUser: user.backend_user,
    backendPassword: user.backend_password,
  };
}

function buildDatabase(name: string, database: WrittenDatabase, folder: string): DatabaseConfig {
  return {
    name,
    engine: database.engine,
    pool: buildPool(database.pool),
    shards: mapValues(database.shards, ({ url, replicas, zone }) => ({ url, replicas, zone })),
    home: database.home ?? Object.keys(database.shards)[0]!,
    ring: { vnodes: database.ring.vnodes },
    tables: mapValues(
      database.tables,
      ({ key }): TableConfig => (key === undefined ? { reference: true } : { key }),
    ),
    serverCa: database.server_ca === undefined ? undefined : resolve(folder, database.server_ca),
    localInfile: database.local_infile,
  };
}

function buildPool(pool: WrittenDatabase['pool']): PoolConfig {
  return {
    mode: pool.mode,
    size: pool.size,
    pipeline: pool.pipeline,
    waitTimeoutMs: pool.wait_timeout_ms,
    connectTimeoutMs: pool.connect_timeout_ms,
    idleTimeoutMs: pool.idle_timeout_ms,
    maxLifetimeMs: pool.max_lifetime_ms,
    preparedStatements: pool.prepared_statements,
  };
}

function mapValues<From, To>(
  map: Readonly<Record<string, From>>,
  change: (value: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value, name)]));
}
