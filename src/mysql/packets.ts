import { OperatingError } from '../lib/errors.js';

/** int<3> payload length, int<1> sequence id (MySQL internals, "MySQL Packets"). */
export const HEADER_BYTES = 4;
/** Longest payload under one header; a packet of exactly this length goes on under the next header. */
export const MAX_PAYLOAD_BYTES = 0xffffff;
/** Longest packet, all its parts together: the greatest value of max_allowed_packet. */
export const MAX_PACKET_BYTES = 1024 * 1024 * 1024;

/** Below this, a packet that begins with 0xfe is an EOF and not a row whose first field is long. */
export const EOF_BELOW_BYTES = 9;
export const FIRST_BYTE = { ok: 0x00, localInfile: 0xfb, eof: 0xfe, error: 0xff } as const;

const EMPTY = Buffer.alloc(0);

/** One payload with its header, or with several when it is longer than one header can say. */
export function encodePacket(payload: Buffer, sequence = 0): Buffer {
  if (payload.length < MAX_PAYLOAD_BYTES) {
    const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
    frame.writeUInt32LE(payload.length + (sequence & 0xff) * 0x1000000, 0);
    frame.set(payload, HEADER_BYTES);
    return frame;
  }
  const parts = Math.floor(payload.length / MAX_PAYLOAD_BYTES) + 1;
  const frame = Buffer.allocUnsafe(payload.length + parts * HEADER_BYTES);
  for (let part = 0, at = 0; part < parts; part++) {
    const start = part * MAX_PAYLOAD_BYTES;
    const length = Math.min(MAX_PAYLOAD_BYTES, payload.length - start);
    frame.writeUIntLE(length, at, 3);
    frame[at + 3] = (sequence + part) & 0xff;
    payload.copy(frame, at + HEADER_BYTES, start, start + length);
    at += HEADER_BYTES + length;
  }
  return frame;
}

/** Numbers the parts of one whole packet, in place; returns the number behind its last. */
export function renumberPacket(frame: Buffer, sequence: number): number {
  let next = sequence;
  for (let at = 0; at < frame.length; ) {
    const length = frame.readUIntLE(at, 3);
    frame[at + 3] = next;
    next = (next + 1) & 0xff;
    at += HEADER_BYTES + length;
  }
  return next;
}

/** The payload of one whole packet as a framer found it: a slice where it has one header, else joined. */
export function payloadOf(buffer: Buffer, start = 0, end = buffer.length): Buffer {
  if (buffer.readUIntLE(start, 3) < MAX_PAYLOAD_BYTES) return buffer.subarray(start + HEADER_BYTES, end);
  const parts: Buffer[] = [];
  for (let at = start; at < end; ) {
    const length = buffer.readUIntLE(at, 3);
    at += HEADER_BYTES;
    parts.push(buffer.subarray(at, at + length));
    at += length;
  }
  return Buffer.concat(parts);
}

/**
 * Finds packets in a byte stream by their headers alone. Pull-style: `push` a chunk, then call `next` until it says
 * false; between two calls the fields say what was found. A packet that lies in one chunk is a slice of it; one that does
 * not is collected, unless it is a row and `streamsRows` is set: then its parts are handed out as they came.
 */
export class PacketFramer {
  /** The bytes found, headers too: `buffer` from `start` to `end`. */
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
  /** The payload's first byte; -1 where it is empty. */
  firstByte = -1;
  /** Sequence ids of the first and of the last header that was read. */
  sequence = 0;
  lastSequence = 0;
  /** Payload bytes under the packet's first header. */
  payloadBytes = 0;
  /** False: a part of a packet that began earlier. */
  isFirst = true;
  /** False: only a part of the packet was handed out and more parts follow. */
  isLast = true;
  /** Whatever is no EOF and no ERR may be handed out in parts. */
  streamsRows = false;

  readonly #maxBytes: number;
  #chunk: Buffer = EMPTY;
  #offset = 0;
  /** Chunks that came while nobody called `next`. */
  readonly #queue: Buffer[] = [];
  /** A header (and the byte behind it) that is not whole yet. */
  #header: Buffer = EMPTY;
  /** Payload bytes under the header in work that are still to come. */
  #missing = 0;
  /** The header in work says that another one follows. */
  #goesOn = false;
  /** Between the first header of a packet and its last byte. */
  #isInside = false;
  #isStreaming = false;
  #totalBytes = 0;
  #collected: Buffer[] = [];

  /** `maxBytes`: longest packet that is taken. */
  constructor(maxBytes = MAX_PACKET_BYTES) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    if (this.#offset < this.#chunk.length) this.#queue.push(chunk);
    else {
      this.#chunk = chunk;
      this.#offset = 0;
    }
  }

  /** Bytes that were pushed and not handed out yet. */
  get waitingBytes(): number {
    let bytes = this.#chunk.length - this.#offset + this.#header.length;
    for (const chunk of this.#queue) bytes += chunk.length;
    for (const piece of this.#collected) bytes += piece.length;
    return bytes;
  }

  /** Finds the next packet or part. Throws OperatingError (`limit-exceeded`) at a packet that is too long. */
  next(): boolean {
    for (;;) {
      if (this.#offset === this.#chunk.length && !this.#nextChunk()) return false;
      if (this.#isInside && this.#missing > 0 ? this.#continue() : this.#begin()) return true;
    }
  }

  #nextChunk(): boolean {
    const chunk = this.#queue.shift();
    this.#chunk = chunk ?? EMPTY;
    this.#offset = 0;
    return chunk !== undefined;
  }

  /** At a header: of a packet, or of the next part of a long one. */
  #begin(): boolean {
    if (this.#header.length > 0 || this.#isInside) return this.#beginCut();
    const chunk = this.#chunk;
    const start = this.#offset;
    const length = chunk.length - start < HEADER_BYTES ? -1 : chunk.readUIntLE(start, 3);
    const end = start + HEADER_BYTES + length;
    // The quick way: the whole packet lies here.
    if (length === -1 || length === MAX_PAYLOAD_BYTES || end > chunk.length) return this.#beginCut();
    this.#open(chunk, start, length);
    this.#isInside = false;
    this.#offset = end;
    this.isFirst = true;
    return this.#found(chunk, start, end, true);
  }

  /** A header that is cut, or a packet that goes on behind this chunk. */
  #beginCut(): boolean {
    // The byte behind the header says whether the packet may be handed out in parts.
    const piece = this.#takeUpTo(HEADER_BYTES - this.#header.length);
    const header = this.#header.length === 0 ? piece : Buffer.concat([this.#header, piece]);
    this.#header = header;
    if (header.length < HEADER_BYTES) return false;
    const length = header.readUIntLE(0, 3);
    if (length > 0 && !this.#isInside && header.length === HEADER_BYTES) {
      const byte = this.#takeUpTo(1);
      if (byte.length === 0) return this.#waitForByte(header);
      return this.#opened(Buffer.concat([header, byte]), length);
    }
    return this.#opened(header, length);
  }

  #waitForByte(header: Buffer): boolean {
    this.#header = header;
    return false;
  }

  /** `head`: a header and, at the begin of a packet, its first byte. */
  #opened(head: Buffer, length: number): boolean {
    this.#header = EMPTY;
    const isFirst = !this.#isInside;
    this.#open(head, 0, length);
    this.#missing = length - (head.length - HEADER_BYTES);
    if (isFirst) this.#isStreaming = this.streamsRows && !this.#mayBeEnd(length);
    return this.#taken(head, isFirst);
  }

  #mayBeEnd(length: number): boolean {
    if (this.firstByte === FIRST_BYTE.error) return true;
    return this.firstByte === FIRST_BYTE.eof && length < EOF_BELOW_BYTES;
  }

  #continue(): boolean {
    const piece = this.#takeUpTo(this.#missing);
    this.#missing -= piece.length;
    return this.#taken(piece, false);
  }

  /** Bytes of the packet in work: handed out, or kept until it is whole. */
  #taken(piece: Buffer, isFirst: boolean): boolean {
    const isLast = this.#missing === 0 && !this.#goesOn;
    if (isLast) this.#isInside = false;
    if (this.#isStreaming) {
      this.isFirst = isFirst;
      return this.#found(piece, 0, piece.length, isLast);
    }
    this.#collected.push(piece);
    if (!isLast) return false;
    const whole = Buffer.concat(this.#collected);
    this.#collected = [];
    this.isFirst = true;
    return this.#found(whole, 0, whole.length, true);
  }

  #open(buffer: Buffer, start: number, length: number): void {
    const sequence = buffer[start + 3]!;
    if (!this.#isInside) {
      this.#isInside = true;
      this.#isStreaming = false;
      this.#totalBytes = 0;
      this.sequence = sequence;
      this.payloadBytes = length;
      this.firstByte = length === 0 ? -1 : buffer[start + HEADER_BYTES]!;
    }
    this.lastSequence = sequence;
    this.#goesOn = length === MAX_PAYLOAD_BYTES;
    this.#totalBytes += length;
    if (this.#totalBytes <= this.#maxBytes) return;
    throw new OperatingError(
      'limit-exceeded',
      `a packet of ${this.#totalBytes} bytes or more is longer than allowed (${this.#maxBytes})`,
      { hint: 'Send less at once, or raise limits.max_message_bytes.' },
    );
  }

  #takeUpTo(length: number): Buffer {
    const piece = this.#chunk.subarray(this.#offset, this.#offset + length);
    this.#offset += piece.length;
    return piece;
  }

  #found(buffer: Buffer, start: number, end: number, isLast: boolean): true {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.isLast = isLast;
    return true;
  }
}
