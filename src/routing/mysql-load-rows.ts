import { OperatingError } from '../lib/errors.js';
import type { LoadOptions } from '../sql/mysql-tree.js';
import type { CutRow, RowCutter } from './incoming-rows.js';
import { type LoadedKey, loadedKey } from './mysql-load-key.js';
import { LoadReader } from './mysql-load-reader.js';

/** What must be known of each row, by where its fields stand in it. */
export interface LoadedRows {
  readonly options: LoadOptions;
  readonly charset: string;
  readonly fieldCount: number;
  /** Undefined: the rows are not dealt out by a key. */
  readonly key: (LoadedKey & { readonly field: number }) | undefined;
  /** Fields that the server must not fill in itself: each shard would do so on its own. */
  readonly given: readonly { readonly field: number; readonly column: string; readonly isNumber: boolean }[];
}

/** Cuts the file of a LOAD DATA into rows, over the bounds of its chunks. */
export class LoadRows implements RowCutter {
  readonly #rows: LoadedRows;
  readonly #maxRowBytes: number;
  readonly #reader: LoadReader;
  /** What has come and is no row yet; looked at when it is as long as `#enough`, so that a long row is not read over and over. */
  #pieces: Buffer[] = [];
  #length = 0;
  #enough = 0;
  #rowNumber = 0;

  constructor(rows: LoadedRows, maxRowBytes: number) {
    const { key, given } = rows;
    this.#rows = rows;
    this.#maxRowBytes = maxRowBytes;
    const wanted = new Set([...(key === undefined ? [] : [key.field]), ...given.map(({ field }) => field)]);
    this.#reader = new LoadReader(rows.options, rows.charset, rows.fieldCount, wanted);
  }

  /** The rows that this chunk completes. The chunk is copied where it must outlive the call. */
  push(chunk: Buffer): CutRow[] {
    this.#pieces.push(chunk);
    this.#length += chunk.length;
    const rows = this.#length < this.#enough ? [] : this.#cut(false);
    // Cut or not, this chunk is the caller's.
    if (this.#pieces.at(-1) === chunk) this.#pieces[this.#pieces.length - 1] = Buffer.from(chunk);
    return rows;
  }

  end(): CutRow[] {
    return this.#cut(true);
  }

  #cut(isEnd: boolean): CutRow[] {
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    const reader = this.#reader;
    reader.begin(bytes, isEnd);
    const rows: CutRow[] = [];
    while (reader.next()) rows.push(this.#row(bytes.subarray(reader.start, reader.at)));
    const rest = Buffer.from(bytes.subarray(reader.start));
    if (rest.length > this.#maxRowBytes)
      throw new OperatingError(
        'limit-exceeded',
        `a row of LOAD DATA is longer than ${this.#maxRowBytes} bytes`,
        {
          hint: 'Raise limits.max_message_bytes, or look whether the file has the LINES that the statement says.',
        },
      );
    this.#pieces = [rest];
    this.#length = rest.length;
    this.#enough = 2 * rest.length;
    return rows;
  }

  #row(row: Buffer): CutRow {
    this.#rowNumber++;
    const { key, given } = this.#rows;
    for (const { field, column, isNumber } of given) this.#checkGiven(field, column, isNumber);
    if (key === undefined) return { row, key: undefined, isForAll: true };
    const field = this.#reader.fields.get(key.field);
    const text = field && loadedKey(field, key, this.#rows.charset);
    return { row, key: text, isForAll: false };
  }

  #checkGiven(field: number, column: string, isNumber: boolean): void {
    const value = this.#reader.fields.get(field);
    if (value !== undefined && (!isNumber || /^0*[1-9]\d*$/.test(value.toString('latin1')))) return;
    throw new OperatingError(
      'unsupported',
      `row ${this.#rowNumber} of the file leaves "${column}" to the server, and each shard would fill it on its own`,
      { hint: `Write a value for "${column}" in every row.` },
    );
  }
}
