import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitsConfig } from '../config/config.js';
import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { ServerTls } from '../lib/server-tls.js';
import { ClientGone, SocketReader } from '../lib/socket-reader.js';
import type { StatementIds } from '../pool/statement-ids.js';
import type { CancelKey } from '../proxy/cancel.js';
import type { ClientDoor, ClientIdentity, Frontend } from '../proxy/frontend.js';
import { makeChallenge, NATIVE } from './auth-plugins.js';
import type { Authenticator, Conversation, LoginRule } from './authenticator.js';
import {
  CAPABILITY,
  characterSetOf,
  has,
  MARIADB_CAPABILITY,
  STATUS,
  UTF8MB4_GENERAL_CI,
} from './capabilities.js';
import { errOf, sqlstateOf } from './error-codes.js';
import { MysqlFrontend } from './frontend.js';
import {
  type ChangeUser,
  decodeChangeUser,
  decodeHandshakeResponse,
  encodeGreeting,
  type HandshakeResponse,
  isSslRequest,
} from './handshake.js';
import { encodePacket, HEADER_BYTES } from './packets.js';
import { encodeErr } from './result-messages.js';

export interface DoorOptions {
  readonly tls: ServerTls | undefined;
  readonly limits: Pick<
    LimitsConfig,
    'maxStartupBytes' | 'maxMessageBytes' | 'maxRequestBytes' | 'authTimeoutMs'
  >;
  /** What clients are told to speak with; `serverVersion` of this file unless configured. */
  readonly serverVersion?: string | undefined;
  /** Some database takes files of its clients. */
  readonly offersLocalFiles?: boolean;
  /** The servers are known, and take COM_STMT_BULK_EXECUTE. */
  readonly offersBulk?: () => Promise<boolean>;
  readonly authenticator: Authenticator;
  readonly statementIds: StatementIds;
  /** How this user may log in to this database; undefined: an unknown user. An error is told at once, before any authentication. */
  readonly authorize: (
    user: string,
    database: string,
    startup: ReadonlyMap<string, string>,
  ) => LoginRule | OperatingError | undefined;
  /** For clients that name no database; undefined: they must. */
  readonly defaultDatabase?: (() => string | undefined) | undefined;
  /** The connection id that the greeting tells, and the secret that goes with it. */
  readonly announceKey: () => CancelKey;
}

/** The form that MariaDB has for old clients of MySQL, which read the first number only; drivers of both take it for MariaDB 10.11. */
export const SERVER_VERSION = '5.5.5-10.11.6-MariaDB-ringferry';

/** How long a refused client may take to close. */
const LINGER_MS = 3_000;
/** Servers that were never reached are asked what they can before the first clients are greeted; not for longer than this. */
const SERVERS_WAIT_MS = 1_000;
/** ER_HANDSHAKE_ERROR */
const BAD_HANDSHAKE = 1043;

const OFFERED =
  CAPABILITY.FOUND_ROWS |
  CAPABILITY.LONG_FLAG |
  CAPABILITY.CONNECT_WITH_DB |
  CAPABILITY.COMPRESS |
  CAPABILITY.IGNORE_SPACE |
  CAPABILITY.PROTOCOL_41 |
  CAPABILITY.INTERACTIVE |
  CAPABILITY.TRANSACTIONS |
  CAPABILITY.SECURE_CONNECTION |
  CAPABILITY.MULTI_STATEMENTS |
  CAPABILITY.MULTI_RESULTS |
  CAPABILITY.PS_MULTI_RESULTS |
  CAPABILITY.PLUGIN_AUTH |
  CAPABILITY.CONNECT_ATTRS |
  CAPABILITY.PLUGIN_AUTH_LENENC_DATA |
  CAPABILITY.SESSION_TRACK |
  CAPABILITY.DEPRECATE_EOF |
  CAPABILITY.QUERY_ATTRIBUTES;

/** MariaDB's own, in a greeting without LONG_PASSWORD. */
const MARIADB_OFFERED =
  MARIADB_CAPABILITY.CACHE_METADATA | MARIADB_CAPABILITY.EXTENDED_METADATA | MARIADB_CAPABILITY.PROGRESS;

/** The MySQL wing's door: see `acceptClient`. */
export function createDoor(options: DoorOptions): ClientDoor {
  return (socket) => acceptClient(socket, options);
}

/**
 * Brings one accepted socket through greeting, TLS and authentication (MySQL internals, "Connection Phase"). Returns the frontend, whose
 * session completes the login with `welcome`; undefined when the client was refused (and told why) or went away. Never rejects.
 */
export async function acceptClient(socket: Socket, options: DoorOptions): Promise<Frontend | undefined> {
  const arrival = new Arrival(socket, options);
  socket.on('error', () => {});
  const timer = setTimeout(() => arrival.destroy(), options.limits.authTimeoutMs);
  try {
    return await arrival.run();
  } catch (thrown) {
    if (thrown instanceof ClientGone) arrival.destroy();
    else arrival.refuse(asOperatingError(thrown));
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** One client on its way in. */
class Arrival {
  #socket: Socket;
  #reader: SocketReader;
  #isEncrypted = false;
  /** Number of the next packet, either way. */
  #sequence = 0;
  readonly #options: DoorOptions;
  readonly #key: CancelKey;
  readonly #challenge = makeChallenge();
  readonly #host: string;
  #mariadbOffered = 0;

  constructor(socket: Socket, options: DoorOptions) {
    this.#socket = socket;
    this.#reader = new SocketReader(socket);
    this.#options = options;
    this.#key = options.announceKey();
    this.#host = (socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '');
  }

  async run(): Promise<Frontend | undefined> {
    this.#mariadbOffered = await this.#offerOfMariadb();
    this.#greet();
    const response = await this.#response();
    const capabilities = (response.capabilities & this.#offered) >>> 0;
    const mariadb = response.mariadbCapabilities & this.#mariadbOffered;
    const startup = startupOf(response, capabilities, mariadb);
    const database = response.database || this.#options.defaultDatabase?.() || '';
    const rule = this.#options.authorize(response.user, database, startup);
    if (rule instanceof OperatingError) throw rule;
    const attempt = { login: response, challenge: this.#challenge, host: this.#host };
    await this.#options.authenticator.authenticate(this.#conversation(), attempt, rule);
    if (rule?.refusal !== undefined) throw rule.refusal;
    if (database === '') {
      throw new OperatingError('unknown-database', 'No database selected', {
        hint: 'Name the database when connecting: USE comes too late for Ringferry.',
      });
    }
    const password = rule?.passOn === true ? rule.password : undefined;
    return this.#frontend({ user: response.user, database, startup, password }, capabilities, mariadb);
  }

  /** A client that speaks no MySQL gets the same answer as from a server. */
  refuse(error: OperatingError): void {
    const socket = this.#socket;
    if (!socket.writable) {
      this.destroy();
      return;
    }
    this.#reader.detach();
    socket.end(encodePacket(encodeErr(refusalOf(error)), this.#sequence));
    socket.resume();
    const linger = setTimeout(() => socket.destroy(), LINGER_MS);
    linger.unref();
    socket.once('close', () => clearTimeout(linger));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get #offered(): number {
    const own = this.#isMariadb ? 0 : CAPABILITY.LONG_PASSWORD;
    const files = this.#options.offersLocalFiles === true ? CAPABILITY.LOCAL_FILES : 0;
    return (OFFERED | own | files | (this.#options.tls === undefined ? 0 : CAPABILITY.SSL)) >>> 0;
  }

  /** Bulk execution is offered where the servers have it; the greeting does not wait long to hear. */
  async #offerOfMariadb(): Promise<number> {
    if (!this.#isMariadb) return 0;
    const late = new AbortController();
    const answer = this.#options.offersBulk?.() ?? false;
    const isOffered = await Promise.race([
      answer,
      sleep(SERVERS_WAIT_MS, false, { signal: late.signal }).catch(() => false),
    ]);
    late.abort();
    return MARIADB_OFFERED | (isOffered ? MARIADB_CAPABILITY.STMT_BULK_OPERATIONS : 0);
  }

  get #serverVersion(): string {
    return this.#options.serverVersion ?? SERVER_VERSION;
  }

  /** Clients are told to speak as with MariaDB. */
  get #isMariadb(): boolean {
    return /mariadb/i.test(this.#serverVersion);
  }

  #greet(): void {
    this.#send(
      encodeGreeting({
        serverVersion: this.#serverVersion,
        connectionId: this.#key.processId,
        capabilities: this.#offered,
        mariadbCapabilities: this.#mariadbOffered,
        collationId: UTF8MB4_GENERAL_CI,
        status: STATUS.AUTOCOMMIT,
        challenge: this.#challenge,
        plugin: NATIVE,
      }),
    );
  }

  async #response(): Promise<HandshakeResponse> {
    const { tls } = this.#options;
    let payload = await this.#packet();
    if (isSslRequest(payload)) {
      if (tls === undefined) throw new OperatingError('protocol-violation', 'TLS was not offered');
      await this.#encrypt(tls);
      payload = await this.#packet();
    }
    const response = decodeHandshakeResponse(payload);
    if (!this.#isEncrypted && tls?.isRequired === true) {
      throw new OperatingError('authorization-failed', 'this server takes encrypted connections only', {
        hint: 'Connect with TLS (--ssl; drivers: ssl or sslMode).',
      });
    }
    return response;
  }

  /** The client begins TLS without waiting; what it has sent already is the handshake's, so nothing unencrypted is taken for encrypted. */
  async #encrypt(tls: ServerTls): Promise<void> {
    this.#reader.detach();
    const secure = await tls.upgrade(this.#socket);
    if (secure === undefined) throw new ClientGone('the TLS handshake failed');
    this.#socket = secure;
    this.#reader = new SocketReader(secure);
    this.#isEncrypted = true;
  }

  #conversation(): Conversation {
    return { send: (payload) => this.#send(payload), answer: () => this.#packet() };
  }

  #send(payload: Buffer): void {
    this.#socket.write(encodePacket(payload, this.#sequence++));
  }

  /** A whole packet's payload. Nothing is allocated for a length that is not allowed. */
  async #packet(): Promise<Buffer> {
    const header = await this.#reader.read(HEADER_BYTES);
    const length = header.readUIntLE(0, 3);
    const max = this.#options.limits.maxStartupBytes;
    if (length > max || header[3] !== (this.#sequence & 0xff)) {
      throw new OperatingError('protocol-violation', 'Bad handshake', {
        detail: `A packet of ${length} bytes came with number ${header[3]}; at most ${max} bytes with number ${this.#sequence} are allowed.`,
      });
    }
    this.#sequence++;
    return length === 0 ? Buffer.alloc(0) : this.#reader.read(length);
  }

  #frontend(first: ClientIdentity, capabilities: number, mariadb: number): Frontend {
    let identity = first;
    this.#reader.detach();
    const { limits, authenticator, authorize, statementIds } = this.#options;
    const host = this.#host;
    return new MysqlFrontend(this.#socket, first, {
      maxPacketBytes: Math.min(limits.maxMessageBytes, limits.maxRequestBytes),
      authTimeoutMs: limits.authTimeoutMs,
      statementIds,
      isEncrypted: this.#isEncrypted,
      isCompressed: has(capabilities, CAPABILITY.COMPRESS),
      allowsSeveralStatements: has(capabilities, CAPABILITY.MULTI_STATEMENTS),
      answerForm: {
        deprecatesEof: has(capabilities, CAPABILITY.DEPRECATE_EOF),
        tracksSession: has(capabilities, CAPABILITY.SESSION_TRACK),
        marksDefinitions: has(mariadb, MARIADB_CAPABILITY.CACHE_METADATA),
      },
      hasExtendedMetadata: has(mariadb, MARIADB_CAPABILITY.EXTENDED_METADATA),
      saysAttributes: has(capabilities, CAPABILITY.QUERY_ATTRIBUTES),
      hearsProgress: has(mariadb, MARIADB_CAPABILITY.PROGRESS),
      executesBulk: has(mariadb, MARIADB_CAPABILITY.STMT_BULK_OPERATIONS),
      announcedKey: this.#key,
      sequence: this.#sequence,
      reauthenticate: async (payload, conversation) => {
        const login = decodeChangeUser(payload, capabilities);
        const next = changeOf(login, identity);
        const rule = authorize(next.user, next.database, next.startup);
        if (rule instanceof OperatingError) throw rule;
        const canSwitch = has(capabilities, CAPABILITY.PLUGIN_AUTH);
        const challenge = canSwitch ? undefined : this.#challenge;
        await authenticator.authenticate(conversation, { login, challenge, host }, rule);
        if (rule?.refusal !== undefined) throw rule.refusal;
        identity = { ...next, password: rule?.passOn === true ? rule.password : undefined };
        return identity;
      },
    });
  }
}

/**
 * What a session must say to its servers: `collation_id`, and `found_rows`, `ignore_space`, `local_files` and `extended_metadata` as '1' where
 * the client wants them.
 */
function startupOf(
  { collationId }: HandshakeResponse,
  capabilities: number,
  mariadb: number,
): Map<string, string> {
  const startup = new Map<string, string>();
  if (characterSetOf(collationId) !== undefined) startup.set('collation_id', String(collationId));
  if (has(capabilities, CAPABILITY.FOUND_ROWS)) startup.set('found_rows', '1');
  if (has(capabilities, CAPABILITY.IGNORE_SPACE)) startup.set('ignore_space', '1');
  if (has(capabilities, CAPABILITY.PS_MULTI_RESULTS)) startup.set('out_parameters', '1');
  if (has(capabilities, CAPABILITY.LOCAL_FILES)) startup.set('local_files', '1');
  if (has(mariadb, MARIADB_CAPABILITY.EXTENDED_METADATA)) startup.set('extended_metadata', '1');
  return startup;
}

/** Who the client is when it has proven it; what COM_CHANGE_USER does not say stays. */
function changeOf({ user, database, collationId }: ChangeUser, identity: ClientIdentity): ClientIdentity {
  const startup = new Map(identity.startup);
  if (collationId !== undefined && characterSetOf(collationId) !== undefined)
    startup.set('collation_id', String(collationId));
  return { user, database: database || identity.database, startup, password: undefined };
}

function refusalOf(error: OperatingError): { errno: number; sqlstate: string; message: string } {
  const told = errOf(error);
  if (error.code !== 'protocol-violation') return told;
  return { ...told, errno: BAD_HANDSHAKE, sqlstate: sqlstateOf(BAD_HANDSHAKE) };
}
