import { type RowSink, type ServerError, ServerFailure } from './backend.js';

/** Collects the rows of a small query as text. */
export class RowCollector implements RowSink {
  readonly #rows: (string | null)[][] = [];
  readonly #resolve: (rows: (string | null)[][]) => void;
  readonly #reject: (error: Error) => void;
  #error: ServerError | undefined;

  constructor(resolve: (rows: (string | null)[][]) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onColumns(): void {}
  onCommandTag(): void {}

  onRow(fields: readonly (Buffer | undefined)[]): boolean {
    this.#rows.push(fields.map((field) => field?.toString('utf8') ?? null));
    return true;
  }

  onError(error: ServerError): void {
    this.#error ??= error;
  }

  onEnd(): void {
    if (this.#error === undefined) this.#resolve(this.#rows);
    else this.#reject(new ServerFailure(this.#error));
  }

  onBroken(error: Error): void {
    this.#reject(error);
  }
}
