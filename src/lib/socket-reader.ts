import type { Socket } from 'node:net';

/** The client went away while it was being let in. */
export class ClientGone extends Error {}

/** Reads exactly as many bytes as are asked for and leaves all later ones in the socket, for whoever reads it next. */
export class SocketReader {
  readonly #socket: Socket;
  #hasChanged = false;
  #wake: (() => void) | undefined;
  readonly #changed = () => {
    this.#hasChanged = true;
    this.#wake?.();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    // One listener for the whole login: each new one would be called at once for bytes that are too few.
    socket.on('readable', this.#changed).on('end', this.#changed).on('close', this.#changed);
  }

  /** Leaves the socket to whoever reads it next. */
  detach(): void {
    this.#socket.off('readable', this.#changed).off('end', this.#changed).off('close', this.#changed);
  }

  /** The first byte of what comes, left where it is. */
  async peek(): Promise<number> {
    const first = await this.read(1);
    this.#socket.unshift(first);
    return first[0]!;
  }

  /** Bytes that came already behind the last ones read. */
  get bufferedBytes(): number {
    return this.#socket.readableLength;
  }

  /** `length` > 0. Throws ClientGone when the connection ends before. */
  async read(length: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.#socket.read(length) as Buffer | null;
      if (bytes !== null && bytes.length === length) return bytes;
      if (bytes !== null || this.#socket.destroyed || this.#socket.readableEnded)
        throw new ClientGone('the connection was lost');
      await this.#moreBytes();
    }
  }

  async #moreBytes(): Promise<void> {
    if (!this.#hasChanged) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#hasChanged = false;
  }
}
