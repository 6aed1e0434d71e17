import type { Socket } from 'node:net';
import { whenWritten } from './read-chunks.js';

/** Up to here the chunks of one turn are copied together; more are handed to the kernel side by side. */
const JOINED_BYTES = 32 * 1024;
/** More than this waiting for a slow reader, and the sender should stop. */
const HIGH_WATER_BYTES = 128 * 1024;

/** What is to be written when this event has been dealt with. */
let waiting: Outbox[] = [];

function flushAll(): void {
  const outboxes = waiting;
  waiting = [];
  for (const outbox of outboxes) outbox.flush();
}

/** queueMicrotask makes an AsyncResource for each call. */
const settled = Promise.resolve();

/** Promises that the event has fulfilled go on first, and may have more to send: ticks that an event asks for itself come before them. */
function flushBehindPromises(): void {
  process.nextTick(flushAll);
}

/**
 * Collects what is sent to a socket while one event is dealt with, or during one turn of the event loop, and writes it at once. Says when the other side
 * reads too slowly, and calls `onDrain` when it has caught up.
 */
export class Outbox {
  onDrain: (() => void) | undefined;
  /** More may come from other events of this turn: what is sent waits for them. */
  isPatient = false;
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
      if (this.isPatient) setImmediate(this.#flushNow);
      else if (waiting.push(this) === 1) void settled.then(flushBehindPromises);
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
      if (chunks.length === 1) socket.write(chunks[0]!, whenWritten(chunks[0]!));
      else if (bytes <= JOINED_BYTES) socket.write(Buffer.concat(chunks, bytes));
      else {
        socket.cork();
        for (const chunk of chunks) socket.write(chunk, whenWritten(chunk));
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
