import { OperatingError } from '../lib/errors.js';
import { shortText } from '../lib/short-texts.js';

/** Bytes before a message's body: type (1) and length (4), the length counting itself (PostgreSQL manual 55.7). */
export const HEADER_BYTES = 5;

/** Reads the fields of one whole message. Every read is checked against its end: what is cut short is a protocol violation. */
export class Cursor {
  offset: number;
  readonly #frame: Buffer;
  readonly #name: string;

  constructor(frame: Buffer, name: string, offset = HEADER_BYTES) {
    this.#frame = frame;
    this.#name = name;
    this.offset = offset;
  }

  byte(): number {
    return this.#frame[this.#take(1)]!;
  }

  int16(): number {
    return this.#frame.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.#frame.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#frame.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#frame.readUInt32BE(this.#take(4));
  }

  /** A string up to its zero byte. */
  text(): string {
    const start = this.offset;
    return this.#frame.toString('utf8', start, this.textEnd());
  }

  /** A string that comes again and again, such as a name; it is remembered, so never a secret. */
  name(): string {
    const start = this.offset;
    return shortText(this.#frame, start, this.textEnd());
  }

  /** Passes a string and returns where its zero byte is. */
  textEnd(): number {
    const end = endOfText(this.#frame, this.offset);
    if (end === -1) throw this.#violation('has a string without an end');
    this.offset = end + 1;
    return end;
  }

  /** A slice, not a copy. */
  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.#frame.subarray(start, start + length);
  }

  rest(): Buffer {
    return this.bytes(this.#frame.length - this.offset);
  }

  get remaining(): number {
    return this.#frame.length - this.offset;
  }

  /** To be called behind the last field. */
  end(): void {
    if (this.offset !== this.#frame.length) throw this.#violation('is longer than its fields');
  }

  /** A count of things of at least `bytesEach` bytes: what cannot fit in the message is refused before anything is allocated. */
  count(bytesEach: number): number {
    const count = this.uint16();
    if (count * bytesEach > this.remaining) throw this.#violation('is cut short');
    return count;
  }

  #take(length: number): number {
    const start = this.offset;
    if (length < 0 || start + length > this.#frame.length) throw this.#violation('is cut short');
    this.offset = start + length;
    return start;
  }

  #violation(what: string): OperatingError {
    return new OperatingError('protocol-violation', `${this.#name} message ${what}`);
  }
}

/** So far a loop is quicker than a call into the runtime: most strings are names. */
const NEAR_BYTES = 32;

/** Where the zero byte of a string is; -1: nowhere. */
export function endOfText(frame: Buffer, start: number): number {
  const near = Math.min(start + NEAR_BYTES, frame.length);
  for (let at = start; at < near; at++) if (frame[at] === 0) return at;
  return frame.indexOf(0, near);
}

/** Writes one message; the length is filled in by `finish`. */
export class Writer {
  #buffer: Buffer;
  #offset: number;
  readonly #lengthAt: number;

  /** Without a code: a startup packet, which has no type byte. */
  constructor(code: number | undefined, sizeHint = 64) {
    this.#buffer = Buffer.allocUnsafe(sizeHint + HEADER_BYTES);
    this.#lengthAt = code === undefined ? 0 : 1;
    if (code !== undefined) this.#buffer[0] = code;
    this.#offset = this.#lengthAt + 4;
  }

  byte(value: number): this {
    // First: growing makes another buffer.
    const at = this.#grow(1);
    this.#buffer[at] = value;
    return this;
  }

  int16(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeUInt16BE(value & 0xffff, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeInt32BE(value | 0, at);
    return this;
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    const at = this.#grow(length + 1);
    this.#buffer.write(value, at, length, 'utf8');
    this.#buffer[at + length] = 0;
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  finish(): Buffer {
    this.#buffer.writeInt32BE(this.#offset - this.#lengthAt, this.#lengthAt);
    return this.#buffer.subarray(0, this.#offset);
  }

  #grow(length: number): number {
    const at = this.#offset;
    this.#offset += length;
    if (this.#offset > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#offset, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }
}

/** A message without a body. */
export function emptyMessage(code: number): Buffer {
  return Buffer.from([code, 0, 0, 0, 4]);
}
