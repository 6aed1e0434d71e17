import { timeOfDay } from '../lib/clock.js';
import { asError, asOperatingError, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type { Request } from '../pool/request.js';
import type { CancelKey, CancelKeys } from './cancel.js';
import type { Course } from './course.js';
import type { Credentials, Database } from './database.js';
import type { Frontend, FrontendEvents } from './frontend.js';
import { openCourse } from './login.js';

/** Requests that may wait behind the one that runs before the client is no longer read. */
const MAX_WAITING_REQUESTS = 64;
/** COPY data that may come before it is asked for. */
const MAX_EARLY_COPY_BYTES = 1024 * 1024;

/** How long a cancelled statement may take to end before its connection is closed. */
const ABANDON_PATIENCE_MS = 5_000;

type CopyKind = 'data' | 'done' | 'fail';

/** A request that waits for its turn or runs, with COPY data that came early. */
interface Waiting {
  readonly request: Request;
  readonly copy: { readonly frame: Buffer; readonly kind: CopyKind }[];
  copyBytes: number;
  /** Its CopyDone or CopyFail has come. */
  isCopyEnded: boolean;
  /** A Sync that came before the data of an earlier COPY FROM STDIN. */
  isBehindCopy: boolean;
  /** It stood in line on a shared backend and was sent away unanswered. */
  wasShared: boolean;
}

/** One client from login to the end: takes its requests one after the other and gives them to its course. */
export class Session implements FrontendEvents {
  readonly id: number;
  readonly database: Database;
  readonly frontend: Frontend;
  /** The number that its client was told of it. */
  readonly processId: number;
  readonly connectedAtMs = Date.now();
  /** When the last request came, by performance.now(). */
  #requestedMs = performance.now();
  readonly #log: Logger;
  readonly #course: Course;
  readonly #requests: Waiting[] = [];
  #running: Waiting | undefined;
  readonly #forgetKey: () => void;
  readonly #onEnd: (session: Session) => void;
  #isPaused = false;
  #isClosed = false;
  /** The client has said goodbye and waits for nothing. */
  #isLeaving = false;
  /** The last statement has taken COPY data. */
  #hasCopied = false;
  /** Told when the request that runs has ended. */
  #onRest: (() => void) | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  /** When the request came that began the transaction, or is one by itself. By performance.now(). */
  #transactionSinceMs: number | undefined;
  /** A cancel is on its way to the servers. */
  #cancelling: Promise<void> | undefined;

  private constructor(
    opened: { id: number; database: Database; frontend: Frontend; course: Course; key: CancelKey },
    keys: CancelKeys,
    log: Logger,
    onEnd: (session: Session) => void,
  ) {
    this.id = opened.id;
    this.processId = opened.key.processId;
    this.database = opened.database;
    this.frontend = opened.frontend;
    this.#course = opened.course;
    this.#log = log;
    this.#onEnd = onEnd;
    this.#course.onTakesCopy = () => this.#giveKeptCopy();
    this.#course.onShared = (mustRun, nowMs) => this.#sharedEnded(mustRun, nowMs);
    this.#forgetKey = keys.register(opened.key, () => this.cancel());
  }

  /** Logs the client in: finds its course and tells it the server's parameters. Throws OperatingError. */
  static async open(
    id: number,
    database: Database,
    frontend: Frontend,
    credentials: Credentials,
    keys: CancelKeys,
    log: Logger,
    onEnd: (session: Session) => void,
  ): Promise<Session> {
    const { course, parameters, key } = await openCourse(database, frontend, credentials, keys);
    const session = new Session({ id, database, frontend, course, key }, keys, log, onEnd);
    frontend.welcome(parameters, key.processId, key.secretKey);
    frontend.attach(session);
    return session;
  }

  /** When the last request came. */
  get requestAtMs(): number {
    return timeOfDay(this.#requestedMs);
  }

  get isInTransaction(): boolean {
    return this.#course.isInTransaction;
  }

  get pinReason(): string | undefined {
    return this.#course.pinReason;
  }

  get phase(): 'idle' | 'active' | 'waiting' {
    if (this.#course.waitingSinceMs !== undefined) return 'waiting';
    return this.#running !== undefined || this.#course.isInTransaction ? 'active' : 'idle';
  }

  get waitMs(): number {
    const since = this.#course.waitingSinceMs;
    return since === undefined ? 0 : performance.now() - since;
  }

  get preparedStatements(): number {
    return this.#course.preparedStatements;
  }

  /** Ids of the backends it holds. */
  get servers(): readonly number[] {
    return this.#course.servers;
  }

  get isIdle(): boolean {
    return this.#running === undefined && !this.#course.isInTransaction;
  }

  onRequest(request: Request): void {
    if (this.#isClosed) return;
    this.#requests.push({
      request,
      copy: [],
      copyBytes: 0,
      isCopyEnded: false,
      isBehindCopy: false,
      wasShared: false,
    });
    if (this.#requests.length >= MAX_WAITING_REQUESTS && !this.#isPaused) {
      this.#isPaused = true;
      this.frontend.pause();
    }
    if (this.#running === undefined) this.#work();
  }

  onCopy(frame: Buffer, kind: CopyKind): void {
    const statement = this.#copyStatement();
    if (statement === undefined) return;
    if (kind !== 'data') statement.isCopyEnded = true;
    if (statement === this.#running && this.#course.takesCopy) this.#course.onCopy(frame, kind);
    else this.#keepCopy(statement, frame, kind);
  }

  onDrain(): void {
    this.#course.onDrain();
  }

  /** After Terminate what was asked for is still done, as the server does; after a lost connection it is given up. */
  onClose(reason: 'terminated' | 'lost' | 'protocol-violation'): void {
    this.#isLeaving = reason === 'terminated' && this.#running !== undefined;
    if (this.#isLeaving) this.#endUnfinishedCopy();
    else void this.#close();
  }

  /** Cancels the statement that runs; what the client says next waits until the servers have heard it, so that it cannot be hit. */
  async cancel(): Promise<void> {
    const cancelling = this.#course.cancel();
    this.#cancelling = cancelling;
    await cancelling;
    if (this.#cancelling === cancelling) this.#cancelling = undefined;
  }

  /** Ends the session from our side: the client is told why. */
  end(error: OperatingError): void {
    this.frontend.end(error);
    void this.#close();
  }

  /** What COPY data is for. The server reads over a Sync in the middle of a copy (PostgreSQL manual 55.2.7), so those that came between are marked. */
  #copyStatement(): Waiting | undefined {
    const at = this.#requests.findLastIndex(({ request }) => request.steps.length > 0);
    const statement = this.#requests[at] ?? this.#running;
    if (statement?.isCopyEnded === false)
      for (const between of this.#requests.slice(at + 1)) between.isBehindCopy = true;
    return statement;
  }

  /** COPY data that came before the server asked for it; a client may send it in one write with the statement. */
  #keepCopy(waiting: Waiting, frame: Buffer, kind: CopyKind): void {
    waiting.copy.push({ frame, kind });
    waiting.copyBytes += frame.length;
    if (waiting.copyBytes > MAX_EARLY_COPY_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.frontend.pause();
    }
  }

  #giveKeptCopy(): void {
    this.#hasCopied = true;
    for (const { frame, kind } of this.#running?.copy.splice(0) ?? []) this.#course.onCopy(frame, kind);
    this.#unpause();
    this.#endUnfinishedCopy();
  }

  /** Nobody will send the rest of it. */
  #endUnfinishedCopy(): void {
    if (this.#isLeaving && this.#course.takesCopy && this.#running?.isCopyEnded === false) void this.#close();
  }

  #unpause(): void {
    if (!this.#isPaused || this.#requests.length >= MAX_WAITING_REQUESTS / 2) return;
    this.#isPaused = false;
    this.frontend.resume();
  }

  /** Takes up what is asked for next; nothing runs. */
  #work(): void {
    clearTimeout(this.#idleTimer);
    for (;;) {
      const next = this.#requests.shift();
      this.#running = next;
      if (next === undefined || this.#isClosed) break;
      if (next.isBehindCopy && this.#hasCopied) continue;
      this.#hasCopied = false;
      if (!this.#share(next)) void this.#serve(next);
      return;
    }
    this.#rest();
  }

  /** Nothing is asked for any more. */
  #rest(): void {
    this.#running = undefined;
    this.#onRest?.();
    if (this.#isClosed) return;
    if (this.#isLeaving) void this.#close();
    else this.#watchIdleTransaction();
  }

  /** Puts a request in line with those of other sessions where that may be; `#sharedEnded` is told of its end. */
  #share(next: Waiting): boolean {
    if (next.wasShared || this.#cancelling !== undefined) return false;
    const nowMs = performance.now();
    if (this.#course.share?.(next.request, nowMs) !== true) return false;
    this.#transactionSinceMs = nowMs;
    this.#requestedMs = nowMs;
    this.#count(next.request);
    return true;
  }

  #sharedEnded(mustRun: boolean, nowMs: number): void {
    const running = this.#running!;
    if (mustRun) {
      running.wasShared = true;
      this.#requests.unshift(running);
    } else this.#served(this.#transactionSinceMs!, nowMs);
    this.#unpause();
    this.#work();
  }

  #served(startedMs: number, endedMs: number): void {
    const { counters } = this.database;
    counters.statementMs.observe(endedMs - startedMs);
    if (this.#course.isInTransaction) return;
    counters.transactionMs += endedMs - this.#transactionSinceMs!;
    this.#transactionSinceMs = undefined;
  }

  async #serve({ request, wasShared }: Waiting): Promise<void> {
    const nowMs = performance.now();
    this.#requestedMs = nowMs;
    this.#transactionSinceMs ??= nowMs;
    // One that stood in line was a transaction by itself, and began there.
    const startedMs = wasShared ? this.#transactionSinceMs : nowMs;
    if (!wasShared) this.#count(request);
    try {
      if (this.#cancelling !== undefined) await this.#cancelling;
      if (request.end === 'own') this.#answerOwn(request);
      else await this.#course.run(request);
    } catch (thrown) {
      // Courses answer their errors themselves: what comes here is a bug, and the client must not hang for it.
      const error = asError(thrown);
      this.#log.error({ client: this.id, reason: error.message, stack: error.stack }, 'a session failed');
      this.end(asOperatingError(error));
    }
    this.#served(startedMs, performance.now());
    this.#unpause();
    this.#work();
  }

  #count({ steps }: Request): void {
    const { counters } = this.database;
    counters.statements++;
    for (const { type } of steps) {
      if (type === 'parse') counters.clientParses++;
      else if (type === 'bind') counters.binds++;
    }
  }

  /** What the frontend answers by itself, at its turn. */
  #answerOwn({ own }: Request): void {
    if (own !== undefined) {
      this.frontend.completes();
      this.frontend.send(own);
    }
    this.frontend.sendReady(this.#course.isInTransaction ? 'open' : 'idle');
  }

  #watchIdleTransaction(): void {
    const { idleTransactionTimeoutMs } = this.database.limits;
    if (idleTransactionTimeoutMs === 0 || !this.#course.isInTransaction) return;
    this.#idleTimer = setTimeout(() => {
      this.end(
        new OperatingError('limit-exceeded', 'terminating connection due to idle-in-transaction timeout', {
          sqlstate: '25P03',
          hint: `The transaction was idle for ${idleTransactionTimeoutMs} ms (limits.idle_transaction_timeout_ms).`,
        }),
      );
    }, idleTransactionTimeoutMs);
    this.#idleTimer.unref();
  }

  /** Nothing may be given back while a request still uses it. */
  async #endRunning(): Promise<void> {
    if (this.#running === undefined) return;
    const rest = new Promise<void>((resolve) => {
      this.#onRest = resolve;
    });
    this.#course.abandon();
    const impatience = setTimeout(() => this.#course.abort(), ABANDON_PATIENCE_MS);
    await rest;
    clearTimeout(impatience);
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    this.#forgetKey();
    this.#requests.length = 0;
    try {
      await this.#endRunning();
      await this.#course.close();
    } catch (thrown) {
      this.#log.error(
        { client: this.id, reason: asError(thrown).message },
        'a session could not give everything back',
      );
    }
    this.database.counters.receivedBytes += this.frontend.receivedBytes;
    this.database.counters.sentBytes += this.frontend.sentBytes;
    this.#onEnd(this);
  }
}
