import { asError } from '../lib/errors.js';
import type { ApplyStatement } from './apply-statements.js';
import type { EngineSession, WireRequest } from './engine-session.js';
import type { Cell } from './pgoutput.js';

/** A statement with its values; the values are the bytes that the source sent. */
export interface ApplyStep {
  readonly statement: ApplyStatement;
  readonly values: readonly Cell[];
}

/**
 * A pipeline of prepared statements to one server: everything is written at once, ended by one Sync, and the server
 * skips the rest at the first error (manual, section 55.2.4 "Pipelining"). Bytes go through untouched.
 */
export class ApplyBatch {
  readonly #parsed: Set<string>;
  #buffer: Buffer;
  #length = 0;
  readonly #executed: ApplyStatement[] = [];

  /** `parsed`: names that this session's server has prepared; the batch adds its own. A session whose batch failed is not used again. */
  constructor(parsed: Set<string>) {
    this.#parsed = parsed;
    this.#buffer = Buffer.allocUnsafe(16 << 10);
  }

  get statementCount(): number {
    return this.#executed.length;
  }

  get byteLength(): number {
    return this.#length;
  }

  add(step: ApplyStep): void {
    const { name, sql } = step.statement;
    if (!this.#parsed.has(name)) {
      this.#parse(name, sql);
      this.#parsed.add(name);
    }
    this.#bind(name, step.values);
    this.#frame(0x45, () => {
      this.#text('');
      this.#int32(0);
    });
    this.#executed.push(step.statement);
  }

  /** Sends it all. Rejects with the server's error, naming the statement. */
  send(session: EngineSession): Promise<void> {
    this.#frame(0x53, () => {});
    return new Promise((resolve, reject) => {
      let completed = 0;
      const request: WireRequest = {
        // pg takes what submit returns for an error.
        submit: (connection) => void connection.stream.write(this.#buffer.subarray(0, this.#length)),
        handleCommandComplete: () => completed++,
        handleReadyForQuery: resolve,
        handleError: (error) => reject(named(asError(error), this.#executed[completed])),
        handleRowDescription() {},
        handleDataRow() {},
        handlePortalSuspended() {},
        handleEmptyQuery() {},
        handleCopyInResponse() {},
        handleCopyData() {},
      };
      session.submit(request);
    });
  }

  #parse(name: string, sql: string): void {
    this.#frame(0x50, () => {
      this.#text(name);
      this.#text(sql);
      this.#int16(0);
    });
  }

  #bind(name: string, values: readonly Cell[]): void {
    this.#frame(0x42, () => {
      this.#text('');
      this.#text(name);
      this.#int16(0);
      this.#int16(values.length);
      for (const value of values) this.#value(value ?? null);
      this.#int16(0);
    });
  }

  #value(value: Buffer | null): void {
    this.#int32(value === null ? -1 : value.length);
    if (value === null) return;
    this.#reserve(value.length);
    value.copy(this.#buffer, this.#length);
    this.#length += value.length;
  }

  #frame(kind: number, body: () => void): void {
    this.#reserve(5);
    this.#buffer[this.#length] = kind;
    const start = this.#length + 1;
    this.#length += 5;
    body();
    this.#buffer.writeInt32BE(this.#length - start, start);
  }

  #text(text: string): void {
    const length = Buffer.byteLength(text);
    this.#reserve(length + 1);
    this.#buffer.write(text, this.#length, 'utf8');
    this.#buffer[this.#length + length] = 0;
    this.#length += length + 1;
  }

  #int16(value: number): void {
    this.#reserve(2);
    this.#buffer.writeUInt16BE(value, this.#length);
    this.#length += 2;
  }

  #int32(value: number): void {
    this.#reserve(4);
    this.#buffer.writeInt32BE(value, this.#length);
    this.#length += 4;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Says which statement the server refused; its SQLSTATE stays on the error. */
function named(error: Error, statement: ApplyStatement | undefined): Error {
  if (statement !== undefined) error.message = `${statement.what}: ${error.message}`;
  return error;
}
