import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.js';
import { type ProxyPorts, ProxyProcess } from '../../src/demo/proxy-process.js';
import { startServer } from '../../src/server.js';
import { type After, freePort } from '../cluster.js';

export interface RingferryOptions {
  readonly engine?: 'postgres' | 'mysql';
  /** Shards by name; or one database passed through. */
  readonly shards: Readonly<Record<string, ShardServer | string>>;
  /** As in the configuration file; none means pass-through. */
  readonly tables?: Readonly<Record<string, unknown>>;
  readonly home?: string;
  readonly pool?: Readonly<Record<string, unknown>>;
  readonly vnodes?: number;
  /** Name of the database at the shards and towards clients. */
  readonly database?: string;
  /** Other settings of the database. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Other top-level parts of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly users?: readonly unknown[];
}

/** A server, as a shard of this name's database. */
interface ShardServer {
  url(database?: string): string;
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
  const { engine = 'postgres', database = DATABASE[engine] } = options;
  const urlOf = (shard: ShardServer | string) =>
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
    users: options.users ?? [{ name: ROLE[engine], auth: 'trust' }],
    databases: {
      [database]: {
        engine,
        pool: { mode: 'transaction', size: 10, ...pipelineAsAsked(), ...options.pool },
        shards: Object.fromEntries(shards),
        ...sharding,
        ...options.facts,
      },
    },
    log: { level: process.env['RINGFERRY_TEST_LOG'] ?? 'silent' },
    workers: TEST_WORKERS,
    ...options.config,
  };
}

/** The whole suite can be run with other lines on shared backends: RINGFERRY_TEST_PIPELINE=1 for none. */
function pipelineAsAsked(): Readonly<Record<string, number>> {
  const asked = process.env['RINGFERRY_TEST_PIPELINE'];
  return asked === undefined ? {} : { pipeline: Number(asked) };
}

/** How many workers Ringferry has when a test does not say: RINGFERRY_TEST_WORKERS=2 runs any test with two. */
export const TEST_WORKERS = Number(process.env['RINGFERRY_TEST_WORKERS'] ?? 1);

/** Who logs in, and where, when a test does not say. */
export const ROLE = { postgres: 'postgres', mysql: 'root' } as const;
const DATABASE = { postgres: 'postgres', mysql: 'shop' } as const;

/** Whichever the system gives. */
function anyPorts(engine: 'postgres' | 'mysql'): ProxyPorts {
  return { postgres: 0, admin: 0, http: 0, ...(engine === 'mysql' ? { mysql: 0 } : {}) };
}

async function freePorts(engine = 'postgres'): Promise<ProxyPorts> {
  const ports = { postgres: await freePort(), admin: await freePort(), http: await freePort() };
  return engine === 'mysql' ? { ...ports, mysql: await freePort() } : ports;
}

/** Ringferry in this process, stopped by `after`. */
export async function startRingferry(after: After, options: RingferryOptions): Promise<Ringferry> {
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-test-'));
  const protocol = options.engine ?? 'postgres';
  const text = stringify(writtenConfig(options, anyPorts(protocol), folder));
  const { config } = parseConfig(text, join(folder, 'ringferry.yaml'));
  const server = await startServer(config);
  const { postgres, mysql, admin, http } = server.addresses;
  const ports = { postgres: postgres!.port, admin: admin!.port, http: http!.port, mysql: mysql?.port ?? 0 };
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= server.close().then(() => rm(folder, { recursive: true, force: true })));
  after(stop);
  return {
    ports,
    url: (database = options.database ?? DATABASE[protocol], user = ROLE[protocol]) =>
      `${protocol}://${user}@127.0.0.1:${ports[protocol]}/${database}`,
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
  const proxy = new ProxyProcess({ folder, ports: await freePorts(options.engine), config }, CLI);
  after(async () => {
    await proxy.end('SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return proxy;
}

/** The command line as users run it: `npm test` builds dist when a source is younger. */
export const CLI = [process.execPath, resolve('dist/cli/main.js')] as const;
