import type { ResultColumn, RowFields } from '../pool/backend.js';
import { limitsOf } from '../routing/limit.js';
import type { Merge } from '../routing/plan.js';
import type { Execution, SessionContext } from './execution.js';
import type { GatherSink, Part } from './gather.js';
import { RowMerger } from './merge.js';

/** Feeds the merger and sends what comes out of it. */
export class MergedAnswer implements GatherSink {
  readonly #context: SessionContext;
  readonly #execution: Execution;
  readonly #merge: Merge;
  readonly #parts: readonly Part[];
  readonly #rowNumbers: readonly (readonly number[])[] | undefined;
  #merger: RowMerger | undefined;
  #failure: unknown;
  sentRows = 0;
  /** Execute's row limit ended it early. */
  isSuspended = false;

  /** `rowNumbers`: which rows of the statement each part answers, for INSERT … RETURNING. */
  constructor(
    context: SessionContext,
    execution: Execution,
    merge: Merge,
    parts: readonly Part[],
    rowNumbers?: readonly (readonly number[])[],
  ) {
    this.#rowNumbers = rowNumbers;
    this.#context = context;
    this.#execution = execution;
    this.#merge = merge;
    this.#parts = parts;
  }

  onColumns(_part: number, columns: readonly ResultColumn[]): void {
    if (this.#merger !== undefined || this.#failure !== undefined) return;
    this.#try(() => {
      const { database, frontend } = this.#context;
      const { planned, parameters, resultFormats, mode } = this.#execution;
      this.#merger = new RowMerger({
        merge: this.#merge,
        columns,
        clientFormats: resultFormats,
        values: database.mergeValues,
        limits: limitsOf(this.#merge, planned, parameters),
        parts: this.#parts.length,
        maxRows: database.limits.maxMergeRows,
        ...(this.#rowNumbers === undefined ? {} : { rowNumbers: this.#rowNumbers }),
      });
      if (mode === 'query' || frontend.answers.describesEveryResult)
        frontend.send(
          frontend.answers.rowDescription(this.#merger.outputColumns, mode === 'query' ? [] : resultFormats),
        );
    });
  }

  onRow(part: number, fields: RowFields): boolean {
    const { backend } = this.#parts[part]!;
    const { lanes } = this.#context;
    let isFast = true;
    this.#try(() => {
      if (!this.#merger!.push(part, fields)) lanes.stop(backend);
      isFast = this.#send();
    });
    return isFast && !lanes.isStopped(backend);
  }

  get takesRowsAsTheyAre(): boolean {
    return this.#merger?.passesRows === true && this.#execution.maxRows === 0 && this.#failure === undefined;
  }

  onRows(_part: number, rows: Buffer, count: number): boolean {
    this.sentRows += count;
    return this.#context.frontend.send(rows);
  }

  onPartEnd(part: number): void {
    this.#try(() => {
      this.#merger?.endOf(part);
      this.#send();
    });
  }

  /** All parts have ended, and none waits for another. */
  end(): void {
    for (const { backend } of this.#parts) this.#context.lanes.goOn(backend);
  }

  /** Throws what went wrong in merging. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** False: the client is slow. */
  #send(): boolean {
    const { frontend, lanes } = this.#context;
    const { maxRows } = this.#execution;
    let isFast = true;
    for (const row of this.#merger?.take() ?? []) {
      if (maxRows > 0 && this.sentRows >= maxRows) {
        this.isSuspended = true;
        break;
      }
      this.sentRows++;
      isFast = frontend.send(frontend.answers.dataRow(row)) && isFast;
    }
    for (const part of this.#merger?.resumable() ?? []) {
      const { backend } = this.#parts[part]!;
      lanes.goOn(backend);
      if (isFast) backend.resume();
    }
    return isFast;
  }

  /** A failure of the merge must not unwind into the backend that called; the rest of the rows is read and thrown away. */
  #try(act: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      act();
    } catch (thrown) {
      this.#failure = thrown;
      this.end();
      for (const { backend } of this.#parts) {
        backend.resume();
        if (backend.isBusy) this.#context.lanes.cancelOn(backend);
      }
    }
  }
}
