import { OperatingError } from '../lib/errors.js';

/** First byte of a NULL in a text row; it is no length. */
export const NULL_MARK = 0xfb;

/** Reads the fields of one payload (MySQL internals, "Basic Types"). Every read is checked against its end: what is cut short is a protocol violation. */
export class Reader {
  offset: number;
  readonly #payload: Buffer;
  readonly #name: string;

  /** `name`: what the packet is called in an error. */
  constructor(payload: Buffer, name: string, offset = 0) {
    this.#payload = payload;
    this.#name = name;
    this.offset = offset;
  }

  int1(): number {
    return this.#payload[this.#take(1)]!;
  }

  int2(): number {
    return this.#payload.readUInt16LE(this.#take(2));
  }

  int3(): number {
    return this.#payload.readUIntLE(this.#take(3), 3);
  }

  int4(): number {
    return this.#payload.readUInt32LE(this.#take(4));
  }

  int8(): bigint {
    return this.#payload.readBigUInt64LE(this.#take(8));
  }

  /** A length-encoded integer. */
  lenenc(): bigint {
    const first = this.int1();
    if (first < NULL_MARK) return BigInt(first);
    if (first === 0xfc) return BigInt(this.int2());
    if (first === 0xfd) return BigInt(this.int3());
    if (first === 0xfe) return this.int8();
    throw this.#violation('has a length that is none');
  }

  /** A length-encoded integer that counts something inside this payload. */
  length(): number {
    const first = this.#payload[this.offset];
    if (first !== undefined && first < NULL_MARK) {
      this.offset++;
      return first;
    }
    const length = this.lenenc();
    if (length > BigInt(this.remaining)) throw this.#violation('is cut short');
    return Number(length);
  }

  /** A slice, not a copy. */
  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.#payload.subarray(start, start + length);
  }

  lenencBytes(): Buffer {
    return this.bytes(this.length());
  }

  /** A field of a text row: undefined for NULL. */
  lenencBytesOrNull(): Buffer | undefined {
    if (this.#payload[this.offset] !== NULL_MARK) return this.lenencBytes();
    this.offset++;
    return undefined;
  }

  lenencText(): string {
    return this.lenencBytes().toString('utf8');
  }

  /** Up to its zero byte, which is passed. */
  nulBytes(): Buffer {
    const end = this.#payload.indexOf(0, this.offset);
    if (end === -1) throw this.#violation('has a string without an end');
    const bytes = this.#payload.subarray(this.offset, end);
    this.offset = end + 1;
    return bytes;
  }

  nulText(): string {
    return this.nulBytes().toString('utf8');
  }

  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  get remaining(): number {
    return this.#payload.length - this.offset;
  }

  /** To be called behind the last field. */
  end(): void {
    if (this.remaining !== 0) throw this.#violation('is longer than its fields');
  }

  #take(length: number): number {
    const start = this.offset;
    if (length < 0 || start + length > this.#payload.length) throw this.#violation('is cut short');
    this.offset = start + length;
    return start;
  }

  #violation(what: string): OperatingError {
    return new OperatingError('protocol-violation', `${this.#name} packet ${what}`);
  }
}

/** Writes one payload; `packets.ts` puts the header before it. */
export class Writer {
  #buffer: Buffer;
  #offset = 0;

  constructor(sizeHint = 64) {
    this.#buffer = Buffer.allocUnsafe(sizeHint);
  }

  int1(value: number): this {
    const at = this.#grow(1);
    this.#buffer[at] = value;
    return this;
  }

  int2(value: number): this {
    const at = this.#grow(2);
    this.#buffer.writeUInt16LE(value & 0xffff, at);
    return this;
  }

  int3(value: number): this {
    const at = this.#grow(3);
    this.#buffer.writeUIntLE(value & 0xffffff, at, 3);
    return this;
  }

  int4(value: number): this {
    const at = this.#grow(4);
    this.#buffer.writeUInt32LE(value >>> 0, at);
    return this;
  }

  int8(value: bigint): this {
    const at = this.#grow(8);
    this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, value), at);
    return this;
  }

  lenenc(value: number | bigint): this {
    if (value < NULL_MARK) return this.int1(Number(value));
    if (value <= 0xffff) return this.int1(0xfc).int2(Number(value));
    if (value <= 0xffffff) return this.int1(0xfd).int3(Number(value));
    return this.int1(0xfe).int8(BigInt(value));
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  zeros(length: number): this {
    const at = this.#grow(length);
    this.#buffer.fill(0, at, at + length);
    return this;
  }

  lenencBytes(value: Uint8Array): this {
    return this.lenenc(value.length).bytes(value);
  }

  lenencText(value: string): this {
    return this.lenenc(Buffer.byteLength(value)).text(value);
  }

  /** Without length or end: the rest of a packet. */
  text(value: string): this {
    const length = Buffer.byteLength(value);
    const at = this.#grow(length);
    this.#buffer.write(value, at, length, 'utf8');
    return this;
  }

  nulText(value: string): this {
    return this.text(value).int1(0);
  }

  /** The payload: a slice of the writer's own memory. */
  finish(): Buffer {
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
