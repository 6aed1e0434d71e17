import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { OperatingError } from '../../src/lib/errors.js';
import {
  encodeCancelRequest,
  encodeQuery,
  encodeSSLRequest,
  encodeStartupMessage,
} from '../../src/postgres/frontend-messages.js';
import { certificate, serverTls } from '../fakes/door.js';
import { RawClient } from '../fakes/raw-client.js';
import { APP, arrive, clients, closeAll, enter, open } from './wire-clients.js';

afterEach(closeAll);

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

  test('is let go without a word when it says Terminate before anything else, as node-postgres may', async () => {
    const door = await open();
    const client = await arrive(door);
    client.send(Buffer.from([0x58, 0, 0, 0, 4]));
    await client.untilClosed();
    assert.equal(client.codes, '');
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
