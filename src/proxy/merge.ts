import type { ResultColumn, RowFields } from '../pool/backend.js';
import type { Limits } from '../routing/limit.js';
import type { Merge } from '../routing/plan.js';
import { outputColumns, shardFormats } from './merge-columns.js';
import { GroupMerge } from './merge-groups.js';
import { RowMerge } from './merge-rows.js';
import type { MergeValues } from './merge-values.js';

/** What may wait here of one part before it must stop. */
const HIGH_WATER = { rows: 512, bytes: 1024 * 1024 };
const LOW_WATER = { rows: 128, bytes: 256 * 1024 };

export interface MergerOptions {
  readonly merge: Merge;
  /** As the shards describe their rows. */
  readonly columns: readonly ResultColumn[];
  /** As in Bind: none, one for all, or one for each column that the client sees. */
  readonly clientFormats: readonly number[];
  readonly values: MergeValues;
  readonly limits: Limits;
  /** How many shards send rows. */
  readonly parts: number;
  /** Most groups, or distinct rows, kept at once. */
  readonly maxRows: number;
  /** Numbers of the rows that each part returns, in order (INSERT … RETURNING): they come out in that order. */
  readonly rowNumbers?: readonly (readonly number[])[];
}

/** What merges rows of one kind of plan: it takes rows of parts and gives back rows of the answer. */
export interface Merging {
  push(part: number, fields: RowFields): void;
  endOf(part: number): void;
  /** The next row, undefined when none can be told yet (or any more). */
  next(): RowFields | undefined;
  /** Rows of this part that wait, and their bytes. */
  waitingRows(part: number): number;
  waitingBytes(part: number): number;
  readonly isDone: boolean;
}

/**
 * Makes one answer of the rows of several shards. Pure: rows in by `push`, rows out by `take`, as soon as they are certain. Ordered rows
 * stream through with a bounded number waiting; groups and distinct rows are kept up to `maxRows`.
 */
export class RowMerger {
  /** RowDescription of the answer. */
  readonly outputColumns: readonly ResultColumn[];
  readonly #merging: Merging;
  readonly #isStopped: boolean[];
  readonly #mustWait: boolean;
  /** All rows of all parts are rows of the answer as they are, in any order: they need not go through here. */
  readonly passesRows: boolean;

  /** Throws OperatingError `unsupported` when values of these types cannot be merged right. */
  constructor(options: MergerOptions) {
    const { merge, columns, values, parts } = options;
    this.outputColumns = outputColumns(merge, columns, values);
    this.#merging =
      merge.groupBy === undefined ? new RowMerge(options) : new GroupMerge(options, merge.groupBy);
    this.#isStopped = Array<boolean>(parts).fill(false);
    // Groups are added up as they come; nothing waits.
    this.#mustWait = merge.groupBy === undefined;
    this.passesRows = this.#merging instanceof RowMerge && this.#merging.isPlain;
  }

  /** Formats to ask the shards for. */
  static shardFormats(merge: Merge, clientFormats: readonly number[], values: MergeValues): number[] {
    return shardFormats(merge, clientFormats, values);
  }

  /** Takes one row of a part. False: the part should stop sending until `resumable` names it. */
  push(part: number, fields: RowFields): boolean {
    if (this.#merging.isDone) return true;
    this.#merging.push(part, fields);
    if (!this.#mustWait || !this.#isOver(HIGH_WATER, part)) return true;
    this.#isStopped[part] = true;
    return false;
  }

  /** The part has sent all its rows. */
  endOf(part: number): void {
    this.#merging.endOf(part);
  }

  /** Up to `most` rows of the answer that are certain now. */
  take(most = Number.POSITIVE_INFINITY): RowFields[] {
    const rows: RowFields[] = [];
    while (rows.length < most) {
      const row = this.#merging.next();
      if (row === undefined) break;
      rows.push(row);
    }
    return rows;
  }

  /** Parts that were told to stop and may go on now, each named once. */
  resumable(): number[] {
    const parts: number[] = [];
    this.#isStopped.forEach((isStopped, part) => {
      if (!isStopped || (this.#isOver(LOW_WATER, part) && !this.#merging.isDone)) return;
      this.#isStopped[part] = false;
      parts.push(part);
    });
    return parts;
  }

  #isOver({ rows, bytes }: typeof HIGH_WATER, part: number): boolean {
    const merging = this.#merging;
    return merging.waitingRows(part) >= rows || merging.waitingBytes(part) >= bytes;
  }

  /** Nothing will come any more (all parts have ended, or LIMIT is reached: the parts may be cancelled) and nothing is left to take. */
  get isDone(): boolean {
    return this.#merging.isDone;
  }
}
