import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../../src/demo/free-port.js';

/** Stands between a client and a server and cuts what the server says as it is told to. */
export class TricklingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Pieces of what the server says, in order. */
  readonly #cut: (bytes: Buffer) => readonly Buffer[];
  /** Ends both sides after so many bytes of the server. */
  breaksAfterBytes = Number.POSITIVE_INFINITY;
  port = 0;

  constructor(serverPort: number, cut: (bytes: Buffer) => readonly Buffer[]) {
    this.#cut = cut;
    this.#server = createServer({ noDelay: true }, (client) => {
      const server = connect({ host: '127.0.0.1', port: serverPort, noDelay: true });
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket
          .on('error', () => {})
          .on('close', () => {
            client.destroy();
            server.destroy();
          });
      }
      client.pipe(server);
      void this.#pump(server, client);
    });
  }

  async #pump(server: Socket, client: Socket): Promise<void> {
    try {
      for await (const chunk of server) {
        for (const piece of this.#cut(chunk as Buffer)) {
          const allowed = piece.subarray(0, Math.max(0, this.breaksAfterBytes));
          this.breaksAfterBytes -= allowed.length;
          await new Promise((resolve) => client.write(allowed, resolve));
          if (this.breaksAfterBytes <= 0) {
            client.resetAndDestroy();
            return;
          }
          // Each piece is a read of its own on the other side.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      client.end();
    } catch {
      client.destroy();
    }
  }

  async listen(): Promise<this> {
    const port = await freePort();
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.port = port;
    return this;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
