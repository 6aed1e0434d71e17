import type { Socket } from 'node:net';
import { timeOfDay } from '../lib/clock.js';
import { ServerLink } from '../lib/server-link.js';
import type {
  Backend,
  BackendQuery,
  BackendTarget,
  RelaySink,
  RowSink,
  ServerError,
  StatementDescription,
  TransactionStatus,
} from '../pool/backend.js';
import { ServerFailure } from '../pool/backend.js';
import { ExchangeLine } from '../pool/exchange-line.js';
import { lostError } from '../pool/lost-error.js';
import { RelayTaker } from '../pool/relay-taker.js';
import type { PreparedStatement, Request } from '../pool/request.js';
import { RowCollector } from '../pool/row-collector.js';
import type { Position } from '../topology/topology.js';
import {
  decodeCommandComplete,
  decodeError,
  decodeParameterStatus,
  decodeReadyForQuery,
} from './backend-messages.js';
import { sendCancelRequest } from './cancel-request.js';
import { Exchange, type Taker } from './exchange.js';
import { EXPECT } from './expectations.js';
import type { Framer } from './framer.js';
import { encodeCopyFail, encodeDescribe, FLUSH, SYNC, TERMINATE } from './frontend-messages.js';
import { BACKEND, FRONTEND } from './messages.js';
import { readPosition, writeQuery } from './own-query.js';
import { Preliminaries, type Write } from './preliminaries.js';
import { RequestWriter } from './request-writer.js';
import { DescriptionTaker, RowTaker } from './row-takers.js';
import type { ServerAddress } from './server-address.js';
import type { Login } from './server-login.js';
import { ServerStatements } from './server-statements.js';
import { statementToCheck } from './statement-check.js';
import { HEADER_BYTES } from './wire.js';

const NO_COPY = encodeCopyFail('COPY FROM STDIN is not possible here');

/** One connection to a Postgres server. Writes an exchange, reads its answers against what it must bring. */
export class PostgresBackend implements Backend {
  static #lastId = 0;
  readonly id = ++PostgresBackend.#lastId;
  readonly shard: string;
  readonly processId: number;
  readonly secretKey: Buffer;
  readonly parameters: Map<string, string>;
  readonly connectedAtMs = Date.now();
  /** When the last request came, by performance.now(); 0: none has. */
  #requestedMs = 0;
  settings = '';
  onAsync: ((frame: Buffer) => void) | undefined;
  onDrain: (() => void) | undefined;
  onClosed: (() => void) | undefined;
  onLost: ((error: Error) => void) | undefined;
  transaction: TransactionStatus = 'idle';
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly isEncrypted: boolean;
  isBroken = false;
  readonly #address: ServerAddress;
  readonly #link: ServerLink<Framer>;
  readonly #framer: Framer;
  readonly #statements: ServerStatements;
  readonly line: ExchangeLine<Exchange>;
  /** After an error in a request that ended with Flush, the server skips everything up to the next Sync. */
  #skipsToSync = false;
  /** What the server said before it ended the connection. */
  #lastWords: ServerError | undefined;
  readonly #preliminaries: Preliminaries;
  readonly #slow = () => this.pause();
  readonly #send = (chunk: Buffer) => this.#link.send(chunk);

  constructor(target: BackendTarget, address: ServerAddress, socket: Socket, login: Login) {
    this.shard = target.shard;
    this.#address = address;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
    this.isEncrypted = 'encrypted' in socket;
    this.processId = login.processId;
    this.secretKey = login.secretKey;
    this.parameters = login.parameters;
    this.#statements = new ServerStatements(target, login.parameters);
    this.line = new ExchangeLine({
      passesReady: true,
      takes: (request) => this.#isFree && this.#areMade(request),
      write: (request, taker) =>
        this.#append([], taker, false, (writer) => writer.request(request, true, false)),
      pause: () => this.pause(),
      resume: () => this.resume(),
    });
    this.#preliminaries = new Preliminaries({
      backend: this,
      statements: this.#statements,
      write: (own, taker, isFlushed, write) => this.#write(own, taker, isFlushed, write),
      skipToSync: () => {
        this.#skipsToSync = true;
      },
    });
    this.#framer = login.framer;
    this.#link = new ServerLink(socket, login.framer, {
      onMessage: (found) => this.#message(found),
      onPauseInReading: () => this.line.head?.taker.pauseInReading(),
      onDrain: () => this.onDrain?.(),
      onLost: (reason) => this.#lost(reason),
    });
  }

  get requestAtMs(): number {
    return this.#requestedMs === 0 ? 0 : timeOfDay(this.#requestedMs);
  }

  get preparedStatements(): number {
    return this.#statements.size;
  }

  get parsesTotal(): number {
    return this.#statements.parsesTotal;
  }

  get isBusy(): boolean {
    return this.line.length > 0;
  }

  get #isFree(): boolean {
    return (
      !this.isBroken && this.transaction === 'idle' && !this.#skipsToSync && !this.#preliminaries.areGoingOn
    );
  }

  /** A statement that another exchange is making may yet be refused, and one prepared elsewhere must be looked at before it is used. */
  #areMade(request: Request): boolean {
    for (const step of request.steps) {
      if (step.type === 'parse') return true;
      if (step.type !== 'bind' || step.prepared === undefined) continue;
      const name =
        step.prepared.name === ''
          ? this.#statements.unnamedOf(step.prepared)
          : this.#statements.nameOf(step.prepared);
      if (this.line.some((exchange) => exchange.isMaking(name))) return false;
    }
    return statementToCheck(request, this.#statements) === undefined;
  }

  forward(
    request: Request,
    sink: RelaySink,
    options: { readonly rename: boolean; readonly before?: readonly string[] },
  ): void {
    const taker = new RelayTaker(sink, this.#slow, { isRow });
    const skips = this.#skipsToSync;
    const write: Write = (writer, hasOwn) => {
      // The server would throw the steps away too: all that it answers now is a Sync.
      if (!skips) writer.request(request, options.rename, hasOwn);
      else if (request.end === 'sync') writer.sync();
    };
    const checked = options.rename && !skips ? request : undefined;
    this.#preliminaries.begin(options.before, taker, request.end === 'flush', write, checked);
  }

  query(query: BackendQuery, sink: RowSink, before?: readonly string[]): void {
    const taker = new RowTaker(sink, this.#slow, () => this.#link.send(NO_COPY));
    this.#preliminaries.begin(before, taker, false, (writer, hasOwn) =>
      writeQuery(writer, query, this.#statements, hasOwn),
    );
  }

  rows(sql: string): Promise<(string | null)[][]> {
    return new Promise((resolve, reject) => this.query({ sql }, new RowCollector(resolve, reject)));
  }

  run(sql: string): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#preliminaries.runFirst([sql], resolve, (error) => reject(new ServerFailure(error)), reject),
    );
  }

  describe(prepared: PreparedStatement): Promise<StatementDescription> {
    return new Promise((resolve, reject) =>
      this.#preliminaries.begin(undefined, new DescriptionTaker(resolve, reject), false, (writer) => {
        writer.message(encodeDescribe('statement', writer.ensure(prepared)), EXPECT.DescribeStatement);
        writer.sync();
      }),
    );
  }

  position(): Promise<Position> {
    return readPosition(this);
  }

  sendCopy(frame: Buffer): boolean {
    if (this.#preliminaries.keepCopy(frame)) return false;
    const exchange = this.line.head;
    // After an error or the end of the copy the server wants no more; before its answer it may be on its way to want it.
    if (exchange === undefined || exchange.hasFailed || exchange.isCopyEnded) return true;
    const isGoing = this.#link.send(frame);
    if (frame[0] === FRONTEND.CopyData) return isGoing;
    exchange.isCopyEnded = true;
    this.#repay(exchange);
    return isGoing;
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    this.#link.resume();
  }

  cancel(): Promise<void> {
    return sendCancelRequest(this.#address, this.processId, this.secretKey);
  }

  async reset(): Promise<void> {
    await this.run('DISCARD ALL');
    this.settings = '';
  }

  terminate(): void {
    if (!this.isBroken && !this.isBusy) this.#link.end(TERMINATE);
    this.#link.lose('we have closed it');
  }

  #write(own: readonly string[], taker: Taker, isFlushed: boolean, write: Write): void {
    if (this.isBusy) throw new Error(`backend ${this.id} is busy`);
    this.#append(own, taker, isFlushed, write);
  }

  #append(own: readonly string[], taker: Taker, isFlushed: boolean, write: Write): void {
    this.#requestedMs = performance.now();
    if (this.isBroken) {
      taker.broken(lostError(this.shard, this.#lastWords, 'it was lost before'));
      return;
    }
    // Behind others it is not late, and those who come behind it in this turn go in the same write.
    this.#link.isPatient = this.isBusy;
    const writer = new RequestWriter(this.#send, this.#statements);
    if (this.transaction === 'idle' && !this.#skipsToSync) writer.closeSurplus();
    if (own.length > 0 && own.some((sql) => /^\s*set\b/i.test(sql))) this.#statements.settingsUncertain();
    for (const sql of own) writer.own(sql);
    write(writer, own.length > 0);
    const exchange = new Exchange(writer, isFlushed, taker);
    this.line.push(exchange);
    if (exchange === this.line.head) this.#framer.streamsRows = taker.streamsRows;
    exchange.giveLocal();
    if (exchange.isOver) this.#end(exchange);
  }

  #message({ code, buffer, start, end }: Framer): void {
    const exchange = this.line.head;
    switch (code) {
      case BACKEND.DataRow:
      case BACKEND.CopyData:
        if (exchange?.takesRows !== true) throw new Error(`unexpected message of type ${code}`);
        exchange.taker.take(code, buffer, start, end);
        return;
      case BACKEND.ParameterStatus: {
        const [name, value] = decodeParameterStatus(buffer.subarray(start, end));
        this.parameters.set(name, value);
        this.#statements.hasReported = true;
        if (exchange !== undefined && !exchange.isOwn) exchange.taker.parameter(name, value);
        this.#aside(code, buffer, start, end);
        return;
      }
      case BACKEND.NoticeResponse:
      case BACKEND.NotificationResponse:
        this.#aside(code, buffer, start, end);
        return;
      case BACKEND.ErrorResponse:
        this.#failed(buffer, start, end);
        return;
      case BACKEND.ReadyForQuery:
        if (exchange?.taker.passesReady === true) exchange.taker.take(code, buffer, start, end);
        this.#ready(decodeReadyForQuery(buffer[start + HEADER_BYTES]));
        return;
      default:
        this.#answered(code, buffer, start, end);
        return;
    }
  }

  /** What may come at any time: to the client whose request runs, or to whoever holds the lease. */
  #aside(code: number, buffer: Buffer, start: number, end: number): void {
    const exchange = this.line.head;
    if (exchange === undefined) this.onAsync?.(buffer.subarray(start, end));
    else if (!exchange.isOwn) exchange.taker.take(code, buffer, start, end);
  }

  #answered(code: number, buffer: Buffer, start: number, end: number): void {
    const exchange = this.line.head;
    if (exchange === undefined)
      throw new Error(`the server sent a message of type ${code} that nobody asked for`);
    const tag =
      code === BACKEND.CommandComplete ? decodeCommandComplete(buffer.subarray(start, end)) : undefined;
    if (tag !== undefined) this.#statements.completed(tag);
    exchange.answer(code, buffer, start, end, tag);
    if (code === BACKEND.CopyInResponse && exchange.isCopyEnded) this.#repay(exchange);
    if (exchange.isOver) this.#end(exchange);
  }

  #failed(buffer: Buffer, start: number, end: number): void {
    const frame = buffer.subarray(start, end);
    const error = decodeError(frame);
    // A fatal error is the end of the connection; what it meant is told once, as the reason of that.
    if (error.isFatal) {
      this.#lastWords = error;
      this.#link.lose(error.message);
      return;
    }
    const exchange = this.line.head;
    if (exchange === undefined)
      throw new Error(`the server reported an error that nobody asked for: ${error.message}`);
    for (const name of exchange.fail(error, buffer, start, end)) this.#statements.forget(name);
    this.#statements.refused(error);
    this.#repay(exchange);
    if (exchange.isOver) this.#end(exchange);
  }

  /** Says the Sync or Flush again that the server has ignored in the middle of a copy. */
  #repay(exchange: Exchange): void {
    if (exchange.owes === undefined) return;
    this.#link.send(exchange.owes === 'sync' ? SYNC : FLUSH);
    exchange.owes = undefined;
  }

  #ready(status: TransactionStatus): void {
    const exchange = this.line.head;
    if (exchange === undefined) throw new Error('the server sent ReadyForQuery that nobody asked for');
    if (status !== 'idle' && this.line.length > 1)
      throw new Error('a request left a transaction open before others that stand in line');
    this.transaction = status;
    if (status === 'idle') this.#statements.transactionEnded();
    exchange.ready();
    if (exchange.isOver) this.#end(exchange);
  }

  #end(exchange: Exchange): void {
    exchange.taker.pauseInReading();
    this.#framer.streamsRows = this.line.shift()?.taker.streamsRows ?? false;
    if (exchange.isFlushed) this.#flushed(exchange);
    else this.#skipsToSync = false;
    if (!exchange.isFlushed) this.#statements.noteSettings(this.parameters, exchange.parsed.length > 0);
    this.resume();
    exchange.taker.end(this.transaction);
  }

  /** Without a Sync the server is in the middle of its implicit transaction. */
  #flushed(exchange: Exchange): void {
    if (exchange.hasFailed) this.#skipsToSync = true;
    if (this.#skipsToSync) this.transaction = 'failed';
    else if (this.transaction === 'idle') this.transaction = 'open';
  }

  #lost(reason: string): void {
    this.isBroken = true;
    const error = lostError(this.shard, this.#lastWords, reason);
    for (const { taker } of this.line.clear()) taker.broken(error);
    this.onLost?.(error);
    this.onClosed?.();
  }
}

function isRow(part: unknown): boolean {
  return part === BACKEND.DataRow || part === BACKEND.CopyData;
}
