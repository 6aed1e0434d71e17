import type { Socket } from 'node:net';
import { OperatingError } from '../lib/errors.js';
import { ClientGone, SocketReader } from '../lib/socket-reader.js';
import { FRONTEND } from './messages.js';
import { HEADER_BYTES } from './wire.js';

/** Longest PasswordMessage or SASL response, as the server has it (PG_MAX_AUTH_TOKEN_LENGTH is 65535 for tokens). */
const MAX_PASSWORD_BYTES = 65_535;

/** Reads the packets of the login one by one and leaves all later bytes in the socket. */
export class StartupReader {
  readonly #reader: SocketReader;

  constructor(socket: Socket) {
    this.#reader = new SocketReader(socket);
  }

  /** Leaves the socket to whoever reads it next. */
  detach(): void {
    this.#reader.detach();
  }

  /** The first byte of what comes, left where it is. */
  peek(): Promise<number> {
    return this.#reader.peek();
  }

  /** A whole packet without a type byte. Nothing is allocated for a length that is not allowed. */
  async packet(maxBytes: number): Promise<Buffer> {
    const header = await this.#reader.read(4);
    const length = header.readInt32BE(0);
    if (length < 8 || length > maxBytes) {
      // node-postgres says Terminate when it is ended before it has begun; the server closes without a word then.
      if (header[0] === FRONTEND.Terminate) throw new ClientGone('the client ended the connection');
      throw new OperatingError('protocol-violation', 'invalid length of startup packet', {
        detail: `It says ${length} bytes; ${maxBytes} are allowed.`,
      });
    }
    return Buffer.concat([header, await this.#reader.read(length - 4)]);
  }

  async passwordFrame(): Promise<Buffer> {
    const header = await this.#reader.read(HEADER_BYTES);
    if (header[0] === FRONTEND.Terminate) throw new ClientGone('the client ended the connection');
    if (header[0] !== FRONTEND.Password) {
      throw new OperatingError(
        'protocol-violation',
        `expected password response, got message type ${header[0]}`,
      );
    }
    const length = header.readInt32BE(1);
    if (length < 4 || length > MAX_PASSWORD_BYTES)
      throw new OperatingError('protocol-violation', 'invalid password packet size');
    return length === 4 ? header : Buffer.concat([header, await this.#reader.read(length - 4)]);
  }

  /** Bytes that came already behind the last packet. */
  get bufferedBytes(): number {
    return this.#reader.bufferedBytes;
  }
}
