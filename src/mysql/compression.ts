import { deflateSync, inflateSync } from 'node:zlib';
import { OperatingError } from '../lib/errors.js';

// Compressed packets (MySQL internals, "Compression"): `length: 3, sequence: 1, length before compression: 3 (0: not compressed), bytes`. The bytes of
// all packets together are the stream of ordinary packets.

const HEADER_BYTES = 7;
/** Not worth it below (MIN_COMPRESS_LENGTH of the servers). */
const COMPRESSED_FROM_BYTES = 50;
/** Bytes under one header; far below what the header could say, so that neither side needs much memory. */
const PIECE_BYTES = 256 * 1024;
/** Fast: what is saved beyond it costs more than the wire. */
const LEVEL = 3;

const EMPTY = Buffer.alloc(0);

/** Compresses what goes to the client. */
export class Compressor {
  readonly #write: (packet: Buffer) => boolean;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #sequence = 0;
  #isScheduled = false;

  constructor(write: (packet: Buffer) => boolean) {
    this.#write = write;
  }

  /** The answer to another command begins; the one before has been flushed. */
  begin(sequence: number): void {
    this.flush();
    this.#sequence = sequence & 0xff;
  }

  write(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= PIECE_BYTES) return this.flush();
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        this.flush();
      });
    }
    return true;
  }

  /** False: the client is slow. */
  flush(): boolean {
    if (this.#bytes === 0) return true;
    let isFlowing = true;
    const bytes = Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [];
    this.#bytes = 0;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      isFlowing = this.#write(encodeCompressed(bytes.subarray(at, at + PIECE_BYTES), this.#sequence));
      this.#sequence = (this.#sequence + 1) & 0xff;
    }
    return isFlowing;
  }
}

/** `bytes`: fewer than 16 MB. */
export function encodeCompressed(bytes: Buffer, sequence: number): Buffer {
  const small = bytes.length < COMPRESSED_FROM_BYTES ? bytes : deflateSync(bytes, { level: LEVEL });
  const isSmaller = small.length < bytes.length;
  const body = isSmaller ? small : bytes;
  const packet = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  packet.writeUIntLE(body.length, 0, 3);
  packet[3] = sequence;
  packet.writeUIntLE(isSmaller ? bytes.length : 0, 4, 3);
  body.copy(packet, HEADER_BYTES);
  return packet;
}

/** Reads what a client compressed; one packet is unpacked when it is asked for, so that little bytes do not become much memory. */
export class Decompressor {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the packet that was read last. */
  sequence = 0;

  /** `maxBytes`: longest packet, before and after. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The bytes of the next packet, or undefined until it is whole. Throws `protocol-violation` or `limit-exceeded`. */
  next(): Buffer | undefined {
    if (this.#bytes < HEADER_BYTES) return undefined;
    const header = this.#head();
    const length = header.readUIntLE(0, 3);
    const plainLength = header.readUIntLE(4, 3);
    if (Math.max(length, plainLength) > this.#maxBytes) {
      throw new OperatingError(
        'limit-exceeded',
        `a compressed packet is longer than allowed (${this.#maxBytes} bytes)`,
      );
    }
    if (this.#bytes < HEADER_BYTES + length) return undefined;
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#bytes);
    const rest = all.subarray(HEADER_BYTES + length);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    this.sequence = header[3]!;
    const body = all.subarray(HEADER_BYTES, HEADER_BYTES + length);
    return plainLength === 0 ? body : inflate(body, plainLength);
  }

  #head(): Buffer {
    if (this.#chunks[0]!.length < HEADER_BYTES) this.#chunks = [Buffer.concat(this.#chunks, this.#bytes)];
    return this.#chunks[0]!;
  }
}

function inflate(body: Buffer, length: number): Buffer {
  let plain = EMPTY;
  try {
    plain = inflateSync(body, { maxOutputLength: length });
  } catch {
    // Told below: an empty result is never of the length that was said.
  }
  if (plain.length === length) return plain;
  throw new OperatingError(
    'protocol-violation',
    'a compressed packet cannot be unpacked to the length that it says',
  );
}
