import type { Bench } from '../harness/bench.js';
import { commandOf, type PgbenchLoad, tpsUnderLoad } from '../harness/pgbench.js';
import { modesOf, POOLS, type Rivals, startProxies } from '../harness/proxies.js';
import type { Comparison, Scenario } from '../harness/scenario.js';
import { contendersOf } from '../harness/target.js';

const CLIENTS = 16;
const MODES = ['simple', 'extended'] as const;

export const tpcb: Scenario = {
  name: 'tpcb',
  title: 'TPC-B: transactions that write',
  about: `pgbench's built-in transaction of seven statements, with ${CLIENTS} clients. A transaction keeps its backend, so nothing can be written together. With the accounts on three shards and all else on the first, two transactions of three write on two shards and commit in two phases: what that costs is in the last row.`,
  programs: ['pgbench', 'pgbouncer'],
  async setUp(bench) {
    const proxies = await startProxies(bench);
    const comparisons = modesOf(bench, MODES).map((mode) => compare(bench, mode, proxies[mode]));
    return { comparisons, notes: [POOLS] };
  },
};

function compare(bench: Bench, mode: (typeof MODES)[number], rivals: Rivals): Comparison {
  const load: PgbenchLoad = { mode, clients: CLIENTS, seconds: bench.options.seconds, script: 'tpcb' };
  return {
    name: `${mode} statements`,
    figure: { label: 'transactions/s', decimals: 0 },
    command: commandOf(load),
    peer: rivals.peer,
    contenders: contendersOf(rivals.targets, (target) => tpsUnderLoad(target, load)),
  };
}
