import {
  type ResultColumn,
  type RowSink,
  type ServerError,
  ServerFailure,
  type StatementDescription,
  type TransactionStatus,
} from '../pool/backend.js';
import type { Part } from './answer-reader.js';
import { binaryAsText } from './binary-text.js';
import type { Taker } from './exchange.js';
import { payloadOf } from './packets.js';
import { decodeBinaryRow, decodeColumn, decodeTextRow } from './result-messages.js';

/** How rows come over the wire, and how they are wanted. */
export type RowForm = 'text' | 'binary' | 'binary-as-text';

/** Hands the rows of our own statement over one by one. */
export class RowTaker implements Taker {
  readonly streamsRows = false;
  readonly #sink: RowSink;
  readonly #form: RowForm;
  readonly #onSlow: () => void;
  #columns: ResultColumn[] = [];
  #types: number[] = [];

  constructor(sink: RowSink, form: RowForm, onSlow: () => void) {
    this.#sink = sink;
    this.#form = form;
    this.#onSlow = onSlow;
  }

  take(part: Part, buffer: Buffer, start: number, end: number): void {
    if (part === 'row') {
      if (!this.#sink.onRow(this.#fields(payloadOf(buffer, start, end)))) this.#onSlow();
    } else if (part === 'columns') this.#columns = [];
    else if (part === 'definition') this.#columns.push(decodeColumn(payloadOf(buffer, start, end)));
    else if (part === 'definitions-end') {
      this.#types = this.#columns.map(({ typeOid }) => typeOid);
      this.#sink.onColumns(this.#columns);
    }
  }

  #fields(payload: Buffer): (Buffer | undefined)[] {
    if (this.#form === 'text') return decodeTextRow(payload, this.#columns.length);
    const fields = decodeBinaryRow(payload, this.#types);
    if (this.#form === 'binary') return fields;
    return fields.map((field, index) => field && binaryAsText(field, this.#columns[index]!));
  }

  local(): void {}
  parameter(): void {}
  pauseInReading(): void {}

  error(error: ServerError): void {
    this.#sink.onError(error);
  }

  tag(tag: string): void {
    this.#sink.onCommandTag(tag);
  }

  end(status: TransactionStatus): void {
    this.#sink.onEnd(status);
  }

  broken(error: Error): void {
    this.#sink.onBroken(error);
  }
}

/** Takes the answers of our own statements whose results nobody wants. */
export class OwnTaker implements Taker {
  readonly streamsRows = true;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #error: ServerError | undefined;

  constructor(resolve: () => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  take(): void {}
  local(): void {}
  tag(): void {}
  parameter(): void {}
  pauseInReading(): void {}

  error(error: ServerError): void {
    this.#error ??= error;
  }

  end(): void {
    if (this.#error === undefined) this.#resolve();
    else this.#reject(new ServerFailure(this.#error));
  }

  broken(error: Error): void {
    this.#reject(error);
  }
}

/** Hears what a prepared statement takes and gives. */
export class DescriptionTaker implements Taker {
  readonly streamsRows = false;
  readonly #resolve: (description: StatementDescription) => void;
  readonly #reject: (error: Error) => void;
  readonly #parameterTypes: number[] = [];
  readonly #columns: ResultColumn[] = [];
  #error: ServerError | undefined;

  constructor(resolve: (description: StatementDescription) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  take(part: Part, buffer: Buffer, start: number, end: number): void {
    if (part !== 'parameter' && part !== 'definition') return;
    const column = decodeColumn(payloadOf(buffer, start, end));
    if (part === 'parameter') this.#parameterTypes.push(column.typeOid);
    else this.#columns.push(column);
  }

  local(): void {}
  tag(): void {}
  parameter(): void {}
  pauseInReading(): void {}

  error(error: ServerError): void {
    this.#error ??= error;
  }

  end(): void {
    const columns = this.#columns.length === 0 ? undefined : this.#columns;
    if (this.#error === undefined) this.#resolve({ parameterTypes: this.#parameterTypes, columns });
    else this.#reject(new ServerFailure(this.#error));
  }

  broken(error: Error): void {
    this.#reject(error);
  }
}
