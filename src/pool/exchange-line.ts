import type { RequestLine, ServerError, SharedSink, TransactionStatus } from './backend.js';
import { RelayTaker } from './relay-taker.js';
import type { Request } from './request.js';

/** Who takes what an exchange brings, as lines need to know it. */
interface AnswerTaker {
  readonly streamsRows: boolean;
  take(part: unknown, buffer: Buffer, start: number, end: number): void;
  local(frame: Buffer): void;
  error(error: ServerError): void;
  tag(tag: string): void;
  copyIn?(): void;
  parameter(name: string, value: string): void;
  pauseInReading(): void;
  end(status: TransactionStatus): void;
  broken(error: Error): void;
}

/** A request that is written, and who takes its answer; another one does when nobody waits for it any more. */
export interface Exchanging {
  taker: AnswerTaker;
}

/** What the line needs of its connection. */
export interface LineOwner {
  /** The end of a whole answer (ReadyForQuery) is passed on like the rest of it; else whoever has asked must say it. */
  readonly passesReady: boolean;
  takes(request: Request): boolean;
  /** Writes the request and appends its exchange. */
  write(request: Request, taker: RelayTaker): void;
  pause(): void;
  resume(): void;
}

/** Takes what nobody waits for. */
export const NOBODY: AnswerTaker = {
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
 * the head. A server reads one request after the other from its socket, so those behind cost no way forth and back.
 */
export class ExchangeLine<E extends Exchanging> implements RequestLine {
  answeredTotal = 0;
  readonly #owner: LineOwner;
  #exchanges: E[] = [];
  readonly #slow = () => this.#owner.pause();

  constructor(owner: LineOwner) {
    this.#owner = owner;
  }

  get length(): number {
    return this.#exchanges.length;
  }

  get passesReady(): boolean {
    return this.#owner.passesReady;
  }

  get head(): E | undefined {
    return this.#exchanges[0];
  }

  get isHeadGivenUp(): boolean {
    return this.head?.taker === NOBODY;
  }

  some(has: (exchange: E) => boolean): boolean {
    return this.#exchanges.some(has);
  }

  push(exchange: E): void {
    this.#exchanges.push(exchange);
  }

  /** The head is answered. Returns the next one. */
  shift(): E | undefined {
    this.#exchanges.shift();
    this.answeredTotal++;
    return this.#exchanges[0];
  }

  /** The connection is lost: all that stand in line. */
  clear(): E[] {
    const exchanges = this.#exchanges;
    this.#exchanges = [];
    return exchanges;
  }

  takes(request: Request): boolean {
    return this.#owner.takes(request);
  }

  join(request: Request, sink: SharedSink): void {
    this.#owner.write(request, new RelayTaker(sink, this.#slow, { passesReady: this.passesReady }));
  }

  giveUp(sink: SharedSink): void {
    const exchange: Exchanging | undefined = this.#exchanges.find(
      ({ taker }) => taker instanceof RelayTaker && taker.sink === sink,
    );
    if (exchange === undefined) return;
    exchange.taker = NOBODY;
    // Its client may have been slow.
    if (exchange === this.head) this.#owner.resume();
  }

  dissolve(): void {
    const sinks: SharedSink[] = [];
    for (const exchange of this.#exchanges.slice(1) as Exchanging[]) {
      const { taker } = exchange;
      if (!(taker instanceof RelayTaker)) continue;
      exchange.taker = NOBODY;
      sinks.push(taker.sink as SharedSink);
    }
    for (const sink of sinks) sink.onMoved();
  }
}
