import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench } from '../harness/bench.js';
import { ACCOUNTS_PER_SCALE, commandOf, type PgbenchLoad, tpsUnderLoad } from '../harness/pgbench.js';
import { POOLS, type Rivals, startProxies } from '../harness/proxies.js';
import type { Comparison, Scenario } from '../harness/scenario.js';
import { contendersOf } from '../harness/target.js';

const CLIENTS = 8;

/** By what they ask of a sharded database; `:aid` is a random account. */
const STATEMENTS: Readonly<Record<string, string>> = {
  'one shard, by key': 'SELECT aid, abalance FROM pgbench_accounts WHERE aid = :aid;',
  'all shards, ten rows in order':
    'SELECT aid, abalance FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 9 ORDER BY aid;',
  'all shards, a sum of a hundred rows':
    'SELECT count(*), sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 99;',
};

export const scatter: Scenario = {
  name: 'scatter',
  title: 'Statements that go to all shards',
  about: `What a statement costs that cannot be answered by one shard, beside one that can, with ${CLIENTS} clients. All shards of this run share one machine, so that nothing is gained by asking three of them.`,
  programs: ['pgbench', 'pgbouncer'],
  async setUp(bench) {
    const { simple } = await startProxies(bench);
    const comparisons = Object.entries(STATEMENTS).map(([name, sql]) => compare(bench, simple, name, sql));
    return { comparisons: await Promise.all(comparisons), notes: [POOLS] };
  },
};

async function compare(bench: Bench, rivals: Rivals, name: string, sql: string): Promise<Comparison> {
  const file = join(await bench.makeFolder('script'), 'script.sql');
  const highest = bench.options.scale * ACCOUNTS_PER_SCALE - 100;
  await writeFile(file, `\\set aid random(1, ${highest})\n${sql}\n`);
  const load: PgbenchLoad = {
    clients: CLIENTS,
    seconds: bench.options.seconds,
    script: { file, shown: sql },
  };
  return {
    name,
    figure: { label: 'transactions/s', decimals: 0 },
    command: commandOf(load),
    peer: rivals.peer,
    contenders: contendersOf(rivals.targets, (target) => tpsUnderLoad(target, load)),
  };
}
