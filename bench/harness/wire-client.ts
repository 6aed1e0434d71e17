import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What came in answer to one query. */
export interface Received {
  readonly bytes: number;
  /** DataRow and CopyData messages. */
  readonly rows: number;
}

const [DATA_ROW, COPY_DATA, COPY_IN, ERROR, READY] = [0x44, 0x64, 0x47, 0x45, 0x5a];
const HEADER_BYTES = 5;

/** A Postgres client that costs as little as can be: it counts messages by their headers and throws their bodies away. */
export class WireClient {
  readonly #socket: Socket;
  /** The part of a header that has come, and how much of the present body has not. */
  #header = Buffer.alloc(0);
  #bodyLeft = 0;
  #bytes = 0;
  #rows = 0;
  #failure: string | undefined;
  #lastCode = 0;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    const lost = (why: string) => () => {
      this.#failure ??= why;
      this.#wake?.();
    };
    socket.on('error', lost('the connection failed'));
    socket.on('close', lost('the connection was closed'));
  }

  /** Logs in as a user that is trusted; `from` is the address of loopback to come from. */
  static async login(port: number, database: string, from = '127.0.0.1'): Promise<WireClient> {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true });
    const client = new WireClient(socket);
    const words = Buffer.from(`user\0postgres\0database\0${database}\0\0`);
    const packet = Buffer.alloc(8 + words.length);
    packet.writeUInt32BE(packet.length, 0);
    packet.writeUInt32BE(0x30000, 4);
    words.copy(packet, 8);
    socket.write(packet);
    await client.#until(READY);
    return client;
  }

  /** Runs one simple query to its end. */
  async query(sql: string): Promise<Received> {
    this.#begin(sql);
    await this.#until(READY);
    return { bytes: this.#bytes, rows: this.#rows };
  }

  /** COPY … FROM STDIN: sends these bytes so many times, no faster than they are taken. */
  async copyIn(sql: string, rows: Buffer, times: number): Promise<void> {
    this.#begin(sql);
    await this.#until(COPY_IN);
    const message = messageOf('d', rows);
    for (let time = 0; time < times; time++)
      if (!this.#socket.write(message)) await once(this.#socket, 'drain');
    this.#socket.write(messageOf('c', Buffer.alloc(0)));
    await this.#until(READY);
  }

  get isLost(): boolean {
    return this.#failure !== undefined;
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy();
  }

  #begin(sql: string): void {
    [this.#bytes, this.#rows, this.#lastCode] = [0, 0, 0];
    this.#socket.write(messageOf('Q', Buffer.from(`${sql}\0`)));
  }

  async #until(code: number): Promise<void> {
    while (this.#lastCode !== code && this.#failure === undefined)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#failure !== undefined) throw new Error(this.#failure);
  }

  #take(chunk: Buffer): void {
    this.#bytes += chunk.length;
    let at = Math.min(this.#bodyLeft, chunk.length);
    this.#bodyLeft -= at;
    while (at < chunk.length) at = this.#message(chunk, at);
    if (this.#bodyLeft === 0 && this.#header.length === 0) this.#wake?.();
  }

  /** Byte1 code, Int32 length with itself, body; returns where the next one begins. */
  #message(chunk: Buffer, at: number): number {
    const header = Buffer.concat([this.#header, chunk.subarray(at, at + HEADER_BYTES - this.#header.length)]);
    const from = at + header.length - this.#header.length;
    if (header.length < HEADER_BYTES) {
      this.#header = header;
      return chunk.length;
    }
    this.#header = Buffer.alloc(0);
    const body = header.readUInt32BE(1) - 4;
    const here = Math.min(body, chunk.length - from);
    this.#bodyLeft = body - here;
    this.#see(header[0]!, chunk.subarray(from, from + here));
    return from + here;
  }

  #see(code: number, body: Buffer): void {
    this.#lastCode = code;
    if (code === DATA_ROW || code === COPY_DATA) this.#rows++;
    if (code === ERROR) this.#failure = body.toString('utf8').replaceAll('\0', ' ').trim();
  }
}

function messageOf(code: string, body: Buffer): Buffer {
  const message = Buffer.alloc(HEADER_BYTES + body.length);
  message.write(code, 'latin1');
  message.writeUInt32BE(4 + body.length, 1);
  body.copy(message, HEADER_BYTES);
  return message;
}
