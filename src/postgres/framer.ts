import { OperatingError } from '../lib/errors.js';
import { BACKEND, FRONTEND } from './messages.js';
import { HEADER_BYTES } from './wire.js';

/** Longest a small message may be claimed to be, as the server has it (PQ_SMALL_MESSAGE_LIMIT). */
const SMALL_MESSAGE_BYTES = 10_000;
/** Longest message that a server may send and we collect: a field is at most 1 GB, a row may be a little more. */
const MAX_SERVER_MESSAGE_BYTES = 0x7fffffff;
/** Longest message of a server that holds no rows. */
const MAX_SERVER_REPORT_BYTES = 64 * 1024 * 1024;

/** Greatest length word by type byte; 0: there is no such message. */
export type LengthLimits = Int32Array;

const EMPTY = Buffer.alloc(0);

export function frontendLimits(maxMessageBytes: number): LengthLimits {
  const limits = new Int32Array(256);
  for (const code of Object.values(FRONTEND)) limits[code] = Math.min(SMALL_MESSAGE_BYTES, maxMessageBytes);
  for (const code of [
    FRONTEND.Query,
    FRONTEND.Parse,
    FRONTEND.Bind,
    FRONTEND.FunctionCall,
    FRONTEND.CopyData,
  ]) {
    limits[code] = maxMessageBytes;
  }
  return limits;
}

export function backendLimits(): LengthLimits {
  const limits = new Int32Array(256);
  for (const code of Object.values(BACKEND)) limits[code] = MAX_SERVER_REPORT_BYTES;
  for (const code of [BACKEND.DataRow, BACKEND.CopyData, BACKEND.FunctionCallResponse])
    limits[code] = MAX_SERVER_MESSAGE_BYTES;
  return limits;
}

/**
 * Finds messages in a byte stream by their headers alone. Pull-style: `push` a chunk, then call `next` until it says
 * false; between two calls the fields say what was found. A message that lies in one chunk is a slice of it; one that
 * does not is collected, unless it is a row or COPY data and `streamsRows` is set: then its parts are handed out as they came.
 */
export class Framer {
  /** The message's type byte. */
  code = 0;
  /** The bytes found: `buffer` from `start` to `end`. */
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
  /** False: only a part of the message was handed out and more parts follow. */
  isLast = true;
  /** False: a part of a message that began earlier. */
  isFirst = true;
  streamsRows = false;

  readonly #limits: LengthLimits;
  #chunk: Buffer = EMPTY;
  #offset = 0;
  /** Chunks that came while nobody called `next`. */
  readonly #queue: Buffer[] = [];
  /** Bytes of the message in work that are still to come. */
  #missing = 0;
  /** Collects a message, or a header that is not whole yet; undefined while parts are handed out. */
  #collected: Buffer[] = [];
  #header: Buffer = EMPTY;
  #isCollecting = false;

  constructor(limits: LengthLimits) {
    this.#limits = limits;
  }

  push(chunk: Buffer): void {
    if (this.#offset < this.#chunk.length) {
      this.#queue.push(chunk);
      return;
    }
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** Finds the next message or part. Throws OperatingError (`protocol-violation`, `limit-exceeded`) at a bad header. */
  next(): boolean {
    for (;;) {
      if (this.#offset === this.#chunk.length) {
        const chunk = this.#queue.shift();
        if (chunk === undefined) {
          this.#chunk = EMPTY;
          this.#offset = 0;
          return false;
        }
        this.#chunk = chunk;
        this.#offset = 0;
        continue;
      }
      if (this.#missing > 0 ? this.#continueMessage() : this.#beginMessage()) return true;
    }
  }

  /** Bytes that were pushed and not handed out yet. */
  get waitingBytes(): number {
    let bytes = this.#chunk.length - this.#offset;
    for (const chunk of this.#queue) bytes += chunk.length;
    for (const piece of this.#collected) bytes += piece.length;
    return bytes + this.#header.length;
  }

  #beginMessage(): boolean {
    if (this.#header.length > 0) return this.#completeHeader();
    const chunk = this.#chunk;
    const start = this.#offset;
    if (chunk.length - start < HEADER_BYTES) {
      this.#header = chunk.subarray(start);
      this.#offset = chunk.length;
      return false;
    }
    const total = this.#checkedLength(chunk, start);
    const end = start + total;
    this.isFirst = true;
    if (end <= chunk.length) {
      this.#offset = end;
      return this.#found(chunk, start, end, true);
    }
    return this.#beginLong(total, chunk, start);
  }

  /** The first bytes of a message that goes on in the next chunk. */
  #beginLong(total: number, buffer: Buffer, start: number): boolean {
    this.#offset = this.#chunk.length;
    this.#missing = total - (buffer.length - start);
    if (this.streamsRows && (this.code === BACKEND.DataRow || this.code === BACKEND.CopyData)) {
      this.#isCollecting = false;
      return this.#found(buffer, start, buffer.length, false);
    }
    this.#isCollecting = true;
    this.#collected.push(buffer.subarray(start));
    return false;
  }

  /** A header was cut in two. */
  #completeHeader(): boolean {
    const wanted = HEADER_BYTES - this.#header.length;
    const piece = this.#chunk.subarray(this.#offset, this.#offset + wanted);
    const header = Buffer.concat([this.#header, piece]);
    this.#offset += piece.length;
    if (header.length < HEADER_BYTES) {
      this.#header = header;
      return false;
    }
    this.#header = EMPTY;
    const total = this.#checkedLength(header, 0);
    this.isFirst = true;
    if (total === HEADER_BYTES) return this.#found(header, 0, HEADER_BYTES, true);
    const rest = this.#offset;
    const isFound = this.#beginLong(total, header, 0);
    this.#offset = rest;
    return isFound;
  }

  #continueMessage(): boolean {
    const chunk = this.#chunk;
    const start = this.#offset;
    const end = Math.min(chunk.length, start + this.#missing);
    this.#missing -= end - start;
    this.#offset = end;
    if (!this.#isCollecting) {
      this.isFirst = false;
      return this.#found(chunk, start, end, this.#missing === 0);
    }
    this.#collected.push(chunk.subarray(start, end));
    if (this.#missing > 0) return false;
    const whole = Buffer.concat(this.#collected);
    this.#collected = [];
    this.isFirst = true;
    return this.#found(whole, 0, whole.length, true);
  }

  #checkedLength(buffer: Buffer, start: number): number {
    const code = buffer[start]!;
    const length = buffer.readInt32BE(start + 1);
    const limit = this.#limits[code]!;
    this.code = code;
    if (limit === 0) throw new OperatingError('protocol-violation', `invalid message type ${code}`);
    if (length < 4)
      throw new OperatingError(
        'protocol-violation',
        `invalid length ${length} of a message of type ${letter(code)}`,
      );
    if (length > limit) {
      throw new OperatingError(
        'limit-exceeded',
        `a message of type ${letter(code)} and ${length} bytes is longer than allowed (${limit})`,
        {
          hint: 'Send less at once, or raise limits.max_message_bytes.',
        },
      );
    }
    return length + 1;
  }

  #found(buffer: Buffer, start: number, end: number, isLast: boolean): true {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.isLast = isLast;
    return true;
  }
}

function letter(code: number): string {
  return `'${String.fromCharCode(code)}'`;
}
