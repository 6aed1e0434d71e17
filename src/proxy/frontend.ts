import type { Socket } from 'node:net';
import type { Config } from '../config/config.js';
import type { OperatingError } from '../lib/errors.js';
import type { ResultColumn, RowFields, StatementDescription, TransactionStatus } from '../pool/backend.js';
import type { Request } from '../pool/request.js';
import type { StatementIds } from '../pool/statement-ids.js';
import type { CancelKey } from './cancel.js';

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
  /** host:port; the addresses are told while it is connected. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isEncrypted: boolean;
  /** The key that the greeting has told already (MySQL's connection id); undefined: `welcome` tells it. */
  readonly announcedKey?: CancelKey | undefined;
  /** Bytes read from the client and written to it so far. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** May one Query hold several statements? */
  readonly allowsSeveralStatements: boolean;
  readonly answers: Answers;
  /**
   * The client has proven to be somebody else on the same connection: `identity` says who, its session was told that it is gone, and it
   * waits to be admitted again. Set by whoever admits clients.
   */
  onReentry?: (() => void) | undefined;
  /** Bytes as they are. The chunk is copied or written before the turn ends. False: the client is slow, onDrain follows. */
  send(chunk: Buffer): boolean;
  sendError(error: OperatingError): boolean;
  /** Called before the packet that ends one statement's answer is sent: protocols that say there how it goes on keep it back until that is known. */
  completes(): void;
  /** The server waits for COPY data, and has said so to the client: protocols whose data does not say what it is must be told. */
  beginCopy?(): void;
  /** A server's message of how far the statement has come; only told to clients that have asked for it. */
  progress?(frame: Buffer): void;
  /** The request is answered. `autocommit` only where the session's own differs from what its servers know. */
  sendReady(status: TransactionStatus, autocommit?: boolean): boolean;
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
  /** Column definitions come with every result, also of prepared statements (MySQL), not only when Describe asks. */
  readonly describesEveryResult: boolean;
  /** The answer to Describe of the prepared statement that the client knows as `name`. */
  describedStatement(name: string, description: StatementDescription): Buffer;
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

/** Who may come in, as the composition root knows it. */
export interface DoorGuests {
  readonly config: () => Config;
  /** Told to a client at once, before it proves who it is; undefined: welcome so far. */
  readonly refusal: () => OperatingError | undefined;
  /** Told to a client that has proven who it is: an unknown database. */
  readonly databaseRefusal: (database: string) => OperatingError | undefined;
  /** For clients who name none; undefined: they must. */
  readonly defaultDatabase: () => string | undefined;
  /** What the servers behind its databases, as far as they can be reached, report of themselves. */
  readonly servers: () => Promise<readonly ReadonlyMap<string, string>[]>;
  readonly statementIds: StatementIds;
  /** Resolves when the servers have heard it. */
  readonly cancel: (key: CancelKey) => Promise<void>;
  /** A key that no session has, for protocols that tell it before the login. */
  readonly issueKey: () => CancelKey;
}

/** The wing's door: brings one accepted socket through negotiation and authentication. Undefined when the client is already answered and gone. */
export type ClientDoor = (socket: Socket) => Promise<Frontend | undefined>;
