import type { RequestLine, SharedSink } from '../pool/backend.js';
import { RelayTaker } from '../pool/relay-taker.js';
import type { Request } from '../pool/request.js';
import type { Exchange, Taker } from './exchange.js';
import type { ServerStatements } from './server-statements.js';
import { statementToCheck } from './statement-check.js';

/** What the line needs of its connection. */
export interface LineOwner {
  /** Nothing of a session is open on it. */
  isFree(): boolean;
  /** Writes the request and appends its exchange. */
  write(request: Request, taker: Taker): void;
  pause(): void;
  resume(): void;
}

/** Takes what nobody waits for. */
const NOBODY: Taker = {
  streamsRows: true,
  take() {},
  local() {},
  error() {},
  tag() {},
  copyIn() {},
  parameter() {},
  pauseInReading() {},
  end() {},
  broken() {},
};

/**
 * The exchanges of one connection in the order in which they were written, which is the order of their answers: what comes belongs to
 * the head. The server reads one request after the other from its socket, each up to its Sync, so those behind cost no way forth and back.
 */
export class ExchangeLine implements RequestLine {
  answeredTotal = 0;
  readonly #owner: LineOwner;
  readonly #statements: ServerStatements;
  #exchanges: Exchange[] = [];
  readonly #slow = () => this.#owner.pause();

  constructor(owner: LineOwner, statements: ServerStatements) {
    this.#owner = owner;
    this.#statements = statements;
  }

  get length(): number {
    return this.#exchanges.length;
  }

  get head(): Exchange | undefined {
    return this.#exchanges[0];
  }

  get isHeadGivenUp(): boolean {
    return this.head?.taker === NOBODY;
  }

  push(exchange: Exchange): void {
    this.#exchanges.push(exchange);
  }

  /** The head is answered. Returns the next one. */
  shift(): Exchange | undefined {
    this.#exchanges.shift();
    this.answeredTotal++;
    return this.#exchanges[0];
  }

  /** The connection is lost: all that stand in line. */
  clear(): Exchange[] {
    const exchanges = this.#exchanges;
    this.#exchanges = [];
    return exchanges;
  }

  takes(request: Request): boolean {
    return this.#owner.isFree() && this.#areMade(request);
  }

  join(request: Request, sink: SharedSink): void {
    this.#owner.write(request, new RelayTaker(sink, this.#slow, { passesReady: true }));
  }

  giveUp(sink: SharedSink): void {
    const exchange = this.#exchanges.find(({ taker }) => taker instanceof RelayTaker && taker.sink === sink);
    if (exchange === undefined) return;
    exchange.taker = NOBODY;
    // Its client may have been slow.
    if (exchange === this.head) this.#owner.resume();
  }

  dissolve(): void {
    const sinks: SharedSink[] = [];
    for (const exchange of this.#exchanges.slice(1)) {
      const { taker } = exchange;
      if (!(taker instanceof RelayTaker)) continue;
      exchange.taker = NOBODY;
      sinks.push(taker.sink as SharedSink);
    }
    for (const sink of sinks) sink.onMoved();
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
      if (this.#exchanges.some((exchange) => exchange.isMaking(name))) return false;
    }
    return statementToCheck(request, this.#statements) === undefined;
  }
}
