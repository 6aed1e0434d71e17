import type { PreparedStatement, Request, Step } from '../pool/request.js';
import type { StatementFacts } from '../pool/statement-ids.js';
import { EXPECT } from './expectations.js';
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  FLUSH,
  renameBind,
  SYNC,
} from './frontend-messages.js';
import type { ServerStatements } from './server-statements.js';

/**
 * Writes one exchange: a client's steps as they came or under process-wide statement names, and what must be put between
 * them so that they mean on this backend what they meant to the client. Notes what the server will answer.
 */
export class RequestWriter {
  readonly expected: number[] = [];
  /** Names of the statements of each expected ParseComplete, in order. */
  readonly parsing: string[] = [];
  /** Statements whose first description comes with this exchange, in order. */
  readonly describing: StatementFacts[] = [];
  readonly #send: (chunk: Buffer) => void;
  readonly #statements: ServerStatements;
  #rename = false;

  constructor(send: (chunk: Buffer) => void, statements: ServerStatements) {
    this.#send = send;
    this.#statements = statements;
  }

  /** Runs our own SQL by the extended protocol and without Sync, so that an error in it makes the server skip all that follows. */
  own(sql: string): void {
    this.#statements.unnamed = undefined;
    this.#send(encodeParse('', sql, []));
    this.#send(
      encodeBind({ portal: '', statement: '', parameterFormats: [], parameters: [], resultFormats: [] }),
    );
    this.#send(encodeExecute('', 0));
    this.#parses('', EXPECT.OwnParse);
    this.expected.push(EXPECT.OwnBind, EXPECT.OwnExecute);
  }

  /** A client's request. `rename`: named statements under process-wide names. `hasOwn`: something of ours stands before it. */
  request(request: Request, rename: boolean, hasOwn: boolean): void {
    this.#rename = rename;
    for (const step of request.steps) this.#step(step);
    if (request.end === 'flush') this.#send(FLUSH);
    // Behind a Query a Sync is needed only when something of ours stands before it.
    else if (request.end === 'sync' || hasOwn) this.sync();
  }

  sync(): void {
    this.#send(SYNC);
    this.expected.push(EXPECT.Ready);
  }

  /** Sends one whole message and notes its answer. */
  message(frame: Buffer, expectation: number): void {
    this.#send(frame);
    this.expected.push(expectation);
  }

  parse(name: string, frame: Buffer, expectation: number): void {
    this.#send(frame);
    this.#parses(name, expectation);
  }

  /** Closes statements that are too many on this backend. */
  closeSurplus(): void {
    for (const name of this.#statements.takeSurplus())
      this.message(encodeClose('statement', name), EXPECT.OwnClose);
  }

  /** Makes a named statement here when it is missing; returns its name here. */
  ensure(prepared: PreparedStatement): string {
    const name = this.#statements.nameOf(prepared);
    if (!this.#statements.has(name)) this.#make(name, prepared, EXPECT.OwnParse);
    return name;
  }

  #make(name: string, prepared: PreparedStatement, expectation: number): void {
    if (this.#statements.isDistrusted) this.message(encodeClose('statement', name), EXPECT.OwnClose);
    const { facts } = prepared;
    // Made again somewhere else it keeps the types that its parameters had, whatever its tables have become since.
    const known = expectation === EXPECT.OwnParse ? facts?.description?.parameterTypes : undefined;
    const types = known ?? prepared.parameterTypes;
    this.parse(name, encodeParse(name, prepared.bytes ?? prepared.sql, types), expectation);
    this.#statements.add(name);
    if (facts === undefined || facts.description !== undefined) return;
    this.message(encodeDescribe('statement', name), EXPECT.OwnDescribe);
    this.describing.push(facts);
  }

  #parses(name: string, expectation: number): void {
    this.expected.push(expectation);
    this.parsing.push(name);
  }

  #step(step: Step): void {
    switch (step.type) {
      case 'query':
        // A simple query takes the unnamed statement away (manual 55.2.3).
        this.#statements.unnamed = undefined;
        this.message(step.frame, EXPECT.Query);
        return;
      case 'function-call':
        this.message(step.frame, EXPECT.Query);
        return;
      case 'parse':
        this.#parse(step.prepared, step.frame);
        return;
      case 'bind':
        this.#bind(step);
        return;
      case 'describe-statement':
        this.#describe(step.prepared, step.frame);
        return;
      case 'describe-portal':
        this.message(step.frame, EXPECT.DescribePortal);
        return;
      case 'execute':
        this.message(step.frame, EXPECT.Execute);
        return;
      case 'close-portal':
        this.message(step.frame, EXPECT.Close);
        return;
      case 'close-statement':
        this.#close(step.statementName, step.frame);
        return;
    }
  }

  #parse(prepared: PreparedStatement, frame: Buffer): void {
    if (prepared.name === '') {
      this.#statements.unnamed = this.#statements.unnamedOf(prepared);
      this.parse(this.#statements.unnamed, frame, EXPECT.Parse);
      return;
    }
    if (!this.#rename) {
      this.parse('', frame, EXPECT.Parse);
      return;
    }
    const name = this.#statements.nameOf(prepared);
    if (this.#statements.has(name)) this.expected.push(EXPECT.LocalParse);
    else this.#make(name, prepared, EXPECT.Parse);
  }

  #bind(step: Extract<Step, { type: 'bind' }>): void {
    const { prepared } = step;
    if (this.#rename && prepared !== undefined) {
      if (prepared.name !== '') {
        const name = this.ensure(prepared);
        const [head, rest] = renameBind(step.frame, name);
        this.#send(head);
        this.message(rest, EXPECT.Bind);
        return;
      }
      this.#ensureUnnamed(prepared);
    }
    this.message(step.frame, EXPECT.Bind);
  }

  #describe(prepared: PreparedStatement | undefined, frame: Buffer): void {
    if (this.#rename && prepared !== undefined) {
      if (prepared.name !== '') frame = encodeDescribe('statement', this.ensure(prepared));
      else this.#ensureUnnamed(prepared);
    }
    this.message(frame, EXPECT.DescribeStatement);
  }

  /** The client's unnamed statement was parsed on another backend, or another one has taken its place here. */
  #ensureUnnamed(prepared: PreparedStatement): void {
    const name = this.#statements.unnamedOf(prepared);
    if (this.#statements.unnamed === name) return;
    this.parse(
      name,
      encodeParse('', prepared.bytes ?? prepared.sql, prepared.parameterTypes),
      EXPECT.OwnParse,
    );
    this.#statements.unnamed = name;
  }

  #close(statementName: string, frame: Buffer): void {
    if (this.#rename && statementName !== '') {
      this.expected.push(EXPECT.LocalClose);
      return;
    }
    if (statementName === '') this.#statements.unnamed = undefined;
    this.message(frame, EXPECT.Close);
  }
}
