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
}

/** One client from login to the end: takes its requests one after the other and gives them to its course. */
export class Session implements FrontendEvents {
  readonly id: number;
  readonly database: Database;
  readonly frontend: Frontend;
  readonly connectedAtMs = Date.now();
  /** When the last request came. */
  requestAtMs = this.connectedAtMs;
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
  /** Told when the request that runs has ended. */
  #onRest: (() => void) | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  private constructor(
    opened: { id: number; database: Database; frontend: Frontend; course: Course; key: CancelKey },
    keys: CancelKeys,
    log: Logger,
    onEnd: (session: Session) => void,
  ) {
    this.id = opened.id;
    this.database = opened.database;
    this.frontend = opened.frontend;
    this.#course = opened.course;
    this.#log = log;
    this.#onEnd = onEnd;
    this.#course.onTakesCopy = () => this.#giveKeptCopy();
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
    this.#requests.push({ request, copy: [], copyBytes: 0 });
    if (this.#requests.length >= MAX_WAITING_REQUESTS && !this.#isPaused) {
      this.#isPaused = true;
      this.frontend.pause();
    }
    if (this.#running === undefined) void this.#work();
  }

  onCopy(frame: Buffer, kind: CopyKind): void {
    const last = this.#requests.at(-1) ?? this.#running;
    if (this.#course.takesCopy && this.#requests.length === 0) this.#course.onCopy(frame, kind);
    else if (last !== undefined) this.#keepCopy(last, frame, kind);
  }

  onDrain(): void {
    this.#course.onDrain();
  }

  /** After Terminate what was asked for is still done, as the server does; after a lost connection it is given up. */
  onClose(reason: 'terminated' | 'lost' | 'protocol-violation'): void {
    if (reason === 'terminated' && this.#running !== undefined) this.#isLeaving = true;
    else void this.#close();
  }

  cancel(): void {
    this.#course.cancel();
  }

  /** Ends the session from our side: the client is told why. */
  end(error: OperatingError): void {
    this.frontend.end(error);
    void this.#close();
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
    for (const { frame, kind } of this.#running?.copy.splice(0) ?? []) this.#course.onCopy(frame, kind);
    this.#unpause();
  }

  #unpause(): void {
    if (!this.#isPaused || this.#requests.length >= MAX_WAITING_REQUESTS / 2) return;
    this.#isPaused = false;
    this.frontend.resume();
  }

  async #work(): Promise<void> {
    clearTimeout(this.#idleTimer);
    for (;;) {
      this.#running = this.#requests.shift();
      if (this.#running === undefined || this.#isClosed) break;
      await this.#serve(this.#running.request);
      this.#unpause();
    }
    this.#running = undefined;
    this.#onRest?.();
    if (this.#isClosed) return;
    if (this.#isLeaving) await this.#close();
    else this.#watchIdleTransaction();
  }

  async #serve(request: Request): Promise<void> {
    const startedMs = performance.now();
    this.requestAtMs = Date.now();
    this.database.counters.statements++;
    try {
      await this.#course.run(request);
    } catch (thrown) {
      // Courses answer their errors themselves: what comes here is a bug, and the client must not hang for it.
      const error = asError(thrown);
      this.#log.error({ client: this.id, reason: error.message, stack: error.stack }, 'a session failed');
      this.end(asOperatingError(error));
    }
    this.database.counters.statementMs.observe(performance.now() - startedMs);
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
    this.#onEnd(this);
  }
}
