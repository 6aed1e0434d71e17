import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CAPABILITY } from '../../src/mysql/capabilities.js';
import {
  decodeAuthSwitchRequest,
  decodeChangeUser,
  decodeGreeting,
  decodeHandshakeResponse,
  encodeAuthSwitchRequest,
  encodeChangeUser,
  encodeGreeting,
  encodeHandshakeResponse,
  encodeSslRequest,
  isSslRequest,
} from '../../src/mysql/handshake.js';
import { CAPABILITIES } from './raw-client.js';

const challenge = Buffer.from('12345678901234567890');
const greeting = {
  serverVersion: '5.5.5-10.11.6-MariaDB',
  connectionId: 0xfedcba98,
  capabilities:
    (CAPABILITY.PROTOCOL_41 | CAPABILITY.PLUGIN_AUTH | CAPABILITY.SECURE_CONNECTION | 0x80000000) >>> 0,
  mariadbCapabilities: 0x1d,
  collationId: 45,
  status: 2,
  challenge,
  plugin: 'mysql_native_password',
};
const login = {
  user: 'ännchen',
  answer: Buffer.from('0123456789'),
  database: 'shop',
  plugin: 'caching_sha2_password',
  attributes: new Map([
    ['_client_name', 'x'],
    ['program_name', 'y'.repeat(300)],
  ]),
};
const response = {
  capabilities: (CAPABILITIES & ~CAPABILITY.LONG_PASSWORD) >>> 0,
  mariadbCapabilities: 4,
  maxPacketBytes: 1 << 24,
  collationId: 224,
  ...login,
};

describe('the handshake', () => {
  test('greeting: what one side writes the other reads, MariaDB’s own flags only without LONG_PASSWORD', () => {
    assert.deepEqual(decodeGreeting(encodeGreeting(greeting)), greeting);
    const capabilities = (greeting.capabilities | CAPABILITY.LONG_PASSWORD) >>> 0;
    const old = { ...greeting, capabilities, mariadbCapabilities: 0 };
    assert.deepEqual(decodeGreeting(encodeGreeting({ ...old, mariadbCapabilities: 0x1d })), old);
  });

  test('greeting: in the form that MariaDB 10.11 has', () => {
    const bytes = Buffer.from(
      '0a352e352e352d31302e31312e362d4d61726961444200' +
        '0700000040505b2f5c3a7e2800fef72d0200ff811500000000000' +
        '01d0000004c7a4b3d6053585a5a6a2b4d006d7973716c5f6e61746976655f70617373776f726400',
      'hex',
    );
    const read = decodeGreeting(bytes);
    assert.equal(read.serverVersion, '5.5.5-10.11.6-MariaDB');
    assert.equal(read.connectionId, 7);
    assert.equal(read.capabilities, 0x81fff7fe);
    assert.equal(read.mariadbCapabilities, 0x1d);
    assert.equal(read.challenge.length, 20);
    assert.equal(read.plugin, 'mysql_native_password');
  });

  test('response: with every set of flags', () => {
    const optional = [
      CAPABILITY.PLUGIN_AUTH_LENENC_DATA,
      CAPABILITY.CONNECT_ATTRS,
      CAPABILITY.PLUGIN_AUTH,
      CAPABILITY.CONNECT_WITH_DB,
    ];
    for (let set = 0; set < 1 << optional.length; set++) {
      const flags = optional.filter((_, index) => set & (1 << index)).reduce((all, flag) => all | flag, 0);
      const capabilities = CAPABILITY.PROTOCOL_41 | CAPABILITY.SECURE_CONNECTION | flags;
      const sent = {
        ...response,
        capabilities,
        database: flags & CAPABILITY.CONNECT_WITH_DB ? 'shop' : '',
        plugin: flags & CAPABILITY.PLUGIN_AUTH ? response.plugin : '',
        attributes: flags & CAPABILITY.CONNECT_ATTRS ? response.attributes : new Map(),
      };
      assert.deepEqual(decodeHandshakeResponse(encodeHandshakeResponse(sent)), sent);
    }
  });

  test('response: cut anywhere it is an error or without its end, never a crash', () => {
    const bytes = encodeHandshakeResponse(response);
    for (let length = 0; length < bytes.length; length++) {
      try {
        assert.equal(decodeHandshakeResponse(bytes.subarray(0, length)).capabilities, response.capabilities);
      } catch (thrown) {
        assert.match(String(thrown), /cut short|without an end|older than/);
      }
    }
  });

  test('SSLRequest is told from a response', () => {
    const capabilities = (response.capabilities | CAPABILITY.SSL) >>> 0;
    assert.ok(isSslRequest(encodeSslRequest({ ...response, capabilities })));
    assert.ok(!isSslRequest(encodeHandshakeResponse({ ...response, capabilities })));
  });

  test('AuthSwitchRequest and COM_CHANGE_USER are read back', () => {
    for (const length of [20, 32]) {
      const request = { plugin: 'p', challenge: Buffer.alloc(length, 7) };
      assert.deepEqual(decodeAuthSwitchRequest(encodeAuthSwitchRequest(request)), request);
    }
    const endsInZero = { plugin: 'client_ed25519', challenge: Buffer.alloc(32) };
    assert.deepEqual(decodeAuthSwitchRequest(encodeAuthSwitchRequest(endsInZero)), endsInZero);
    assert.equal(decodeAuthSwitchRequest(Buffer.of(0xfe)).plugin, 'mysql_old_password');
    const change = { ...login, collationId: 45 };
    assert.deepEqual(decodeChangeUser(encodeChangeUser(change, CAPABILITIES), CAPABILITIES), change);
  });
});
