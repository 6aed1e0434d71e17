import assert from 'node:assert/strict';
import type { ProxyProcess } from '../../src/demo/proxy-process.js';
import type { After } from '../cluster.js';
import type { TestEngine, TestServer } from '../engines.js';
import { eventually } from './eventually.js';
import { makeProxyProcess, type RingferryOptions, ROLE } from './harness.js';
import { Operator } from './shop.js';

export interface TwoWorkers {
  readonly engine: TestEngine;
  readonly servers: readonly [TestServer, TestServer];
  readonly proxy: ProxyProcess;
  readonly operator: Operator;
  readonly url: string;
  /** Opens two connections, one at each worker; the proxy must have no other client. */
  onEach<Client>(open: () => Promise<Client>): Promise<[Client, Client]>;
}

/** A primary with two workers in front of shards a and b. */
export async function startTwoWorkers(
  after: After,
  engine: TestEngine,
  options: Omit<RingferryOptions, 'shards'>,
): Promise<TwoWorkers> {
  const [a, b] = (await engine.start(after, 2)) as [TestServer, TestServer];
  const { protocol } = engine.demo;
  const proxy = await makeProxyProcess(after, {
    engine: protocol,
    shards: { a, b },
    ...options,
    config: { workers: 2, ...options.config },
  });
  await proxy.start();
  const operator = new Operator(proxy.ports.admin);
  const mustHave = (counts: readonly number[]) =>
    eventually(async () => {
      const rows = await operator.run('SHOW PROXIES');
      const clients = rows.filter((row) => row['pid'] !== proxy.processId).map((row) => row['clients']);
      assert.deepEqual(clients, counts, 'clients of each worker');
    });
  return {
    engine,
    servers: [a, b],
    proxy,
    operator,
    url: proxy.url(engine.database, ROLE[protocol], protocol),
    onEach: async (open) => {
      await mustHave([0, 0]);
      const clients = [await open(), await open()] as [Awaited<ReturnType<typeof open>>, never];
      await mustHave([1, 1]);
      return clients;
    },
  };
}
