import { OperatingError } from '../lib/errors.js';
import type { CutRow, RowCutter } from './incoming-rows.js';
import type { CopyPlan } from './plan.js';

const NEWLINE = 10;
const RETURN = 13;
const BACKSLASH = 92;
const DOT = 46;

/**
 * Cuts the data of a COPY FROM into rows, over the bounds of its chunks (manual, COPY, "File Formats"). Pure: chunks in, rows out.
 */
export class CopyRows implements RowCutter {
  readonly #plan: CopyPlan;
  readonly #maxRowBytes: number;
  /** Bytes of an unfinished row, and how far they have been looked at. */
  #rest: Buffer = Buffer.alloc(0);
  #scanned = 0;
  #isQuoted = false;
  #isHeaderNext: boolean;
  #hasEnded = false;

  constructor(plan: CopyPlan, maxRowBytes: number) {
    if (plan.format === 'binary')
      throw new OperatingError('unsupported', 'binary COPY into a sharded table', {
        hint: 'Use the text or csv format.',
      });
    this.#plan = plan;
    this.#maxRowBytes = maxRowBytes;
    this.#isHeaderNext = plan.hasHeader;
  }

  /** The rows that this chunk completes. The chunk is copied where it must outlive the call. */
  push(chunk: Buffer): CutRow[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const rows: CutRow[] = [];
    let start = 0;
    for (let end = this.#lineEnd(bytes, start); end !== -1; end = this.#lineEnd(bytes, start)) {
      this.#add(rows, bytes.subarray(start, end));
      start = end;
    }
    this.#keep(bytes, start);
    return rows;
  }

  /** The last row, when no newline ended it. */
  end(): CutRow[] {
    const rows: CutRow[] = [];
    if (this.#isQuoted)
      throw new OperatingError('invalid-parameter', 'unterminated CSV quoted field', { sqlstate: '22P04' });
    if (this.#rest.length > 0) this.#add(rows, Buffer.concat([this.#rest, Buffer.from('\n')]));
    this.#rest = Buffer.alloc(0);
    return rows;
  }

  #keep(bytes: Buffer, start: number): void {
    const length = bytes.length - start;
    if (length > this.#maxRowBytes)
      throw new OperatingError(
        'limit-exceeded',
        `a row of COPY data is longer than ${this.#maxRowBytes} bytes`,
        { hint: 'Raise limits.max_message_bytes.' },
      );
    this.#rest = start === 0 ? Buffer.from(bytes) : Buffer.from(bytes.subarray(start));
    this.#scanned -= start;
  }

  /** Where the row that begins at `start` ends (behind its newline), -1 when that has not come yet. */
  #lineEnd(bytes: Buffer, start: number): number {
    return this.#plan.format === 'csv' ? this.#csvLineEnd(bytes, start) : this.#textLineEnd(bytes, start);
  }

  #textLineEnd(bytes: Buffer, start: number): number {
    let newline = bytes.indexOf(NEWLINE, Math.max(this.#scanned, start));
    while (newline !== -1 && isEscaped(bytes, newline, start)) newline = bytes.indexOf(NEWLINE, newline + 1);
    if (newline !== -1) return this.#found(newline + 1);
    this.#scanned = bytes.length;
    return -1;
  }

  #csvLineEnd(bytes: Buffer, start: number): number {
    let at = Math.max(this.#scanned, start);
    const quote = this.#plan.quote.charCodeAt(0);
    const escapeByte = this.#plan.escape.charCodeAt(0);
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (this.#isQuoted && byte === escapeByte && escapeByte !== quote) {
        // An escape at the end of the chunk: what it escapes decides.
        if (at + 1 >= bytes.length) break;
        if (bytes[at + 1] === quote || bytes[at + 1] === escapeByte) at++;
      } else if (byte === quote) this.#isQuoted = !this.#isQuoted;
      else if (byte === NEWLINE && !this.#isQuoted) return this.#found(at + 1);
    }
    this.#scanned = Math.min(at, bytes.length);
    return -1;
  }

  #found(end: number): number {
    this.#scanned = end;
    return end;
  }

  #add(rows: CutRow[], row: Buffer): void {
    if (this.#hasEnded) return;
    if (this.#isHeaderNext) {
      this.#isHeaderNext = false;
      rows.push({ row, key: undefined, isForAll: true, isHeader: true });
      return;
    }
    const end = contentEnd(row);
    // The old end-of-data mark; what comes after it is not looked at.
    if (end === 2 && row[0] === BACKSLASH && row[1] === DOT) {
      this.#hasEnded = true;
      return;
    }
    const key =
      this.#plan.format === 'csv' ? this.#csvKey(row.toString('utf8', 0, end)) : this.#textKey(row, end);
    rows.push({ row, key: this.#fitting(key), isForAll: false });
  }

  #fitting(key: string | undefined): string | undefined {
    const { maxKeyLength } = this.#plan;
    return key !== undefined && maxKeyLength !== undefined && [...key].length > maxKeyLength
      ? undefined
      : key;
  }

  /** Delimiters are one byte (manual, COPY), so they are no part of another character in UTF-8. */
  #textKey(row: Buffer, end: number): string | undefined {
    const { delimiter, keyColumn, nullText } = this.#plan;
    const delimiterByte = delimiter.charCodeAt(0);
    let column = 0;
    let start = 0;
    for (let at = 0; at <= end; at++) {
      if (at < end && row[at] === BACKSLASH) {
        at++;
        continue;
      }
      if (at < end && row[at] !== delimiterByte) continue;
      if (column === keyColumn) {
        const field = row.toString('utf8', start, at);
        return field === nullText ? undefined : unescaped(field);
      }
      column++;
      start = at + 1;
    }
    return undefined;
  }

  #csvKey(line: string): string | undefined {
    const { delimiter, keyColumn, nullText, quote, escape: escapeMark } = this.#plan;
    let column = 0;
    let field = '';
    let isQuoted = false;
    let wasQuoted = false;
    for (let at = 0; at <= line.length; at++) {
      const character = line[at];
      if (isQuoted && character !== undefined) {
        if (character === escapeMark && (line[at + 1] === quote || line[at + 1] === escapeMark))
          field += line[++at];
        else if (character === quote) isQuoted = false;
        else field += character;
      } else if (character === quote) {
        isQuoted = true;
        wasQuoted = true;
      } else if (character === undefined || character === delimiter) {
        if (column === keyColumn) return !wasQuoted && field === nullText ? undefined : field;
        column++;
        field = '';
        wasQuoted = false;
      } else field += character;
    }
    return undefined;
  }
}

/** Behind an odd number of backslashes, of a row that begins at `start`. */
function isEscaped(bytes: Buffer, at: number, start: number): boolean {
  let before = at;
  while (before > start && bytes[before - 1] === BACKSLASH) before--;
  return (at - before) % 2 === 1;
}

function contentEnd(row: Buffer): number {
  let end = row.length;
  if (end > 0 && row[end - 1] === NEWLINE) end--;
  if (end > 0 && row[end - 1] === RETURN) end--;
  return end;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** Backslash sequences of the text format; bytes above 127 written as numbers are left undecoded, so that the key is refused. */
function unescaped(field: string): string | undefined {
  if (!field.includes('\\')) return field;
  let isCertain = true;
  const text = field.replace(
    /\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|([\s\S]))/g,
    (_whole, octal: string | undefined, hex: string | undefined, other: string | undefined) => {
      if (other !== undefined) return ESCAPES[other] ?? other;
      const code = octal !== undefined ? Number.parseInt(octal, 8) : Number.parseInt(hex!, 16);
      if (code === 0 || code > 127) isCertain = false;
      return String.fromCharCode(code);
    },
  );
  return isCertain ? text : undefined;
}
