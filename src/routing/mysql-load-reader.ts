import { OperatingError } from '../lib/errors.js';
import type { LoadOptions } from '../sql/mysql-tree.js';

const EOF = -1;
/** Where nothing is said: no byte is it. */
const NONE = -2;
/** What stands behind the escape character for another byte (manual, LOAD DATA); `N` by itself is NULL. */
const ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ n: 10, t: 9, r: 13, b: 8, '0': 0, Z: 26 }).map(([letter, byte]) => [
    letter.charCodeAt(0),
    byte,
  ]),
);
const NULL_LETTER = 'N'.charCodeAt(0);
const NULL_WORD = 'NULL';
const MULTI_BYTE = /^utf8/;
/** No shard key and no number is longer. */
const MAX_VALUE_BYTES = 64 * 1024;

/**
 * Finds rows and fields in the bytes of a LOAD DATA file where a server finds them (manual, LOAD DATA, "Field and Line Handling", and what
 * MariaDB does): the fields of the columns may hold line ends between their quotes, what stands behind them up to the line's end may not.
 * Bytes that have not come yet are taken for the file's end, and the row that met it is read again when there are more.
 */
export class LoadReader {
  /** The row that was found is from here to `at`; where none was, here begins what is no row yet. */
  start = 0;
  at = 0;
  /** The fields that are wanted, decoded; without those that the row does not have, that are NULL, or too long. */
  readonly fields = new Map<number, Buffer>();
  readonly #wanted: ReadonlySet<number>;
  readonly #fieldCount: number;
  readonly #fieldEnd: Buffer;
  readonly #lineEnd: Buffer;
  readonly #lineStart: Buffer;
  readonly #quote: number;
  readonly #escape: number;
  readonly #isMultiByte: boolean;
  #linesToSkip: number;
  #bytes: Buffer = Buffer.alloc(0);
  #isEnd = false;
  #ranOut = false;
  #endsLine = false;
  #isWanted = false;
  #isTooLong = false;
  #value: number[] = [];

  /** The separators are ASCII, and those of fields and lines are not empty. */
  constructor(options: LoadOptions, charset: string, fieldCount: number, wanted: ReadonlySet<number>) {
    this.#wanted = wanted;
    this.#fieldCount = fieldCount;
    this.#fieldEnd = Buffer.from(options.terminatedBy);
    this.#lineEnd = Buffer.from(options.lineEnd);
    this.#lineStart = Buffer.from(options.startingBy);
    this.#quote = options.enclosedBy === '' ? NONE : options.enclosedBy.charCodeAt(0);
    this.#escape = options.escapedBy === '' ? NONE : options.escapedBy.charCodeAt(0);
    this.#isMultiByte = MULTI_BYTE.test(charset);
    this.#linesToSkip = options.skippedLines;
  }

  /** `bytes`: from `start` of the last ones on, with what has come since. `isEnd`: nothing comes any more. */
  begin(bytes: Buffer, isEnd: boolean): void {
    this.#bytes = bytes;
    this.#isEnd = isEnd;
    this.start = 0;
    this.at = 0;
  }

  /** False: there is no other row, or it has not come as a whole. */
  next(): boolean {
    this.start = this.at;
    this.#ranOut = false;
    const isRow = this.#skipLines() && this.#row();
    if (isRow && !this.#ranOut) return true;
    if (this.#isEnd) this.start = this.at = this.#bytes.length;
    else this.at = this.start;
    return false;
  }

  #skipLines(): boolean {
    for (; this.#linesToSkip > 0; this.#linesToSkip--) {
      this.#endsLine = false;
      this.#restOfLine();
      if (this.#ranOut) return false;
      this.start = this.at;
    }
    return true;
  }

  #row(): boolean {
    this.fields.clear();
    this.#endsLine = false;
    if (!this.#findStart()) return false;
    let field = 0;
    while (field < this.#fieldCount && !this.#endsLine && this.#field(field)) field++;
    if (field === 0) return false;
    this.#restOfLine();
    return true;
  }

  #findStart(): boolean {
    if (this.#lineStart.length === 0) return true;
    const found = this.#bytes.indexOf(this.#lineStart, this.at);
    if (found !== -1) this.at = found + this.#lineStart.length;
    return found !== -1;
  }

  #next(): number {
    if (this.at < this.#bytes.length) return this.#bytes[this.at++]!;
    this.#ranOut = !this.#isEnd;
    return EOF;
  }

  /** Takes a separator whose first byte has been taken, if it is there as a whole. */
  #takes(separator: Buffer): boolean {
    for (let index = 1; index < separator.length; index++) {
      const place = this.at + index - 1;
      if (place >= this.#bytes.length) this.#ranOut ||= !this.#isEnd;
      if (this.#bytes[place] !== separator[index]) return false;
    }
    this.at += separator.length - 1;
    return true;
  }

  #isSeparator(byte: number, separator: Buffer): boolean {
    return byte === separator[0] && this.#takes(separator);
  }

  /** Takes one field with what ends it. False: the file ends before it. */
  #field(index: number): boolean {
    this.#isWanted = this.#wanted.has(index);
    if (this.#isWanted) this.#value = [];
    this.#isTooLong = false;
    const first = this.#next();
    if (first === EOF) {
      this.#endsLine = true;
      return false;
    }
    const quote = first === this.#quote ? first : NONE;
    if (quote === NONE) this.at--;
    const { isQuoted, isNullMark } = this.#content(quote);
    if (!this.#isWanted || this.#isTooLong) return true;
    // Without its end a quoted field is one that begins with the quote.
    const bytes = Buffer.from(quote !== NONE && !isQuoted ? [quote, ...this.#value] : this.#value);
    const isNullWord = this.#quote !== NONE && !isQuoted && bytes.toString('latin1') === NULL_WORD;
    if (!isNullWord && !(isNullMark && bytes.length === 1)) this.fields.set(index, bytes);
    return true;
  }

  #content(quote: number): { isQuoted: boolean; isNullMark: boolean } {
    let isNullMark = false;
    for (;;) {
      let byte = this.#next();
      if (byte === this.#escape) {
        const escaped = this.#next();
        if (escaped === EOF) {
          this.#keep(byte);
          byte = EOF;
        } else if (this.#escape !== this.#quote || escaped === this.#escape) {
          isNullMark ||= escaped === NULL_LETTER;
          this.#keep(ESCAPES.get(escaped) ?? escaped);
          continue;
        } else this.at--;
      }
      if (byte === EOF) {
        this.#endsLine = true;
        return { isQuoted: false, isNullMark };
      }
      if (quote === NONE) {
        if (this.#isSeparator(byte, this.#lineEnd)) this.#endsLine = true;
        if (this.#endsLine || this.#isSeparator(byte, this.#fieldEnd)) return { isQuoted: false, isNullMark };
      } else if (byte === quote) {
        const behind = this.#next();
        if (behind !== quote) {
          this.#endsLine = behind === EOF || this.#isSeparator(behind, this.#lineEnd);
          if (this.#endsLine || this.#isSeparator(behind, this.#fieldEnd))
            return { isQuoted: true, isNullMark };
          this.at--;
        }
      }
      this.#keep(byte);
    }
  }

  #keep(byte: number): void {
    if (!this.#isWanted) return;
    if (this.#value.length < MAX_VALUE_BYTES) this.#value.push(byte);
    else this.#isTooLong = true;
  }

  /** Fields that no column takes: here an escape character counts, a quote does not. */
  #restOfLine(): void {
    while (!this.#endsLine) {
      const byte = this.#next();
      if (byte === EOF) return;
      if (byte > 127 && this.#isMultiByte) this.#character(byte);
      else if (byte === this.#escape) this.#next();
      else if (this.#isSeparator(byte, this.#lineEnd)) return;
    }
  }

  /** Servers take what stands behind a broken character as its part, also where it is a line's end. */
  #character(first: number): void {
    const tail =
      first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 ? 3 : 0;
    for (let index = 0; index < tail; index++) {
      const byte = this.#next();
      if (byte === EOF) return;
      if (byte < 0x80 || byte > 0xbf) throw notUtf8();
    }
    if (tail === 0) throw notUtf8();
  }
}

function notUtf8(): OperatingError {
  return new OperatingError('invalid-parameter', 'LOAD DATA: bytes behind the fields of a row are no UTF-8', {
    hint: 'Say the CHARACTER SET that the file has (latin1, binary), or write it in UTF-8.',
  });
}
