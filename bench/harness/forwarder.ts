import { connect, createServer, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

/**
 * A process of its own: forwards TCP from one port of 127.0.0.1 to another and delivers every byte a given time after it came, in both
 * directions. Arguments: from, to, milliseconds. What waits is delivered together, as a network would that delays but does not slow down.
 */
const [from, to, delayMs] = process.argv.slice(2).map(Number) as [number, number, number];

interface Chunk {
  readonly dueMs: number;
  readonly bytes: Buffer;
}

function forward(source: Socket, target: Socket): void {
  const waiting: Chunk[] = [];
  const deliver = (): void => {
    // A timer may fire a little early by this clock; then the next one takes the rest.
    while (waiting.length > 0 && waiting[0]!.dueMs <= performance.now()) target.write(waiting.shift()!.bytes);
    if (waiting.length > 0) setTimeout(deliver, Math.max(0, waiting[0]!.dueMs - performance.now()));
  };
  source.on('data', (bytes: Buffer) => {
    waiting.push({ dueMs: performance.now() + delayMs, bytes });
    if (waiting.length === 1) setTimeout(deliver, delayMs);
  });
  source.on('close', () => setTimeout(() => target.destroy(), delayMs));
  source.on('error', () => {});
}

createServer((client) => {
  const server = connect({ port: to, host: '127.0.0.1', noDelay: true });
  client.setNoDelay(true);
  forward(client, server);
  forward(server, client);
}).listen(from, '127.0.0.1');
