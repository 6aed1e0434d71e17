import { createServer, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { freePort } from '../../src/demo/free-port.js';
import { SocketReader } from '../../src/lib/socket-reader.js';
import { makeChallenge } from '../../src/mysql/auth-plugins.js';
import { CAPABILITY, STATUS } from '../../src/mysql/capabilities.js';
import {
  decodeHandshakeResponse,
  encodeGreeting,
  type HandshakeResponse,
  isSslRequest,
} from '../../src/mysql/handshake.js';
import { encodePacket, HEADER_BYTES } from '../../src/mysql/packets.js';
import { encodeOk } from '../../src/mysql/result-messages.js';
import { serverTls } from '../fakes/door.js';

const CAPABILITIES =
  CAPABILITY.LONG_PASSWORD |
  CAPABILITY.PROTOCOL_41 |
  CAPABILITY.SECURE_CONNECTION |
  CAPABILITY.PLUGIN_AUTH |
  CAPABILITY.PLUGIN_AUTH_LENENC_DATA |
  CAPABILITY.CONNECT_WITH_DB;

/** One connection to the fake server, from its greeting on. */
export class ScriptedPeer {
  socket: Socket;
  readonly challenge = makeChallenge();
  #sequence = 0;
  #reader: SocketReader;

  constructor(socket: Socket) {
    this.socket = socket;
    this.#reader = new SocketReader(socket);
  }

  /** Greets and returns what the client answers, encrypted when it asks for that. */
  async greet(facts: { plugin: string; isTls?: boolean; version?: string }): Promise<HandshakeResponse> {
    const { plugin, isTls = false, version = '8.0.36' } = facts;
    this.send(
      encodeGreeting({
        serverVersion: version,
        connectionId: 7,
        capabilities: (CAPABILITIES | (isTls ? CAPABILITY.SSL : 0)) >>> 0,
        mariadbCapabilities: 0,
        collationId: 255,
        status: STATUS.AUTOCOMMIT,
        challenge: this.challenge,
        plugin,
      }),
    );
    let payload = await this.packet();
    if (isSslRequest(payload)) {
      await this.#encrypt();
      payload = await this.packet();
    }
    return decodeHandshakeResponse(payload);
  }

  get isEncrypted(): boolean {
    return this.socket instanceof TLSSocket;
  }

  send(...payloads: Buffer[]): void {
    for (const payload of payloads) this.socket.write(encodePacket(payload, this.#sequence++));
  }

  welcome(): void {
    this.send(encodeOk({ status: STATUS.AUTOCOMMIT }));
  }

  /** The next packet; checks that the client counts as we do. */
  async packet(): Promise<Buffer> {
    const header = await this.#reader.read(HEADER_BYTES);
    const sequence = header[3]!;
    if (sequence !== this.#sequence && sequence !== 0)
      throw new Error(`the client counts ${sequence}, not ${this.#sequence}`);
    this.#sequence = sequence + 1;
    return this.#reader.read(header.readUIntLE(0, 3));
  }

  async #encrypt(): Promise<void> {
    this.#reader.detach();
    this.socket = (await serverTls().upgrade(this.socket))!;
    this.#reader = new SocketReader(this.socket);
  }
}

/** A server that follows a script, built from the production codec, for what no server does that can be had here. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  failure: unknown;
  port = 0;

  constructor(script: (peer: ScriptedPeer) => Promise<void> | void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
      void this.#serve(new ScriptedPeer(socket), script);
    });
  }

  async #serve(peer: ScriptedPeer, script: (peer: ScriptedPeer) => Promise<void> | void): Promise<void> {
    try {
      await script(peer);
    } catch (thrown) {
      this.failure = thrown;
      peer.socket.destroy();
    }
  }

  async listen(): Promise<this> {
    this.port = await freePort();
    await new Promise<void>((resolve) => this.#server.listen(this.port, '127.0.0.1', resolve));
    return this;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
