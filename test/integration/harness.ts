import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.js';
import { type ProxyPorts, ProxyProcess } from '../../src/demo/proxy-process.js';
import { startServer } from '../../src/server.js';
import { type After, freePort, type PostgresServer } from '../cluster.js';

export interface RingferryOptions {
  /** Shards by name; or one database passed through. */
  readonly shards: Readonly<Record<string, PostgresServer | string>>;
  /** As in the configuration file; none means pass-through. */
  readonly tables?: Readonly<Record<string, unknown>>;
  readonly home?: string;
  readonly pool?: Readonly<Record<string, unknown>>;
  readonly vnodes?: number;
  /** Name of the database at the shards and towards clients. */
  readonly database?: string;
  /** Other top-level parts of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly users?: readonly unknown[];
}

export interface Ringferry {
  readonly ports: ProxyPorts;
  url(database?: string, user?: string): string;
  stop(): Promise<void>;
}

function writtenConfig(
  options: RingferryOptions,
  ports: ProxyPorts,
  folder: string,
): Record<string, unknown> {
  const database = options.database ?? 'postgres';
  const urlOf = (shard: PostgresServer | string) =>
    typeof shard === 'string' ? shard : shard.url(database === '*' ? '' : database).replace(/\/$/, '');
  const shards = Object.entries(options.shards).map(([name, shard]) => [name, { url: urlOf(shard) }]);
  const sharding =
    options.tables === undefined
      ? {}
      : {
          home: options.home ?? Object.keys(options.shards)[0],
          ring: { vnodes: options.vnodes ?? 32 },
          tables: options.tables,
        };
  return {
    listen: Object.fromEntries(Object.entries(ports).map(([role, port]) => [role, `127.0.0.1:${port}`])),
    store: { kind: 'file', path: join(folder, 'state') },
    users: options.users ?? [{ name: 'postgres', auth: 'trust' }],
    databases: {
      [database]: {
        engine: 'postgres',
        pool: { mode: 'transaction', size: 10, ...options.pool },
        shards: Object.fromEntries(shards),
        ...sharding,
      },
    },
    log: { level: process.env['RINGFERRY_TEST_LOG'] ?? 'silent' },
    ...options.config,
  };
}

async function freePorts(): Promise<ProxyPorts> {
  return { postgres: await freePort(), admin: await freePort(), http: await freePort() };
}

/** Ringferry in this process, stopped by `after`. */
export async function startRingferry(after: After, options: RingferryOptions): Promise<Ringferry> {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-test-'));
  const ports = await freePorts();
  const text = stringify(writtenConfig(options, ports, folder));
  const { config } = parseConfig(text, join(folder, 'ringferry.yaml'));
  const server = await startServer(config);
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= server.close().then(() => rm(folder, { recursive: true, force: true })));
  after(stop);
  return {
    ports,
    url: (database = options.database ?? 'postgres', user = 'postgres') =>
      `postgres://${user}@127.0.0.1:${ports.postgres}/${database}`,
    stop,
  };
}

/** Ringferry as a process of its own, which a test may kill. Not started yet. */
export async function makeProxyProcess(after: After, options: RingferryOptions): Promise<ProxyProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-test-'));
  const {
    listen: _,
    store: __,
    ...config
  } = writtenConfig(options, { postgres: 0, admin: 0, http: 0 }, folder);
  const proxy = new ProxyProcess({ folder, ports: await freePorts(), config }, CLI);
  after(async () => {
    await proxy.end('SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return proxy;
}

/** The command line from its sources. */
export const CLI = [
  process.execPath,
  '--import',
  import.meta.resolve('tsx'),
  resolve('src/cli/main.ts'),
] as const;
