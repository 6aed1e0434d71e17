import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../harness/bench.js';
import { allowOpenFiles } from '../harness/open-files.js';
import { startPgbouncer } from '../harness/pgbouncer.js';
import { residentBytes } from '../harness/proc.js';
import { PASSING } from '../harness/proxies.js';
import { startRingferry } from '../harness/ringferry.js';
import type { Comparison, Sample, Scenario } from '../harness/scenario.js';
import type { Target } from '../harness/target.js';
import { WireClient } from '../harness/wire-client.js';

const POOL = 20;
/** Logins at the same time. */
const AT_ONCE = 50;
/** What a process has open beside its clients. */
const OTHER_FILES = 500;
/** Each address of loopback has ports of its own. */
const ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
const database = 'postgres';

export const s5: Scenario = {
  name: 's5',
  title: 'S5: idle clients',
  about:
    'Memory of the proxy in RAM with all clients logged in and idle, less what it had before the first, divided by their number. Once after the login alone, once after each client has run a statement. What the kernel keeps for sockets is not in it.',
  programs: ['pgbouncer'],
  async setUp(bench) {
    const clients = bench.options.isQuick ? 2_000 : 10_000;
    const refusal = await allowOpenFiles(clients + OTHER_FILES);
    if (refusal !== undefined) return refusal;
    const settle = bench.options.isQuick ? 1000 : 5000;
    return { comparisons: [compare(bench, clients, settle, false), compare(bench, clients, settle, true)] };
  },
};

interface Started extends Target {
  readonly processId: number;
  end(): Promise<void>;
}

function compare(bench: Bench, clients: number, settleMs: number, runsStatement: boolean): Comparison {
  const many = clients.toLocaleString('en-US');
  const starts: Readonly<Record<string, () => Promise<Started>>> = {
    PgBouncer: async () => {
      const { port } = await bench.servers.postgres();
      return startPgbouncer(bench, { serverPort: port, database, poolSize: POOL });
    },
    [PASSING]: async () => {
      const server = await bench.servers.postgres();
      return startRingferry(bench, { shards: { a: server.url() }, database, pool: { size: POOL } });
    },
  };
  return {
    name: `${many} clients, ${runsStatement ? 'after a statement of each' : 'logged in'}`,
    figure: { label: 'KB per client', decimals: 1 },
    mostRounds: bench.options.isQuick ? 1 : 3,
    contenders: Object.entries(starts).map(([name, start]) => ({
      name,
      measure: () => measure(start, clients, settleMs, runsStatement),
    })),
    bounds: [{ goal: 'S5', contender: PASSING, of: 'value', atMost: 20 }],
  };
}

/** A process of its own for each measurement: memory that was once taken is seldom given back. */
async function measure(
  start: () => Promise<Started>,
  count: number,
  settleMs: number,
  runsStatement: boolean,
): Promise<Sample> {
  const proxy = await start();
  const clients: WireClient[] = [];
  try {
    // One client first, so that what the first login loads counts for none.
    clients.push(await WireClient.login(proxy.port, database));
    await clients[0]!.query('SELECT 1');
    await sleep(settleMs);
    const before = residentBytes(proxy.processId);
    await loginAll(proxy, clients, count);
    if (runsStatement) await eachInTurn(clients, (client) => client.query('SELECT 1'));
    await sleep(settleMs);
    const after = residentBytes(proxy.processId);
    if (clients.some((client) => client.isLost)) throw new Error('a client lost its connection');
    const also = { 'RSS in all, MiB': after / 2 ** 20 };
    return { value: (after - before) / 1000 / count, also };
  } finally {
    for (const client of clients) client.close();
    await proxy.end();
  }
}

async function loginAll(proxy: Target, clients: WireClient[], count: number): Promise<void> {
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - clients.length) }, (_, nth) =>
      WireClient.login(proxy.port, database, ADDRESSES[nth % ADDRESSES.length]!),
    );
    clients.push(...(await Promise.all(batch)));
  }
}

async function eachInTurn(
  clients: readonly WireClient[],
  act: (client: WireClient) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < clients.length; from += AT_ONCE)
    await Promise.all(clients.slice(from, from + AT_ONCE).map(act));
}
