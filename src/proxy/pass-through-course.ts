import { asOperatingError, type OperatingError } from '../lib/errors.js';
import { type Backend, ServerFailure, type TransactionStatus } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import type { PreparedStatement, Request, Step } from '../pool/request.js';
import type { PlannedStatement, SessionEffect } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import type { Course } from './course.js';
import type { Credentials, Database } from './database.js';
import type { Frontend } from './frontend.js';
import { SessionLanes } from './lanes.js';
import { endAsServer, lostConnection } from './lost-connection.js';
import { PreparedStatements } from './prepared.js';
import { type RelayOutcome, relay } from './relay.js';
import { SessionMemory } from './session-memory.js';
import { SessionSettings } from './settings.js';
import { noteAlone, Sharing } from './sharing.js';
import { boundIn, severalStatements } from './steps.js';

/**
 * Serves a client of a database with one shard and no tables in transaction mode: the server decides everything, we
 * only lend a backend from the first statement to the end of the transaction and carry the session's state along.
 */
export class PassThroughCourse implements Course {
  readonly #database: Database;
  readonly #frontend: Frontend;
  readonly #router: StatementRouter;
  readonly #shard: string;
  readonly #lanes: SessionLanes;
  readonly #settings: SessionSettings;
  readonly #statements: PreparedStatements;
  readonly #memory: SessionMemory;
  #held: { backend: Backend; pool: Pool } | undefined;
  #status: TransactionStatus = 'idle';
  #isSkipping = false;
  #swallowSyncs = 0;
  #copyTo: Backend | undefined;
  /** The last statement could have stood in line. */
  #mayShare = false;
  onTakesCopy: (() => void) | undefined;
  onShared: ((mustRun: boolean, nowMs: number) => void) | undefined;
  readonly #sharing: Sharing;

  constructor(database: Database, frontend: Frontend, credentials: Credentials, router: StatementRouter) {
    this.#database = database;
    this.#frontend = frontend;
    this.#router = router;
    this.#shard = database.topology.current.home;
    this.#lanes = new SessionLanes(database, frontend, credentials);
    this.#settings = new SessionSettings(database.dialect, frontend.identity);
    this.#statements = new PreparedStatements(database.limits.maxPreparedStatements);
    this.#memory = new SessionMemory(database.dialect);
    const context = {
      database,
      frontend,
      lanes: this.#lanes,
      settings: this.#settings,
      memory: this.#memory,
    };
    this.#sharing = new Sharing(context, this.#statements, (mustRun, nowMs) =>
      this.onShared?.(mustRun, nowMs),
    );
  }

  get takesCopy(): boolean {
    return this.#copyTo !== undefined;
  }

  get isInTransaction(): boolean {
    return this.#status !== 'idle';
  }

  get pinReason(): string | undefined {
    return this.#lanes.pinReason;
  }

  get waitingSinceMs(): number | undefined {
    return this.#lanes.waitingSinceMs;
  }

  get preparedStatements(): number {
    return this.#statements.size;
  }

  get servers(): number[] {
    return this.#lanes.servers;
  }

  share(request: Request, nowMs: number): boolean {
    const isBetweenStatements =
      !this.#isSkipping && this.#swallowSyncs === 0 && this.#held === undefined && this.#status === 'idle';
    return isBetweenStatements && this.#sharing.begin(request, nowMs);
  }

  async run(request: Request): Promise<void> {
    if (this.#swallowSyncs > 0 && request.steps.length === 0 && request.end === 'sync') {
      this.#swallowSyncs--;
      return;
    }
    // After an error behind Flush the server skips the steps as we do, and waits for the same Sync.
    const owesSync = this.#isSkipping && request.end === 'sync' && this.#held?.backend.isBroken === false;
    if (!this.#isSkipping || owesSync) {
      try {
        await this.#forward(owesSync ? { steps: [], end: 'sync', byteLength: 0 } : request);
      } catch (thrown) {
        await this.#fail(thrown, request);
      }
    }
    if (request.end === 'flush') return;
    this.#isSkipping = false;
    this.#letGo();
    this.#frontend.sendReady(this.#status);
  }

  onCopy(frame: Buffer): void {
    if (this.#copyTo !== undefined && !this.#copyTo.sendCopy(frame)) this.#frontend.pause();
  }

  onDrain(): void {
    this.#lanes.resumeAll();
  }

  cancel(): Promise<void> {
    return this.#lanes.cancel();
  }

  abandon(): void {
    this.#copyTo?.sendCopy(this.#database.dialect.copyFail('the client went away'));
    this.#lanes.abandon();
  }

  abort(): void {
    this.#lanes.terminateBusy();
  }

  async close(): Promise<void> {
    await this.#rollBack();
    this.#lanes.unpin();
  }

  async #rollBack(): Promise<void> {
    const held = this.#held;
    if (held !== undefined) {
      const { backend } = held;
      const { abandon } = this.#database.dialect.words;
      if (backend.transaction !== 'idle') await backend.run(abandon).catch(() => backend.terminate());
      this.#status = 'idle';
      this.#letGo();
    }
  }

  async #forward(request: Request): Promise<void> {
    if (request.steps[0]?.type === 'reset-session') return this.#forget('RESET');
    const statements = this.#prepare(request.steps);
    if (concernsSession(statements) && (await this.#answeredHere(request, statements))) return;
    this.#held ??= await this.#lanes.borrow(this.#shard);
    const { backend } = this.#held;
    backend.onDrain = () => this.#frontend.resume();
    const isPinned = this.pinReason !== undefined;
    // Whatever is said first would take from a pinned backend what the statement asks it for.
    const asksItsOwn = isPinned && statements[0]?.plan.usesSessionState !== undefined;
    // Behind a Flush the server is in the middle of its implicit transaction, though the client's has not begun.
    const isIdle = this.#status === 'idle' && backend.transaction === 'idle';
    const replayed = isIdle && !asksItsOwn ? this.#settings.replay(backend) : NOTHING;
    const recalled = isPinned ? NOTHING : this.#recalled(statements);
    const before = recalled.length === 0 ? replayed : [...replayed, ...recalled];
    const startedMs = performance.now();
    const outcome = await relay(this.#frontend, backend, request, {
      rename: true,
      before,
      onCopyIn: () => this.#takeCopy(backend),
    });
    if (statements.length === 1 && before.length === 0)
      noteAlone(this.#held.pool, statements[0]!.plan, performance.now() - startedMs);
    this.#mayShare = false;
    this.#copyTo = undefined;
    if (outcome.broken?.cause instanceof ServerFailure) {
      // Its connection is the client's connection: the server's last words end both.
      endAsServer(this.#frontend, this.#shard, outcome.broken);
      return;
    }
    if (outcome.broken !== undefined)
      throw lostConnection(
        this.#shard,
        outcome.broken,
        statements.some(({ plan }) => plan.access !== 'read'),
      );
    if (this.#memory.isAsked) {
      this.#memory.noteAll(outcome.tags, statements);
      const { tags, error } = outcome;
      const isQuiet = error === undefined && this.#memory.isQuiet(tags, statements, boundIn(request.steps));
      if (!isQuiet) await this.#remember(request, statements, outcome, backend, isPinned);
    }
    this.#count(statements, performance.now() - startedMs, outcome.error !== undefined);
    this.#note(request, statements, outcome, backend);
    const { pool } = this.#held;
    const { hiddenWrites } = this.#database;
    const pace =
      statements.length === 1 && this.pinReason === undefined ? statements[0]!.plan.pace : undefined;
    if (hiddenWrites.isQuestionDue(pace, backend, pool)) await hiddenWrites.ask(pace, backend);
    this.#mayShare = pace?.mayShare(pool.floorMs) === true;
  }

  async #remember(
    { steps }: Request,
    statements: readonly PlannedStatement[],
    { tags, error }: RelayOutcome,
    backend: Backend,
    isPinned: boolean,
  ): Promise<void> {
    // A pinned backend is asked by the client itself, and our question would be its last statement.
    const willBePinned = error === undefined && statements.some(pins);
    if (!isPinned && !willBePinned) {
      await this.#memory.noteWarnings([{ backend, tags }], error, statements.at(-1));
      await this.#memory.noteNumbers(backend, tags, statements, boundIn(steps));
    }
    if (error !== undefined) this.#memory.noteFailure(statements[tags.length]);
  }

  /** What later statements of one text ask for is what the earlier ones leave; only the id may come from before. */
  #recalled(statements: readonly PlannedStatement[]): readonly string[] {
    if (statements.length === 1) return this.#memory.recall(statements[0]!);
    return statements.flatMap((statement, index) => {
      const state = statement.plan.usesSessionState;
      return index > 0 && state !== undefined && state !== 'last-insert-id'
        ? []
        : this.#memory.recall(statement);
    });
  }

  #takeCopy(backend: Backend): void {
    this.#copyTo = backend;
    this.onTakesCopy?.();
  }

  /** Looks names up and says what the statements do to the session. */
  #prepare(steps: readonly Step[]): PlannedStatement[] {
    const statements: PlannedStatement[] = [];
    for (const [index, step] of steps.entries()) {
      if (step.type === 'query') {
        const texts = this.#router.split(step.sql);
        if (texts.length > 1 && !this.#frontend.allowsSeveralStatements) throw severalStatements();
        for (const sql of texts) statements.push(this.#plan(sql));
      } else if (step.type === 'parse') this.#parse(step.prepared, steps.slice(0, index));
      else if (step.type === 'bind') {
        // A name that we do not know goes as it is: the server then says that it does not exist.
        step.prepared = this.#statements.find(step.statementName);
        if (step.prepared !== undefined) statements.push(this.#plan(step.prepared.sql));
      } else if (step.type === 'describe-statement')
        step.prepared = this.#statements.find(step.statementName);
      else if (step.type === 'close-statement') this.#statements.delete(step.statementName);
    }
    return statements;
  }

  #plan(sql: string): PlannedStatement {
    return this.#sharing.takePlanned(sql) ?? this.#router.plan(sql);
  }

  /** A name that is taken is refused here, since the server knows the statement by another; what stood before it is answered first. */
  #parse(prepared: PreparedStatement, earlier: readonly Step[]): void {
    try {
      this.#statements.add(prepared);
    } catch (thrown) {
      const { answers } = this.#frontend;
      for (const step of earlier) {
        if (step.type === 'parse') this.#frontend.send(answers.parseComplete());
        else if (step.type === 'close-statement') this.#frontend.send(answers.closeComplete());
        else break;
      }
      throw thrown;
    }
  }

  /** DISCARD ALL cleans the session, which is more than one backend; KILL means a session by the number that we gave it. */
  async #answeredHere(request: Request, statements: readonly PlannedStatement[]): Promise<boolean> {
    const [statement] = statements;
    if (statement === undefined || statements.length !== 1) return false;
    if (this.#answeredFromMemory(request, statement)) return true;
    const effect = statement.plan.session;
    if (request.end !== 'query') return false;
    if (effect?.type === 'kill') {
      await this.#database.kill(effect.id, effect.queryOnly, this.#frontend.identity.user);
      this.#frontend.completes();
      this.#frontend.send(this.#frontend.answers.commandComplete('KILL'));
      return true;
    }
    if (effect?.type !== 'discard-all' || this.#status !== 'idle') return false;
    await this.#forget('DISCARD ALL');
    return true;
  }

  /** A pinned backend knows its own messages and ids, which we have not asked for. */
  #answeredFromMemory(request: Request, statement: PlannedStatement): boolean {
    const { usesSessionState } = statement.plan;
    const isItsOwn = usesSessionState === 'warnings' || usesSessionState === 'last-insert-id';
    if (this.pinReason !== undefined && isItsOwn) return false;
    const bind = request.steps.find((step) => step.type === 'bind');
    if (request.end !== 'query' && bind === undefined) return false;
    return this.#memory.answers(statement, this.#frontend, bind?.resultFormats);
  }

  /** Everything that the client left in its session is forgotten. */
  async #forget(tag: string): Promise<void> {
    await this.#rollBack();
    this.#letGo();
    this.#lanes.unpin();
    this.#statements.clear();
    this.#memory.clear();
    this.#settings.note({ type: 'discard-all' }, '', [], false);
    this.#frontend.completes();
    this.#frontend.send(this.#frontend.answers.commandComplete(tag));
  }

  #note(
    request: Request,
    statements: readonly PlannedStatement[],
    outcome: RelayOutcome,
    backend: Backend,
  ): void {
    const wasIdle = this.#status === 'idle';
    if (request.end !== 'flush') this.#status = outcome.status;
    if (outcome.sawCopyIn && request.end === 'sync') this.#swallowSyncs++;
    if (outcome.error !== undefined) {
      this.#database.counters.serverErrors++;
      if (wasIdle) this.#settings.invalidate(backend);
      if (request.end === 'flush') this.#isSkipping = true;
      for (const step of request.steps) if (step.type === 'parse') this.#statements.doubt(step.prepared.name);
    } else {
      const isInTransaction = !wasIdle || this.#status !== 'idle';
      for (const { plan, sql } of statements) {
        // Where it cannot be told to other processes, they end with the one that tells it.
        if (plan.commitsBefore === true) void this.#database.reloadAfterDdl().catch(() => {});
        if (plan.session?.type === 'pin') this.#lanes.pin(backend, plan.session.reason);
        else if (plan.session?.type === 'autocommit')
          this.#settings.note(autocommitSetting(plan.session.on), sql, [backend], isInTransaction);
        else if (plan.session !== undefined)
          this.#settings.note(plan.session, sql, [backend], isInTransaction);
      }
    }
    if (this.#status !== 'idle') return;
    if (!wasIdle)
      this.#settings.transactionEnded(outcome.tags.at(-1) !== 'ROLLBACK' && outcome.error === undefined, [
        backend,
      ]);
    this.#database.counters.transactions++;
  }

  /** Statements of one request share its time. */
  #count(statements: readonly PlannedStatement[], elapsedMs: number, isError: boolean): void {
    const share = elapsedMs / statements.length;
    for (const { plan, sql } of statements)
      this.#database.templates.count(plan, sql, this.#router, share, isError);
  }

  /** The backend goes back when nothing of the client's is open on it. */
  #letGo(): void {
    if (this.#held === undefined || this.#status !== 'idle') return;
    const { backend, pool } = this.#held;
    this.#held = undefined;
    this.#lanes.giveBack(backend, pool, this.#mayShare);
  }

  async #fail(thrown: unknown, request: Request): Promise<void> {
    const held = this.#held;
    if (held?.backend.isBroken === true) {
      this.#held = undefined;
      this.#status = 'idle';
      this.#lanes.giveBack(held.backend, held.pool);
    } else if (
      held !== undefined &&
      request.end !== 'query' &&
      this.#status === 'idle' &&
      held.backend.transaction !== 'idle'
    ) {
      held.backend.terminate();
    }
    if (request.end === 'flush') this.#isSkipping = true;
    const error: OperatingError = asOperatingError(thrown);
    this.#memory.noteRefusal(error);
    this.#database.counters.proxyErrors++;
    this.#frontend.sendError(error);
  }
}

const NOTHING: readonly string[] = [];

/** May the only statement be one that is answered here? */
function concernsSession(statements: readonly PlannedStatement[]): boolean {
  const plan = statements.length === 1 ? statements[0]!.plan : undefined;
  return plan?.session !== undefined || plan?.usesSessionState !== undefined;
}

function pins({ plan }: PlannedStatement): boolean {
  return plan.session?.type === 'pin';
}

/** Here the server itself keeps autocommit, like any other setting. */
function autocommitSetting(isOn: boolean): SessionEffect {
  return { type: 'set', name: 'autocommit', local: false, values: [isOn ? '1' : '0'] };
}
