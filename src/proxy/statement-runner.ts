import { OperatingError, unsupported } from '../lib/errors.js';
import { untilAborted } from '../lib/until-aborted.js';
import type { Backend, TransactionStatus } from '../pool/backend.js';
import type { TransactionCommand } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import { Ticket } from '../topology/gate.js';
import type { CopySplitter } from './copy-in.js';
import { copyIn } from './copy-in.js';
import { ALL, deallocatedName } from './deallocate.js';
import { type Execution, isWrite, refuseDuringMoves, type SessionContext, type Way } from './execution.js';
import { gatherRead, refuseSpent } from './gather-read.js';
import { gatherWrite, runOnEach, type WriteEnd } from './gather-write.js';
import { heedGiven, numbered } from './numbers.js';
import type { PreparedStatements } from './prepared.js';
import { relayStatement } from './relay-statement.js';
import { applySetting } from './session-setting.js';
import { Transaction, unknownSavepoint } from './transaction.js';

/** What the runner tells the course that owns the protocol. */
export interface RunnerHooks {
  copyFrom(backend: Backend | undefined): void;
  copySplit(splitter: CopySplitter | undefined): void;
  endOfTransaction(): void;
}

const ENDS_A_FAILURE = new Set<TransactionCommand['type']>(['commit', 'rollback', 'rollback-to']);

/** Runs one statement after the other for one client and holds the client's transaction. */
export class StatementRunner {
  readonly #context: SessionContext;
  readonly #statements: PreparedStatements;
  readonly #hooks: RunnerHooks;
  #transaction: Transaction | undefined;
  /** Off: statements begin a transaction that lasts until COMMIT (MySQL). */
  autocommit = true;
  #sawCopyIn = false;
  /** The transaction has changed the schema, which others see when it commits. */
  #hasDdl = false;

  constructor(context: SessionContext, statements: PreparedStatements, hooks: RunnerHooks) {
    this.#context = context;
    this.#statements = statements;
    this.#hooks = hooks;
  }

  get transaction(): Transaction | undefined {
    return this.#transaction;
  }

  /** What ReadyForQuery says. */
  get status(): TransactionStatus {
    if (this.#transaction === undefined || this.#transaction.isImplicit) return 'idle';
    return this.#transaction.isFailed ? 'failed' : 'open';
  }

  /** Whether the extended request that ends now went through COPY FROM STDIN; asked once. */
  tookCopyIn(): boolean {
    const saw = this.#sawCopyIn;
    this.#sawCopyIn = false;
    return saw;
  }

  async run(execution: Execution): Promise<void> {
    const startedMs = performance.now();
    let isError = true;
    try {
      await this.#run(execution);
      isError = false;
    } finally {
      const { plan, sql } = execution.planned;
      const { database } = this.#context;
      database.templates.count(plan, sql, database.loadedRouter, performance.now() - startedMs, isError);
    }
  }

  async #run(execution: Execution): Promise<void> {
    const { plan } = execution.planned;
    if (plan.commitsBefore === true && this.#transaction?.isImplicit === false) await this.#end(true, false);
    if (
      this.#transaction?.isFailed === true &&
      !(plan.transaction !== undefined && ENDS_A_FAILURE.has(plan.transaction.type))
    ) {
      throw new OperatingError(
        'transaction-failed',
        'current transaction is aborted, commands ignored until end of transaction block',
      );
    }
    if (plan.transaction !== undefined) return this.#command(execution, plan.transaction);
    if (plan.givenNumbers !== undefined) await heedGiven(this.#context, execution);
    if (plan.numbers !== undefined) return this.#run(await numbered(this.#context, execution));
    if (plan.placement.type === 'refused') throw plan.placement.error;
    if (plan.verb === 'DEALLOCATE' && (await this.#deallocate(execution))) return;
    if (this.#context.memory.answers(execution.planned, this.#context.frontend, execution.resultFormats))
      return;
    if (plan.session?.type === 'discard-all') return this.#discardAll(execution);
    if (plan.session?.type === 'autocommit') return this.#setAutocommit(execution, plan.session.on);
    if (plan.session?.type === 'kill') {
      const { database, frontend } = this.#context;
      await database.kill(plan.session.id, plan.session.queryOnly, frontend.identity.user);
      return this.#complete(execution, plan.verb);
    }
    if (plan.session?.type === 'set' || plan.session?.type === 'reset') {
      await applySetting(this.#context, this.#transaction, execution.planned.sql, plan.session);
      return this.#complete(execution, plan.verb);
    }
    if (!this.autocommit && plan.usesSessionState === 'autocommit')
      throw unsupported(
        'reading @@autocommit while it is 0: the shards have it on in any case',
        'Ask the driver: every answer tells it.',
      );
    if (!this.autocommit && plan.placement.type !== 'anywhere' && plan.access !== 'ddl')
      this.#transaction ??= this.#newTransaction(this.#context.database.dialect.words.begin, false, false);
    await this.#statement(execution);
  }

  /** Turned on inside a transaction it commits (MySQL manual, START TRANSACTION). */
  async #setAutocommit(execution: Execution, isOn: boolean): Promise<void> {
    if (isOn && !this.autocommit && this.#transaction !== undefined) await this.#end(true, false);
    this.autocommit = isOn;
    await this.#complete(execution, 'SET');
  }

  /** Begins a transaction of our own around what follows, unless there is one. */
  beginImplicit(ticket?: Ticket): Transaction {
    this.#transaction ??= this.#newTransaction(
      this.#context.database.dialect.words.begin,
      true,
      false,
      ticket,
    );
    return this.#transaction;
  }

  async endImplicit(): Promise<void> {
    const transaction = this.#transaction;
    if (transaction?.isImplicit !== true) return;
    this.#transaction = undefined;
    this.#hooks.endOfTransaction();
    await transaction.commit();
    await this.#afterCommit();
  }

  async #afterCommit(): Promise<void> {
    if (!this.#hasDdl) return;
    this.#hasDdl = false;
    await this.#context.database.reloadAfterDdl();
  }

  /** After an error: our own transaction is undone; the client's waits for its ROLLBACK where an error fails it. */
  async failed(): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    transaction.isFailed ||= this.#context.database.dialect.manners.anyErrorFailsTransaction;
    if (!transaction.isImplicit && !transaction.isLost) return;
    this.#transaction = undefined;
    await transaction.rollback();
  }

  async close(): Promise<void> {
    const transaction = this.#transaction;
    this.#transaction = undefined;
    await transaction?.rollback();
  }

  #newTransaction(sql: string, isImplicit: boolean, isOneSnapshot: boolean, ticket?: Ticket): Transaction {
    const { database, settings, lanes } = this.#context;
    return new Transaction(database, settings, lanes, { sql, isImplicit, isOneSnapshot, ticket });
  }

  async #statement(execution: Execution): Promise<void> {
    const { plan } = execution.planned;
    refuseSpent(execution);
    const router = await this.#context.database.router();
    const ticket: Ticket = this.#transaction?.ticket ?? new Ticket();
    const way = await this.#enter(execution, router, ticket);
    try {
      refuseDuringMoves(execution, way);
      await this.#dispatch(execution, way, ticket);
    } finally {
      if (this.#transaction?.ticket !== ticket) this.#context.database.topology.gate.leave(ticket);
    }
    if (plan.access !== 'ddl') return;
    if (this.#transaction === undefined) await this.#context.database.reloadAfterDdl();
    else this.#hasDdl = true;
  }

  /** Reads the snapshot, routes and enters the gate in one turn; waits and does it again while a cutover holds. */
  async #enter(execution: Execution, router: StatementRouter, ticket: Ticket): Promise<Way> {
    const { topology } = this.#context.database;
    for (;;) {
      const snapshot = topology.current;
      const route = router.route(execution.planned, execution.parameters, snapshot);
      const wait = topology.gate.enter(ticket, route.touch);
      if (wait === undefined) return { route, snapshot, router };
      const { lanes } = this.#context;
      lanes.waitingSinceMs = performance.now();
      try {
        await untilAborted(wait, lanes.signal);
      } finally {
        lanes.waitingSinceMs = undefined;
      }
    }
  }

  async #dispatch(execution: Execution, way: Way, ticket: Ticket): Promise<void> {
    const { planned, request } = execution;
    const { plan } = planned;
    if (plan.incoming !== undefined) {
      return this.#writeTogether(execution, ticket, async (transaction) => {
        const tag = await copyIn(this.#context, transaction, execution, way, (splitter) =>
          this.#hooks.copySplit(splitter),
        );
        return { tag, noted: tag };
      });
    }
    const { shards } = way.route;
    if (
      shards.length === 1 &&
      request !== undefined &&
      way.router.sqlFor(planned, way.route, shards[0]!, way.snapshot) === planned.sql
    ) {
      const outcome = await relayStatement(
        this.#context,
        this.#transaction,
        { ...execution, request },
        way,
        this.#hooks,
      );
      this.#sawCopyIn ||= outcome.sawCopyIn && request.end === 'sync';
      return;
    }
    if (plan.isOutsideTransaction) {
      if (this.#transaction !== undefined)
        throw new OperatingError('no-transaction', `${plan.verb} cannot run inside a transaction block`, {
          sqlstate: '25001',
        });
      await runOnEach(this.#context, execution, way);
      return this.#complete(execution, plan.verb);
    }
    if (isWrite(planned))
      return this.#writeTogether(execution, ticket, (transaction) =>
        gatherWrite(this.#context, transaction, execution, way),
      );
    await gatherRead(this.#context, this.#transaction, execution, way);
  }

  /** A write on several shards: in the client's transaction, or in one of our own that commits before the tag is told. */
  async #writeTogether(
    execution: Execution,
    ticket: Ticket,
    act: (transaction: Transaction) => Promise<WriteEnd>,
  ): Promise<void> {
    const isOwn = this.#transaction === undefined;
    const transaction = this.beginImplicit(ticket);
    const { tag, noted } = await act(transaction);
    if (isOwn) await this.endImplicit();
    const { verb } = execution.planned.plan;
    this.#tell(execution, tag || verb, noted || verb);
  }

  async #command(execution: Execution, command: TransactionCommand): Promise<void> {
    const { tags } = this.#context.database.dialect.words;
    switch (command.type) {
      case 'begin':
        if (this.#context.database.dialect.manners.beginCommits && this.#transaction !== undefined)
          await this.#end(true, false);
        this.#begin(execution.planned.sql, command.isolation);
        return this.#complete(
          execution,
          execution.planned.plan.verb === 'START TRANSACTION' ? 'START TRANSACTION' : tags.begin,
        );
      case 'commit':
        return this.#complete(
          execution,
          (await this.#end(true, command.chain)) ? tags.commit : tags.rollback,
        );
      case 'rollback':
        await this.#end(false, command.chain);
        return this.#complete(execution, tags.rollback);
      default:
        await this.#savepoint(command);
        return this.#complete(
          execution,
          command.type === 'rollback-to'
            ? tags.rollback
            : command.type === 'release'
              ? tags.release
              : tags.savepoint,
        );
    }
  }

  #begin(sql: string, isolation: 'read committed' | 'repeatable read' | 'serializable' | undefined): void {
    const isOneSnapshot = isolation === 'repeatable read' || isolation === 'serializable';
    if (this.#transaction === undefined) {
      this.#transaction = this.#newTransaction(sql, false, isOneSnapshot);
      return;
    }
    if (this.#transaction.isImplicit) this.#transaction.isImplicit = false;
    else if (!this.#context.database.dialect.manners.beginCommits)
      this.#warn('there is already a transaction in progress', '25001');
  }

  async #end(isCommit: boolean, chain: boolean): Promise<boolean> {
    const transaction = this.#transaction;
    if (transaction === undefined || transaction.isImplicit) {
      this.#warn('there is no transaction in progress', '25P01');
      if (transaction === undefined) return isCommit;
    }
    this.#transaction = undefined;
    this.#hooks.endOfTransaction();
    if (chain) this.#transaction = transaction.next();
    if (!isCommit) {
      await transaction.rollback();
      return false;
    }
    try {
      const isCommitted = await transaction.commit();
      await this.#afterCommit();
      return isCommitted;
    } catch (thrown) {
      this.#transaction = undefined;
      throw thrown;
    }
  }

  async #savepoint(command: Extract<TransactionCommand, { name: string }>): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined || transaction.isImplicit) {
      if (!this.#context.database.dialect.manners.savepointsNeedTransaction) {
        if (command.type === 'savepoint') return;
        throw unknownSavepoint(command.name);
      }
      const word = {
        savepoint: 'SAVEPOINT',
        release: 'RELEASE SAVEPOINT',
        'rollback-to': 'ROLLBACK TO SAVEPOINT',
      }[command.type];
      throw new OperatingError('no-transaction', `${word} can only be used in transaction blocks`);
    }
    if (command.type === 'savepoint') await transaction.savepoint(command.name);
    else if (command.type === 'release') await transaction.release(command.name);
    else await transaction.rollbackTo(command.name);
  }

  async #discardAll(execution: Execution): Promise<void> {
    if (this.#transaction !== undefined) {
      throw new OperatingError('no-transaction', 'DISCARD ALL cannot run inside a transaction block', {
        sqlstate: '25001',
      });
    }
    await this.reset();
    await this.#complete(execution, 'DISCARD ALL');
  }

  /** Everything that the client left in its session is forgotten. */
  async reset(): Promise<void> {
    await this.close();
    this.autocommit = true;
    this.#context.lanes.unpin();
    this.#context.memory.clear();
    this.#statements.clear();
    this.#context.settings.note({ type: 'discard-all' }, '', [], false);
  }

  /** DEALLOCATE of statements made by the protocol, which backends know under other names. */
  async #deallocate(execution: Execution): Promise<boolean> {
    const name = deallocatedName(execution.planned.sql);
    if (name === undefined) return false;
    if (name === ALL) this.#statements.clear();
    else if (this.#statements.has(name)) this.#statements.delete(name);
    else return false;
    await this.#complete(execution, name === ALL ? 'DEALLOCATE ALL' : 'DEALLOCATE');
    return true;
  }

  async #complete(execution: Execution, tag: string): Promise<void> {
    await execution.answerLocally?.();
    this.#tell(execution, tag);
  }

  #tell({ planned }: Execution, tag: string, noted = tag): void {
    const { frontend, memory } = this.#context;
    memory.note(noted, planned);
    frontend.completes();
    frontend.send(frontend.answers.commandComplete(tag));
  }

  #warn(message: string, sqlstate: string): void {
    this.#context.frontend.send(this.#context.frontend.answers.notice(message, sqlstate));
  }
}
