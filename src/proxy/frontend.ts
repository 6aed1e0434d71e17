import type { Socket } from 'node:net';
import type { OperatingError } from '../lib/errors.js';
import type { ResultColumn, RowFields, TransactionStatus } from '../pool/backend.js';
import type { Request } from '../pool/request.js';

/** Who a client said it is, after authentication. */
export interface ClientIdentity {
  readonly user: string;
  readonly database: string;
  /** All startup parameters but user and database (application_name, options, client_encoding …). */
  readonly startup: ReadonlyMap<string, string>;
  /** For passing the client's own credentials on; undefined unless the config says so. */
  readonly password: string | undefined;
}

/** What a frontend tells its session. Calls come in wire order. */
export interface FrontendEvents {
  onRequest(request: Request): void;
  /** A CopyData, CopyDone or CopyFail frame, whole. */
  onCopy(frame: Buffer, kind: 'data' | 'done' | 'fail'): void;
  /** The client is ready for more bytes after `send` returned false. */
  onDrain(): void;
  /** Terminate, end of stream or a lost connection: nothing comes after it. */
  onClose(reason: 'terminated' | 'lost' | 'protocol-violation'): void;
}

/** The wing's role of talking to one authenticated client. All sends are batched: one write per turn of the event loop. */
export interface Frontend {
  readonly identity: ClientIdentity;
  /** host:port */
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isEncrypted: boolean;
  readonly answers: Answers;
  /** Bytes as they are. The chunk is copied or written before the turn ends. False: the client is slow, onDrain follows. */
  send(chunk: Buffer): boolean;
  sendError(error: OperatingError): boolean;
  sendReady(status: TransactionStatus): boolean;
  /** Completes the startup: parameters, key data, ReadyForQuery. */
  welcome(parameters: ReadonlyMap<string, string>, processId: number, secretKey: Buffer): void;
  /** Who hears the client from now on; what came earlier waits until then. */
  attach(events: FrontendEvents): void;
  /** Stops and restarts reading from the client. */
  pause(): void;
  resume(): void;
  /** Flushes, then closes; with an error when given (FATAL). */
  end(error?: OperatingError): void;
}

/** Encoders of the answers that the proxy makes itself. Pure: bytes out. */
export interface Answers {
  parseComplete(): Buffer;
  bindComplete(): Buffer;
  closeComplete(): Buffer;
  noData(): Buffer;
  portalSuspended(): Buffer;
  emptyQuery(): Buffer;
  commandComplete(tag: string): Buffer;
  parameterDescription(typeOids: readonly number[]): Buffer;
  rowDescription(columns: readonly ResultColumn[], formats: readonly number[]): Buffer;
  dataRow(fields: RowFields): Buffer;
  parameterStatus(name: string, value: string): Buffer;
  error(error: OperatingError): Buffer;
  notice(message: string, sqlstate: string): Buffer;
  copyInResponse(format: number, columnCount: number): Buffer;
  copyOutResponse(format: number, columnCount: number): Buffer;
  copyData(bytes: Buffer): Buffer;
  copyDone(): Buffer;
}

/** The wing's door: brings one accepted socket through negotiation and authentication. Undefined when the client is already answered and gone. */
export type ClientDoor = (socket: Socket) => Promise<Frontend | undefined>;
