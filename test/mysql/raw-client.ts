import { connect, type Socket } from 'node:net';
import { cachingSha2Answer, nativeAnswer } from '../../src/mysql/auth-plugins.js';
import { CAPABILITY } from '../../src/mysql/capabilities.js';
import {
  decodeGreeting,
  encodeHandshakeResponse,
  type Greeting,
  type HandshakeResponse,
} from '../../src/mysql/handshake.js';
import { encodePacket, PacketFramer, payloadOf } from '../../src/mysql/packets.js';
import { until } from './client-door.js';

/** A client that says exactly what a test wants, and nothing by itself. */
export class RawClient {
  readonly socket: Socket;
  readonly #framer = new PacketFramer();
  /** What has come: payloads, and the numbers of their first headers. */
  readonly payloads: Buffer[] = [];
  readonly sequences: number[] = [];
  /** Bytes as they came, behind the login too. */
  bytes = Buffer.alloc(0);
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('data', (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
      this.#framer.push(chunk);
      while (this.#framer.next()) {
        const { buffer, start, end, sequence } = this.#framer;
        this.payloads.push(payloadOf(buffer, start, end));
        this.sequences.push(sequence);
      }
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawClient(socket);
  }

  /** Connected and logged in as `ann`; what has come so far is forgotten. */
  static async enter(port: number, secret = ''): Promise<RawClient> {
    const client = await RawClient.connect(port);
    client.command(handshakeResponse(await client.greeting(), secret), 1);
    await client.came(2);
    client.forget();
    return client;
  }

  async greeting(): Promise<Greeting> {
    await this.came(1);
    return decodeGreeting(this.payloads[0]!);
  }

  send(...chunks: Buffer[]): void {
    for (const chunk of chunks) this.socket.write(chunk);
  }

  command(payload: Buffer, sequence = 0): void {
    this.socket.write(encodePacket(payload, sequence));
  }

  /** One byte per write. */
  async sendSlowly(bytes: Buffer): Promise<void> {
    this.socket.setNoDelay(true);
    for (const byte of bytes) {
      this.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  forget(): void {
    this.payloads.length = 0;
    this.sequences.length = 0;
    this.bytes = Buffer.alloc(0);
  }

  came(packets: number): Promise<void> {
    return until(() => this.payloads.length >= packets);
  }

  closed(): Promise<void> {
    return until(() => this.isClosed);
  }
}

export const CAPABILITIES =
  CAPABILITY.PROTOCOL_41 |
  CAPABILITY.SECURE_CONNECTION |
  CAPABILITY.PLUGIN_AUTH |
  CAPABILITY.CONNECT_WITH_DB |
  CAPABILITY.MULTI_STATEMENTS |
  CAPABILITY.MULTI_RESULTS |
  CAPABILITY.CONNECT_ATTRS |
  CAPABILITY.LONG_PASSWORD;

export function handshakeResponse(
  { challenge }: Pick<Greeting, 'challenge'>,
  secret = '',
  facts: Partial<
    Pick<HandshakeResponse, 'plugin' | 'user' | 'capabilities' | 'mariadbCapabilities' | 'collationId'>
  > = {},
): Buffer {
  const {
    plugin = 'mysql_native_password',
    user = 'ann',
    capabilities = CAPABILITIES,
    mariadbCapabilities = 0,
    collationId = 45,
  } = facts;
  const isSha2 = plugin === 'caching_sha2_password';
  return encodeHandshakeResponse({
    capabilities,
    mariadbCapabilities,
    maxPacketBytes: 1 << 24,
    collationId,
    user,
    answer: isSha2 ? cachingSha2Answer(secret, challenge) : nativeAnswer(secret, challenge),
    database: 'shop',
    plugin,
    attributes: new Map([['_client_name', 'raw']]),
  });
}
