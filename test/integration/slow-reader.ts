import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProxyProcess } from '../../src/demo/proxy-process.js';
import { lastFirst } from '../cluster.js';
import type { TestEngine, TestServer } from '../engines.js';
import { makeProxyProcess, ROLE } from './harness.js';

const MEGABYTE = 1 << 20;
/** More than this read within a moment, and the proxy has not stopped. */
const STILL_BELOW_BYTES = 64 * 1024;

/** A client that reads and writes no faster than a test wants. */
export interface SlowClient {
  /** Nobody listens to it. */
  readonly socket: Socket;
  query(sql: string): void;
  /** Are these the last bytes of a result, or of the bytes that end it? */
  endsResult(tail: Buffer): boolean;
  /** Opens a transaction and says the statement that takes rows of `kept` from the client; resolves when they are asked for. */
  beginLoad(): Promise<void>;
  /** Rows as they go over the wire; each is `owner`, `id`, value in its line. */
  rowsOf(text: string): Buffer;
  /** Ends the rows and the transaction, which leaves nothing; resolves when both are answered. */
  endLoad(): Promise<void>;
}

/** Readers and writers that are faster or slower than the other side: the proxy must not keep what is between them. */
export async function testSlowReaders(
  engine: TestEngine,
  connect: (proxy: ProxyProcess) => Promise<SlowClient>,
): Promise<void> {
  const { protocol } = engine.demo;
  const atEnd = lastFirst(after);
  const servers = await engine.start(atEnd, 2);
  const [a, b] = servers as [TestServer, TestServer];
  const type = protocol === 'mysql' ? 'mediumtext' : 'text';
  const create = `CREATE TABLE kept (owner int, id int, v ${type}, PRIMARY KEY (owner, id))`;
  for (const server of servers) await engine.run(server.url(engine.database), create);
  const proxy = await makeProxyProcess(atEnd, {
    engine: protocol,
    shards: { a, b },
    tables: { kept: { key: 'owner' } },
    facts: protocol === 'mysql' ? { local_infile: true } : {},
    // Its process is looked at: workers would be others.
    config: { limits: { max_merge_rows: 1000 }, workers: 1 },
  });
  await proxy.start();
  const url = proxy.url(engine.database, ROLE[protocol], protocol);
  const rows = Array.from({ length: 512 }, (_, id) => `(1, ${id}, repeat('x', 1000))`);
  for (let owner = 10; owner < 330; owner++) rows.push(`(${owner}, -1, repeat('y', 1000))`);
  for (let owner = 1000; owner < 4000; owner++) rows.push(`(${owner}, -11, '')`);
  await engine.run(url, `INSERT INTO kept VALUES ${rows}`);
  // An order in which all rows of one shard come before all of the other.
  await engine.run(b.url(engine.database), 'UPDATE kept SET id = id - 1 WHERE id < 0');

  const residentBytes = (): number => {
    const status = readFileSync(`/proc/${proxy.processId}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
  };
  const readBytes = (): number =>
    Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${proxy.processId}/io`, 'utf8'))![1]);

  /** Until the proxy reads nothing more, neither of its clients nor of its servers. */
  async function untilStill(): Promise<void> {
    for (let before = readBytes(); ; ) {
      await sleep(250);
      const now = readBytes();
      if (now - before < STILL_BELOW_BYTES) return;
      before = now;
    }
  }

  /** Reads a result with pauses; returns the most that the proxy's memory grew meanwhile. */
  async function readSlowly(sql: string, leastBytes: number): Promise<number> {
    const client = await connect(proxy);
    const { socket } = client;
    const before = residentBytes();
    const readBefore = readBytes();
    socket.pause();
    client.query(sql);
    while (readBytes() - readBefore < STILL_BELOW_BYTES) await sleep(20);
    await untilStill();
    let growth = residentBytes() - before;
    let bytes = 0;
    let sinceBreak = 0;
    let tail: Buffer = Buffer.alloc(0);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`stalled after ${bytes} bytes`)), 90_000);
      socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        sinceBreak += chunk.length;
        growth = Math.max(growth, residentBytes() - before);
        tail = Buffer.concat([tail, chunk.subarray(-16)]).subarray(-16);
        if (bytes >= leastBytes && client.endsResult(tail)) {
          clearTimeout(timer);
          resolve();
        } else if (sinceBreak > 64 * MEGABYTE) {
          sinceBreak = 0;
          socket.pause();
          void untilStill().then(() => socket.resume());
        }
      });
      socket.resume();
    });
    socket.destroy();
    return growth;
  }

  const mustNotHaveGrown = (growth: number, limitMegabytes: number): void =>
    assert.ok(growth < limitMegabytes * MEGABYTE, `the proxy grew by ${Math.round(growth / MEGABYTE)} MB`);

  test('a slow reader of 260 MB from one shard does not grow the proxy', { timeout: 120_000 }, async () => {
    const sql = 'SELECT one.v FROM kept one JOIN kept other ON other.owner = one.owner WHERE one.owner = 1';
    mustNotHaveGrown(await readSlowly(sql, 512 * 512 * 1000), 96);
  });

  for (const [way, order] of [
    ['as they come', ''],
    ['one shard after the other', ' ORDER BY id DESC'],
  ])
    test(`a slow reader of 320 MB of all shards, ${way}, does not grow the proxy`, {
      timeout: 120_000,
    }, async () => {
      // Rows of 1 MB: what is not collected yet of those that went weighs more than in the test above.
      const sql = `SELECT owner, id, repeat(v, 1000) AS v FROM kept WHERE id IN (-1, -2)${order}`;
      mustNotHaveGrown(await readSlowly(sql, 320_000_000), 96);
    });

  test('a merge that fails ends also the shards whose rows were to wait for those of others', {
    timeout: 30_000,
  }, async () => {
    const sql = 'SELECT DISTINCT owner + 0 AS n, id FROM kept WHERE id < -10 ORDER BY id DESC';
    await a.freeze();
    const before = readBytes();
    const refused = assert.rejects(engine.run(url, sql), /more than 1000 rows/);
    try {
      while (readBytes() - before < 8_000) await sleep(20);
      await untilStill();
    } finally {
      await a.thaw();
    }
    await refused;
  });

  test('a fast writer of many rows to slow shards does not grow the proxy', {
    timeout: 120_000,
  }, async () => {
    const client = await connect(proxy);
    await client.beginLoad();
    await Promise.all(servers.map((server) => server.freeze()));
    const before = residentBytes();
    const value = 'z'.repeat(8000);
    let owner = 1_000_000;
    let sent = 0;
    let isStill = false;
    try {
      // Writes until nobody reads: the proxy must stop before it has everything.
      while (!isStill && sent < 256 * MEGABYTE) {
        const rows = Array.from({ length: 32 }, () => `${owner++}\t0\t${value}\n`).join('');
        sent += rows.length;
        if (client.socket.write(client.rowsOf(rows))) continue;
        const drained = new Promise((resolve) => client.socket.once('drain', resolve));
        isStill = await Promise.race([drained.then(() => false), untilStill().then(() => true)]);
      }
    } finally {
      await Promise.all(servers.map((server) => server.thaw()));
    }
    mustNotHaveGrown(residentBytes() - before, 96);
    assert.ok(isStill, 'the proxy went on reading');
    await client.endLoad();
    assert.deepEqual(await engine.run(url, 'SELECT v FROM kept WHERE owner >= 1000000'), []);
    client.socket.destroy();
  });
}
