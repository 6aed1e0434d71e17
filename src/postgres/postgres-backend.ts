import type { Socket } from 'node:net';
import { OperatingError } from '../lib/errors.js';
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
import type { PreparedStatement, Request } from '../pool/request.js';
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
import { encodeCopyFail, encodeDescribe, encodeQuery, SYNC, TERMINATE } from './frontend-messages.js';
import { BACKEND, FRONTEND } from './messages.js';
import { readPosition, splitAtBegin, writeQuery } from './own-query.js';
import { RelayTaker } from './relay-taker.js';
import { RequestWriter } from './request-writer.js';
import { DescriptionTaker, OwnTaker, RowCollector, RowTaker } from './row-takers.js';
import type { ServerAddress } from './server-address.js';
import { ServerLink } from './server-link.js';
import type { Login } from './server-login.js';
import { isStalePlan, ServerStatements } from './server-statements.js';
import { HEADER_BYTES } from './wire.js';

const DEFAULT_PREPARED_STATEMENTS = 500;

/** One connection to a Postgres server. Writes an exchange, reads its answers against what it must bring. */
export class PostgresBackend implements Backend {
  static #lastId = 0;
  readonly id = ++PostgresBackend.#lastId;
  readonly shard: string;
  readonly processId: number;
  readonly secretKey: Buffer;
  readonly parameters: Map<string, string>;
  readonly connectedAtMs = Date.now();
  requestAtMs = 0;
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
  readonly #link: ServerLink;
  readonly #statements: ServerStatements;
  #exchange: Exchange | undefined;
  /** After an error in a request that ended with Flush, the server skips everything up to the next Sync. */
  #skipsToSync = false;
  /** What the server said before it ended the connection. */
  #lastWords: ServerError | undefined;
  /** COPY data of a request that is not sent yet, because something has to be said before it. */
  #earlyCopy: Buffer[] | undefined;
  readonly #slow = () => this.pause();

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
    this.#statements = new ServerStatements(
      target.preparedStatements ?? DEFAULT_PREPARED_STATEMENTS,
      login.parameters,
    );
    this.#link = new ServerLink(socket, login.framer, {
      onMessage: (found) => this.#message(found),
      onPauseInReading: () => this.#exchange?.taker.pauseInReading(),
      onDrain: () => this.onDrain?.(),
      onLost: (reason) => this.#lost(reason),
    });
  }

  get preparedStatements(): number {
    return this.#statements.size;
  }

  get parsesTotal(): number {
    return this.#statements.parsesTotal;
  }

  get isBusy(): boolean {
    return this.#exchange !== undefined;
  }

  forward(
    request: Request,
    sink: RelaySink,
    options: { readonly rename: boolean; readonly before?: readonly string[] },
  ): void {
    const taker = new RelayTaker(sink, this.#slow);
    const skips = this.#skipsToSync;
    this.#begin(options.before, taker, request.end === 'flush', (writer, hasOwn) => {
      // The server would throw the steps away too: all that it answers now is a Sync.
      if (!skips) writer.request(request, options.rename, hasOwn);
      else if (request.end === 'sync') writer.sync();
    });
  }

  query(query: BackendQuery, sink: RowSink, before?: readonly string[]): void {
    const taker = new RowTaker(sink, this.#slow, () =>
      this.#link.send(encodeCopyFail('COPY FROM STDIN is not possible here')),
    );
    this.#begin(before, taker, false, (writer, hasOwn) =>
      writeQuery(writer, query, this.#statements, hasOwn),
    );
  }

  rows(sql: string): Promise<(string | null)[][]> {
    return new Promise((resolve, reject) => this.query({ sql }, new RowCollector(resolve, reject)));
  }

  run(sql: string): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#runFirst([sql], resolve, (error) => reject(new ServerFailure(error)), reject),
    );
  }

  describe(prepared: PreparedStatement): Promise<StatementDescription> {
    return new Promise((resolve, reject) =>
      this.#begin(undefined, new DescriptionTaker(resolve, reject), false, (writer) => {
        writer.message(encodeDescribe('statement', writer.ensure(prepared)), EXPECT.DescribeStatement);
        writer.sync();
      }),
    );
  }

  position(): Promise<Position> {
    return readPosition(this);
  }

  sendCopy(frame: Buffer): boolean {
    if (this.#earlyCopy !== undefined) {
      this.#earlyCopy.push(frame);
      return false;
    }
    const exchange = this.#exchange;
    // After an error or the end of the copy the server wants no more; before its answer it may be on its way to want it.
    if (exchange === undefined || exchange.hasFailed || exchange.isCopyEnded) return true;
    const isGoing = this.#link.send(frame);
    if (frame[0] === FRONTEND.CopyData) return isGoing;
    exchange.isCopyEnded = true;
    this.#repaySync(exchange);
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

  /**
   * Begins one exchange. Statements of `before` up to a BEGIN are run and answered first: they may have to outlive a rollback. From the
   * BEGIN on they go in the same write, in front of `write` and without Sync, so that the server skips `write` when they fail.
   */
  #begin(
    before: readonly string[] | undefined,
    taker: Taker,
    isFlushed: boolean,
    write: (writer: RequestWriter, hasOwn: boolean) => void,
  ): void {
    const { first, own } = splitAtBegin(before);
    if (first.length === 0) {
      this.#write(own, taker, isFlushed, write);
      return;
    }
    this.#earlyCopy = [];
    this.#runFirst(
      first,
      () => {
        this.#write(own, taker, isFlushed, write);
        this.#sendEarlyCopy();
      },
      (error) => {
        this.#earlyCopy = undefined;
        this.#endFailed(taker, error, isFlushed);
        this.onDrain?.();
      },
      (error) => taker.broken(error),
    );
  }

  #sendEarlyCopy(): void {
    const frames = this.#earlyCopy ?? [];
    this.#earlyCopy = undefined;
    let isGoing = true;
    for (const frame of frames) isGoing = this.sendCopy(frame);
    if (frames.length > 0 && isGoing) this.onDrain?.();
  }

  #write(
    own: readonly string[],
    taker: Taker,
    isFlushed: boolean,
    write: (writer: RequestWriter, hasOwn: boolean) => void,
  ): void {
    this.requestAtMs = Date.now();
    if (this.#exchange !== undefined) throw new Error(`backend ${this.id} is busy`);
    if (this.isBroken) {
      taker.broken(this.#lostError('it was lost before'));
      return;
    }
    const writer = new RequestWriter((chunk) => this.#link.send(chunk), this.#statements);
    if (this.transaction === 'idle' && !this.#skipsToSync) writer.closeSurplus();
    if (own.some((sql) => /^\s*set\b/i.test(sql))) this.#statements.settingsUncertain();
    for (const sql of own) writer.own(sql);
    write(writer, own.length > 0);
    const exchange = new Exchange(writer.expected, writer.parsing, isFlushed, taker);
    this.#exchange = exchange;
    this.#link.streamsRows = taker.streamsRows;
    exchange.giveLocal();
    if (exchange.isOver) this.#end(exchange);
  }

  /** Runs our own statements one by one, each a simple Query, and hears all their answers before anything else is said. */
  #runFirst(
    sqls: readonly string[],
    done: () => void,
    failed: (error: ServerError) => void,
    broken: (error: Error) => void,
  ): void {
    const taker = new OwnTaker((error) => (error === undefined ? done() : failed(error)), broken);
    this.#write([], taker, false, (writer) => {
      this.#statements.unnamed = undefined;
      for (const sql of sqls) writer.message(encodeQuery(sql), EXPECT.Query);
    });
  }

  /** What had to be said before a request failed: that is the request's answer, and it is not sent. */
  #endFailed(taker: Taker, error: ServerError, isFlushed: boolean): void {
    this.#skipsToSync ||= isFlushed;
    taker.error(error);
    taker.take(BACKEND.ErrorResponse, error.frame, 0, error.frame.length);
    taker.end(isFlushed ? 'failed' : this.transaction);
  }

  #message({ code, buffer, start, end }: Framer): void {
    const exchange = this.#exchange;
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
        this.#ready(decodeReadyForQuery(buffer[start + HEADER_BYTES]));
        return;
      default:
        this.#answered(code, buffer, start, end);
        return;
    }
  }

  /** What may come at any time: to the client whose request runs, or to whoever holds the lease. */
  #aside(code: number, buffer: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    if (exchange === undefined) this.onAsync?.(buffer.subarray(start, end));
    else if (!exchange.isOwn) exchange.taker.take(code, buffer, start, end);
  }

  #answered(code: number, buffer: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    if (exchange === undefined)
      throw new Error(`the server sent a message of type ${code} that nobody asked for`);
    const tag =
      code === BACKEND.CommandComplete ? decodeCommandComplete(buffer.subarray(start, end)) : undefined;
    if (tag !== undefined) this.#statements.completed(tag);
    exchange.answer(code, buffer, start, end, tag);
    if (code === BACKEND.CopyInResponse && exchange.isCopyEnded) this.#repaySync(exchange);
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
    const exchange = this.#exchange;
    if (exchange === undefined)
      throw new Error(`the server reported an error that nobody asked for: ${error.message}`);
    for (const name of exchange.fail(error, buffer, start, end)) this.#statements.forget(name);
    if (isStalePlan(error)) this.#statements.distrust();
    this.#repaySync(exchange);
    if (exchange.isOver) this.#end(exchange);
  }

  /** Says the Sync again that the server has ignored in the middle of a copy. */
  #repaySync(exchange: Exchange): void {
    if (!exchange.owesSync) return;
    exchange.owesSync = false;
    this.#link.send(SYNC);
  }

  #ready(status: TransactionStatus): void {
    const exchange = this.#exchange;
    if (exchange === undefined) throw new Error('the server sent ReadyForQuery that nobody asked for');
    this.transaction = status;
    exchange.ready();
    if (exchange.isOver) this.#end(exchange);
  }

  #end(exchange: Exchange): void {
    exchange.taker.pauseInReading();
    this.#exchange = undefined;
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
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const error = this.#lostError(reason);
    exchange?.taker.broken(error);
    this.onLost?.(error);
    this.onClosed?.();
  }

  #lostError(reason: string): OperatingError {
    const words = this.#lastWords;
    const facts = words === undefined ? {} : { sqlstate: words.sqlstate, cause: new ServerFailure(words) };
    return new OperatingError(
      'shard-unavailable',
      `the connection to shard "${this.shard}" was lost: ${reason}`,
      facts,
    );
  }
}
