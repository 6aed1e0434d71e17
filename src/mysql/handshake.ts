import { OperatingError } from '../lib/errors.js';
import { CHALLENGE_BYTES } from './auth-plugins.js';
import { CAPABILITY, COM, has } from './capabilities.js';
import { FIRST_BYTE } from './packets.js';
import { Reader, Writer } from './wire.js';

// Payloads of the login, both roles (MySQL internals, "Connection Phase"; MariaDB Knowledge Base, "Connection"). No I/O.

const PROTOCOL_VERSION = 10;
/** Bytes of the challenge that come before the capabilities, for clients of 1998. */
const FIRST_CHALLENGE_BYTES = 8;
/** An SSLRequest is a HandshakeResponse41 that stops before the user. */
const SSL_REQUEST_BYTES = 32;
const MAX_ATTRIBUTES = 256;

/** Initial Handshake, protocol version 10: the server's first packet. */
export interface Greeting {
  readonly serverVersion: string;
  readonly connectionId: number;
  readonly capabilities: number;
  /** MariaDB's own, which only a server without LONG_PASSWORD has; 0 elsewhere. */
  readonly mariadbCapabilities: number;
  /** Low byte of the collation's id. */
  readonly collationId: number;
  readonly status: number;
  readonly challenge: Buffer;
  /** Default authentication plugin; '' without PLUGIN_AUTH. */
  readonly plugin: string;
}

/**
 * `0a, version: NUL, connection id: 4, challenge: 8, 00, capabilities: 2, collation: 1, status: 2, capabilities: 2 (upper), length of the
 * challenge: 1, 0: 6, MariaDB's capabilities: 4, rest of the challenge: ≥ 12 and 00, plugin: NUL`.
 */
export function encodeGreeting(greeting: Greeting): Buffer {
  const { capabilities, challenge } = greeting;
  const isOld = has(capabilities, CAPABILITY.LONG_PASSWORD);
  const writer = new Writer(128)
    .int1(PROTOCOL_VERSION)
    .nulText(greeting.serverVersion)
    .int4(greeting.connectionId)
    .bytes(challenge.subarray(0, FIRST_CHALLENGE_BYTES))
    .int1(0)
    .int2(capabilities & 0xffff)
    .int1(greeting.collationId & 0xff)
    .int2(greeting.status)
    .int2(capabilities >>> 16)
    .int1(has(capabilities, CAPABILITY.PLUGIN_AUTH) ? challenge.length + 1 : 0)
    .zeros(6)
    .int4(isOld ? 0 : greeting.mariadbCapabilities)
    .bytes(challenge.subarray(FIRST_CHALLENGE_BYTES))
    .int1(0);
  if (has(capabilities, CAPABILITY.PLUGIN_AUTH)) writer.nulText(greeting.plugin);
  return writer.finish();
}

/** Throws `unsupported` for another protocol version. An ERR that comes instead is the caller's. */
export function decodeGreeting(payload: Buffer): Greeting {
  const reader = new Reader(payload, 'greeting');
  const version = reader.int1();
  if (version !== PROTOCOL_VERSION) {
    throw new OperatingError('unsupported', `the server speaks protocol version ${version}, not 10`);
  }
  const serverVersion = reader.nulText();
  const connectionId = reader.int4();
  const first = reader.bytes(FIRST_CHALLENGE_BYTES);
  reader.int1();
  let capabilities = reader.int2();
  const collationId = reader.int1();
  const status = reader.int2();
  capabilities = (capabilities | (reader.int2() << 16)) >>> 0;
  const length = reader.int1();
  reader.bytes(6);
  const extended = reader.int4();
  const second = reader.bytes(Math.max(13, length - FIRST_CHALLENGE_BYTES));
  const plugin = has(capabilities, CAPABILITY.PLUGIN_AUTH) ? nulOrRest(reader, payload) : '';
  return {
    serverVersion,
    connectionId,
    capabilities,
    mariadbCapabilities: has(capabilities, CAPABILITY.LONG_PASSWORD) ? 0 : extended,
    collationId,
    status,
    // Its last byte is the zero that ends it.
    challenge: Buffer.concat([first, second.subarray(0, second.length - 1)]),
    plugin,
  };
}

/** The head that SSLRequest and HandshakeResponse41 share. */
export interface ClientHead {
  readonly capabilities: number;
  /** MariaDB's own, which only a client without LONG_PASSWORD can say; 0 elsewhere. */
  readonly mariadbCapabilities: number;
  readonly maxPacketBytes: number;
  readonly collationId: number;
}

/** `capabilities: 4, longest packet: 4, collation: 1, 0: 19, MariaDB's capabilities: 4`; nothing more is an SSLRequest. */
function writeHead(writer: Writer, head: ClientHead): Writer {
  return writer
    .int4(head.capabilities)
    .int4(head.maxPacketBytes)
    .int1(head.collationId & 0xff)
    .zeros(19)
    .int4(has(head.capabilities, CAPABILITY.LONG_PASSWORD) ? 0 : head.mariadbCapabilities);
}

function readHead(reader: Reader): ClientHead {
  const capabilities = reader.int4();
  if (!has(capabilities, CAPABILITY.PROTOCOL_41)) {
    throw new OperatingError('unsupported', 'clients older than MySQL 4.1 are not supported');
  }
  const maxPacketBytes = reader.int4();
  const collationId = reader.int1();
  reader.bytes(19);
  const extended = reader.int4();
  const mariadbCapabilities = has(capabilities, CAPABILITY.LONG_PASSWORD) ? 0 : extended;
  return { capabilities, mariadbCapabilities, maxPacketBytes, collationId };
}

/** `head.capabilities` must hold SSL. */
export function encodeSslRequest(head: ClientHead): Buffer {
  return writeHead(new Writer(SSL_REQUEST_BYTES), head).finish();
}

export function isSslRequest(payload: Buffer): boolean {
  return payload.length === SSL_REQUEST_BYTES && has(payload.readUInt32LE(0), CAPABILITY.SSL);
}

/** What HandshakeResponse41 and COM_CHANGE_USER both say. */
export interface ClientLogin {
  readonly user: string;
  /** The answer to the challenge by `plugin`. */
  readonly answer: Buffer;
  /** '' for none. */
  readonly database: string;
  /** '' where the client does not say it. */
  readonly plugin: string;
  /** Connection attributes (`_client_name`, `program_name` …). */
  readonly attributes: ReadonlyMap<string, string>;
}

export interface HandshakeResponse extends ClientHead, ClientLogin {}

/**
 * `head, user: NUL, answer: lenenc | 1 | NUL, [database: NUL], [plugin: NUL], [attributes: lenenc all, then lenenc key, lenenc value …]`;
 * what is there is said by `capabilities`.
 */
export function encodeHandshakeResponse(response: HandshakeResponse): Buffer {
  const { capabilities, answer } = response;
  const writer = writeHead(new Writer(256), response).nulText(response.user);
  if (has(capabilities, CAPABILITY.PLUGIN_AUTH_LENENC_DATA)) writer.lenencBytes(answer);
  else writer.int1(answer.length).bytes(answer);
  if (has(capabilities, CAPABILITY.CONNECT_WITH_DB)) writer.nulText(response.database);
  writePluginAndAttributes(writer, response, capabilities);
  return writer.finish();
}

export function decodeHandshakeResponse(payload: Buffer): HandshakeResponse {
  const reader = new Reader(payload, 'handshake response');
  const head = readHead(reader);
  const { capabilities } = head;
  const user = reader.nulText();
  const answer = has(capabilities, CAPABILITY.PLUGIN_AUTH_LENENC_DATA)
    ? reader.lenencBytes()
    : readAnswer(reader, capabilities);
  const database = has(capabilities, CAPABILITY.CONNECT_WITH_DB) ? nulOrRest(reader, payload) : '';
  return { ...head, user, answer, database, ...readPluginAndAttributes(reader, payload, capabilities) };
}

/** COM_CHANGE_USER: another login on the same connection; its capabilities stay. */
export interface ChangeUser extends ClientLogin {
  /** Undefined where the client does not say it. */
  readonly collationId: number | undefined;
}

/** `11, user: NUL, answer: 1 | NUL, database: NUL, [collation: 2, [plugin: NUL], [attributes]]`. */
export function encodeChangeUser(change: ChangeUser, capabilities: number): Buffer {
  const writer = new Writer(256)
    .int1(COM.CHANGE_USER)
    .nulText(change.user)
    .int1(change.answer.length)
    .bytes(change.answer)
    .nulText(change.database)
    .int2(change.collationId ?? 0);
  writePluginAndAttributes(writer, change, capabilities);
  return writer.finish();
}

export function decodeChangeUser(payload: Buffer, capabilities: number): ChangeUser {
  const reader = new Reader(payload, 'COM_CHANGE_USER', 1);
  const user = reader.nulText();
  const answer = readAnswer(reader, capabilities);
  const database = nulOrRest(reader, payload);
  const collationId = reader.remaining < 2 ? undefined : reader.int2();
  return { user, answer, database, collationId, ...readPluginAndAttributes(reader, payload, capabilities) };
}

/** `fe, plugin: NUL, challenge`, which most plugins end with a zero; `fe` alone asks for the passwords of MySQL 4.0. */
export interface AuthSwitchRequest {
  readonly plugin: string;
  readonly challenge: Buffer;
}

const PRE_41_PLUGIN = 'mysql_old_password';

export function encodeAuthSwitchRequest({ plugin, challenge }: AuthSwitchRequest): Buffer {
  const writer = new Writer(64).int1(FIRST_BYTE.eof).nulText(plugin).bytes(challenge);
  // client_ed25519 takes 32 bytes and not one more.
  return (challenge.length === CHALLENGE_BYTES ? writer.int1(0) : writer).finish();
}

export function decodeAuthSwitchRequest(payload: Buffer): AuthSwitchRequest {
  const reader = new Reader(payload, 'AuthSwitchRequest', 1);
  if (reader.remaining === 0) return { plugin: PRE_41_PLUGIN, challenge: Buffer.alloc(0) };
  const plugin = nulOrRest(reader, payload);
  const rest = reader.rest();
  const hasEnd = rest.length % 4 === 1 && rest.at(-1) === 0;
  return { plugin, challenge: Buffer.from(hasEnd ? rest.subarray(0, -1) : rest) };
}

/** First byte of AuthMoreData; the rest is the plugin's. */
export const AUTH_MORE_DATA = 0x01;

export function encodeAuthMoreData(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(AUTH_MORE_DATA), bytes]);
}

function writePluginAndAttributes(writer: Writer, login: ClientLogin, capabilities: number): void {
  if (has(capabilities, CAPABILITY.PLUGIN_AUTH)) writer.nulText(login.plugin);
  if (!has(capabilities, CAPABILITY.CONNECT_ATTRS)) return;
  const pairs = new Writer();
  for (const [name, value] of login.attributes) pairs.lenencText(name).lenencText(value);
  writer.lenencBytes(pairs.finish());
}

function readPluginAndAttributes(
  reader: Reader,
  payload: Buffer,
  capabilities: number,
): Pick<ClientLogin, 'plugin' | 'attributes'> {
  const plugin = has(capabilities, CAPABILITY.PLUGIN_AUTH) ? nulOrRest(reader, payload) : '';
  const attributes = new Map<string, string>();
  if (!has(capabilities, CAPABILITY.CONNECT_ATTRS) || reader.remaining === 0) return { plugin, attributes };
  const pairs = new Reader(reader.lenencBytes(), 'connection attributes');
  while (pairs.remaining > 0) {
    if (attributes.size === MAX_ATTRIBUTES) {
      throw new OperatingError('limit-exceeded', `more than ${MAX_ATTRIBUTES} connection attributes`);
    }
    const name = pairs.lenencText();
    attributes.set(name, pairs.lenencText());
  }
  return { plugin, attributes };
}

/** The form without PLUGIN_AUTH_LENENC_DATA. */
function readAnswer(reader: Reader, capabilities: number): Buffer {
  if (has(capabilities, CAPABILITY.SECURE_CONNECTION)) return reader.bytes(reader.int1());
  return reader.nulBytes();
}

/** Some clients leave the zero behind the last string out, or the string. */
function nulOrRest(reader: Reader, payload: Buffer): string {
  return payload.indexOf(0, reader.offset) === -1 ? reader.rest().toString('utf8') : reader.nulText();
}
