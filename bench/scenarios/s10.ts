import { availableParallelism } from 'node:os';
import type { Bench } from '../harness/bench.js';
import { commandOf, type PgbenchLoad, tpsUnderLoad } from '../harness/pgbench.js';
import { countChildren } from '../harness/proc.js';
import { startRingferry } from '../harness/ringferry.js';
import type { Scenario } from '../harness/scenario.js';
import { contendersOf } from '../harness/target.js';

const CLIENTS = 32;
const POOL = 20;

export const s10: Scenario = {
  name: 's10',
  title: 'S10: several workers',
  about: `\`pgbench -S\` with ${CLIENTS} clients and as many workers as there are cores, against one worker. The load and the server run on the same cores.`,
  programs: ['pgbench'],
  async setUp(bench) {
    const workers = availableParallelism();
    if (workers === 1) return 'this machine has one core';
    const many = await startWorkers(bench, workers);
    // A worker is a process that the first one starts.
    if (countChildren(many.processId) === 0) return 'this release runs one process, whatever `workers` says';
    const one = await startWorkers(bench, 1);
    const load: PgbenchLoad = { clients: CLIENTS, seconds: bench.options.seconds, script: 'select' };
    const name = `${workers} workers`;
    const comparison = {
      name: 'simple statements',
      figure: { label: 'transactions/s', decimals: 0 },
      command: commandOf(load),
      peer: '1 worker',
      contenders: contendersOf({ '1 worker': one, [name]: many }, (target) => tpsUnderLoad(target, load)),
      bounds: [{ goal: 'S10', contender: name, of: 'ratio' as const, atLeast: 0.8 * workers }],
    };
    return { comparisons: [comparison] };
  },
};

async function startWorkers(bench: Bench, workers: number) {
  const server = await bench.servers.postgres();
  return startRingferry(bench, {
    shards: { a: server.url() },
    database: 'postgres',
    pool: { size: POOL, pipeline: 16 },
    config: { workers },
  });
}
