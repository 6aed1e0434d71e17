import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Outbox } from '../../src/lib/outbox.js';
import { onlyToBeWritten, readChunks } from '../../src/lib/read-chunks.js';

/** Both ends of a connection: the accepted one is read by what is tested, the other one writes. */
async function openPair(context: TestContext): Promise<{ accepted: Socket; client: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect(port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  context.after(() => {
    accepted.destroy();
    client.destroy();
    server.close();
  });
  return { accepted, client };
}

/** Collects all that comes; chunks are kept, so one that changes afterwards is noticed. */
function collect(socket: Socket): { all(): Buffer; until(length: number): Promise<Buffer>; count(): number } {
  const chunks: Buffer[] = [];
  let length = 0;
  let wake = () => {};
  const isOurs = readChunks(socket, (chunk) => {
    chunks.push(chunk);
    length += chunk.length;
    wake();
  });
  assert.equal(isOurs, true, 'this Node reads into memory of ours');
  return {
    all: () => Buffer.concat(chunks),
    count: () => length,
    async until(wanted) {
      while (length < wanted)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return Buffer.concat(chunks);
    },
  };
}

test('small chunks of many sockets that share memory stay what they were', async (context) => {
  const pairs = await Promise.all(Array.from({ length: 8 }, () => openPair(context)));
  const collected = pairs.map(({ accepted }) => collect(accepted));
  for (const { accepted } of pairs) accepted.resume();
  const sent = pairs.map(() => [] as Buffer[]);
  for (let round = 0; round < 50; round++) {
    for (const [index, { client }] of pairs.entries()) {
      const bytes = randomBytes(1 + ((round * 37 + index * 101) % 900));
      sent[index]!.push(bytes);
      client.write(bytes);
    }
    const total = sent.map((chunks) => Buffer.concat(chunks));
    await Promise.all(collected.map(({ until }, index) => until(total[index]!.length)));
  }
  for (const [index, { all }] of collected.entries()) assert.deepEqual(all(), Buffer.concat(sent[index]!));
});

test('much that comes at once arrives whole and in order, and small chunks behind it', async (context) => {
  const [one, other] = [await openPair(context), await openPair(context)];
  const collected = [collect(one.accepted), collect(other.accepted)];
  const large = randomBytes(8 << 20);
  for (const [pair, small] of [
    [one, 'small'],
    [other, 'other'],
  ] as const) {
    pair.accepted.resume();
    pair.client.write(large);
    pair.client.write(small);
  }
  for (const [index, small] of ['small', 'other'].entries()) {
    const all = await collected[index]!.until(large.length + 5);
    assert.equal(sha(all.subarray(0, large.length)), sha(large));
    assert.equal(all.subarray(large.length).toString(), small);
  }
  one.client.write('more');
  assert.equal((await collected[0]!.until(large.length + 9)).subarray(-4).toString(), 'more');
});

test('memory of chunks that are passed on is read into again, and not before they are written', async (context) => {
  const pairs = await Promise.all(
    Array.from({ length: 3 }, async () => [await openPair(context), await openPair(context)] as const),
  );
  const memory = new Set<ArrayBufferLike>();
  let chunks = 0;
  const sent = pairs.map(() => randomBytes(24 << 20));
  const arrived = await Promise.all(
    pairs.map(async ([source, target], index) => {
      const outbox = new Outbox(target.accepted);
      outbox.onDrain = () => source.accepted.resume();
      readChunks(source.accepted, (chunk) => {
        chunks++;
        memory.add(chunk.buffer);
        onlyToBeWritten(chunk);
        if (!outbox.send(chunk)) source.accepted.pause();
      });
      source.accepted.resume();
      source.client.write(sent[index]!);
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const part of target.client) {
        hash.update(part as Buffer);
        bytes += (part as Buffer).length;
        // One of them reads slowly, so that much waits to be written.
        if (index === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        if (bytes === sent[index]!.length) break;
      }
      return hash.digest('hex');
    }),
  );
  assert.deepEqual(arrived, sent.map(sha));
  assert.ok(memory.size < chunks / 4, `${memory.size} pieces of memory for ${chunks} chunks`);
});

test('what the stream had read before comes first', async (context) => {
  const { accepted, client } = await openPair(context);
  client.write('abcdef');
  await once(accepted, 'readable');
  assert.equal(String(accepted.read(2)), 'ab');
  const { until } = collect(accepted);
  client.write('ghi');
  accepted.resume();
  assert.equal(String(await until(7)), 'cdefghi');
});

test('a socket that is paused is not read: its client has to wait', async (context) => {
  const { accepted, client } = await openPair(context);
  const { until, count } = collect(accepted);
  accepted.resume();
  client.write('x');
  await until(1);
  accepted.pause();
  const bytes = randomBytes(32 << 20);
  client.write(bytes);
  // Much more than the kernel takes for a reader that does not read.
  await once(client, 'drain', { signal: AbortSignal.timeout(300) }).then(
    () => assert.fail('all was read although the reader was paused'),
    () => {},
  );
  assert.equal(count(), 1);
  accepted.resume();
  const all = await until(1 + bytes.length);
  assert.equal(sha(all.subarray(1)), sha(bytes));
});

test('pausing inside a chunk stops the next one', async (context) => {
  const { accepted, client } = await openPair(context);
  const sizes: number[] = [];
  readChunks(accepted, (chunk) => {
    sizes.push(chunk.length);
    accepted.pause();
    setImmediate(() => accepted.resume());
  });
  accepted.resume();
  client.end(randomBytes(1 << 20));
  await once(accepted, 'end');
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    1 << 20,
  );
});

test('the end and a broken connection are told as ever', async (context) => {
  const { accepted, client } = await openPair(context);
  const { until } = collect(accepted);
  accepted.resume();
  client.end('bye');
  await once(accepted, 'end');
  assert.equal(String(await until(3)), 'bye');
  const broken = await openPair(context);
  collect(broken.accepted);
  broken.accepted.on('error', () => {});
  broken.accepted.resume();
  const closed = new Promise((resolve) => broken.accepted.once('close', resolve));
  broken.client.resetAndDestroy();
  await closed;
});

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
