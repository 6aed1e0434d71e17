import type { Socket } from 'node:net';
import { asError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type { ClientDoor, Frontend } from './frontend.js';

/** Leads accepted sockets through the wing's door, and knows those that are open. */
export class Reception {
  readonly #door: ClientDoor;
  readonly #onFrontend: (frontend: Frontend, socket: Socket) => Promise<void>;
  readonly #log: Logger;
  readonly #open = new Set<Socket>();
  /** Told when a socket has closed. */
  onClose: () => void = () => {};

  constructor(
    door: ClientDoor,
    onFrontend: (frontend: Frontend, socket: Socket) => Promise<void>,
    log: Logger,
  ) {
    this.#door = door;
    this.#onFrontend = onFrontend;
    this.#log = log;
  }

  get openCount(): number {
    return this.#open.size;
  }

  take(socket: Socket, door: ClientDoor = this.#door): void {
    this.#open.add(socket);
    socket.on('close', () => {
      this.#open.delete(socket);
      this.onClose();
    });
    // Errors end in 'close'; who serves the socket hears of them there.
    socket.on('error', () => {});
    door(socket)
      .then((frontend) => frontend && this.#onFrontend(frontend, socket))
      .catch((thrown) => {
        this.#log.error(
          { reason: asError(thrown).message, stack: asError(thrown).stack },
          'a connection could not be served',
        );
        socket.destroy();
      });
  }

  /** Closes what is still open. */
  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
