import { resolve } from 'node:path';
import { freePort } from '../../src/demo/free-port.js';
import { ProxyProcess } from '../../src/demo/proxy-process.js';
import type { Bench } from './bench.js';
import type { Target } from './target.js';

export interface RingferryOptions {
  /** URLs of the shards by name. */
  readonly shards: Readonly<Record<string, string>>;
  readonly database: string;
  readonly engine?: 'postgres' | 'mysql';
  /** None: the one shard is passed through. */
  readonly tables?: Readonly<Record<string, unknown>>;
  readonly pool: Readonly<Record<string, unknown>>;
  readonly users?: readonly unknown[];
  /** Other top-level parts of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface Ringferry extends Target {
  readonly processId: number;
  end(): Promise<void>;
}

const PROGRAM = [process.execPath, resolve('dist/cli/main.js')] as const;

/** `ringferry serve` from dist, in a process of its own, ended with the scenario. */
export async function startRingferry(bench: Bench, options: RingferryOptions): Promise<Ringferry> {
  const { database, engine = 'postgres' } = options;
  const folder = await bench.makeFolder('ringferry');
  const shards = Object.entries(options.shards).map(([name, url]) => [name, { url }]);
  const sharding =
    options.tables === undefined ? {} : { home: Object.keys(options.shards)[0], tables: options.tables };
  const config = {
    users: options.users ?? [{ name: engine === 'postgres' ? 'postgres' : 'root', auth: 'trust' }],
    databases: {
      [database]: {
        engine,
        pool: { mode: 'transaction', ...options.pool },
        shards: Object.fromEntries(shards),
        ...sharding,
      },
    },
    limits: { max_clients: 20_000 },
    log: { level: 'warn' },
    ...options.config,
  };
  const ports = { postgres: await freePort(), admin: await freePort(), http: await freePort() };
  const mysql = engine === 'mysql' ? { mysql: await freePort() } : {};
  const proxy = new ProxyProcess({ folder, ports: { ...ports, ...mysql }, config }, PROGRAM);
  bench.atEnd(() => proxy.end('SIGKILL'));
  await proxy.start();
  return {
    port: mysql.mysql ?? ports.postgres,
    database,
    processId: proxy.processId,
    warmsUp: true,
    counter: { counts: 'statements', read: () => statementsOf(ports.http, database) },
    end: () => proxy.end('SIGKILL'),
  };
}

async function statementsOf(port: number, database: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const line = new RegExp(`^ringferry_statements_total\\{database="${database}"\\} (\\d+)`, 'm');
  const count = line.exec(await response.text())?.[1];
  if (count === undefined) throw new Error('/metrics says nothing of statements');
  return Number(count);
}
