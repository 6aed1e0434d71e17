import type { Socket } from 'node:net';
import { asOperatingError, OperatingError as Failure, type OperatingError } from '../lib/errors.js';
import { Outbox } from '../lib/outbox.js';
import { readChunks } from '../lib/read-chunks.js';
import type { TransactionStatus } from '../pool/backend.js';
import type { Step } from '../pool/request.js';
import type { StatementIds } from '../pool/statement-ids.js';
import type { ClientIdentity, Frontend, FrontendEvents } from '../proxy/frontend.js';
import { answers } from './answers.js';
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeError,
  encodeParameterStatus,
  encodeReadyForQuery,
} from './backend-messages.js';
import { decodeStep } from './client-steps.js';
import { Framer, type LengthLimits } from './framer.js';
import { FRONTEND } from './messages.js';

/** How long a client that was told goodbye may take to close; its unread bytes must not turn our last message into a reset. */
const LINGER_MS = 3_000;

/** What clients are told who are told the same. */
const greetings = new WeakMap<ReadonlyMap<string, string>, Buffer>();

function greetingOf(parameters: ReadonlyMap<string, string>): Buffer {
  let greeting = greetings.get(parameters);
  if (greeting === undefined) {
    const told = [...parameters].map(([name, value]) => encodeParameterStatus(name, value));
    greeting = Buffer.concat([encodeAuthenticationOk(), ...told]);
    greetings.set(parameters, greeting);
  }
  return greeting;
}

export interface FrontendOptions {
  readonly limits: LengthLimits;
  readonly maxRequestBytes: number;
  readonly statementIds: StatementIds;
  readonly isEncrypted: boolean;
}

/** Talks to one authenticated client: collects its messages into requests, and sends answers once per turn of the event loop. */
export class PostgresFrontend implements Frontend {
  readonly identity: ClientIdentity;
  readonly isEncrypted: boolean;
  readonly allowsSeveralStatements = true;
  readonly answers = answers;
  readonly #socket: Socket;
  readonly #options: FrontendOptions;
  readonly #outbox: Outbox;
  readonly #framer: Framer;
  #events: FrontendEvents | undefined;
  #steps: Step[] = [];
  #requestBytes = 0;
  #isPaused = false;
  #isReading = false;
  /** `ending`: we have said goodbye; what still comes is not looked at. */
  #phase: 'open' | 'ending' | 'closed' = 'open';

  constructor(socket: Socket, identity: ClientIdentity, options: FrontendOptions) {
    this.#socket = socket;
    this.identity = identity;
    this.#options = options;
    this.isEncrypted = options.isEncrypted;
    this.#outbox = new Outbox(socket);
    this.#outbox.onDrain = () => this.#events?.onDrain();
    this.#framer = new Framer(options.limits);
    socket.on('end', () => this.#closed('lost'));
    socket.on('close', () => this.#closed('lost'));
  }

  welcome(parameters: ReadonlyMap<string, string>, processId: number, secretKey: Buffer): void {
    this.send(greetingOf(parameters));
    this.send(encodeBackendKeyData(processId, secretKey));
    this.sendReady('idle');
  }

  get remoteAddress(): string {
    return `${this.#socket.remoteAddress ?? 'unknown'}:${this.#socket.remotePort ?? 0}`;
  }

  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  get sentBytes(): number {
    return this.#socket.bytesWritten;
  }

  attach(events: FrontendEvents): void {
    this.#events = events;
    if (this.#socket.destroyed || this.#phase === 'closed') {
      events.onClose('lost');
      return;
    }
    readChunks(this.#socket, (chunk) => this.#received(chunk));
    if (!this.#isPaused) this.#socket.resume();
  }

  send(chunk: Buffer): boolean {
    return this.#phase === 'open' ? this.#outbox.send(chunk) : true;
  }

  sendError(error: OperatingError): boolean {
    return this.send(encodeError(error, 'ERROR'));
  }

  /** CommandComplete says nothing of what comes after it. */
  completes(): void {}

  sendReady(status: TransactionStatus): boolean {
    return this.send(encodeReadyForQuery(status));
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#read();
    if (!this.#isPaused && this.#events !== undefined) this.#socket.resume();
  }

  end(error?: OperatingError): void {
    if (this.#phase !== 'open') return;
    if (error !== undefined) this.send(encodeError(error, 'FATAL'));
    this.#phase = 'ending';
    this.#outbox.flush();
    this.#socket.end();
    // Read and thrown away, so that the client's own goodbye is seen.
    this.#socket.resume();
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    linger.unref();
    this.#socket.once('close', () => clearTimeout(linger));
  }

  #received(chunk: Buffer): void {
    if (this.#phase !== 'open') return;
    this.#framer.push(chunk);
    this.#read();
  }

  #read(): void {
    // A listener that pauses and resumes inside a call must not start a second loop.
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (!this.#isPaused && this.#phase === 'open' && this.#framer.next()) this.#message();
    } catch (thrown) {
      this.#violated(asOperatingError(thrown));
    } finally {
      this.#isReading = false;
    }
  }

  #message(): void {
    const { code, buffer, start, end } = this.#framer;
    const frame = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
    switch (code) {
      case FRONTEND.Query:
      case FRONTEND.FunctionCall:
        // Extended steps before a simple query are a request of their own that nobody flushed.
        if (this.#steps.length > 0) this.#request('flush');
        this.#step(code, frame);
        this.#request('query');
        return;
      case FRONTEND.Sync:
        this.#request('sync');
        return;
      case FRONTEND.Flush:
        if (this.#steps.length > 0) this.#request('flush');
        return;
      case FRONTEND.CopyData:
        this.#events!.onCopy(frame, 'data');
        return;
      case FRONTEND.CopyDone:
        this.#events!.onCopy(frame, 'done');
        return;
      case FRONTEND.CopyFail:
        this.#events!.onCopy(frame, 'fail');
        return;
      case FRONTEND.Terminate:
        this.#closed('terminated');
        this.#socket.end();
        return;
      default:
        this.#step(code, frame);
        return;
    }
  }

  #step(code: number, frame: Buffer): void {
    this.#requestBytes += frame.length;
    if (this.#requestBytes > this.#options.maxRequestBytes) {
      throw new Failure(
        'limit-exceeded',
        `a request of more than ${this.#options.maxRequestBytes} bytes is longer than allowed`,
        {
          hint: 'Send Sync more often, or raise limits.max_request_bytes.',
        },
      );
    }
    this.#steps.push(decodeStep(code, frame, this.#options.statementIds));
  }

  #request(end: 'query' | 'sync' | 'flush'): void {
    const request = { steps: this.#steps, end, byteLength: this.#requestBytes };
    this.#steps = [];
    this.#requestBytes = 0;
    this.#events!.onRequest(request);
  }

  #violated(error: OperatingError): void {
    this.end(error);
    this.#closed('protocol-violation');
  }

  #closed(reason: 'terminated' | 'lost' | 'protocol-violation'): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#steps = [];
    this.#events?.onClose(reason);
  }
}
