import type { Socket } from 'node:net';

/** Up to here the chunks of one turn are copied together; more are handed to the kernel side by side. */
const JOINED_BYTES = 32 * 1024;
/** More than this waiting for a slow reader, and the sender should stop. */
const HIGH_WATER_BYTES = 128 * 1024;

/**
 * Collects what is sent to a socket during one turn of the event loop and writes it at once. Says when the other side
 * reads too slowly, and calls `onDrain` when it has caught up.
 */
export class Outbox {
  onDrain: (() => void) | undefined;
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isScheduled = false;
  #isSlow = false;
  readonly #flushNow = () => this.flush();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('drain', () => this.#drained());
  }

  /** The chunk must not change any more. False: too much is waiting, `onDrain` follows. */
  send(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#flushNow);
    }
    if (this.waitingBytes < HIGH_WATER_BYTES) return true;
    this.#isSlow = true;
    return false;
  }

  get waitingBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  flush(): void {
    this.#isScheduled = false;
    const chunks = this.#chunks;
    const socket = this.#socket;
    if (chunks.length > 0) {
      const bytes = this.#bytes;
      this.#chunks = [];
      this.#bytes = 0;
      if (!socket.writable) return;
      if (chunks.length === 1) socket.write(chunks[0]!);
      else if (bytes <= JOINED_BYTES) socket.write(Buffer.concat(chunks, bytes));
      else {
        socket.cork();
        for (const chunk of chunks) socket.write(chunk);
        socket.uncork();
      }
    }
    if (this.#isSlow && !socket.writableNeedDrain) this.#drained();
  }

  #drained(): void {
    if (!this.#isSlow || this.waitingBytes >= HIGH_WATER_BYTES) return;
    this.#isSlow = false;
    this.onDrain?.();
  }
}
