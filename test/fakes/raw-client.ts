import { connect, type Socket } from 'node:net';
import { decodeReport } from '../../src/postgres/backend-messages.js';
import { backendLimits, Framer } from '../../src/postgres/framer.js';

/** A client that says exactly what a test wants, and nothing by itself. */
export class RawClient {
  readonly socket: Socket;
  readonly #framer = new Framer(backendLimits());
  /** Letters of the messages that have come, and their frames. */
  codes = '';
  readonly frames: Buffer[] = [];
  #wake: (() => void)[] = [];
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#framer.push(chunk);
      while (this.#framer.next()) {
        this.codes += String.fromCharCode(this.#framer.code);
        this.frames.push(this.#framer.buffer.subarray(this.#framer.start, this.#framer.end));
      }
      this.#changed();
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.#changed();
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawClient(socket);
  }

  send(...frames: Buffer[]): void {
    for (const frame of frames) this.socket.write(frame);
  }

  /** One byte per write, each in a packet of its own where the system allows it. */
  async sendSlowly(bytes: Buffer): Promise<void> {
    this.socket.setNoDelay(true);
    for (const byte of bytes) {
      this.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves when `condition` holds; rejects after some seconds, saying what has come. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!condition()) {
      if (Date.now() > deadline)
        throw new Error(`waited in vain; came: ${this.codes}${this.isClosed ? ', closed' : ''}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.isClosed);
  }

  untilReady(): Promise<void> {
    return this.until(() => this.codes.endsWith('Z'));
  }

  /** Fields of the last ErrorResponse. */
  get error(): Map<string, string> | undefined {
    const at = this.codes.lastIndexOf('E');
    return at === -1 ? undefined : decodeReport(this.frames[at]!);
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
