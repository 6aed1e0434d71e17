import { createServer, type Server } from 'node:net';
import type { HostPort } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import type { Reception } from './reception.js';

/** Accepts connections at one address and leads each to the reception. */
export class Listener {
  readonly #server: Server;
  readonly #name: string;
  readonly #reception: Reception;

  constructor(name: string, reception: Reception) {
    this.#name = name;
    this.#reception = reception;
    this.#server = createServer({ noDelay: true }, (socket) => reception.take(socket));
  }

  /** As `listenAt`. */
  listen(at: HostPort): Promise<HostPort> {
    return listenAt(this.#server, this.#name, at);
  }

  /** New connections are refused from now on; open ones stay. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Closes what is still open. */
  destroyAll(): void {
    this.#reception.destroyAll();
  }
}

/** Resolves with the address it listens at; port 0 means a free one. Throws a `configuration` error that names the address. */
export function listenAt(server: Server, name: string, at: HostPort): Promise<HostPort> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const hint =
        cause.code === 'EADDRINUSE'
          ? 'Something listens there already: stop it or choose another port.'
          : 'Choose another address.';
      reject(
        new OperatingError(
          'configuration',
          `cannot listen for ${name} at ${at.host}:${at.port}: ${cause.message}`,
          { hint, cause },
        ),
      );
    });
    server.listen({ host: at.host, port: at.port, backlog: 1024 }, () => {
      const address = server.address();
      resolve({
        host: at.host,
        port: typeof address === 'object' && address !== null ? address.port : at.port,
      });
    });
  });
}
