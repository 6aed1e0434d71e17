import type { Backend, ServerError, TransactionStatus } from '../../src/pool/backend.js';
import type { Request } from '../../src/pool/request.js';
import { decodeDataRow } from '../../src/postgres/backend-messages.js';
import { backendLimits, Framer } from '../../src/postgres/framer.js';

/** What a client would have got for one forwarded request. */
export interface Relayed {
  /** Type letters of the messages, in order. */
  readonly codes: string;
  readonly rows: (string | null)[][];
  readonly tags: string[];
  readonly error: ServerError | undefined;
  readonly status: TransactionStatus | undefined;
  readonly broken: Error | undefined;
}

interface Options {
  readonly rename?: boolean;
  readonly before?: readonly string[];
  /** Sent when the server asks for COPY data. */
  readonly copy?: readonly Buffer[];
}

/** Forwards a request and collects its answers. */
export function forward(
  backend: Backend,
  request: Request,
  { rename = false, before = [], copy = [] }: Options = {},
): Promise<Relayed> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const tags: string[] = [];
    let error: ServerError | undefined;
    const done = (status: TransactionStatus | undefined, broken: Error | undefined) =>
      resolve({ ...read(Buffer.concat(chunks)), tags, error, status, broken });
    backend.forward(
      request,
      {
        onBytes: (chunk) => chunks.push(Buffer.from(chunk)) > 0,
        onError: (reported) => {
          error = reported;
        },
        onCommandTag: (tag) => tags.push(tag),
        onCopyIn: () => {
          for (const frame of copy) backend.sendCopy(frame);
        },
        onParameter: () => {},
        onEnd: (status) => done(status, undefined),
        onBroken: (lost) => done(undefined, lost),
      },
      { rename, before },
    );
  });
}

function read(bytes: Buffer): { codes: string; rows: (string | null)[][] } {
  const framer = new Framer(backendLimits());
  framer.push(bytes);
  let codes = '';
  const rows: (string | null)[][] = [];
  while (framer.next()) {
    codes += String.fromCharCode(framer.code);
    if (framer.code !== 0x44) continue;
    const fields = decodeDataRow(framer.buffer.subarray(framer.start, framer.end));
    rows.push(fields.map((field) => field?.toString() ?? null));
  }
  return { codes, rows };
}

/** Forwards a request for a reader that needs a moment after every piece. */
export function forwardSlowly(
  backend: Backend,
  request: Request,
): Promise<{ bytes: number; pauses: number; mostRssBytes: number }> {
  let bytes = 0;
  let pauses = 0;
  let mostRssBytes = 0;
  return new Promise((resolve, reject) => {
    backend.forward(
      request,
      {
        onBytes: (chunk) => {
          bytes += chunk.length;
          pauses++;
          mostRssBytes = Math.max(mostRssBytes, process.memoryUsage.rss());
          setImmediate(() => backend.resume());
          return false;
        },
        onError: (error) => reject(new Error(error.message)),
        onCommandTag: () => {},
        onCopyIn: () => {},
        onParameter: () => {},
        onEnd: () => resolve({ bytes, pauses, mostRssBytes }),
        onBroken: reject,
      },
      { rename: false },
    );
  });
}
