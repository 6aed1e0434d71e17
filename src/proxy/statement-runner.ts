import { OperatingError, unsupported } from '../lib/errors.js';
import type { Backend, TransactionStatus } from '../pool/backend.js';
import type { TransactionCommand } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import type { Ticket } from '../topology/gate.js';
import type { CopySplitter } from './copy-in.js';
import { copyIn } from './copy-in.js';
import { type Execution, isWrite, type SessionContext, type Way } from './execution.js';
import { gatherRead, refuseSpent } from './gather-read.js';
import { gatherWrite, runOnEach } from './gather-write.js';
import type { PreparedStatements } from './prepared.js';
import { relayStatement } from './relay-statement.js';
import { applySetting } from './session-setting.js';
import { Transaction } from './transaction.js';

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
      database.templates.count(
        plan,
        () => database.loadedRouter!.template(sql),
        performance.now() - startedMs,
        isError,
      );
    }
  }

  async #run(execution: Execution): Promise<void> {
    const { plan } = execution.planned;
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
    if (plan.placement.type === 'refused') throw plan.placement.error;
    if (plan.verb === 'DEALLOCATE' && (await this.#deallocate(execution))) return;
    if (plan.session?.type === 'discard-all') return this.#discardAll(execution);
    if (plan.session?.type === 'set' || plan.session?.type === 'reset') {
      await applySetting(this.#context, this.#transaction, execution.planned.sql, plan.session);
      return this.#complete(execution, plan.verb);
    }
    await this.#statement(execution);
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

  /** After an error: our own transaction is undone, the client's waits for its ROLLBACK. */
  async failed(): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    transaction.isFailed = true;
    if (!transaction.isImplicit) return;
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
    const ticket: Ticket = this.#transaction?.ticket ?? { touches: [] };
    const way = await this.#enter(execution, router, ticket);
    try {
      this.#refuseDuringMoves(execution, way);
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

  #refuseDuringMoves(execution: Execution, way: Way): void {
    const { plan } = execution.planned;
    if (way.snapshot.moves.length === 0 || plan.placement.type !== 'every') return;
    if (plan.access !== 'ddl' && plan.verb !== 'TRUNCATE') return;
    throw unsupported(
      `${plan.verb} on sharded or reference tables waits while migration ${way.snapshot.moves[0]!.migration} moves their rows`,
      'Run it after the migration is finished (ringferry migrate finish) or aborted.',
    );
  }

  async #dispatch(execution: Execution, way: Way, ticket: Ticket): Promise<void> {
    const { planned, request } = execution;
    const { plan } = planned;
    if (plan.copy?.direction === 'in' && plan.usesSharded) {
      return this.#writeTogether(execution, ticket, (transaction) =>
        copyIn(this.#context, transaction, execution, way, (splitter) => this.#hooks.copySplit(splitter)),
      );
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
    act: (transaction: Transaction) => Promise<string>,
  ): Promise<void> {
    const isOwn = this.#transaction === undefined;
    const transaction = this.beginImplicit(ticket);
    const tag = await act(transaction);
    if (isOwn) await this.endImplicit();
    this.#context.frontend.send(
      this.#context.frontend.answers.commandComplete(tag || execution.planned.plan.verb),
    );
  }

  async #command(execution: Execution, command: TransactionCommand): Promise<void> {
    const { tags } = this.#context.database.dialect.words;
    switch (command.type) {
      case 'begin':
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
    else this.#warn('there is already a transaction in progress', '25001');
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
    this.#context.lanes.unpin();
    this.#statements.clear();
    this.#context.settings.note({ type: 'discard-all' }, '', [], false);
    await this.#complete(execution, 'DISCARD ALL');
  }

  /** DEALLOCATE of statements made by the protocol, which backends know under other names. */
  async #deallocate(execution: Execution): Promise<boolean> {
    const name = /^\s*deallocate\s+(?:prepare\s+)?("(?:[^"]|"")+"|[\w$]+)\s*;?\s*$/i.exec(
      execution.planned.sql,
    )?.[1];
    if (name === undefined) return false;
    if (name.toLowerCase() === 'all') this.#statements.clear();
    else {
      const plain = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
      if (!this.#statements.has(plain)) return false;
      this.#statements.delete(plain);
    }
    await this.#complete(execution, name.toLowerCase() === 'all' ? 'DEALLOCATE ALL' : 'DEALLOCATE');
    return true;
  }

  async #complete(execution: Execution, tag: string): Promise<void> {
    await execution.answerLocally?.();
    this.#context.frontend.send(this.#context.frontend.answers.commandComplete(tag));
  }

  #warn(message: string, sqlstate: string): void {
    this.#context.frontend.send(this.#context.frontend.answers.notice(message, sqlstate));
  }
}

/** The wait, or the reason why the client cancelled it. */
function untilAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    wait.then(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, reject);
  });
}
