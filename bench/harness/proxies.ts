import type { Bench } from './bench.js';
import { startPgbouncer } from './pgbouncer.js';
import { startRingferry } from './ringferry.js';
import { shardUrls } from './servers.js';
import type { Target, Targets } from './target.js';

/** Backends of one server, and of each of three shards: about as many in all. */
const POOL = 20;
const SHARD_POOL = 7;
const PIPELINE = 16;

/** For the report. */
export const POOLS = `A pool of ${POOL} backends in front of one server, of ${SHARD_POOL} in front of each of three shards; \`pool.pipeline\` is ${PIPELINE} where nothing else is said. One process of each proxy.`;

/** Contenders by their names in the report. */
export const PASSING = 'Ringferry, passing through';
export const SHARDED = 'Ringferry, three shards';

/** How pgbench sends statements. */
export const MODES = ['simple', 'extended', 'prepared'] as const;
export type StatementMode = (typeof MODES)[number];

/** Those that are measured: with --quick one of them stands for all. */
export function modesOf<Mode extends StatementMode>(bench: Bench, modes: readonly Mode[]): readonly Mode[] {
  return bench.options.isQuick ? modes.slice(0, 1) : modes;
}

export interface Rivals {
  /** PgBouncer in the mode in which it can serve these statements. */
  readonly peer: string;
  /** The server itself, PgBouncer, Ringferry passing through and on three shards. */
  readonly targets: Targets;
}

/** The proxies that most scenarios compare, in front of the same server: for each way to send statements. */
export async function startProxies(bench: Bench): Promise<Readonly<Record<StatementMode, Rivals>>> {
  const server = await bench.servers.postgres();
  const direct = { port: server.port, database: 'postgres' };
  const common = { serverPort: server.port, database: 'postgres' };
  const transactions = await startPgbouncer(bench, { ...common, poolSize: POOL });
  // A session keeps its backend, so it needs one for each client.
  const sessions = await startPgbouncer(bench, { ...common, poolSize: 100, poolMode: 'session' });
  const passing = await startPassing(bench);
  const sharded = await startSharded(bench);
  const rivals = (peer: string, pgbouncer: Target): Rivals => ({
    peer,
    targets: { 'the server itself': direct, [peer]: pgbouncer, [PASSING]: passing, [SHARDED]: sharded },
  });
  const inTransactions = rivals('PgBouncer', transactions);
  const inSessions = rivals('PgBouncer, session mode', sessions);
  return { simple: inTransactions, extended: inTransactions, prepared: inSessions };
}

/** Ringferry in front of the server, passing through. */
export async function startPassing(bench: Bench, pipeline = PIPELINE): Promise<Target> {
  const server = await bench.servers.postgres();
  return startRingferry(bench, {
    shards: { a: server.url() },
    database: 'postgres',
    pool: { size: POOL, pipeline },
  });
}

/** Ringferry with pgbench_accounts by its key on three shards. */
export async function startSharded(
  bench: Bench,
  tables: Readonly<Record<string, unknown>> = {},
): Promise<Target> {
  return startRingferry(bench, {
    shards: shardUrls(await bench.servers.shards()),
    database: 'postgres',
    tables: { pgbench_accounts: { key: 'aid' }, ...tables },
    pool: { size: SHARD_POOL, pipeline: PIPELINE },
  });
}
