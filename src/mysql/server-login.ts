import type { Socket } from 'node:net';
import { encryptSocket } from '../lib/client-socket.js';
import { OperatingError } from '../lib/errors.js';
import type { BackendTarget } from '../pool/backend.js';
import {
  CACHING_SHA2,
  CLEARTEXT,
  cachingSha2Answer,
  cleartextPassword,
  ED25519,
  encryptPassword,
  NATIVE,
  nativeAnswer,
  SHA2,
} from './auth-plugins.js';
import { CAPABILITY, collationIdOf, has, MARIADB_CAPABILITY, UTF8MB4_GENERAL_CI } from './capabilities.js';
import { sign } from './ed25519.js';
import { type Flavor, flavorOf } from './flavor.js';
import {
  AUTH_MORE_DATA,
  type ClientHead,
  decodeAuthSwitchRequest,
  decodeGreeting,
  encodeHandshakeResponse,
  encodeSslRequest,
  type Greeting,
} from './handshake.js';
import { encodePacket, FIRST_BYTE, MAX_PACKET_BYTES, PacketFramer, payloadOf } from './packets.js';
import { decodeErr, decodeOk } from './result-messages.js';
import type { ServerAddress } from './server-address.js';

/** What is known of a connection after its login. */
export interface Login {
  /** The TLS socket where the connection is encrypted. */
  readonly socket: Socket;
  readonly isEncrypted: boolean;
  readonly flavor: Flavor;
  readonly connectionId: number;
  readonly capabilities: number;
  readonly collationId: number;
  /** Extended metadata was asked for, and the server has none. */
  readonly lacksMetadata: boolean;
  /** It takes COM_STMT_BULK_EXECUTE. */
  readonly executesBulk: boolean;
  /** Status flags of the OK that ended the login. */
  readonly status: number;
}

const OWN_NAME = 'ringferry';
const ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ['_client_name', OWN_NAME],
  ['program_name', OWN_NAME],
]);
/** A password that the server asks for again and again is a server that will not end. */
const MAX_AUTH_PACKETS = 16;
/** The longest is an ERR or a public key. */
const MAX_LOGIN_PACKET_BYTES = 64 * 1024;

const ALWAYS =
  CAPABILITY.LONG_PASSWORD |
  CAPABILITY.LONG_FLAG |
  CAPABILITY.PROTOCOL_41 |
  CAPABILITY.TRANSACTIONS |
  CAPABILITY.SECURE_CONNECTION |
  CAPABILITY.MULTI_STATEMENTS |
  CAPABILITY.MULTI_RESULTS;
const WHERE_KNOWN = CAPABILITY.PLUGIN_AUTH | CAPABILITY.PLUGIN_AUTH_LENENC_DATA | CAPABILITY.CONNECT_ATTRS;
/** Session flags that can only be said at the login, by the name that the startup map has for them. */
const BY_STARTUP: Readonly<Record<string, number>> = {
  found_rows: CAPABILITY.FOUND_ROWS,
  ignore_space: CAPABILITY.IGNORE_SPACE,
  interactive: CAPABILITY.INTERACTIVE,
  out_parameters: CAPABILITY.PS_MULTI_RESULTS,
  local_files: CAPABILITY.LOCAL_FILES,
};

/** Logs in on a fresh connection (MySQL internals, "Connection Phase"). Rejects with OperatingError or a plain Error. */
export function logIn(
  socket: Socket,
  address: ServerAddress,
  target: BackendTarget,
  startup: ReadonlyMap<string, string>,
): Promise<Login> {
  return new LoginAttempt(socket, address, target).run(startup);
}

/** `collation_id` or `collation`: an id; `character_set`: its default collation. The handshake has one byte for it. */
function collationOf(startup: ReadonlyMap<string, string>): number {
  const given = startup.get('collation_id') ?? startup.get('collation');
  const id = Number(given ?? collationIdOf(startup.get('character_set') ?? ''));
  return id > 0 && id <= 0xff ? id : UTF8MB4_GENERAL_CI;
}

class LoginAttempt {
  #socket: Socket;
  #isEncrypted = false;
  readonly #address: ServerAddress;
  readonly #target: BackendTarget;
  readonly #framer = new PacketFramer(MAX_LOGIN_PACKET_BYTES);
  #plugin = '';
  #challenge: Buffer = Buffer.alloc(0);
  /** Sequence id of the next packet that we send. */
  #sequence = 0;

  constructor(socket: Socket, address: ServerAddress, target: BackendTarget) {
    this.#socket = socket;
    this.#address = address;
    this.#target = target;
  }

  async run(startup: ReadonlyMap<string, string>): Promise<Login> {
    const greeting = await this.#greeting();
    const head = this.#headFor(greeting, startup);
    if (has(head.capabilities, CAPABILITY.SSL)) await this.#encrypt(head);
    this.#plugin = isKnown(greeting.plugin) ? greeting.plugin : NATIVE;
    this.#challenge = greeting.challenge;
    this.#send(encodeHandshakeResponse({ ...head, ...this.#clientLogin() }));
    const status = await this.#authenticate();
    if (this.#framer.waitingBytes > 0) throw new Error('the server went on talking after the login');
    return {
      socket: this.#socket,
      isEncrypted: this.#isEncrypted,
      flavor: flavorOf(greeting.serverVersion),
      connectionId: greeting.connectionId,
      capabilities: head.capabilities,
      collationId: head.collationId,
      lacksMetadata:
        startup.get('extended_metadata') === '1' &&
        !has(head.mariadbCapabilities, MARIADB_CAPABILITY.EXTENDED_METADATA),
      executesBulk: has(head.mariadbCapabilities, MARIADB_CAPABILITY.STMT_BULK_OPERATIONS),
      status,
    };
  }

  async #greeting(): Promise<Greeting> {
    const payload = await this.#packet();
    if (payload[0] === FIRST_BYTE.error) throw this.#refused(payload);
    const greeting = decodeGreeting(Buffer.from(payload));
    if (
      !has(greeting.capabilities, CAPABILITY.PROTOCOL_41) ||
      !has(greeting.capabilities, CAPABILITY.SECURE_CONNECTION)
    )
      throw new Error('the server is older than MySQL 4.1');
    return greeting;
  }

  #headFor(greeting: Greeting, startup: ReadonlyMap<string, string>): ClientHead {
    let capabilities = ALWAYS | (WHERE_KNOWN & greeting.capabilities);
    if (this.#target.database !== '') capabilities |= CAPABILITY.CONNECT_WITH_DB;
    for (const [name, flag] of Object.entries(BY_STARTUP))
      if (startup.get(name) === '1') capabilities |= flag;
    if (this.#address.sslMode !== 'disabled') {
      if (has(greeting.capabilities, CAPABILITY.SSL)) capabilities |= CAPABILITY.SSL;
      else if (this.#address.sslMode !== 'preferred')
        throw new Error(`the server does not support encryption, but ssl-mode is ${this.#address.sslMode}`);
    }
    const wanted =
      MARIADB_CAPABILITY.STMT_BULK_OPERATIONS |
      MARIADB_CAPABILITY.PROGRESS |
      (startup.get('extended_metadata') === '1' ? MARIADB_CAPABILITY.EXTENDED_METADATA : 0);
    const mariadbCapabilities = greeting.mariadbCapabilities & wanted;
    // Only without this flag MariaDB's own are looked at.
    if (mariadbCapabilities !== 0) capabilities &= ~CAPABILITY.LONG_PASSWORD;
    return {
      capabilities: capabilities >>> 0,
      mariadbCapabilities,
      maxPacketBytes: MAX_PACKET_BYTES,
      collationId: collationOf(startup),
    };
  }

  async #encrypt(head: ClientHead): Promise<void> {
    // Bytes sent before the handshake were not encrypted by the server.
    if (this.#framer.waitingBytes > 0) throw new Error('received unencrypted data after the greeting');
    this.#send(encodeSslRequest(head));
    const { host, sslMode, rootCert, clientCert, clientKey } = this.#address;
    const isHostVerified = sslMode === 'verify_identity';
    const isVerified = isHostVerified || sslMode === 'verify_ca';
    const wish = { host, isVerified, isHostVerified, rootCert, clientCert, clientKey };
    this.#socket = await encryptSocket(this.#socket, wish);
    this.#isEncrypted = true;
  }

  #clientLogin() {
    const { user, database } = this.#target;
    return { user, database, answer: this.#answer(), plugin: this.#plugin, attributes: ATTRIBUTES };
  }

  /** Until the OK; returns its status flags. */
  async #authenticate(): Promise<number> {
    for (let packets = 0; packets < MAX_AUTH_PACKETS; packets++) {
      const payload = await this.#packet();
      switch (payload[0]) {
        case FIRST_BYTE.ok:
          return decodeOk(payload).status;
        case FIRST_BYTE.error:
          throw this.#refused(payload);
        case FIRST_BYTE.eof:
          this.#switchTo(payload);
          break;
        case AUTH_MORE_DATA:
          await this.#goOn(payload.subarray(1));
          break;
        default:
          throw new Error(`unexpected packet that begins with ${payload[0]} during login`);
      }
    }
    throw new Error('the server does not come to an end with the login');
  }

  #switchTo(payload: Buffer): void {
    const { plugin, challenge } = decodeAuthSwitchRequest(payload);
    if (!isKnown(plugin))
      throw new Error(
        `user "${this.#target.user}" has the authentication plugin ${plugin}, which is not supported (supported: ${NATIVE}, ${CACHING_SHA2}, ${ED25519}, ${CLEARTEXT})`,
      );
    this.#plugin = plugin;
    this.#challenge = challenge;
    this.#send(this.#answer());
  }

  #answer(): Buffer {
    const { password } = this.#target;
    switch (this.#plugin) {
      case NATIVE:
        return nativeAnswer(password ?? '', this.#challenge);
      case CACHING_SHA2:
        return cachingSha2Answer(password ?? '', this.#challenge);
      case ED25519:
        return password === undefined || password === '' ? Buffer.alloc(0) : sign(password, this.#challenge);
      default:
        if (!this.#isEncrypted)
          throw new Error(
            `the server asks for the password as it is (${this.#plugin}), and the connection is not encrypted`,
          );
        return cleartextPassword(password ?? '');
    }
  }

  /** caching_sha2_password: the server either remembers the password's hash, or must see the password itself. */
  async #goOn(extra: Buffer): Promise<void> {
    if (this.#plugin !== CACHING_SHA2)
      throw new Error(`${this.#plugin} has nothing to add, but the server does`);
    if (extra[0] === SHA2.fastOk) return;
    if (extra[0] !== SHA2.fullNeeded)
      throw new Error(`${CACHING_SHA2} said ${extra[0]}, which has no meaning`);
    const password = this.#target.password ?? '';
    if (this.#isEncrypted) {
      this.#send(cleartextPassword(password));
      return;
    }
    this.#send(Buffer.of(SHA2.askForKey));
    const answer = await this.#packet();
    if (answer[0] === FIRST_BYTE.error) throw this.#refused(answer);
    if (answer[0] !== AUTH_MORE_DATA) throw new Error('the server did not send its public key');
    this.#send(encryptPassword(password, this.#challenge, answer.toString('latin1', 1)));
  }

  /** The server's own refusal; an unknown database is the client's affair, everything else the operator's. */
  #refused(payload: Buffer): OperatingError {
    const { errno, sqlstate, message } = decodeErr(payload);
    const { shard } = this.#target;
    if (errno === 1049)
      return new OperatingError('unknown-database', message, { detail: `Shard "${shard}" says so.` });
    const { host, port } = this.#address;
    const hint = REMEDIES[errno];
    return new OperatingError('shard-connect-failed', `shard "${shard}" refused the connection: ${message}`, {
      detail: `Error ${errno}, SQLSTATE ${sqlstate} from ${host}:${port}.`,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  #send(payload: Buffer): void {
    this.#socket.write(encodePacket(payload, this.#sequence++ & 0xff));
  }

  async #packet(): Promise<Buffer> {
    const framer = this.#framer;
    while (!framer.next()) framer.push(await nextChunk(this.#socket));
    this.#sequence = framer.lastSequence + 1;
    return payloadOf(framer.buffer, framer.start, framer.end);
  }
}

const REMEDIES: Readonly<Record<number, string>> = {
  1040: 'Raise max_connections on the server, or make the pool smaller.',
  1044: 'Grant the user access to the database.',
  1045: 'See that the user exists on the server, may come from this host, and has the password that is configured.',
  1129: 'Run FLUSH HOSTS on the server, and find out why so many connections failed.',
  1130: 'Let the user come from this host.',
  1203: 'Raise max_user_connections on the server, or make the pool smaller.',
  1226: 'Raise the limit that the user has on the server, or make the pool smaller.',
  1698: 'See that the user has a password; a plugin such as unix_socket lets nobody in over TCP.',
};

function isKnown(plugin: string): boolean {
  return plugin === NATIVE || plugin === CACHING_SHA2 || plugin === ED25519 || plugin === CLEARTEXT;
}

function nextChunk(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const take = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk !== null) end(() => resolve(chunk));
    };
    const failed = (error: Error) => end(() => reject(error));
    const closed = () => end(() => reject(new Error('the server closed the connection during login')));
    const end = (act: () => void) => {
      socket.off('readable', take).off('error', failed).off('close', closed).off('end', closed);
      act();
    };
    socket.on('readable', take).on('error', failed).on('close', closed).on('end', closed);
    take();
  });
}
