import { connect, type Socket } from 'node:net';

/** A frame as the client sends it: type byte, length, body. */
export function frame(type: string, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const header = Buffer.alloc(5);
  header.write(type, 0, 'latin1');
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

export const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};

export const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

export const query = (sql: string): Buffer => frame('Q', `${sql}\0`);
export const parse = (name: string, sql: string, types: readonly number[] = []): Buffer =>
  frame('P', `${name}\0${sql}\0`, int16(types.length), ...types.map(int32));
export const bind = (
  portal: string,
  statement: string,
  values: readonly (string | null)[] = [],
  resultFormat = 0,
): Buffer =>
  frame(
    'B',
    `${portal}\0${statement}\0`,
    int16(0),
    int16(values.length),
    ...values.flatMap((value) => (value === null ? [int32(-1)] : [int32(Buffer.byteLength(value)), value])),
    int16(1),
    int16(resultFormat),
  );
export const describeStatement = (name: string): Buffer => frame('D', `S${name}\0`);
export const describePortal = (name: string): Buffer => frame('D', `P${name}\0`);
export const execute = (portal: string, maxRows = 0): Buffer => frame('E', `${portal}\0`, int32(maxRows));
export const closeStatement = (name: string): Buffer => frame('C', `S${name}\0`);
export const closePortal = (name: string): Buffer => frame('C', `P${name}\0`);
export const SYNC = frame('S');
export const FLUSH = frame('H');
export const TERMINATE = frame('X');

/** The startup packet, with protocol version 3.0 when not said otherwise. */
export function startup(parameters: Readonly<Record<string, string>>, version = 0x0003_0000): Buffer {
  const pairs = Object.entries(parameters)
    .map(([name, value]) => `${name}\0${value}\0`)
    .join('');
  const body = Buffer.concat([int32(version), Buffer.from(`${pairs}\0`)]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export interface Message {
  readonly type: string;
  readonly body: Buffer;
}

/** A client that sends bytes as told and shows every message that comes back. */
export class WireClient {
  readonly socket: Socket;
  readonly messages: Message[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #wake: (() => void)[] = [];
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  static async open(url: string): Promise<WireClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new WireClient(socket);
  }

  /** Logged in as a trusted user. */
  static async login(url: string, parameters: Readonly<Record<string, string>> = {}): Promise<WireClient> {
    const client = await WireClient.open(url);
    const { username, pathname } = new URL(url);
    client.send(startup({ user: username, database: pathname.slice(1), ...parameters }));
    await client.until('Z');
    return client;
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Waits for the `count`-th next message of this type (or the end of the connection) and takes everything up to it. */
  async until(type: string, count = 1, timeoutMs = 30_000): Promise<Message[]> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      let seen = 0;
      const end = this.messages.findIndex((message) => message.type === type && ++seen === count);
      if (end >= 0) return this.messages.splice(0, end + 1);
      if (this.isClosed) return this.messages.splice(0);
      const left = deadline - Date.now();
      if (left <= 0)
        throw new Error(
          `no ${type} within ${timeoutMs} ms; got ${this.messages.map((message) => message.type).join('')}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Resolves when the other side has closed. */
  async closed(timeoutMs = 30_000): Promise<void> {
    await this.until('\u0000never', 1, timeoutMs);
  }

  end(): void {
    if (!this.isClosed) this.socket.end(TERMINATE);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5) {
      const length = this.#rest.readInt32BE(1);
      if (this.#rest.length < length + 1) break;
      this.messages.push({
        type: this.#rest.toString('latin1', 0, 1),
        body: this.#rest.subarray(5, length + 1),
      });
      this.#rest = this.#rest.subarray(length + 1);
    }
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Fields of an ErrorResponse or NoticeResponse by their letters. */
export function fieldsOf(message: Message): Record<string, string> {
  return Object.fromEntries(
    message.body
      .toString()
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field[0]!, field.slice(1)]),
  );
}
