import type { Socket } from 'node:net';
import { timeOfDay } from '../lib/clock.js';
import { OperatingError } from '../lib/errors.js';
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
import { ExchangeLine, NOBODY } from '../pool/exchange-line.js';
import { lostError } from '../pool/lost-error.js';
import { RelayTaker } from '../pool/relay-taker.js';
import type { PreparedStatement, Request } from '../pool/request.js';
import { RowCollector } from '../pool/row-collector.js';
import type { Position } from '../topology/topology.js';
import { CAPABILITY, has, STATUS } from './capabilities.js';
import { encodeInitDb, encodeQuery, QUIT, RESET_CONNECTION } from './commands.js';
import { Exchange, type ExchangeOptions, type Taker } from './exchange.js';
import type { Flavor } from './flavor.js';
import { PacketFramer, payloadOf, renumberPacket } from './packets.js';
import { ASK, RequestActs } from './request-acts.js';
import { serverError } from './result-messages.js';
import { DescriptionTaker, OwnTaker, RowTaker } from './row-takers.js';
import type { Login } from './server-login.js';
import { ServerStatements } from './server-statements.js';
import { loginCollationOf } from './session-words.js';

const DEFAULT_PREPARED_STATEMENTS = 500;
const UNKNOWN_STATEMENT = 1243;
const NO_SECRET = Buffer.alloc(0);

/** What status flags say of the session, by the names of `parameters`. */
const REPORTED: readonly (readonly [string, number])[] = [
  ['autocommit', STATUS.AUTOCOMMIT],
  ['no_backslash_escapes', STATUS.NO_BACKSLASH_ESCAPES],
];

const REPORTED_FLAGS = STATUS.AUTOCOMMIT | STATUS.NO_BACKSLASH_ESCAPES;

/** One connection to a MySQL or MariaDB server. Writes the commands of a request, reads their answers in order. */
export class MysqlBackend implements Backend {
  static #lastId = 0;
  readonly id = ++MysqlBackend.#lastId;
  readonly shard: string;
  readonly processId: number;
  readonly secretKey = NO_SECRET;
  readonly flavor: Flavor;
  /** `version`; `autocommit`, `no_backslash_escapes` and `bulk` (it takes COM_STMT_BULK_EXECUTE): '1' or '0'. */
  readonly parameters = new Map<string, string>();
  readonly connectedAtMs = Date.now();
  /** When the last request came, by performance.now(); 0: none has. */
  #requestedMs = 0;
  readonly line: ExchangeLine<Exchange>;
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
  readonly #database: string;
  readonly #collationId: number;
  readonly #allowsFiles: boolean;
  readonly #lacksMetadata: boolean;
  readonly #kill: () => Promise<void>;
  readonly #link: ServerLink<PacketFramer>;
  readonly #statements: ServerStatements;
  /** Of REPORTED_FLAGS, as `parameters` has them. */
  #reported: number | undefined;
  #collated: { readonly settings: string; readonly id: number | undefined } | undefined;
  /** An error may roll an XA transaction back and leave the connection in it, good for nothing but XA ROLLBACK. */
  #isInXa = false;
  /** What the server said before it ended the connection. */
  #lastWords: ServerError | undefined;
  readonly #slow = () => this.pause();
  readonly #send = (command: Buffer) => this.#link.send(command);

  /** `kill`: stops what runs here, by way of another connection. */
  constructor(target: BackendTarget, login: Login, kill: () => Promise<void>) {
    const socket: Socket = login.socket;
    this.shard = target.shard;
    this.#database = target.database;
    this.#collationId = login.collationId;
    this.#allowsFiles = has(login.capabilities, CAPABILITY.LOCAL_FILES);
    this.#lacksMetadata = login.lacksMetadata;
    this.#kill = kill;
    this.flavor = login.flavor;
    this.processId = login.connectionId;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
    this.isEncrypted = login.isEncrypted;
    this.parameters.set('version', login.flavor.version);
    this.parameters.set('bulk', login.executesBulk ? '1' : '0');
    this.#noteStatus(login.status, undefined, true);
    this.#statements = new ServerStatements(target.preparedStatements ?? DEFAULT_PREPARED_STATEMENTS);
    this.line = new ExchangeLine({
      passesReady: false,
      takes: (request) => this.#takes(request),
      write: (request, taker) => this.#append(taker, undefined, (acts) => acts.request(request, true)),
      pause: () => this.pause(),
      resume: () => this.resume(),
    });
    this.#link = new ServerLink(socket, new PacketFramer(), {
      onMessage: (found) => this.#packet(found),
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

  forward(
    request: Request,
    sink: RelaySink,
    options: { readonly rename: boolean; readonly before?: readonly string[] },
  ): void {
    this.#begin(new RelayTaker(sink, this.#slow), options.before, (acts) =>
      acts.request(request, options.rename),
    );
  }

  query(query: BackendQuery, sink: RowSink, before?: readonly string[]): void {
    const { sql, parameters, resultFormats = [] } = query;
    const wantsBinary = resultFormats.includes(1);
    const isText = parameters === undefined && !wantsBinary;
    const form = isText ? 'text' : wantsBinary ? 'binary' : 'binary-as-text';
    this.#begin(new RowTaker(sink, form, this.#slow), before, (acts) => {
      if (isText) acts.query(sql);
      else acts.executeText(sql, parameters);
    });
  }

  rows(sql: string): Promise<(string | null)[][]> {
    return new Promise((resolve, reject) => this.query({ sql }, new RowCollector(resolve, reject)));
  }

  run(sql: string): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#begin(new OwnTaker(resolve, reject), [], (acts) => acts.query(sql)),
    );
  }

  describe(prepared: PreparedStatement): Promise<StatementDescription> {
    return new Promise((resolve, reject) =>
      this.#begin(new DescriptionTaker(resolve, reject), [], (acts) => acts.describe(prepared)),
    );
  }

  async position(): Promise<Position> {
    const position = (await this.rows(this.flavor.positionSql))[0]?.[0];
    if (typeof position === 'string') return position;
    throw new OperatingError('internal', `shard "${this.shard}" did not say its log position`);
  }

  /** Packets of a client's file (LOAD DATA LOCAL INFILE); an empty one is its end. Nothing at all: see `CUT_SHORT`. */
  sendCopy(frame: Buffer): boolean {
    const exchange = this.line.head;
    // What comes behind the server's error is thrown away.
    if (exchange?.fileSequence === undefined) return true;
    if (frame.length === 0) {
      this.#link.lose('the client did not send the rest of its file');
      return true;
    }
    exchange.fileSequence = renumberPacket(frame, exchange.fileSequence);
    return this.#link.send(frame);
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    this.#link.resume();
  }

  cancel(): Promise<void> {
    return this.#kill();
  }

  async reset(): Promise<void> {
    if (!this.flavor.hasResetConnection)
      throw new OperatingError(
        'unsupported',
        `the server of shard "${this.shard}" (${this.flavor.version}) cannot reset a connection`,
      );
    this.#statements.clear();
    const id = this.#collationId;
    await new Promise<void>((resolve, reject) =>
      this.#begin(new OwnTaker(resolve, reject), [], (acts) => {
        acts.own('status', RESET_CONNECTION);
        acts.own(
          'results',
          encodeQuery(
            `SET character_set_client = ${id}, character_set_results = ${id}, collation_connection = ${id}`,
          ),
        );
        if (this.#database !== '') acts.own('status', encodeInitDb(this.#database));
      }),
    );
    this.settings = '';
    this.#isInXa = false;
    this.transaction = 'idle';
    const { hasOwnRolesSql } = this.flavor;
    if (hasOwnRolesSql !== undefined && (await this.rows(hasOwnRolesSql))[0]?.[0] !== '1')
      throw new OperatingError('internal', `a connection to shard "${this.shard}" has kept a role`);
    // A default database cannot be taken back, only be replaced.
    if (this.#database === '' && (await this.rows('SELECT DATABASE()'))[0]?.[0] !== null)
      throw new OperatingError('internal', `a connection to shard "${this.shard}" has kept its database`);
  }

  terminate(): void {
    if (!this.isBroken && !this.isBusy) this.#link.end(QUIT);
    this.#link.lose('we have closed it');
  }

  #begin(taker: Taker, before: readonly string[] | undefined, fill: (acts: RequestActs) => void): void {
    if (this.isBusy) throw new Error(`backend ${this.id} is busy`);
    this.#append(taker, before, fill);
  }

  /** A server reads one command after the other from its socket, each when it has answered the one before. */
  #takes(request: Request): boolean {
    if (this.isBroken || this.transaction !== 'idle' || this.parameters.get('autocommit') === '0')
      return false;
    // What waits for the answer to its first command would be written behind us.
    if (this.line.some((exchange) => !exchange.isWritten)) return false;
    const bind = request.steps.find((step) => step.type === 'bind');
    if (bind?.prepared === undefined || !this.isBusy) return true;
    const key = this.#statements.sharedKey(bind.prepared.id, this.settings);
    if (this.#statements.find(key) !== undefined) return true;
    if (!this.line.some(({ making }) => making === key)) this.#make(bind.prepared, key);
    return false;
  }

  /** Behind those who stand in line, so that later ones find it here. */
  #make(prepared: PreparedStatement, making: string): void {
    this.#append(NOBODY, undefined, (acts) => acts.makeShared(prepared), making);
  }

  #append(
    taker: Taker,
    before: readonly string[] | undefined,
    fill: (acts: RequestActs) => void,
    making?: string,
  ): void {
    this.#requestedMs = performance.now();
    if (this.isBroken) {
      taker.broken(lostError(this.shard, this.#lastWords, 'it was lost before'));
      return;
    }
    // Behind others it is not late, and those who come behind it in this turn go in the same write.
    this.#link.isPatient = this.isBusy;
    const acts = new RequestActs(this.#statements, this, before);
    fill(acts);
    for (const command of acts.closing) this.#link.send(command);
    if (acts.refusal !== undefined || acts.acts.length === 0) {
      this.#answerHere(taker, acts.refusal);
      return;
    }
    const options: ExchangeOptions = {
      allowsFiles: this.#allowsFiles,
      lacksMetadata: this.#lacksMetadata,
      collationId: this.#loginCollation(),
      forgets: this.flavor.forgetsMessages,
      effects: acts,
      making,
    };
    const exchange = new Exchange(acts.acts, taker, this.#send, options);
    this.line.push(exchange);
    exchange.advance();
  }

  /** That of the client that is served. */
  #loginCollation(): number | undefined {
    if (this.#collated?.settings !== this.settings)
      this.#collated = { settings: this.settings, id: loginCollationOf(this.settings) };
    return this.#collated.id;
  }

  /** What the server need not be asked for. */
  #answerHere(taker: Taker, refusal: ServerError | undefined): void {
    if (refusal !== undefined) {
      taker.error(refusal);
      taker.local(refusal.frame);
    }
    taker.end(this.transaction);
  }

  #packet(found: PacketFramer): void {
    const exchange = this.line.head;
    if (exchange === undefined) {
      this.#unasked(found);
      return;
    }
    const isOwn = exchange.isOwn;
    const { status, error } = exchange.take(found);
    found.streamsRows = exchange.streamsRows;
    if (error?.isFatal === true) {
      this.#endedBy(error);
      return;
    }
    if (error?.errno === UNKNOWN_STATEMENT) this.#statements.clear();
    if (status !== undefined) this.#noteStatus(status, exchange, isOwn);
    if (exchange.isOver) this.#end(exchange);
  }

  /** A server says nothing by itself but why it ends the connection. */
  #unasked(found: PacketFramer): void {
    const frame = found.buffer.subarray(found.start, found.end);
    if (found.firstByte !== 0xff) throw new Error('the server sent a packet that nobody asked for');
    this.#endedBy(serverError(payloadOf(frame), frame));
  }

  /** A fatal error is the end of the connection; what it meant is told once, as the reason of that. */
  #endedBy(error: ServerError): void {
    this.#lastWords = error;
    this.#link.lose(error.message);
  }

  #end(exchange: Exchange): void {
    exchange.taker.pauseInReading();
    const stoodAlone = this.line.length === 1;
    if (exchange.needsStatus && this.#mayHaveChanged(exchange)) {
      if (!stoodAlone) throw leftOpen();
      exchange.needsStatus = false;
      exchange.ask(ASK);
      return;
    }
    if (this.transaction !== 'idle' && !stoodAlone) throw leftOpen();
    this.line.shift();
    this.resume();
    exchange.taker.end(this.transaction);
  }

  /** Some errors end the transaction (deadlocks), some statements begin or end one and then fail. */
  #mayHaveChanged({ effects }: Exchange): boolean {
    return effects.isDoubtful || this.transaction !== 'idle' || this.parameters.get('autocommit') === '0';
  }

  #noteStatus(status: number, exchange: Exchange | undefined, isOwn: boolean): void {
    const isOpen = has(status, STATUS.IN_TRANS);
    if (isOpen) this.#isInXa ||= exchange?.effects.beginsXa === true;
    else if (exchange?.effects.endsXa === true && !exchange.hasFailed) this.#isInXa = false;
    if (isOpen) this.transaction = 'open';
    else this.transaction = this.#isInXa ? 'failed' : 'idle';
    const reported = status & REPORTED_FLAGS;
    if (reported === this.#reported) return;
    this.#reported = reported;
    for (const [name, flag] of REPORTED) {
      const value = has(status, flag) ? '1' : '0';
      if (this.parameters.get(name) === value) continue;
      this.parameters.set(name, value);
      if (!isOwn) exchange?.taker.parameter(name, value);
    }
  }

  #lost(reason: string): void {
    this.isBroken = true;
    const error = lostError(this.shard, this.#lastWords, reason);
    for (const { taker } of this.line.clear()) taker.broken(error);
    this.onLost?.(error);
    this.onClosed?.();
  }
}

function leftOpen(): Error {
  return new Error('a request left a transaction open before others that stand in line');
}
