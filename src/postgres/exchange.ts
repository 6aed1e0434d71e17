import { OperatingError } from '../lib/errors.js';
import type { ServerError, TransactionStatus } from '../pool/backend.js';
import type { StatementFacts } from '../pool/statement-ids.js';
import {
  CLOSE_COMPLETE,
  decodeParameterDescription,
  decodeRowDescription,
  PARSE_COMPLETE,
} from './backend-messages.js';
import { EXPECT, judge } from './expectations.js';
import { BACKEND } from './messages.js';

/** Who takes the messages of one exchange that are not our own affair. */
export interface Taker {
  /** Rows and COPY data may be handed over in parts as they came. */
  readonly streamsRows: boolean;
  /** ReadyForQuery is taken like any other message. */
  readonly passesReady?: boolean;
  /** One message or part of one, header too. */
  take(code: number, buffer: Buffer, start: number, end: number): void;
  /** An answer that we give ourselves. */
  local(frame: Buffer): void;
  error(error: ServerError): void;
  /** Before the message is taken. */
  tag(tag: string): void;
  /** After CopyInResponse was taken. */
  copyIn(): void;
  /** Before the message is taken. */
  parameter(name: string, value: string): void;
  /** Everything that one read from the socket brought has been taken. */
  pauseInReading(): void;
  end(status: TransactionStatus): void;
  broken(error: Error): void;
}

/** What a write must bring. */
export interface Expected {
  readonly expected: number[];
  /** Names of the statements of each expected ParseComplete, in order. */
  readonly parsing: string[];
  readonly describing: StatementFacts[];
}

/**
 * One write to a server and the answers that it must bring, in order. Knows which of them are passed on, which are ours,
 * and which never come because an error made the server skip to Sync (PostgreSQL manual 55.2.3).
 */
export class Exchange {
  /** Changes when nobody waits for the rest any more. */
  taker: Taker;
  /** Ends with the last expectation instead of a ReadyForQuery: the client said Flush. */
  readonly isFlushed: boolean;
  hasFailed = false;
  isInCopy = false;
  /** CopyDone or CopyFail has been sent. */
  isCopyEnded = false;
  /** The server read this of ours in the middle of COPY FROM STDIN and ignored it; another one must follow the copy. */
  owes: 'sync' | 'flush' | undefined;
  readonly #expected: number[];
  #at = 0;
  /** Names whose Parse is not answered yet, in order. */
  readonly #parsing: string[];
  /** Statements that are described for the first time, in order. */
  readonly #describing: StatementFacts[];
  #parameterTypes: readonly number[] = [];
  /** Names whose Parse was answered. */
  readonly parsed: string[] = [];

  constructor({ expected, parsing, describing }: Expected, isFlushed: boolean, taker: Taker) {
    this.#expected = expected;
    this.#parsing = parsing;
    this.#describing = describing;
    this.isFlushed = isFlushed;
    this.taker = taker;
  }

  get isOver(): boolean {
    return this.#at >= this.#expected.length;
  }

  /** Messages that belong to our own statements, such as their notices, are not for the client. */
  get isOwn(): boolean {
    const expected = this.#expected[this.#at];
    return expected !== undefined && expected >= EXPECT.OwnParse && expected <= EXPECT.OwnDescribe;
  }

  /** Gives local answers whose turn has come. */
  giveLocal(): void {
    for (;;) {
      const expected = this.#expected[this.#at];
      if (expected === EXPECT.LocalParse) this.taker.local(PARSE_COMPLETE);
      else if (expected === EXPECT.LocalClose) this.taker.local(CLOSE_COMPLETE);
      else return;
      this.#at++;
    }
  }

  /** Any message but errors, ReadyForQuery, rows and what may come at any time. `tag` for CommandComplete. Throws when the server must not say it now. */
  answer(code: number, buffer: Buffer, start: number, end: number, tag: string | undefined): void {
    const verdict = judge(this.#expected[this.#at], code);
    if (verdict === 'wrong') throw unexpected(code);
    if (code === BACKEND.ParseComplete) this.parsed.push(this.#parsing.shift()!);
    if (code === BACKEND.CommandComplete) this.isInCopy = false;
    if (this.#expected[this.#at] === EXPECT.OwnDescribe) this.#described(code, buffer.subarray(start, end));
    if (verdict !== 'own' && verdict !== 'own-more') {
      if (tag !== undefined) this.taker.tag(tag);
      this.taker.take(code, buffer, start, end);
    }
    if (code === BACKEND.CopyInResponse) this.#copyIn();
    if (verdict === 'described') this.#expected[this.#at] = EXPECT.DescribePortal;
    else if (verdict === 'last' || verdict === 'own') {
      this.#at++;
      this.giveLocal();
    }
  }

  /** Returns the names whose statements the server did not make. */
  fail(error: ServerError, buffer: Buffer, start: number, end: number): string[] {
    this.hasFailed = true;
    this.isInCopy = false;
    this.#describing.length = 0;
    this.taker.error(error);
    this.taker.take(BACKEND.ErrorResponse, buffer, start, end);
    const expected = this.#expected[this.#at];
    if (expected === EXPECT.Query || expected === EXPECT.Ready) return [];
    const ready = this.#expected.indexOf(EXPECT.Ready, this.#at);
    this.#at = ready === -1 ? this.#expected.length : ready;
    return this.#parsing.splice(0);
  }

  /** ReadyForQuery came. */
  ready(): void {
    const expected = this.#expected[this.#at];
    if (expected !== EXPECT.Query && expected !== EXPECT.Ready) throw unexpected(BACKEND.ReadyForQuery);
    this.#at++;
    this.giveLocal();
  }

  #described(code: number, frame: Buffer): void {
    if (code === BACKEND.ParameterDescription) {
      this.#parameterTypes = decodeParameterDescription(frame);
      return;
    }
    const columns = code === BACKEND.RowDescription ? decodeRowDescription(frame) : undefined;
    this.#describing.shift()!.description ??= { parameterTypes: this.#parameterTypes, columns };
  }

  /** Does the server still have to say whether it makes the statement, as this exchange asks? */
  isMaking(name: string): boolean {
    return this.#parsing.includes(name);
  }

  /** May rows or COPY data come now? */
  get takesRows(): boolean {
    const expected = this.#expected[this.#at];
    return expected === EXPECT.Query || expected === EXPECT.Execute || expected === EXPECT.OwnExecute;
  }

  /**
   * In COPY FROM STDIN the server ignores Sync and Flush (manual 55.2.3, 55.2.7). What we sent behind the statement is therefore
   * lost: a Sync behind a simple Query need not come any more, one behind an Execute, and a Flush, must be said again after the copy.
   */
  #copyIn(): void {
    this.isInCopy = true;
    const next = this.#expected[this.#at + 1];
    if (next === EXPECT.Ready && this.#at + 2 === this.#expected.length) {
      if (this.#expected[this.#at] === EXPECT.Query) this.#expected.pop();
      else this.owes = 'sync';
    } else if (next === undefined && this.isFlushed) this.owes = 'flush';
    this.taker.copyIn();
  }
}

function unexpected(code: number): OperatingError {
  return new OperatingError(
    'protocol-violation',
    `the server sent a message of type '${String.fromCharCode(code)}' that does not belong there`,
  );
}
