import type { Bench } from './bench.js';
import { ACCOUNTS_PER_SCALE } from './pgbench.js';
import type { Contender } from './scenario.js';
import { latencyFigures } from './statistics.js';
import { WireClient } from './wire-client.js';

/** The statement of pgbench -S. */
export const ASKED = 'SELECT abalance FROM pgbench_accounts WHERE aid = :aid;';

/** One client of ours that asks servers without a proxy, each time another one by chance: its median latency in µs. */
export function askServers(bench: Bench, name: string, ports: readonly number[]): Contender {
  return {
    name,
    warmsUp: true,
    async measure() {
      const clients = await Promise.all(ports.map((port) => WireClient.login(port, 'postgres')));
      try {
        return latencyFigures(await latenciesOf(bench, clients));
      } finally {
        for (const client of clients) client.close();
      }
    },
  };
}

async function latenciesOf({ options }: Bench, clients: readonly WireClient[]): Promise<number[]> {
  const latencies: number[] = [];
  const endMs = performance.now() + options.seconds * 1000;
  for (let nowMs = performance.now(); nowMs < endMs; ) {
    const aid = 1 + Math.floor(Math.random() * ACCOUNTS_PER_SCALE * options.scale);
    const client = clients[Math.floor(Math.random() * clients.length)]!;
    await client.query(ASKED.replace(':aid', String(aid)));
    const answeredMs = performance.now();
    latencies.push((answeredMs - nowMs) * 1000);
    nowMs = answeredMs;
  }
  return latencies;
}
