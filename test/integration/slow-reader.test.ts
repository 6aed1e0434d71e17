import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import * as wire from '../drivers/wire-client.js';
import { makeProxyProcess } from './harness.js';

const MEGABYTE = 1 << 20;
const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 2 });
const [a, b] = servers as [(typeof servers)[0], (typeof servers)[0]];
for (const server of servers) await runSql(server.url(), 'CREATE TABLE kept (id int PRIMARY KEY, v text)');
const proxy = await makeProxyProcess(atEnd, { shards: { a, b }, tables: { kept: { key: 'id' } } });
await proxy.start();
const url = proxy.url('postgres', 'postgres');

function residentBytes(): number {
  const status = readFileSync(`/proc/${proxy.processId}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
}

/** Reads a result with pauses; returns bytes read and the most that the proxy's memory grew meanwhile. */
async function readSlowly(sql: string): Promise<{ bytes: number; growth: number }> {
  const client = await wire.WireClient.login(url);
  const { socket } = client;
  socket.removeAllListeners('data');
  const before = residentBytes();
  let bytes = 0;
  let growth = 0;
  let sinceBreak = 0;
  const end = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`stalled after ${bytes} bytes`)), 90_000);
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      sinceBreak += chunk.length;
      growth = Math.max(growth, residentBytes() - before);
      // CommandComplete and ReadyForQuery are the last bytes that come.
      if (chunk.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) {
        clearTimeout(timer);
        resolve();
      } else if (sinceBreak > 64 * MEGABYTE) {
        sinceBreak = 0;
        socket.pause();
        setTimeout(() => socket.resume(), 250);
      }
    });
  });
  socket.pause();
  client.send(wire.query(sql));
  await sleep(1000);
  growth = residentBytes() - before;
  socket.resume();
  await end;
  client.destroy();
  return { bytes, growth };
}

test('a slow reader of 1 GB from one shard does not grow the proxy', { timeout: 120_000 }, async () => {
  await runSql(url, "INSERT INTO kept VALUES (1, repeat('x', 1000))");
  const { bytes, growth } = await readSlowly('SELECT v FROM kept, generate_series(1, 1048576) WHERE id = 1');
  assert.ok(bytes > 1_000_000_000, `${bytes} bytes`);
  assert.ok(growth < 96 * MEGABYTE, `the proxy grew by ${Math.round(growth / MEGABYTE)} MB`);
});

test('a slow reader of 512 MB scattered over all shards does not grow the proxy', {
  timeout: 120_000,
}, async () => {
  // Rows of 1 MB: what is not collected yet of those that went weighs more than in the test above.
  for (let first = 10; first < 522; first += 16) {
    const rows = Array.from({ length: 16 }, (_, n) => `(${first + n}, repeat('y', 1000000))`);
    await runSql(url, `INSERT INTO kept VALUES ${rows}`);
  }
  const { bytes, growth } = await readSlowly('SELECT id, v FROM kept');
  assert.ok(bytes > 512 * 1_000_000, `${bytes} bytes`);
  assert.ok(growth < 192 * MEGABYTE, `the proxy grew by ${Math.round(growth / MEGABYTE)} MB`);
});

test('a fast writer of a large COPY to a slow shard does not grow the proxy', {
  timeout: 120_000,
}, async () => {
  const client = await wire.WireClient.login(url);
  client.send(wire.query('BEGIN'), wire.query('COPY kept FROM STDIN'));
  await client.until('G');
  await Promise.all(servers.map((server) => server.freeze()));
  const before = residentBytes();
  const value = 'z'.repeat(8000);
  let id = 1_000_000;
  let sent = 0;
  // Writes on until the sockets are full: the proxy must stop reading.
  for (let n = 0; n < 4000; n++) {
    const rows = Array.from({ length: 8 }, () => `${id++}\t${value}\n`).join('');
    sent += rows.length;
    if (!client.socket.write(wire.frame('d', rows)) && client.socket.writableLength > 64 * MEGABYTE) break;
  }
  await sleep(1500);
  const growth = residentBytes() - before;
  await Promise.all(servers.map((server) => server.thaw()));
  assert.ok(client.socket.writableLength > 0 || sent > 0);
  assert.ok(
    growth < 96 * MEGABYTE,
    `the proxy grew by ${Math.round(growth / MEGABYTE)} MB of ${Math.round(sent / MEGABYTE)} sent`,
  );
  client.send(wire.frame('f', 'enough\0'), wire.query('ROLLBACK'));
  const messages = await client.until('Z', 2, 60_000);
  assert.ok(messages.some((message) => message.type === 'E'));
  client.end();
});
