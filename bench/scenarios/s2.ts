import type { Bench } from '../harness/bench.js';
import { startDelay } from '../harness/delay.js';
import { commandOf, type PgbenchLoad, tpsUnderLoad } from '../harness/pgbench.js';
import { latencyUnderLoad } from '../harness/pgbench-latency.js';
import { startPgbouncer } from '../harness/pgbouncer.js';
import { PASSING, SHARDED } from '../harness/proxies.js';
import { startRingferry } from '../harness/ringferry.js';
import type { Comparison, Scenario } from '../harness/scenario.js';
import { shardUrls } from '../harness/servers.js';
import { contendersOf, type Target, type Targets } from '../harness/target.js';

const DELAY_MS = 1;
const CLIENTS = 32;
const POOL = 4;
/** On three shards: no more backends in all than the others have, but for the rest of the division. */
const SHARD_POOL = 2;
const PIPELINE = 16;
const database = 'postgres';

export const s2: Scenario = {
  name: 's2',
  title: 'S2: a database that is a millisecond away',
  about: `\`pgbench -S\` with ${CLIENTS} clients while every byte between proxy and server takes at least ${DELAY_MS} ms each way (a forwarder of this benchmark; timers make it more, so its own row says what a statement takes alone). Pool of ${POOL} backends, on three shards ${SHARD_POOL} each.`,
  programs: ['pgbench', 'pgbouncer'],
  async setUp(bench) {
    const server = await bench.servers.postgres();
    const port = await startDelay(bench, server.port, DELAY_MS);
    const pgbouncer = await startPgbouncer(bench, { serverPort: port, database, poolSize: POOL });
    const url = `postgres://postgres@127.0.0.1:${port}/${database}`;
    const pass = (pipeline: number) =>
      startRingferry(bench, { shards: { a: url }, database, pool: { size: POOL, pipeline } });
    const targets: Targets = {
      PgBouncer: pgbouncer,
      [PASSING]: await pass(PIPELINE),
      [`${PASSING}, pipeline 1`]: await pass(1),
      [SHARDED]: await startDelayedShards(bench),
    };
    return { comparisons: [alone(bench, { port, database }), together(bench, targets)] };
  },
};

async function startDelayedShards(bench: Bench): Promise<Target> {
  const servers = await bench.servers.shards();
  const urls = Object.entries(shardUrls(servers)).map(async ([name, url]) => {
    const delayed = new URL(url);
    delayed.port = String(await startDelay(bench, Number(delayed.port), DELAY_MS));
    return [name, delayed.href] as const;
  });
  return startRingferry(bench, {
    shards: Object.fromEntries(await Promise.all(urls)),
    database,
    tables: { pgbench_accounts: { key: 'aid' } },
    pool: { size: SHARD_POOL, pipeline: PIPELINE },
  });
}

function alone(bench: Bench, forwarder: Target): Comparison {
  const load: PgbenchLoad = { clients: 1, seconds: bench.options.seconds, script: 'select' };
  return {
    name: 'the forwarder itself, one client',
    figure: { label: 'median latency, µs', decimals: 0 },
    command: `${commandOf(load)} -l`,
    mostRounds: 1,
    contenders: [{ name: 'the server through it', measure: () => latencyUnderLoad(bench, forwarder, load) }],
  };
}

function together(bench: Bench, targets: Targets): Comparison {
  const load: PgbenchLoad = { clients: CLIENTS, seconds: bench.options.seconds, script: 'select' };
  return {
    name: 'simple statements',
    figure: { label: 'transactions/s', decimals: 0 },
    command: commandOf(load),
    peer: 'PgBouncer',
    contenders: contendersOf(targets, (target) => tpsUnderLoad(target, load)),
    bounds: [PASSING, SHARDED].map((contender) => ({
      goal: 'S2',
      contender,
      of: 'ratio',
      atLeast: 5,
    })),
  };
}
