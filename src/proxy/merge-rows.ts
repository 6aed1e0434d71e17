import { OperatingError } from '../lib/errors.js';
import type { RowFields } from '../pool/backend.js';
import type { MergerOptions, Merging } from './merge.js';
import { orderCompare, readerAt, refuseCollated, rowKey, shardFormats } from './merge-columns.js';

/** A waiting row with its decoded sort values. */
interface Waiting {
  readonly fields: RowFields;
  readonly sort: readonly unknown[];
}

/** Row queue of one part; taken from the front without moving the rest. */
class Queue {
  #rows: (Waiting | undefined)[] = [];
  #head = 0;
  /** Of all rows. */
  bytes = 0;
  isEnded = false;

  get length(): number {
    return this.#rows.length - this.#head;
  }

  get first(): Waiting | undefined {
    return this.#rows[this.#head];
  }

  add(row: Waiting): void {
    this.#rows.push(row);
    this.bytes += bytesOf(row.fields);
  }

  shift(): Waiting {
    const row = this.#rows[this.#head]!;
    this.#rows[this.#head++] = undefined;
    this.bytes -= bytesOf(row.fields);
    if (this.#head > 64 && this.#head * 2 > this.#rows.length) {
      this.#rows = this.#rows.slice(this.#head);
      this.#head = 0;
    }
    return row;
  }
}

function bytesOf(fields: RowFields): number {
  let bytes = 0;
  for (const field of fields) bytes += field?.length ?? 0;
  return bytes;
}

interface SortColumn {
  read(fields: RowFields): unknown;
  compare(a: unknown, b: unknown): number;
}

/** Rows that pass as they are: merged in order (each part is ordered already), once each for DISTINCT, cut by LIMIT and OFFSET. */
export class RowMerge implements Merging {
  readonly #queues: Queue[];
  readonly #sort: readonly SortColumn[];
  readonly #from: number;
  readonly #rowNumbers: MergerOptions['rowNumbers'];
  readonly #keyOf: ((fields: RowFields) => string) | undefined;
  readonly #seen = new Set<string>();
  readonly #maxRows: number;
  readonly #taken: number[];
  #toSkip: bigint;
  #left: bigint | undefined;
  isDone = false;
  /** Nothing is ordered, counted, left out or cut. */
  readonly isPlain: boolean;

  constructor(options: MergerOptions) {
    const { merge, limits } = options;
    this.#queues = Array.from({ length: options.parts }, () => new Queue());
    this.#taken = Array<number>(options.parts).fill(0);
    const rest = merge.output[0];
    if (merge.output.length !== 1 || rest?.type !== 'rest')
      throw new TypeError('rows without groups pass as they are');
    this.#from = rest.from;
    this.#rowNumbers = options.rowNumbers;
    this.#sort = sortColumns(options);
    this.#keyOf = merge.distinct ? distinctKey(options, this.#from) : undefined;
    this.#maxRows = options.maxRows;
    this.#toSkip = limits.offset;
    this.#left = limits.limit;
    if (this.#left === 0n) this.isDone = true;
    this.isPlain =
      this.#sort.length === 0 &&
      this.#keyOf === undefined &&
      this.#rowNumbers === undefined &&
      this.#from === 0 &&
      this.#toSkip === 0n &&
      this.#left === undefined;
  }

  push(part: number, fields: RowFields): void {
    this.#queues[part]!.add({ fields, sort: this.#sort.map((column) => column.read(fields)) });
  }

  endOf(part: number): void {
    this.#queues[part]!.isEnded = true;
    this.#checkEnd();
  }

  waitingRows(part: number): number {
    return this.#queues[part]!.length;
  }

  waitingBytes(part: number): number {
    return this.#queues[part]!.bytes;
  }

  next(): RowFields | undefined {
    while (!this.isDone) {
      const part = this.#nextPart();
      if (part === undefined) return undefined;
      const { fields } = this.#queues[part]!.shift();
      this.#taken[part]!++;
      const isWanted = this.#isWanted(fields);
      this.#checkEnd();
      if (isWanted) return this.#from === 0 ? fields : fields.slice(this.#from);
    }
    return undefined;
  }

  #isWanted(fields: RowFields): boolean {
    if (this.#keyOf !== undefined) {
      const key = this.#keyOf(fields);
      if (this.#seen.has(key)) return false;
      if (this.#seen.size >= this.#maxRows) throw tooManyRows(this.#maxRows, 'DISTINCT');
      this.#seen.add(key);
    }
    if (this.#toSkip > 0n) {
      this.#toSkip--;
      return false;
    }
    if (this.#left !== undefined) this.#left--;
    return true;
  }

  /** The part whose first row comes next; undefined while a part that might have it has not said. */
  #nextPart(): number | undefined {
    if (this.#sort.length === 0 && this.#rowNumbers === undefined) {
      const part = this.#queues.findIndex((queue) => queue.length > 0);
      return part === -1 ? undefined : part;
    }
    let best: number | undefined;
    for (let part = 0; part < this.#queues.length; part++) {
      const queue = this.#queues[part]!;
      if (queue.first === undefined) {
        if (!queue.isEnded) return undefined;
      } else if (best === undefined || this.#compare(part, best) < 0) best = part;
    }
    return best;
  }

  #compare(a: number, b: number): number {
    if (this.#rowNumbers !== undefined) return this.#numberOf(a) - this.#numberOf(b);
    const [left, right] = [this.#queues[a]!.first!.sort, this.#queues[b]!.first!.sort];
    for (let index = 0; index < this.#sort.length; index++) {
      const order = this.#sort[index]!.compare(left[index], right[index]);
      if (order !== 0) return order;
    }
    return 0;
  }

  #numberOf(part: number): number {
    return this.#rowNumbers![part]?.[this.#taken[part]!] ?? Number.MAX_SAFE_INTEGER;
  }

  #checkEnd(): void {
    if (this.#left === 0n || this.#queues.every((queue) => queue.isEnded && queue.length === 0))
      this.isDone = true;
  }
}

export function tooManyRows(maxRows: number, what: string): OperatingError {
  return new OperatingError(
    'limit-exceeded',
    `${what} over several shards has more than ${maxRows} rows to keep`,
    {
      sqlstate: '53200',
      hint: 'Narrow it by WHERE or add the shard key, or raise limits.max_merge_rows.',
    },
  );
}

function formatOf(formats: readonly number[], column: number): number {
  return formats.length === 1 ? formats[0]! : (formats[column] ?? 0);
}

function sortColumns(options: MergerOptions): SortColumn[] {
  const { merge, clientFormats } = options;
  const formats = shardFormats(merge, clientFormats, options.values);
  return merge.orderBy.map((order) => {
    const reader = readerAt(options, order.column, 'ORDER BY', formatOf(formats, order.column));
    refuseCollated(reader, order.byteOrder, 'ORDER BY');
    return { read: reader.read, compare: orderCompare(order, reader.compare) };
  });
}

/** A text that is the same for rows that are equal in all output columns. */
function distinctKey(options: MergerOptions, from: number): (fields: RowFields) => string {
  const { merge, columns, clientFormats } = options;
  const formats = shardFormats(merge, clientFormats, options.values);
  const readers = columns.slice(from).map((_, index) => {
    const column = from + index;
    return readerAt(options, column, 'DISTINCT', formatOf(formats, column));
  });
  return (fields) => rowKey(readers, fields);
}
