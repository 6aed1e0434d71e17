import type { Backend, ServerError } from '../pool/backend.js';
import type { Request } from '../pool/request.js';
import type { Taker } from './exchange.js';
import { EXPECT } from './expectations.js';
import { encodeQuery } from './frontend-messages.js';
import { BACKEND } from './messages.js';
import { splitAtBegin } from './own-query.js';
import type { RequestWriter } from './request-writer.js';
import { OwnTaker } from './row-takers.js';
import type { ServerStatements } from './server-statements.js';
import { checkStatement, statementToCheck } from './statement-check.js';

/** Writes what an exchange is about; `hasOwn`: something of ours stands before it. */
export type Write = (writer: RequestWriter, hasOwn: boolean) => void;

/** The connection, as those who prepare the way for a request use it. */
export interface Speaker {
  readonly backend: Backend;
  readonly statements: ServerStatements;
  /** Writes one exchange; `own` in front of it and without Sync. */
  write(own: readonly string[], taker: Taker, isFlushed: boolean, write: Write): void;
  /** A request that ended with Flush has failed without being sent. */
  skipToSync(): void;
}

/**
 * What must be said and heard before a request is sent: settings that have to outlive a rollback, statements that were prepared
 * elsewhere. COPY data that comes meanwhile waits.
 */
export class Preliminaries {
  readonly #speaker: Speaker;
  #copy: Buffer[] | undefined;

  constructor(speaker: Speaker) {
    this.#speaker = speaker;
  }

  get areGoingOn(): boolean {
    return this.#copy !== undefined;
  }

  /** Keeps COPY data while they are going on. */
  keepCopy(frame: Buffer): boolean {
    this.#copy?.push(frame);
    return this.areGoingOn;
  }

  /**
   * Begins one exchange. Statements of `before` up to a BEGIN are run and answered first: they may have to outlive a rollback. From the
   * BEGIN on they go in the same write, in front of `write` and without Sync, so that the server skips `write` when they fail.
   */
  begin(
    before: readonly string[] = [],
    taker: Taker,
    isFlushed: boolean,
    write: Write,
    checked?: Request,
  ): void {
    if (
      before.length === 0 &&
      !this.areGoingOn &&
      statementToCheck(checked, this.#speaker.statements) === undefined
    ) {
      this.#speaker.write(before, taker, isFlushed, write);
      return;
    }
    const { first, own } = splitAtBegin(before);
    const go = () =>
      this.#check(checked, taker, isFlushed, () => {
        this.#speaker.write(own, taker, isFlushed, write);
        this.#sendCopy();
      });
    const failed = (error: ServerError) => this.#endFailed(taker, error, isFlushed);
    if (first.length === 0) go();
    else {
      this.#copy = [];
      this.runFirst(first, go, failed, (error) => taker.broken(error));
    }
  }

  /** Runs our own statements one by one, each a simple Query, and hears all their answers before anything else is said. */
  runFirst(
    sqls: readonly string[],
    done: () => void,
    failed: (error: ServerError) => void,
    broken: (error: Error) => void,
  ): void {
    const taker = new OwnTaker((error) => (error === undefined ? done() : failed(error)), broken);
    this.#speaker.write([], taker, false, (writer) => {
      this.#speaker.statements.unnamed = undefined;
      for (const sql of sqls) writer.message(encodeQuery(sql), EXPECT.Query);
    });
  }

  /** Statements that were prepared elsewhere are made and looked at here first. */
  #check(request: Request | undefined, taker: Taker, isFlushed: boolean, write: () => void): void {
    const { backend, statements } = this.#speaker;
    const prepared = statementToCheck(request, statements);
    const checked = (error: ServerError | undefined) =>
      error === undefined
        ? this.#check(request, taker, isFlushed, write)
        : this.#endFailed(taker, error, isFlushed);
    if (prepared === undefined) write();
    else {
      this.#copy ??= [];
      const checking = checkStatement(backend, prepared, statements);
      checking.then(checked, (thrown: Error) => taker.broken(thrown));
    }
  }

  #sendCopy(): void {
    const { backend } = this.#speaker;
    const frames = this.#copy ?? [];
    this.#copy = undefined;
    let isGoing = true;
    for (const frame of frames) isGoing = backend.sendCopy(frame);
    if (frames.length > 0 && isGoing) backend.onDrain?.();
  }

  /** What had to be said before a request failed: that is the request's answer, and it is not sent. */
  #endFailed(taker: Taker, error: ServerError, isFlushed: boolean): void {
    const { backend } = this.#speaker;
    if (this.#copy !== undefined) {
      this.#copy = undefined;
      backend.onDrain?.();
    }
    if (isFlushed) this.#speaker.skipToSync();
    taker.error(error);
    taker.take(BACKEND.ErrorResponse, error.frame, 0, error.frame.length);
    taker.end(isFlushed ? 'failed' : backend.transaction);
  }
}
