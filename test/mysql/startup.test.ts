import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { CAPABILITY } from '../../src/mysql/capabilities.js';
import { decodeAuthSwitchRequest, encodeSslRequest } from '../../src/mysql/handshake.js';
import { encodePacket } from '../../src/mysql/packets.js';
import { decodeErr, decodeOk } from '../../src/mysql/result-messages.js';
import { openClientDoor, password, until } from './client-door.js';
import { CAPABILITIES, handshakeResponse, RawClient } from './raw-client.js';

type T = { after: (act: () => Promise<void>) => void };
const after = (t: T) => (act: () => Promise<void>) => t.after(act);
const head = { mariadbCapabilities: 0, maxPacketBytes: 1 << 24, collationId: 45 };

describe('the door', () => {
  test('greets with its version and a number of the connection that nobody else has', async (t) => {
    const door = await openClientDoor(after(t), { serverVersion: '8.0.36-ours' });
    const clients = await Promise.all([RawClient.connect(door.port), RawClient.connect(door.port)]);
    const greetings = await Promise.all(clients.map((client) => client.greeting()));
    assert.equal(greetings[0]!.serverVersion, '8.0.36-ours');
    assert.notEqual(greetings[0]!.connectionId, greetings[1]!.connectionId);
    assert.notDeepEqual(greetings[0]!.challenge, greetings[1]!.challenge);
    assert.equal(
      greetings[0]!.capabilities & CAPABILITY.SSL,
      0,
      'TLS is only offered where it is configured',
    );
    assert.equal(greetings[0]!.capabilities & CAPABILITY.LOCAL_FILES, 0);
    assert.equal(greetings[0]!.mariadbCapabilities, 0, 'only one that says it is MariaDB has MariaDB’s own');
    clients[0]!.command(handshakeResponse(greetings[0]!), 1);
    await clients[0]!.came(2);
    assert.equal(door.frontends[0]!.announcedKey?.processId, greetings[0]!.connectionId);
    for (const client of clients) client.socket.destroy();
  });

  test('reads a login one byte at a time, and a command that came in the same write', async (t) => {
    const door = await openClientDoor(after(t), { rule: password('secret') });
    const client = await RawClient.connect(door.port);
    const response = encodePacket(handshakeResponse(await client.greeting(), 'secret'), 1);
    await client.sendSlowly(Buffer.concat([response, encodePacket(Buffer.from('\x03select 1'))]));
    await client.came(2 + 5);
    assert.equal(decodeOk(client.payloads[1]!).status, 2);
    assert.deepEqual(client.sequences, [0, 2, 1, 2, 3, 4, 5]);
  });

  test('asks again by a plugin that it has, and takes the fast way of caching_sha2_password', async (t) => {
    const door = await openClientDoor(after(t), { rule: password('secret') });
    const unknown = await RawClient.connect(door.port);
    unknown.command(handshakeResponse(await unknown.greeting(), 'secret', { plugin: 'sha256_password' }), 1);
    await unknown.came(2);
    assert.equal(decodeAuthSwitchRequest(unknown.payloads[1]!).plugin, 'mysql_native_password');
    unknown.socket.destroy();
    const sha2 = await RawClient.connect(door.port);
    sha2.command(handshakeResponse(await sha2.greeting(), 'secret', { plugin: 'caching_sha2_password' }), 1);
    await sha2.came(3);
    assert.deepEqual([...sha2.payloads[1]!], [1, 3]);
    assert.equal(sha2.payloads[2]![0], 0);
    assert.deepEqual(sha2.sequences, [0, 2, 3]);
  });

  test('an answer to another connection’s challenge does not let anybody in', async (t) => {
    const door = await openClientDoor(after(t), { rule: password('secret') });
    const [first, second] = [await RawClient.connect(door.port), await RawClient.connect(door.port)];
    const heard = handshakeResponse(await first.greeting(), 'secret');
    await second.greeting();
    second.command(heard, 1);
    await second.closed();
    assert.equal(decodeErr(second.payloads[1]!).errno, 1045);
    first.socket.destroy();
  });

  test('an unknown user is refused as a wrong password is', async (t) => {
    const refusalOf = async (rule: ReturnType<typeof password> | undefined) => {
      const door = await openClientDoor(after(t), { rule });
      const client = await RawClient.connect(door.port);
      client.command(handshakeResponse(await client.greeting(), 'guess'), 1);
      await client.closed();
      return [client.sequences, client.payloads[1]!.toString('latin1')];
    };
    assert.deepEqual(await refusalOf(undefined), await refusalOf(password('secret')));
  });

  for (const [what, bytes] of [
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a packet that is too long', Buffer.from('ffffff01', 'hex')],
    ['a wrong number', encodePacket(Buffer.alloc(40), 5)],
    ['an empty packet', encodePacket(Buffer.alloc(0), 1)],
    ['random bytes', encodePacket(Buffer.from('85a60f00ffee', 'hex'), 1)],
    [
      'SSLRequest where TLS is not offered',
      encodePacket(encodeSslRequest({ ...head, capabilities: CAPABILITIES | CAPABILITY.SSL }), 1),
    ],
  ] as const) {
    test(`answers ${what} with an error and closes`, async (t) => {
      const door = await openClientDoor(after(t));
      const client = await RawClient.connect(door.port);
      await client.greeting();
      client.send(bytes);
      await client.closed();
      assert.ok([1043, 1235].includes(decodeErr(client.payloads[1]!).errno));
      assert.equal(door.frontends.length, 0);
    });
  }

  test('a response cut anywhere never lets anybody in without the password', async (t) => {
    const door = await openClientDoor(after(t), { rule: password('secret') });
    const whole = handshakeResponse({ challenge: Buffer.alloc(20, 1) }, 'secret');
    for (let length = 0; length <= whole.length; length += 3) {
      const client = await RawClient.connect(door.port);
      await client.greeting();
      client.command(whole.subarray(0, length), 1);
      await until(() => client.payloads.length > 1 || client.isClosed);
      client.socket.destroy();
    }
    assert.equal(door.frontends.length, 0);
  });

  test('a client that says nothing is cut off when its time is over', async (t) => {
    const door = await openClientDoor(after(t), { limits: { authTimeoutMs: 50 } });
    const client = await RawClient.connect(door.port);
    await client.closed();
    assert.equal(client.payloads.length, 1);
  });

  test('a client without a database is told to name one', async (t) => {
    const door = await openClientDoor(after(t));
    const client = await RawClient.connect(door.port);
    const capabilities = CAPABILITIES & ~CAPABILITY.CONNECT_WITH_DB;
    client.command(handshakeResponse(await client.greeting(), '', { capabilities }), 1);
    await client.closed();
    assert.match(decodeErr(client.payloads[1]!).message, /No database selected/);
  });

  test('TLS begins behind SSLRequest, also when the client does not wait in between', async (t) => {
    const door = await openClientDoor(after(t), { isTlsRequired: true });
    const client = await RawClient.connect(door.port);
    const greeting = await client.greeting();
    assert.notEqual(greeting.capabilities & CAPABILITY.SSL, 0);
    client.socket.removeAllListeners('data');
    const capabilities = (CAPABILITIES | CAPABILITY.SSL) >>> 0;
    // Corked: the request and the ClientHello leave in one write.
    client.socket.cork();
    client.command(encodeSslRequest({ ...head, capabilities }), 1);
    const secure = connectTls({ socket: client.socket, rejectUnauthorized: false });
    setImmediate(() => client.socket.uncork());
    await new Promise((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject));
    const inside = new RawClient(secure);
    inside.command(handshakeResponse(greeting, '', { capabilities }), 2);
    await inside.came(1);
    assert.equal(decodeOk(inside.payloads[0]!).status, 2);
    assert.deepEqual(inside.sequences, [3]);
    assert.equal(door.frontends[0]!.isEncrypted, true);
    secure.destroy();
  });
});
