import type { RelaySink, ServerError, TransactionStatus } from '../pool/backend.js';
import type { Taker } from './exchange.js';

/** Passes answers on as the bytes they came in: neighbouring messages go out as one slice. */
export class RelayTaker implements Taker {
  readonly streamsRows = true;
  readonly #sink: RelaySink;
  readonly #onSlow: () => void;
  #buffer: Buffer | undefined;
  #start = 0;
  #end = 0;

  constructor(sink: RelaySink, onSlow: () => void) {
    this.#sink = sink;
    this.#onSlow = onSlow;
  }

  take(_code: number, buffer: Buffer, start: number, end: number): void {
    if (this.#buffer === buffer && this.#end === start) {
      this.#end = end;
      return;
    }
    this.#flush();
    this.#buffer = buffer;
    this.#start = start;
    this.#end = end;
  }

  local(frame: Buffer): void {
    this.#flush();
    this.#pass(frame);
  }

  error(error: ServerError): void {
    this.#flush();
    this.#sink.onError(error);
  }

  tag(tag: string): void {
    this.#flush();
    this.#sink.onCommandTag(tag);
  }

  copyIn(): void {
    this.#flush();
    this.#sink.onCopyIn();
  }

  parameter(name: string, value: string): void {
    this.#sink.onParameter(name, value);
  }

  pauseInReading(): void {
    this.#flush();
  }

  end(status: TransactionStatus): void {
    this.#flush();
    this.#sink.onEnd(status);
  }

  broken(error: Error): void {
    this.#flush();
    this.#sink.onBroken(error);
  }

  #flush(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    this.#buffer = undefined;
    this.#pass(buffer.subarray(this.#start, this.#end));
  }

  #pass(chunk: Buffer): void {
    if (!this.#sink.onBytes(chunk)) this.#onSlow();
  }
}
