import { createServer, type Server, type Socket } from 'node:net';
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from '../../src/postgres/backend-messages.js';
import { Framer, frontendLimits } from '../../src/postgres/framer.js';
import { StartupReader } from '../../src/postgres/startup-reader.js';

/** One connection to the fake server, after its startup packet. */
export class ScriptedPeer {
  readonly socket: Socket;
  readonly #framer = new Framer(frontendLimits(0x7fffffff));
  #seen = '';
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#framer.push(chunk);
      while (this.#framer.next()) this.#seen += String.fromCharCode(this.#framer.code);
      this.#wake?.();
    });
    socket.on('error', () => {});
  }

  /** AuthenticationOk, parameters, key, ReadyForQuery. */
  welcome(): void {
    this.send(
      encodeAuthenticationOk(),
      encodeParameterStatus('server_version', '15.0'),
      encodeBackendKeyData(1, Buffer.alloc(4)),
      encodeReadyForQuery('idle'),
    );
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Resolves when exactly these messages have come since the last call. */
  async expect(codes: string): Promise<void> {
    while (this.#seen.length < codes.length) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const seen = this.#seen.slice(0, codes.length);
    this.#seen = this.#seen.slice(codes.length);
    if (seen !== codes) throw new Error(`the script expects ${codes}, came ${seen}`);
  }
}

/** A server that follows a script, built from the production codec, for what no real server does. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  connections = 0;
  port = 0;
  failure: unknown;

  constructor(script: (peer: ScriptedPeer) => Promise<void> | void) {
    this.#server = createServer((socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
      void this.#serve(socket, script);
    });
  }

  async #serve(socket: Socket, script: (peer: ScriptedPeer) => Promise<void> | void): Promise<void> {
    try {
      const reader = new StartupReader(socket);
      await reader.packet(10_000);
      reader.detach();
      await script(new ScriptedPeer(socket));
    } catch (thrown) {
      this.failure = thrown;
      socket.destroy();
    }
  }

  static async start(
    script: (peer: ScriptedPeer) => Promise<void> | void,
    port = 0,
  ): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve));
    const address = server.#server.address();
    server.port = typeof address === 'object' && address !== null ? address.port : 0;
    return server;
  }

  get url(): string {
    return `postgres://127.0.0.1:${this.port}/x?sslmode=disable`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
