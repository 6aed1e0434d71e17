import { onlyToBeWritten } from '../lib/read-chunks.js';
import type { RelaySink, ServerError, SharedSink, TransactionStatus } from './backend.js';

/** Passes answers on as the bytes they came in: neighbouring messages go out as one slice. */
export class RelayTaker {
  readonly streamsRows = true;
  /** The end of the whole request is passed on like what came before it. */
  readonly passesReady: boolean;
  readonly sink: RelaySink;
  readonly #onSlow: () => void;
  readonly #isRow: (part: unknown) => boolean;
  #buffer: Buffer | undefined;
  #start = 0;
  #end = 0;
  #isAllRows = true;

  constructor(
    sink: RelaySink,
    onSlow: () => void,
    {
      passesReady = false,
      isRow = isNone,
    }: { passesReady?: boolean; isRow?: (part: unknown) => boolean } = {},
  ) {
    this.passesReady = passesReady;
    this.sink = sink;
    this.#onSlow = onSlow;
    this.#isRow = isRow;
  }

  take(part: unknown, buffer: Buffer, start: number, end: number): void {
    if (this.#buffer === buffer && this.#end === start) {
      this.#end = end;
      if (!this.#isRow(part)) this.#isAllRows = false;
      return;
    }
    this.#flush();
    this.#buffer = buffer;
    this.#start = start;
    this.#end = end;
    this.#isAllRows = this.#isRow(part);
  }

  local(frame: Buffer): void {
    this.#flush();
    this.#pass(frame);
  }

  error(error: ServerError): void {
    this.#flush();
    this.sink.onError(error);
  }

  tag(tag: string): void {
    // Where the end is passed on as it came, nothing is put between the answers, so they can go as one slice.
    if (!this.passesReady) {
      const sink: Partial<SharedSink> = this.sink;
      if (sink.acceptsTag?.(tag) === false) return;
      this.#flush();
    }
    this.sink.onCommandTag(tag);
  }

  copyIn(): void {
    this.#flush();
    this.sink.onCopyIn();
  }

  progress(frame: Buffer): void {
    this.#flush();
    this.sink.onProgress?.(frame);
  }

  parameter(name: string, value: string): void {
    this.sink.onParameter(name, value);
  }

  pauseInReading(): void {
    this.#flush();
  }

  end(status: TransactionStatus): void {
    this.#flush();
    this.sink.onEnd(status);
  }

  broken(error: Error): void {
    this.#flush();
    this.sink.onBroken(error);
  }

  #flush(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    this.#buffer = undefined;
    const isWhole = this.#start === 0 && this.#end === buffer.length;
    // Nobody looks at rows that are passed on.
    if (isWhole && this.#isAllRows) onlyToBeWritten(buffer);
    this.#pass(isWhole ? buffer : buffer.subarray(this.#start, this.#end));
  }

  #pass(chunk: Buffer): void {
    if (!this.sink.onBytes(chunk)) this.#onSlow();
  }
}

function isNone(): boolean {
  return false;
}
