import { createServer, type Server, type Socket } from 'node:net';
import type { HostPort } from '../config/config.js';
import { asError, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type { ClientDoor, Frontend } from './frontend.js';

/** Accepts connections at one address and leads each through the wing's door. */
export class Listener {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #name: string;

  constructor(
    name: string,
    door: ClientDoor,
    onFrontend: (frontend: Frontend, socket: Socket) => Promise<void>,
    log: Logger,
  ) {
    this.#name = name;
    this.#server = createServer({ noDelay: true, pauseOnConnect: false }, (socket) => {
      this.#open.add(socket);
      socket.on('close', () => this.#open.delete(socket));
      // Errors end in 'close'; who serves the socket hears of them there.
      socket.on('error', () => {});
      door(socket)
        .then((frontend) => frontend && onFrontend(frontend, socket))
        .catch((thrown) => {
          log.error(
            { reason: asError(thrown).message, stack: asError(thrown).stack },
            'a connection could not be served',
          );
          socket.destroy();
        });
    });
  }

  /** Resolves with the address it listens at; port 0 means a free one. Throws a `configuration` error that names the address. */
  listen(at: HostPort): Promise<HostPort> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const hint =
          cause.code === 'EADDRINUSE'
            ? 'Something listens there already: stop it or choose another port.'
            : 'Choose another address.';
        reject(
          new OperatingError(
            'configuration',
            `cannot listen for ${this.#name} at ${at.host}:${at.port}: ${cause.message}`,
            { hint, cause },
          ),
        );
      });
      this.#server.listen({ host: at.host, port: at.port, backlog: 1024 }, () => {
        const address = this.#server.address();
        resolve({
          host: at.host,
          port: typeof address === 'object' && address !== null ? address.port : at.port,
        });
      });
    });
  }

  get connectionCount(): number {
    return this.#open.size;
  }

  /** New connections are refused from now on; open ones stay. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Closes what is still open. */
  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
