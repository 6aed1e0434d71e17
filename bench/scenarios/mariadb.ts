import type { Bench } from '../harness/bench.js';
import { startHaproxy } from '../harness/haproxy.js';
import { PASSING } from '../harness/proxies.js';
import { startRingferry } from '../harness/ringferry.js';
import type { Comparison, Scenario } from '../harness/scenario.js';
import { commandOf, prepareSysbench, type SysbenchLoad, sysbenchUnderLoad } from '../harness/sysbench.js';
import { contendersOf, type Targets } from '../harness/target.js';

const THREADS = 16;
const POOL = 20;
const TESTS = ['oltp_point_select', 'oltp_read_write'] as const;
const database = 'sbtest';

export const mariadb: Scenario = {
  name: 'mariadb',
  title: 'MariaDB: sysbench',
  about: `sysbench with ${THREADS} threads against one MariaDB: itself, through HAProxy with one thread, which forwards bytes and does not look at them, and through Ringferry, which pools ${POOL} backends. HAProxy pools nothing: each client has its own connection to the server.`,
  programs: ['mariadbd', 'mariadb-install-db', 'sysbench', 'haproxy'],
  async setUp(bench) {
    const rows = bench.options.isQuick ? 10_000 : 100_000;
    const targets = await startTargets(bench, rows);
    return { comparisons: TESTS.map((test) => compare(bench, targets, test, rows)) };
  },
};

async function startTargets(bench: Bench, rows: number): Promise<Targets> {
  const server = await bench.servers.mariadb();
  const direct = { port: server.port, database };
  await prepareSysbench(direct, rows);
  const start = (tables?: Readonly<Record<string, unknown>>) =>
    startRingferry(bench, {
      shards: { a: server.url(database) },
      database,
      engine: 'mysql',
      pool: { size: POOL },
      ...(tables === undefined ? {} : { tables }),
    });
  return {
    'the server itself': direct,
    HAProxy: await startHaproxy(bench, server.port, database),
    [PASSING]: await start(),
    'Ringferry, sbtest1 routed by its key': await start({ sbtest1: { key: 'id' } }),
  };
}

function compare(bench: Bench, targets: Targets, test: SysbenchLoad['test'], rows: number): Comparison {
  const load: SysbenchLoad = { test, threads: THREADS, seconds: bench.options.seconds, rows };
  return {
    name: test,
    figure: { label: 'transactions/s', decimals: 0 },
    command: commandOf(load),
    peer: 'HAProxy',
    contenders: contendersOf(targets, (target) => sysbenchUnderLoad(target, load)),
  };
}
