import { ASKED, askServers } from '../harness/ask-servers.js';
import type { Bench } from '../harness/bench.js';
import { commandOf, type PgbenchLoad } from '../harness/pgbench.js';
import { latencyUnderLoad } from '../harness/pgbench-latency.js';
import {
  MODES,
  modesOf,
  PASSING,
  type Rivals,
  SHARDED,
  type StatementMode,
  startProxies,
} from '../harness/proxies.js';
import type { Comparison, Scenario } from '../harness/scenario.js';
import { contendersOf } from '../harness/target.js';

const ONE = 'one server';

export const s3: Scenario = {
  name: 's3',
  title: 'S3: one client, latency',
  about: '`pgbench -S` with one client that waits for each answer: what a proxy adds to a statement.',
  programs: ['pgbench', 'pgbouncer'],
  async setUp(bench) {
    const proxies = await startProxies(bench);
    const withProxies = modesOf(bench, MODES).map((mode) => compare(bench, mode, proxies[mode]));
    return { comparisons: [...withProxies, await compareServers(bench)] };
  },
};

/** What a statement on three shards would take if the proxy took nothing. */
async function compareServers(bench: Bench): Promise<Comparison> {
  const ports = (await bench.servers.shards()).map(({ port }) => port);
  return {
    name: 'no proxy: one server asked, or three by chance',
    figure: { label: 'median latency, µs', decimals: 0 },
    command: `one client of the benchmark's own, ${ASKED}`,
    peer: ONE,
    contenders: [askServers(bench, ONE, ports.slice(0, 1)), askServers(bench, 'three servers', ports)],
  };
}

function compare(bench: Bench, mode: StatementMode, rivals: Rivals): Comparison {
  const load: PgbenchLoad = { mode, clients: 1, seconds: bench.options.seconds, script: 'select' };
  return {
    name: `${mode} statements`,
    figure: { label: 'median latency, µs', decimals: 0 },
    command: `${commandOf(load)} -l`,
    peer: rivals.peer,
    contenders: contendersOf(rivals.targets, (target) => latencyUnderLoad(bench, target, load)),
    bounds: [PASSING, SHARDED].map((contender) => ({ goal: 'S3', contender, of: 'ratio', atMost: 1.3 })),
  };
}
