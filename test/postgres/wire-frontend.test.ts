import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { OperatingError } from '../../src/lib/errors.js';
import {
  COPY_DONE,
  encodeBind,
  encodeCancelRequest,
  encodeCopyData,
  encodeCopyFail,
  encodeDescribe,
  encodeExecute,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSSLRequest,
  encodeStartupMessage,
  FLUSH,
  SYNC,
  TERMINATE,
} from '../../src/postgres/frontend-messages.js';
import type { Frontend, FrontendEvents } from '../../src/proxy/frontend.js';
import { certificate, serverTls, TestDoor } from '../fakes/door.js';
import { RawClient } from '../fakes/raw-client.js';

const APP = new Map([
  ['user', 'app'],
  ['database', 'shop'],
]);

const doors: TestDoor[] = [];
const clients: RawClient[] = [];

async function open(options: Parameters<typeof TestDoor.open>[0] = {}): Promise<TestDoor> {
  const door = await TestDoor.open(options);
  doors.push(door);
  return door;
}

async function arrive(door: TestDoor): Promise<RawClient> {
  const client = await RawClient.connect(door.port);
  clients.push(client);
  return client;
}

async function enter(door: TestDoor, parameters: ReadonlyMap<string, string> = APP): Promise<RawClient> {
  const client = await arrive(door);
  client.send(encodeStartupMessage(parameters));
  await client.untilReady();
  return client;
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  for (const door of doors.splice(0)) await door.close();
});

/** The packet's first four bytes are its length. */
function packet(length: number, ...words: number[]): Buffer {
  const bytes = Buffer.alloc(4 + 4 * words.length);
  bytes.writeInt32BE(length);
  for (const [index, word] of words.entries()) bytes.writeInt32BE(word, 4 + 4 * index);
  return bytes;
}

describe('a client on its way in', () => {
  test('is welcomed with parameters, key and ReadyForQuery, and known by its startup parameters', async () => {
    const door = await open();
    const client = await enter(
      door,
      new Map([...APP, ['application_name', 'tests'], ['replication', 'false']]),
    );
    assert.equal(client.codes, 'RSKZ');
    assert.deepEqual(door.frontends[0]!.identity, {
      user: 'app',
      database: 'shop',
      startup: new Map([['application_name', 'tests']]),
      password: undefined,
    });
  });

  test('takes its user name for the database it does not name', async () => {
    const door = await open();
    await enter(door, new Map([['user', 'app']]));
    assert.equal(door.frontends[0]!.identity.database, 'app');
  });

  test('is served when every byte comes alone', async () => {
    const door = await open();
    const client = await arrive(door);
    await client.sendSlowly(encodeStartupMessage(APP));
    await client.untilReady();
    await client.sendSlowly(encodeQuery('SELECT 1'));
    await client.until(() => client.codes === 'RSKZTDCZ');
  });

  test('hears an error and is cut off when its startup packet has an absurd length', async () => {
    const door = await open();
    for (const length of [0x7fffffff, -1, 0, 7, 10_001]) {
      const client = await arrive(door);
      client.send(packet(length, 196608));
      await client.untilClosed();
      assert.equal(client.error?.get('C'), '08P01', String(length));
      assert.equal(client.error?.get('S'), 'FATAL');
    }
  });

  test('hears what is wrong with another protocol, and with HTTP', async () => {
    const door = await open();
    const old = await arrive(door);
    old.send(packet(8, 2 << 16));
    await old.untilClosed();
    assert.match(
      old.error?.get('M') ?? '',
      /unsupported frontend protocol 2\.0: server supports 3\.0 to 3\.2/,
    );
    const browser = await arrive(door);
    browser.send(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    await browser.untilClosed();
    assert.equal(browser.error?.get('C'), '08P01');
  });

  test('is told which protocol options and versions are not known, and served all the same', async () => {
    const door = await open();
    const client = await arrive(door);
    client.send(encodeStartupMessage(new Map([...APP, ['_pq_.magic', 'on']]), (3 << 16) | 9999));
    await client.untilReady();
    assert.equal(client.codes, 'vRSKZ');
    const negotiation = client.frames[0]!;
    assert.deepEqual([negotiation.readInt32BE(5), negotiation.readInt32BE(9)], [196610, 1]);
    assert.equal(negotiation.toString('latin1', 13), '_pq_.magic\0');
    assert.equal((await enter(door)).codes, 'RSKZ');
  });

  test('is refused without a user, as a replica, and when the door’s owner says so', async () => {
    const door = await open({
      authorize: (user) =>
        user === 'late'
          ? new OperatingError('too-many-clients', 'sorry, too many clients already')
          : {
              auth: 'trust',
              password: undefined,
              scram: undefined,
              refusal: new OperatingError('unknown-database', 'database "x" does not exist'),
            },
    });
    const refused = async (parameters: Map<string, string>) => {
      const client = await arrive(door);
      client.send(encodeStartupMessage(parameters));
      await client.untilClosed();
      return client.error?.get('C');
    };
    assert.equal(await refused(new Map([['database', 'x']])), '28000');
    assert.equal(await refused(new Map([...APP, ['replication', 'database']])), '0A000');
    assert.equal(await refused(new Map([['user', 'late']])), '53300');
    assert.equal(await refused(APP), '3D000');
  });

  test('may ask for GSS and TLS once each, and hears no', async () => {
    const door = await open();
    const client = await arrive(door);
    let first = '';
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      first += chunk.toString('latin1');
    });
    client.send(packet(8, 80877104));
    client.send(encodeSSLRequest());
    await client.until(() => first === 'NN');
    client.send(encodeSSLRequest());
    await client.untilClosed();
    assert.match(first, /unexpected SSLRequest/);
  });

  test('cancels by pid and key and is gone', async () => {
    const door = await open();
    const client = await arrive(door);
    client.send(encodeCancelRequest(77, Buffer.from('0a0b0c0d', 'hex')));
    await client.untilClosed();
    assert.deepEqual(
      door.cancels.map(({ processId, secretKey }) => [processId, secretKey.toString('hex')]),
      [[77, '0a0b0c0d']],
    );
    assert.equal(client.codes, '');
  });

  test('is cut off when it takes too long to say who it is', async () => {
    const door = await open({
      limits: { authTimeoutMs: 100 },
      rule: { auth: 'scram', password: 'x', scram: undefined },
    });
    const silent = await arrive(door);
    silent.send(Buffer.from([0, 0]));
    await silent.untilClosed();
    assert.equal(silent.codes, '');
    const halfway = await arrive(door);
    halfway.send(encodeStartupMessage(APP));
    await halfway.untilClosed();
    assert.match(halfway.error?.get('M') ?? '', /canceling authentication due to timeout/);
  });

  test('that vanishes at any byte of its login leaves nothing behind', async () => {
    const door = await open({ rule: { auth: 'md5', password: 'x', scram: undefined } });
    const bytes = encodeStartupMessage(APP);
    for (let length = 0; length <= bytes.length; length += 3) {
      const client = await arrive(door);
      client.send(bytes.subarray(0, length));
      client.socket.end();
      await client.untilClosed();
    }
    assert.equal(door.frontends.length, 0);
  });

  test('must not put bytes behind its SSLRequest before the handshake', async () => {
    const door = await open({ tls: serverTls() });
    const client = await arrive(door);
    client.send(Buffer.concat([encodeSSLRequest(), encodeStartupMessage(APP)]));
    await client.untilClosed();
    assert.match(client.error?.get('M') ?? '', /received unencrypted data after SSL request/);
    assert.equal(door.frontends.length, 0);
  });

  test('without TLS is refused where TLS is required', async () => {
    const door = await open({ tls: serverTls({ required: true }) });
    const client = await arrive(door);
    client.send(encodeStartupMessage(APP));
    await client.untilClosed();
    assert.equal(client.error?.get('C'), '28000');
    assert.match(client.error?.get('H') ?? '', /sslmode=require/);
  });

  test('may begin with TLS at once when it names the protocol', async () => {
    const door = await open({ tls: serverTls() });
    const direct = async (protocols: string[]) => {
      const secure = connectTls({
        port: door.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ALPNProtocols: protocols,
      });
      await new Promise((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject));
      const client = new RawClient(secure);
      clients.push(client);
      client.send(encodeStartupMessage(APP));
      return client;
    };
    await (await direct(['postgresql'])).untilReady();
    assert.ok(door.frontends[0]!.isEncrypted);
    await (await direct([])).untilClosed();
    assert.equal(door.frontends.length, 1);
  });

  test('needs a certificate of the right authority where clients’ certificates are asked for', async () => {
    const door = await open({ tls: serverTls({ clientCa: certificate('ca.crt') }) });
    const { readFileSync } = await import('node:fs');
    const come = async (name: string | undefined) => {
      const files =
        name === undefined
          ? {}
          : { cert: readFileSync(certificate(`${name}.crt`)), key: readFileSync(certificate(`${name}.key`)) };
      const secure = connectTls({
        port: door.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ALPNProtocols: ['postgresql'],
        ...files,
      });
      const client = new RawClient(secure);
      clients.push(client);
      client.send(encodeStartupMessage(APP));
      await client.until(() => client.isClosed || client.codes.endsWith('Z'));
      return client.codes;
    };
    assert.equal(await come('client'), 'RSKZ');
    assert.equal(await come('stranger'), '');
    assert.equal(await come(undefined), '');
  });
});

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
