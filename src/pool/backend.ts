import type { ParameterValues } from '../routing/plan.js';
import type { ShardName } from '../topology/ring.js';
import type { Position } from '../topology/topology.js';
import type { PreparedStatement, Request } from './request.js';

/** An error as a server sent it: fields by the wire's own letters (Postgres: S, C, M, D, H …). */
export interface ServerError {
  readonly sqlstate: string;
  readonly message: string;
  /** MySQL's own number of it. */
  readonly errno?: number | undefined;
  /** The whole message as it came, to be passed on. */
  readonly frame: Buffer;
  readonly isFatal: boolean;
}

export type TransactionStatus = 'idle' | 'open' | 'failed';

/** Who hears the answers of a forwarded request. Calls come in wire order. */
export interface RelaySink {
  /** Answer bytes as they came (whole messages or parts of large ones). Valid during the call only, unless copied. Returns false when the client is slow: the backend then stops reading until `resume()`. */
  onBytes(chunk: Buffer): boolean;
  /** The server reported an error; its frame comes through onBytes as well. */
  onError(error: ServerError): void;
  /** A command completed: its tag, e.g. `INSERT 0 1`. Comes before its bytes. */
  onCommandTag(tag: string): void;
  /** The server waits for COPY data from the client (its frame comes through onBytes as well). */
  onCopyIn(): void;
  /** How far the statement has come (MariaDB): a whole message, which is no part of its answer. Comes before that. */
  onProgress?(frame: Buffer): void;
  /** ParameterStatus; passed to the client through onBytes as well. */
  onParameter(name: string, value: string): void;
  /** Everything the request expected has come. ReadyForQuery itself is never passed to onBytes. */
  onEnd(status: TransactionStatus): void;
  /** The connection was lost before the end. */
  onBroken(error: Error): void;
}

/**
 * Who hears the answer of a read that stands in line with others on one backend: exactly one of `onEnd`, `onBroken` and `onMoved` comes.
 * The answer is the client's as it is, its end with it where the line `passesReady`.
 */
export interface SharedSink extends RelaySink {
  /** It was taken out of the line before anything of its answer came: what stands before it takes too long. It must be run elsewhere. */
  onMoved(): void;
  /** Comes before `onCommandTag`. False: it must be run with a backend for itself after all. It has been given up then. */
  acceptsTag?(tag: string): boolean;
}

/**
 * A backend whose protocol lets requests be written before the ones in front of them are answered, as a line of them. Only reads that
 * leave no trace stand in line: each can be given up, or run again elsewhere.
 */
export interface RequestLine {
  /** Requests that are written and not answered. */
  readonly length: number;
  /** Answers come with their end (ReadyForQuery); else whoever has asked must say it to the client. */
  readonly passesReady: boolean;
  /** Requests answered since connect. Stands still while the head of the line takes long. */
  readonly answeredTotal: number;
  /** Nobody waits for the answer of the head any more. */
  readonly isHeadGivenUp: boolean;
  /**
   * Could the request be put in line now? Not while a statement that it uses is being made, or has to be looked at first. One that is missing
   * may be made now, for those who come later.
   */
  takes(request: Request): boolean;
  /** Puts a request in line that it takes. */
  join(request: Request, sink: SharedSink): void;
  /** Nobody waits for this answer any more; the sink hears nothing of it from now on. */
  giveUp(sink: SharedSink): void;
  /** Takes everybody out of the line but its head. */
  dissolve(): void;
}

export interface ResultColumn {
  readonly name: string;
  readonly typeOid: number;
  /** RowDescription's other fields, kept so that it can be told again: table oid, column number, size, modifier. */
  readonly tableOid: number;
  readonly columnNumber: number;
  readonly typeSize: number;
  readonly typeModifier: number;
  /** The server's own description of it, to be told again as it is, where the numbers above do not say everything (MySQL). */
  readonly definition?: Buffer | undefined;
}

/** One row: field bytes, undefined for NULL. */
export type RowFields = readonly (Buffer | undefined)[];

/** The proxy's own statement on a backend. */
export interface BackendQuery {
  readonly sql: string;
  readonly parameters?: ParameterValues | undefined;
  /** Types to declare in Parse when parameters are given. */
  readonly parameterTypes?: readonly number[] | undefined;
  /** One entry means all columns; none means text. */
  readonly resultFormats?: readonly number[] | undefined;
}

export interface RowSink {
  onColumns(columns: readonly ResultColumn[]): void;
  /** COPY TO STDOUT begins (0 text, 1 binary); each CopyData then comes as a row of one field. */
  onCopyOut?(format: number, columnCount: number): void;
  /** Field buffers are valid after the call. Returns false to stop reading until `resume()`. */
  onRow(fields: RowFields): boolean;
  /** The next rows (of COPY, too) may come to `onRows` as they are, where the protocol's rows say nothing of what stands before them. */
  readonly takesRowsAsTheyAre?: boolean;
  /** So many whole rows as they came; else as `onRow`. */
  onRows?(rows: Buffer, count: number): boolean;
  onCommandTag(tag: string): void;
  onError(error: ServerError): void;
  onEnd(status: TransactionStatus): void;
  onBroken(error: Error): void;
}

/** What a described statement takes and gives. */
export interface StatementDescription {
  readonly parameterTypes: readonly number[];
  /** undefined: returns no rows. */
  readonly columns: readonly ResultColumn[] | undefined;
}

/**
 * One connection to a database server, in the role of its client. One thing at a time: `forward`, `query` and the
 * others may be called only while `isBusy` is false (except cancel, terminate, pause, resume and sendCopy).
 */
export interface Backend {
  /** Unique in the process. */
  readonly id: number;
  readonly shard: ShardName;
  /** The server's own number of this connection (Postgres: BackendKeyData). */
  readonly processId: number;
  readonly secretKey: Buffer;
  /** As last reported by ParameterStatus. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly transaction: TransactionStatus;
  readonly isBusy: boolean;
  readonly isBroken: boolean;
  readonly connectedAtMs: number;
  /** When the last exchange began. */
  readonly requestAtMs: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isEncrypted: boolean;
  /** Statements that are prepared on it now, and how often one was since connect. */
  readonly preparedStatements: number;
  readonly parsesTotal: number;
  /** Where its protocol allows it. */
  readonly line: RequestLine | undefined;
  /** What the proxy has SET on it, as one text; '' after connect and after reset. The proxy writes it. */
  settings: string;
  /** Messages that belong to no request (NotificationResponse, notices): whoever holds the lease listens. */
  onAsync: ((frame: Buffer) => void) | undefined;
  /** The connection is gone; whoever holds the lease listens. The cause is a ServerFailure where the server said why. */
  onLost: ((error: Error) => void) | undefined;
  /** The connection is gone, in use or idle; the pool listens. */
  onClosed: (() => void) | undefined;

  /**
   * Sends a client's request and relays its answers. `rename`: named statements are made here under process-wide names
   * when they are missing (transaction mode); otherwise frames go as they are. `before`: SQL to run first in the
   * same write (e.g. BEGIN), whose answers are swallowed unless they are errors, which then answer the request.
   */
  forward(
    request: Request,
    sink: RelaySink,
    options: { readonly rename: boolean; readonly before?: readonly string[] },
  ): void;
  /** COPY data, CopyDone or CopyFail frames from the client, as they came. Returns false when the server is slow: `onDrain` follows. */
  sendCopy(frame: Buffer): boolean;
  onDrain: (() => void) | undefined;
  query(query: BackendQuery, sink: RowSink, before?: readonly string[]): void;
  /** A small query as a promise: rows as text. Throws OperatingError or a ServerFailure. */
  rows(sql: string): Promise<(string | null)[][]>;
  /** Runs SQL whose rows nobody wants. */
  run(sql: string): Promise<void>;
  /** Parse + Describe of a statement under its process-wide name. */
  describe(prepared: PreparedStatement): Promise<StatementDescription>;
  /** The log position that holds everything this connection has committed. */
  position(): Promise<Position>;
  /** Stops and restarts reading from the server. */
  pause(): void;
  resume(): void;
  /** Asks the server to cancel what runs here (Postgres: CancelRequest on a connection of its own). */
  cancel(): Promise<void>;
  /** Brings it back to how it was after connect (DISCARD ALL); rejects when that fails. */
  reset(): Promise<void>;
  /** Polite end (Terminate) and close; at once when broken. */
  terminate(): void;
}

/** A server's error as a thrown thing. */
export class ServerFailure extends Error {
  readonly serverError: ServerError;
  constructor(serverError: ServerError) {
    super(serverError.message);
    this.name = 'ServerFailure';
    this.serverError = serverError;
  }
}

/** Who a pool's connections log in as, and where. */
export interface BackendTarget {
  readonly shard: ShardName;
  readonly url: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** PEM file of the authorities trusted for server certificates, unless the URL names one. */
  readonly serverCa?: string | undefined;
  /** Prepared statements kept on a backend, the longest unused ones closed. */
  readonly preparedStatements?: number | undefined;
  /** Told when a backend sees that tables have changed: DDL ran on it, or a statement no longer fits. */
  readonly onSchemaChange?: (() => void) | undefined;
}

/** The wing's way to open a connection. Rejects with OperatingError `shard-connect-failed` naming the shard. */
export type BackendConnector = (
  target: BackendTarget,
  startup: ReadonlyMap<string, string>,
  signal: AbortSignal,
) => Promise<Backend>;
