import type { Bench } from '../harness/bench.js';
import { commandOf, type PgbenchLoad, tpsUnderLoad } from '../harness/pgbench.js';
import {
  MODES,
  modesOf,
  PASSING,
  POOLS,
  type Rivals,
  SHARDED,
  type StatementMode,
  startPassing,
  startProxies,
} from '../harness/proxies.js';
import type { Comparison, Scenario } from '../harness/scenario.js';
import { contendersOf, type Targets } from '../harness/target.js';

const CLIENTS = 32;

const PREPARED =
  'PgBouncer before 1.21 loses prepared statements in transaction mode, so with them it is measured in session mode, in which each client keeps a backend and nothing is pooled.';

export const s1: Scenario = {
  name: 's1',
  title: 'S1: many clients, short reads',
  about: `\`pgbench -S\` with ${CLIENTS} clients through PgBouncer in transaction mode, through Ringferry passing one server through, and through Ringferry routing \`pgbench_accounts\` by its key over three shards. The server itself is there for scale.`,
  programs: ['pgbench', 'pgbouncer'],
  async setUp(bench) {
    const proxies = await startProxies(bench);
    const oneByOne = { [`${PASSING}, pipeline 1`]: await startPassing(bench, 1) };
    return {
      comparisons: modesOf(bench, MODES).map((mode) => compare(bench, mode, proxies[mode], oneByOne)),
      notes: [PREPARED, POOLS],
    };
  },
};

function compare(bench: Bench, mode: StatementMode, rivals: Rivals, others: Targets): Comparison {
  const load: PgbenchLoad = { mode, clients: CLIENTS, seconds: bench.options.seconds, script: 'select' };
  return {
    name: `${mode} statements`,
    figure: { label: 'transactions/s', decimals: 0 },
    command: commandOf(load),
    peer: rivals.peer,
    contenders: contendersOf({ ...rivals.targets, ...others }, (target) => tpsUnderLoad(target, load)),
    bounds: [PASSING, SHARDED].map((contender) => ({ goal: 'S1', contender, of: 'ratio', atLeast: 1.15 })),
  };
}
