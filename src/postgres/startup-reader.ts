import type { Socket } from 'node:net';
import { OperatingError } from '../lib/errors.js';
import { FRONTEND } from './messages.js';
import { HEADER_BYTES } from './wire.js';

/** Longest PasswordMessage or SASL response, as the server has it (PG_MAX_AUTH_TOKEN_LENGTH is 65535 for tokens). */
const MAX_PASSWORD_BYTES = 65_535;

/** The client went away while it was being let in. */
export class ClientGone extends Error {}

/** Reads the packets of the login one by one and leaves all later bytes in the socket. */
export class StartupReader {
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
    const first = await this.#read(1);
    this.#socket.unshift(first);
    return first[0]!;
  }

  /** A whole packet without a type byte. Nothing is allocated for a length that is not allowed. */
  async packet(maxBytes: number): Promise<Buffer> {
    const header = await this.#read(4);
    const length = header.readInt32BE(0);
    if (length < 8 || length > maxBytes) {
      throw new OperatingError('protocol-violation', 'invalid length of startup packet', {
        detail: `It says ${length} bytes; ${maxBytes} are allowed.`,
      });
    }
    return Buffer.concat([header, await this.#read(length - 4)]);
  }

  async passwordFrame(): Promise<Buffer> {
    const header = await this.#read(HEADER_BYTES);
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
    return length === 4 ? header : Buffer.concat([header, await this.#read(length - 4)]);
  }

  /** Bytes that came already behind the last packet. */
  get bufferedBytes(): number {
    return this.#socket.readableLength;
  }

  async #read(length: number): Promise<Buffer> {
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
