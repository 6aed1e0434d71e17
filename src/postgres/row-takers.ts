import type {
  ResultColumn,
  RowSink,
  ServerError,
  StatementDescription,
  TransactionStatus,
} from '../pool/backend.js';
import { ServerFailure } from '../pool/backend.js';
import { decodeDataRow, decodeParameterDescription, decodeRowDescription } from './backend-messages.js';
import type { Taker } from './exchange.js';
import { BACKEND } from './messages.js';
import { HEADER_BYTES } from './wire.js';

/** Takers of the proxy's own statements. */

/** Hands rows over one by one. */
export class RowTaker implements Taker {
  readonly streamsRows = false;
  readonly #sink: RowSink;
  readonly #onSlow: () => void;
  readonly #onCopyIn: () => void;
  /** Rows that go on as they are, side by side in one buffer. */
  #rows: Buffer | undefined;
  #start = 0;
  #end = 0;
  #count = 0;

  constructor(sink: RowSink, onSlow: () => void, onCopyIn: () => void) {
    this.#sink = sink;
    this.#onSlow = onSlow;
    this.#onCopyIn = onCopyIn;
  }

  take(code: number, buffer: Buffer, start: number, end: number): void {
    const isRow = code === BACKEND.DataRow || code === BACKEND.CopyData;
    if (isRow && this.#sink.takesRowsAsTheyAre === true) {
      this.#keep(buffer, start, end);
      return;
    }
    this.#pass();
    if (code === BACKEND.DataRow) {
      if (!this.#sink.onRow(decodeDataRow(buffer.subarray(start, end)))) this.#onSlow();
    } else if (code === BACKEND.CopyData) {
      if (!this.#sink.onRow([buffer.subarray(start + HEADER_BYTES, end)])) this.#onSlow();
    } else if (code === BACKEND.RowDescription)
      this.#sink.onColumns(decodeRowDescription(buffer.subarray(start, end)));
    else if (code === BACKEND.CopyOutResponse) {
      const body = start + HEADER_BYTES;
      this.#sink.onCopyOut?.(buffer.readInt8(body), buffer.readInt16BE(body + 1));
    }
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    if (this.#rows !== buffer || this.#end !== start) {
      this.#pass();
      this.#rows = buffer;
      this.#start = start;
    }
    this.#end = end;
    this.#count++;
  }

  #pass(): void {
    const rows = this.#rows;
    if (rows === undefined) return;
    const count = this.#count;
    this.#rows = undefined;
    this.#count = 0;
    if (!this.#sink.onRows!(rows.subarray(this.#start, this.#end), count)) this.#onSlow();
  }

  local(): void {}
  parameter(): void {}

  pauseInReading(): void {
    this.#pass();
  }

  error(error: ServerError): void {
    this.#pass();
    this.#sink.onError(error);
  }

  tag(tag: string): void {
    this.#pass();
    this.#sink.onCommandTag(tag);
  }

  copyIn(): void {
    this.#onCopyIn();
  }

  end(status: TransactionStatus): void {
    this.#pass();
    this.#sink.onEnd(status);
  }

  broken(error: Error): void {
    this.#pass();
    this.#sink.onBroken(error);
  }
}

/** Takes the answers of our own statements whose results nobody wants; tells the first error at the end. */
export class OwnTaker implements Taker {
  readonly streamsRows = true;
  readonly #onEnd: (error: ServerError | undefined, status: TransactionStatus) => void;
  readonly #onBroken: (error: Error) => void;
  #error: ServerError | undefined;

  constructor(
    onEnd: (error: ServerError | undefined, status: TransactionStatus) => void,
    onBroken: (error: Error) => void,
  ) {
    this.#onEnd = onEnd;
    this.#onBroken = onBroken;
  }

  take(): void {}
  local(): void {}
  tag(): void {}
  copyIn(): void {}
  parameter(): void {}
  pauseInReading(): void {}

  error(error: ServerError): void {
    this.#error ??= error;
  }

  end(status: TransactionStatus): void {
    this.#onEnd(this.#error, status);
  }

  broken(error: Error): void {
    this.#onBroken(error);
  }
}

/** Takes ParameterDescription and RowDescription or NoData. */
export class DescriptionTaker implements Taker {
  readonly streamsRows = false;
  readonly #resolve: (description: StatementDescription) => void;
  readonly #reject: (error: Error) => void;
  #parameterTypes: readonly number[] = [];
  #columns: readonly ResultColumn[] | undefined;
  #error: ServerError | undefined;

  constructor(resolve: (description: StatementDescription) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  take(code: number, buffer: Buffer, start: number, end: number): void {
    if (code === BACKEND.ParameterDescription)
      this.#parameterTypes = decodeParameterDescription(buffer.subarray(start, end));
    else if (code === BACKEND.RowDescription)
      this.#columns = decodeRowDescription(buffer.subarray(start, end));
  }

  local(): void {}
  tag(): void {}
  copyIn(): void {}
  parameter(): void {}
  pauseInReading(): void {}

  error(error: ServerError): void {
    this.#error ??= error;
  }

  end(): void {
    if (this.#error === undefined)
      this.#resolve({ parameterTypes: this.#parameterTypes, columns: this.#columns });
    else this.#reject(new ServerFailure(this.#error));
  }

  broken(error: Error): void {
    this.#reject(error);
  }
}
