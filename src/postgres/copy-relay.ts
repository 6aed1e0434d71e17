import type { Duplex } from 'node:stream';
import type { EngineSession, WireRequest } from './engine-session.js';

/**
 * COPY from one server to another through us. CopyData frames look the same in both directions, so the source's bytes
 * are passed on as they come; only the frame headers are looked at, to count rows and to find the end. Resolves to the
 * rows that the target took. After a rejection both connections are in an unknown state and must be destroyed.
 */
export async function relayCopy(
  source: { readonly session: EngineSession; readonly copyOut: string },
  target: { readonly session: EngineSession; readonly copyIn: string },
  onProgress: (rows: number, bytes: number) => void,
): Promise<number> {
  const input = promised<number>();
  const ready = promised<Duplex>();
  input.promise.catch(ready.reject);
  target.session.submit(copyInRequest(target.copyIn, ready.resolve, input));
  const sink = await ready.promise;
  const output = promised<void>();
  source.session.submit(copyOutRequest(source.copyOut, sink, onProgress, output));
  // The target's refusal (a duplicate key, a full disk) comes while the source still sends.
  await Promise.race([output.promise, input.promise]);
  sink.write(COPY_DONE_FRAME);
  return await input.promise;
}

const COPY_DATA = 0x64;
/** CopyOutResponse, NoticeResponse, ParameterStatus: may stand among the data and mean nothing to us. */
const PASSED_OVER: readonly number[] = [0x48, 0x4e, 0x53];
const HEADER_BYTES = 5;
const COPY_DONE_FRAME = Buffer.from([0x63, 0, 0, 0, 4]);
const PROGRESS_BYTES = 1 << 20;

interface Promised<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function promised<T>(): Promised<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Awaited later than it may fail.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

const IGNORED = {
  handleRowDescription() {},
  handleDataRow() {},
  handlePortalSuspended() {},
  handleEmptyQuery() {},
  handleCopyData() {},
};

function copyInRequest(sql: string, onReady: (sink: Duplex) => void, result: Promised<number>): WireRequest {
  let stream: Duplex;
  let rows = 0;
  return {
    ...IGNORED,
    submit(connection) {
      stream = connection.stream;
      connection.query(sql);
    },
    handleCopyInResponse: () => onReady(stream),
    handleCommandComplete(message) {
      rows = Number(/^COPY (\d+)$/.exec(message.text)?.[1] ?? 0);
    },
    handleReadyForQuery: () => result.resolve(rows),
    handleError: result.reject,
  };
}

function copyOutRequest(
  sql: string,
  sink: Duplex,
  onProgress: (rows: number, bytes: number) => void,
  result: Promised<void>,
): WireRequest {
  return {
    ...IGNORED,
    submit(connection) {
      new FramePump(connection.stream, sink, onProgress).start();
      connection.query(sql);
    },
    handleCopyInResponse() {},
    handleCommandComplete() {},
    handleReadyForQuery: () => result.resolve(),
    handleError: result.reject,
  };
}

/** Takes a connection's bytes before pg sees them, passes CopyData frames on, and gives the connection back at the first other frame. */
class FramePump {
  readonly #source: Duplex;
  readonly #sink: Duplex;
  readonly #onProgress: (rows: number, bytes: number) => void;
  readonly #pgListener: (chunk: Buffer) => void;
  readonly #listener = (chunk: Buffer): void => this.#take(chunk);
  /** Bytes of the current frame still to come; whether they are passed on. */
  #remaining = 0;
  #isData = false;
  /** The first bytes of a header that was cut by the end of a chunk. */
  #cut: Buffer | undefined;
  #rows = 0;
  #bytes = 0;
  #reportedBytes = 0;

  constructor(source: Duplex, sink: Duplex, onProgress: (rows: number, bytes: number) => void) {
    this.#source = source;
    this.#sink = sink;
    this.#onProgress = onProgress;
    this.#pgListener = source.listeners('data')[0] as (chunk: Buffer) => void;
  }

  start(): void {
    this.#source.removeListener('data', this.#pgListener);
    this.#source.on('data', this.#listener);
  }

  #take(arrived: Buffer): void {
    const chunk = this.#cut === undefined ? arrived : Buffer.concat([this.#cut, arrived]);
    this.#cut = undefined;
    let at = 0;
    // Where the run of bytes to be passed on began; frames of data stand next to each other.
    let from = 0;
    while (at < chunk.length) {
      if (this.#remaining > 0) {
        const length = Math.min(this.#remaining, chunk.length - at);
        at += length;
        this.#remaining -= length;
        if (!this.#isData) from = at;
        continue;
      }
      if (chunk.length - at < HEADER_BYTES) break;
      const kind = chunk[at]!;
      if (kind !== COPY_DATA && !PASSED_OVER.includes(kind)) {
        this.#giveBack(chunk, from, at);
        return;
      }
      if (kind !== COPY_DATA) this.#pass(chunk, from, at);
      this.#isData = kind === COPY_DATA;
      if (this.#isData) this.#rows++;
      this.#remaining = chunk.readUInt32BE(at + 1) - 4;
      at += HEADER_BYTES;
      if (!this.#isData) from = at;
    }
    this.#pass(chunk, from, at);
    if (at < chunk.length) this.#cut = chunk.subarray(at);
  }

  #pass(chunk: Buffer, from: number, to: number): void {
    if (to <= from) return;
    this.#bytes += to - from;
    if (!this.#sink.write(chunk.subarray(from, to)) && !this.#source.isPaused()) {
      this.#source.pause();
      this.#sink.once('drain', () => this.#source.resume());
    }
    if (this.#bytes - this.#reportedBytes >= PROGRESS_BYTES) this.#report();
  }

  #report(): void {
    this.#reportedBytes = this.#bytes;
    this.#onProgress(this.#rows, this.#bytes);
  }

  #giveBack(chunk: Buffer, from: number, at: number): void {
    this.#pass(chunk, from, at);
    this.#report();
    this.#source.removeListener('data', this.#listener);
    this.#source.on('data', this.#pgListener);
    this.#pgListener(chunk.subarray(at));
  }
}
