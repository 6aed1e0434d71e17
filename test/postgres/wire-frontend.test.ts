import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import {
  COPY_DONE,
  encodeBind,
  encodeCopyData,
  encodeCopyFail,
  encodeDescribe,
  encodeExecute,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  FLUSH,
  SYNC,
  TERMINATE,
} from '../../src/postgres/frontend-messages.js';
import type { Frontend, FrontendEvents } from '../../src/proxy/frontend.js';
import { closeAll, enter, open } from './wire-clients.js';

afterEach(closeAll);

describe('a frontend', () => {
  const extended = [
    encodeParse('s', 'SELECT $1', [23]),
    encodeBind({
      portal: '',
      statement: 's',
      parameterFormats: [1],
      parameters: [Buffer.from('000000ff', 'hex'), undefined],
      resultFormats: [0],
    }),
    encodeDescribe('portal', ''),
    encodeExecute('', 5),
  ];

  test('makes one request of the messages up to Sync, Flush or one Query', async () => {
    const door = await open();
    const client = await enter(door);
    client.send(Buffer.concat([...extended, SYNC, encodeQuery('SELECT 1'), ...extended, FLUSH, FLUSH, SYNC]));
    await client.until(() => client.codes.split('Z').length === 5);
    assert.deepEqual(
      door.requests.map((request) => [request.end, request.steps.map((step) => step.type).join(' ')]),
      [
        ['sync', 'parse bind describe-portal execute'],
        ['query', 'query'],
        ['flush', 'parse bind describe-portal execute'],
        ['sync', ''],
      ],
    );
    assert.equal(door.requests[0]!.byteLength, Buffer.concat(extended).length);
  });

  test('reads steps and parameters as they were sent', async () => {
    const door = await open();
    const client = await enter(door);
    client.send(...extended, SYNC);
    await client.until(() => client.codes.split('Z').length === 3);
    const [parsed, bound, , executed] = door.requests[0]!.steps;
    assert.ok(parsed?.type === 'parse' && bound?.type === 'bind' && executed?.type === 'execute');
    assert.deepEqual(
      [parsed.prepared.name, parsed.prepared.sql, parsed.prepared.parameterTypes],
      ['s', 'SELECT $1', [23]],
    );
    assert.equal(bound.parameters.typeOid(0), 0, 'not known before the session has looked the statement up');
    bound.prepared = parsed.prepared;
    assert.deepEqual(
      [0, 1].map((index) => bound.parameters.typeOid(index)),
      [23, 0],
    );
    assert.deepEqual(
      [0, 1].map((index) => bound.parameters.bytes(index)?.toString('hex')),
      ['000000ff', undefined],
    );
    assert.deepEqual(
      [bound.parameters.format(0), bound.parameters.format(1), bound.parameters.count],
      [1, 1, 2],
    );
    assert.equal(executed.maxRows, 5);
    assert.deepEqual(parsed.frame, extended[0]);
  });

  test('gives equal texts and types one number, and texts that are not UTF-8 their own', async () => {
    const door = await open();
    const client = await enter(door);
    const latin = (byte: number) =>
      encodeParse('', Buffer.concat([Buffer.from("SELECT '"), Buffer.of(byte), Buffer.from("'")]), []);
    client.send(
      encodeParse('a', 'SELECT 1', []),
      encodeParse('b', 'SELECT 1', []),
      encodeParse('c', 'SELECT 1', [23]),
      latin(0xe4),
      latin(0xf6),
      SYNC,
    );
    await client.until(() => client.codes.split('Z').length === 3);
    const ids = door.requests[0]!.steps.map((step) => (step.type === 'parse' ? step.prepared.id : 0));
    assert.equal(ids[0], ids[1]);
    assert.equal(new Set(ids).size, 4);
    const last = door.requests[0]!.steps[4]!;
    assert.ok(last.type === 'parse' && last.prepared.bytes?.includes(0xf6));
  });

  test('takes a function call for a request of its own', async () => {
    const door = await open();
    const client = await enter(door);
    client.send(encodeFunctionCall(1598, [Buffer.from([0, 0, 0, 1]), undefined]));
    await client.until(() => client.codes === 'RSKZZ');
    assert.deepEqual([door.requests[0]!.end, door.requests[0]!.steps[0]!.type], ['query', 'function-call']);
  });

  test('hands COPY frames on', async () => {
    const door = await open();
    const client = await enter(door);
    client.send(encodeCopyData(Buffer.from('1\n')), encodeCopyFail('no'), COPY_DONE, encodeQuery('x'));
    await client.until(() => client.codes.endsWith('TDCZ'));
    assert.deepEqual(door.copies, ['data', 'fail', 'done']);
  });

  test('tells its session how the client left', async () => {
    const door = await open();
    const polite = await enter(door);
    polite.send(TERMINATE);
    await polite.untilClosed();
    const rude = await enter(door);
    rude.socket.destroy();
    await rude.until(() => door.closes.length === 2);
    assert.deepEqual(door.closes, ['terminated', 'lost']);
  });

  test('ends a client that sends garbage with an error, once', async () => {
    const door = await open({ limits: { maxMessageBytes: 100_000 } });
    const garbage: [string, Buffer, string][] = [
      ['an unknown type', Buffer.from([0x21, 0, 0, 0, 4]), '08P01'],
      ['a length below its own size', Buffer.from([0x51, 0, 0, 0, 3]), '08P01'],
      ['a negative length', Buffer.from([0x51, 0xff, 0, 0, 4]), '08P01'],
      ['a message over the limit', Buffer.from([0x51, 0, 0x10, 0, 0]), '54000'],
      ['a small message over its limit', Buffer.from([0x45, 0, 0, 0x40, 0]), '54000'],
      ['a query without an end', Buffer.from([0x51, 0, 0, 0, 5, 0x41]), '08P01'],
      ['a query with two ends', Buffer.from([0x51, 0, 0, 0, 7, 0x41, 0, 0]), '08P01'],
      [
        'a Bind with more values than bytes',
        Buffer.from([0x42, 0, 0, 0, 10, 0, 0, 0, 0, 0xff, 0xff]),
        '08P01',
      ],
      ['a password out of turn', Buffer.from([0x70, 0, 0, 0, 5, 0]), '08P01'],
      ['a Describe of nothing', Buffer.from([0x44, 0, 0, 0, 6, 0x41, 0]), '08P01'],
    ];
    for (const [what, bytes, sqlstate] of garbage) {
      const client = await enter(door);
      client.send(bytes);
      await client.untilClosed();
      assert.equal(client.error?.get('C'), sqlstate, what);
      assert.equal(client.codes, 'RSKZE', what);
    }
    assert.deepEqual(
      door.closes,
      garbage.map(() => 'protocol-violation'),
    );
    assert.equal(door.requests.length, 0);
  });

  test('ends a client whose request grows over the limit', async () => {
    const door = await open({ limits: { maxRequestBytes: 50_000 } });
    const client = await enter(door);
    for (let n = 0; n < 10; n++) client.send(encodeParse('', `SELECT '${'x'.repeat(9_000)}'`, []));
    await client.untilClosed();
    assert.equal(client.error?.get('C'), '54000');
    assert.match(client.error?.get('H') ?? '', /max_request_bytes/);
  });

  test('stops between two messages when it is paused, and goes on where it was', async () => {
    let pausedAt = 0;
    const seen: string[] = [];
    const door = await open({
      serve: (frontend: Frontend): FrontendEvents => ({
        onRequest: (request) => {
          seen.push(request.steps[0]?.type === 'query' ? request.steps[0].sql : '');
          if (seen.length % 2 === 0) {
            frontend.pause();
            pausedAt = seen.length;
            setTimeout(() => {
              assert.equal(seen.length, pausedAt, 'nothing comes while it is paused');
              frontend.resume();
            }, 20);
          }
        },
        onCopy: () => {},
        onDrain: () => {},
        onClose: () => {},
      }),
    });
    const client = await enter(door);
    client.send(Buffer.concat(['1', '2', '3', '4', '5'].map(encodeQuery)));
    await client.until(() => seen.length === 5);
    assert.deepEqual(seen, ['1', '2', '3', '4', '5']);
  });

  test('says when the client is slow, and again when it has caught up', async () => {
    let sent = 0;
    let drains = 0;
    const total = 400;
    const chunk = Buffer.alloc(64 * 1024);
    chunk[0] = 0x64;
    chunk.writeInt32BE(chunk.length - 1, 1);
    let mostWaiting = 0;
    const door = await open({
      serve: (frontend: Frontend): FrontendEvents => {
        const pump = () => {
          let burst = 0;
          while (sent < total) {
            sent++;
            burst++;
            if (!frontend.send(chunk)) break;
          }
          mostWaiting = Math.max(mostWaiting, burst);
        };
        return {
          onRequest: pump,
          onCopy: () => {},
          onDrain: () => {
            drains++;
            pump();
          },
          onClose: () => {},
        };
      },
    });
    const client = await enter(door);
    client.socket.pause();
    client.send(encodeQuery('go'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const whileSlow = sent;
    assert.ok(whileSlow < total, `it sent all ${total} chunks to a client that reads nothing`);
    client.socket.resume();
    await client.until(() => client.frames.length === 4 + total);
    assert.ok(drains > 0);
    assert.ok(mostWaiting <= 3, 'no more than the high water is sent between two drains');
  });

  test('delivers its last error before it closes, even with bytes of the client unread', async () => {
    const door = await open({
      serve: (frontend: Frontend): FrontendEvents => ({
        onRequest: () =>
          frontend.end(
            new OperatingError('shutting-down', 'terminating connection due to administrator command'),
          ),
        onCopy: () => {},
        onDrain: () => {},
        onClose: () => {},
      }),
    });
    const client = await enter(door);
    client.send(encodeQuery('x'));
    for (let n = 0; n < 50; n++) client.send(encodeQuery('y'.repeat(20_000)));
    await client.untilClosed();
    assert.equal(client.error?.get('C'), '57P01');
    assert.equal(client.error?.get('S'), 'FATAL');
  });
});
