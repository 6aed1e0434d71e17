import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { LimitsConfig } from '../config/config.js';
import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { ServerTls } from '../lib/server-tls.js';
import { ClientGone } from '../lib/socket-reader.js';
import type { StatementIds } from '../pool/statement-ids.js';
import type { ClientDoor, ClientIdentity, Frontend } from '../proxy/frontend.js';
import type { Authenticator, LoginRule } from './authenticator.js';
import { encodeError, encodeNegotiateProtocolVersion } from './backend-messages.js';
import { certificateHash } from './certificate-hash.js';
import { frontendLimits, type LengthLimits } from './framer.js';
import { PostgresFrontend } from './frontend.js';
import { decodeStartupPacket } from './frontend-messages.js';
import { NEWEST_MINOR, type StartupPacket } from './messages.js';
import { StartupReader } from './startup-reader.js';

export interface DoorOptions {
  readonly tls: ServerTls | undefined;
  readonly limits: Pick<
    LimitsConfig,
    'maxStartupBytes' | 'maxMessageBytes' | 'maxRequestBytes' | 'authTimeoutMs'
  >;
  readonly authenticator: Authenticator;
  readonly statementIds: StatementIds;
  /** How this user may log in to this database; undefined: an unknown user. An error is told at once, before any authentication. */
  readonly authorize: (
    user: string,
    database: string,
    startup: ReadonlyMap<string, string>,
  ) => LoginRule | OperatingError | undefined;
  /** A CancelRequest came. */
  readonly cancel: (key: { readonly processId: number; readonly secretKey: Buffer }) => Promise<void>;
}

type StartupMessage = Extract<StartupPacket, { type: 'StartupMessage' }>;

/** How long a refused client may take to close. */
const LINGER_MS = 3_000;
/** First byte of a TLS handshake: the client encrypts without asking (PostgreSQL manual 34.1.2, sslnegotiation=direct). */
const TLS_HANDSHAKE = 0x16;

/** The Postgres wing's door: see `acceptClient`. */
export function createDoor(options: DoorOptions): ClientDoor {
  const limits = frontendLimits(options.limits.maxMessageBytes);
  return (socket) => acceptClient(socket, options, limits);
}

/**
 * Brings one accepted socket through SSLRequest, StartupMessage and authentication (PostgreSQL manual 55.2.1). Returns the
 * frontend, whose session completes the login with `welcome`; undefined when the client was refused (and told why),
 * only asked to cancel, or went away. Never rejects.
 */
export async function acceptClient(
  socket: Socket,
  options: DoorOptions,
  limits: LengthLimits,
): Promise<Frontend | undefined> {
  const arrival = new Arrival(socket, options, limits);
  socket.on('error', () => {});
  const timer = setTimeout(() => arrival.timeOut(), options.limits.authTimeoutMs);
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
  #reader: StartupReader;
  #isEncrypted = false;
  #hasSpoken = false;
  readonly #options: DoorOptions;
  readonly #limits: LengthLimits;

  constructor(socket: Socket, options: DoorOptions, limits: LengthLimits) {
    this.#socket = socket;
    this.#reader = new StartupReader(socket);
    this.#options = options;
    this.#limits = limits;
  }

  async run(): Promise<Frontend | undefined> {
    if ((await this.#reader.peek()) === TLS_HANDSHAKE) await this.#upgradeDirectly();
    const packet = await this.#startupPacket();
    if (packet.type === 'CancelRequest') {
      this.#reader.detach();
      // The client takes our closing for the word that it is done (PostgreSQL manual 55.2.8).
      await this.#options.cancel(packet);
      this.#socket.end();
      this.#socket.resume();
      return undefined;
    }
    this.#hasSpoken = true;
    const startup = this.#checkStartup(packet);
    const user = packet.parameters.get('user') ?? '';
    const database = packet.parameters.get('database') || user;
    const rule = this.#options.authorize(user, database, startup);
    if (rule instanceof OperatingError) throw rule;
    await this.#authenticate(user, rule);
    if (rule?.refusal !== undefined) throw rule.refusal;
    const password = rule?.passOn === true ? rule.password : undefined;
    return this.#frontend({ user, database, startup, password });
  }

  /** Told to a client that has said who it is; others are only cut off, as the server does. */
  timeOut(): void {
    if (!this.#hasSpoken) this.destroy();
    else
      this.refuse(
        new OperatingError('authorization-failed', 'canceling authentication due to timeout', {
          hint: 'The limit is limits.auth_timeout_ms.',
        }),
      );
  }

  refuse(error: OperatingError): void {
    const socket = this.#socket;
    if (!socket.writable) {
      this.destroy();
      return;
    }
    this.#reader.detach();
    socket.end(encodeError(error, 'FATAL'));
    socket.resume();
    const linger = setTimeout(() => socket.destroy(), LINGER_MS);
    linger.unref();
    socket.once('close', () => clearTimeout(linger));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Answers SSLRequest and GSSENCRequest, once each, until the packet comes that begins the session or cancels one. */
  async #startupPacket(): Promise<Exclude<StartupPacket, { type: 'SSLRequest' | 'GSSENCRequest' }>> {
    const asked = new Set<string>();
    for (;;) {
      const packet = decodeStartupPacket(await this.#reader.packet(this.#options.limits.maxStartupBytes));
      if (packet.type === 'StartupMessage' || packet.type === 'CancelRequest') return packet;
      if (asked.has(packet.type) || this.#isEncrypted)
        throw new OperatingError('protocol-violation', `unexpected ${packet.type}`);
      asked.add(packet.type);
      if (packet.type === 'SSLRequest' && this.#options.tls !== undefined)
        await this.#upgrade(this.#options.tls);
      else this.#socket.write('N');
    }
  }

  async #upgrade(tls: ServerTls): Promise<void> {
    // What came before the handshake was never encrypted: somebody may have put it there (CVE-2021-23214).
    if (this.#reader.bufferedBytes > 0) {
      throw new OperatingError('protocol-violation', 'received unencrypted data after SSL request', {
        detail:
          'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.',
      });
    }
    this.#socket.write('S');
    await this.#encrypt(tls);
  }

  async #upgradeDirectly(): Promise<void> {
    const { tls } = this.#options;
    if (tls === undefined) throw new ClientGone('TLS without a certificate of ours');
    const secure = await this.#encrypt(tls);
    // Required so that no other protocol's client can be led here (manual 55.2.10).
    if (secure.alpnProtocol !== 'postgresql')
      throw new OperatingError('protocol-violation', 'direct TLS needs the ALPN protocol "postgresql"');
  }

  async #encrypt(tls: ServerTls): Promise<TLSSocket> {
    this.#reader.detach();
    const secure = await tls.upgrade(this.#socket);
    if (secure === undefined) throw new ClientGone('the TLS handshake failed');
    this.#socket = secure;
    this.#reader = new StartupReader(secure);
    this.#isEncrypted = true;
    return secure;
  }

  /** Checks version and options; returns the parameters that are neither user, database nor protocol options. */
  #checkStartup(packet: StartupMessage): ReadonlyMap<string, string> {
    if (packet.major !== 3) {
      throw new OperatingError(
        'unsupported',
        `unsupported frontend protocol ${packet.major}.${packet.minor}: server supports 3.0 to 3.${NEWEST_MINOR}`,
      );
    }
    if (!this.#isEncrypted && this.#options.tls?.isRequired === true) {
      throw new OperatingError('authorization-failed', 'this server takes encrypted connections only', {
        hint: 'Connect with sslmode=require.',
      });
    }
    if (!packet.parameters.get('user')) {
      throw new OperatingError('authorization-failed', 'no PostgreSQL user name specified in startup packet');
    }
    const replication = packet.parameters.get('replication') ?? 'false';
    if (!/^(false|off|no|0)$/i.test(replication)) {
      throw new OperatingError('unsupported', 'replication connections cannot go through Ringferry', {
        hint: 'Connect to the shard itself.',
      });
    }
    const startup = new Map<string, string>();
    const unknownOptions: string[] = [];
    for (const [name, value] of packet.parameters) {
      if (name.startsWith('_pq_.')) unknownOptions.push(name);
      else if (name !== 'user' && name !== 'database' && name !== 'replication') startup.set(name, value);
    }
    if (packet.minor > NEWEST_MINOR || unknownOptions.length > 0) {
      const minor = Math.min(packet.minor, NEWEST_MINOR);
      this.#socket.write(encodeNegotiateProtocolVersion((3 << 16) | minor, unknownOptions));
    }
    return startup;
  }

  #authenticate(user: string, rule: LoginRule | undefined): Promise<void> {
    const { tls } = this.#options;
    const binding = this.#isEncrypted && tls !== undefined ? certificateHash(tls.certificate) : undefined;
    const conversation = {
      send: (frame: Buffer) => void this.#socket.write(frame),
      passwordFrame: () => this.#reader.passwordFrame(),
    };
    return this.#options.authenticator.authenticate(conversation, user, rule, binding);
  }

  #frontend(identity: ClientIdentity): Frontend {
    this.#reader.detach();
    return new PostgresFrontend(this.#socket, identity, {
      limits: this.#limits,
      maxRequestBytes: this.#options.limits.maxRequestBytes,
      statementIds: this.#options.statementIds,
      isEncrypted: this.#isEncrypted,
    });
  }
}
