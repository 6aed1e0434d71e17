import type { Request } from '../pool/request.js';

/** How one client's requests are served: passed through, or routed over shards. */
export interface Course {
  /** Serves one request to its end: everything that the client gets for it, ReadyForQuery included. */
  run(request: Request): Promise<void>;
  /**
   * Begins a request that may stand in line with those of other sessions, and returns true: then `onShared` is told once, in place of
   * `run`'s promise. False: nothing was done, `run` serves it.
   */
  share?(request: Request, nowMs: number): boolean;
  /** `mustRun`: nothing has been answered, and `run` must serve it after all. Times are by performance.now(). */
  onShared: ((mustRun: boolean, nowMs: number) => void) | undefined;
  /** The request that is running waits for COPY data; what came before that is kept by the session. */
  readonly takesCopy: boolean;
  /** Called when `takesCopy` becomes true. */
  onTakesCopy: (() => void) | undefined;
  onCopy(frame: Buffer, kind: 'data' | 'done' | 'fail'): void;
  /** The client can take more bytes again. */
  onDrain(): void;
  /** Cancels what runs or waits now. Resolves when the servers have heard it. */
  cancel(): Promise<void>;
  /** The client is gone while a request runs: ends its COPY, cancels its statements, reads its answers to nobody. */
  abandon(): void;
  /** What did not end by `abandon` loses its connections. */
  abort(): void;
  /** Rolls back and gives everything back. Nothing runs any more. */
  close(): Promise<void>;
  /** For SHOW CLIENTS. */
  readonly isInTransaction: boolean;
  readonly pinReason: string | undefined;
  /** Since when it waits for a backend or at the gate, by performance.now(). */
  readonly waitingSinceMs: number | undefined;
  readonly preparedStatements: number;
  /** Ids of the backends it holds. */
  readonly servers: readonly number[];
}
