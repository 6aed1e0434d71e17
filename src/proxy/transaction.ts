import { asOperatingError, OperatingError, unsupported } from '../lib/errors.js';
import { type Backend, type ServerError, ServerFailure } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import { Ticket } from '../topology/gate.js';
import type { ShardName } from '../topology/ring.js';
import type { Database } from './database.js';
import type { GatherOutcome, Part } from './gather.js';
import { awaitMirrors } from './mirror-wait.js';
import { runAllOf, runTogether } from './run-together.js';
import type { SessionSettings } from './settings.js';

/** One shard's part of a transaction. */
export interface Participant {
  readonly backend: Backend;
  readonly pool: Pool;
  /** Said before its first statement: settings, BEGIN, the savepoints so far. Emptied when said. */
  before: string[];
  hasWritten: boolean;
}

/** The savepoint before a statement on several shards. */
const STATEMENT = 'ringferry_statement';

/** What must be said to it first; the caller says it in the same turn. */
export function takeBefore(participant: Participant): string[] {
  const { before } = participant;
  participant.before = [];
  return before;
}

/** How a lane to a shard is obtained and given back: by lease, or the session's pinned backend. */
export interface Lanes {
  borrow(shard: ShardName): Promise<{ backend: Backend; pool: Pool }>;
  giveBack(backend: Backend, pool: Pool): void;
}

/**
 * A client's transaction over the shards it has touched. It is opened on a shard when a statement first goes there, so
 * one that stays on one shard costs that shard's BEGIN and COMMIT and nothing else; with several writers the commit is two-phase.
 */
export class Transaction {
  readonly ticket: Ticket;
  /** Begun by us around several statements of one request, not by the client. */
  isImplicit: boolean;
  isFailed = false;
  /** A server has rolled it back by itself, so it must end everywhere. */
  isLost = false;
  /** Its name in the words of two-phase commit. */
  readonly gid: string;
  readonly #database: Database;
  readonly #settings: SessionSettings;
  readonly #lanes: Lanes;
  readonly #beginSql: string;
  readonly #participants = new Map<ShardName, Participant>();
  readonly #savepoints: string[] = [];
  /** SET LOCAL and SET TRANSACTION statements, for shards that join later. */
  readonly #local: string[] = [];
  /** REPEATABLE READ or SERIALIZABLE: one snapshot, which several shards do not have together. */
  #isOneSnapshot: boolean;

  constructor(
    database: Database,
    settings: SessionSettings,
    lanes: Lanes,
    begin: { sql: string; isImplicit: boolean; isOneSnapshot: boolean; ticket?: Ticket | undefined },
  ) {
    this.ticket = begin.ticket ?? new Ticket();
    this.gid = database.twoPhase.newGid();
    this.#database = database;
    this.#settings = settings;
    this.#lanes = lanes;
    this.#beginSql = begin.sql;
    this.isImplicit = begin.isImplicit;
    this.#isOneSnapshot = begin.isOneSnapshot;
  }

  /** The transaction that COMMIT AND CHAIN or ROLLBACK AND CHAIN begins. */
  next(): Transaction {
    const begin = { sql: this.#beginSql, isImplicit: false, isOneSnapshot: this.#isOneSnapshot };
    return new Transaction(this.#database, this.#settings, this.#lanes, begin);
  }

  get backends(): Backend[] {
    return [...this.#participants.values()].map((participant) => participant.backend);
  }

  /** The shards touched so far, in the order they joined. */
  get shards(): ShardName[] {
    return [...this.#participants.keys()];
  }

  /** The part on `shard`, joined now if it was not. */
  async join(shard: ShardName): Promise<Participant> {
    const known = this.#participants.get(shard);
    if (known !== undefined) return known;
    if (this.#isOneSnapshot && this.#participants.size > 0) {
      throw unsupported(
        `a REPEATABLE READ or SERIALIZABLE transaction cannot use shard "${shard}" besides "${this.shards[0]}"`,
        'Use READ COMMITTED, or keep the transaction to rows of one shard key.',
      );
    }
    const { backend, pool } = await this.#lanes.borrow(shard);
    const { words } = this.#database.dialect;
    const before = [
      ...this.#settings.replay(backend),
      ...words.open(this.#beginSql, this.gid),
      ...this.#local,
      ...this.#savepoints,
    ];
    const participant: Participant = { backend, pool, before, hasWritten: false };
    this.#participants.set(shard, participant);
    return participant;
  }

  /** Runs a statement of the proxy's own on every participant that has begun. */
  async runOnAll(sql: string): Promise<void> {
    const begun = [...this.#participants.values()].filter((participant) => participant.before.length === 0);
    const results = await Promise.allSettled(begun.map((participant) => participant.backend.run(sql)));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      this.noteFailure(failure.reason instanceof ServerFailure ? failure.reason.serverError : undefined);
      throw failure.reason;
    }
  }

  /** A statement in it has failed: with the server's error, or (undefined) so that nobody can tell what was done. */
  noteFailure(error: ServerError | undefined): void {
    const fate = error === undefined ? 'transaction-failed' : this.#database.dialect.fateOf(error);
    if (fate === 'transaction-failed') this.isFailed = true;
    else if (fate === 'transaction-lost') this.isLost = true;
  }

  /** Notes SET LOCAL and the like for shards that join later. */
  noteLocal(sql: string): void {
    this.#local.push(sql);
    if (/\b(repeatable\s+read|serializable)\b/i.test(sql) && /\bisolation\b/i.test(sql))
      this.#isOneSnapshot = true;
  }

  async savepoint(name: string): Promise<void> {
    const sql = this.#database.dialect.words.savepoint(name);
    await this.runOnAll(sql);
    this.#noteSavepoint(sql);
  }

  async release(name: string): Promise<void> {
    this.#requireSavepoint(name);
    const sql = this.#database.dialect.words.release(name);
    await this.runOnAll(sql);
    this.#noteSavepoint(sql);
  }

  async rollbackTo(name: string): Promise<void> {
    this.#requireSavepoint(name);
    const sql = this.#database.dialect.words.rollbackTo(name);
    await this.runOnAll(sql);
    this.#noteSavepoint(sql);
    this.isFailed = false;
  }

  /** One statement on several shards that fails on one of them is undone on all, and the client's transaction goes on. */
  get undoesStatements(): boolean {
    return !this.isImplicit && !this.#database.dialect.manners.anyErrorFailsTransaction;
  }

  /** Runs the parts behind a savepoint of our own, and goes back to it where one of them fails. */
  async undoably(
    parts: readonly Part[],
    act: (parts: readonly Part[]) => Promise<GatherOutcome>,
  ): Promise<GatherOutcome> {
    const { words } = this.#database.dialect;
    const outcome = await act(
      parts.map((part) => ({ ...part, before: [...part.before, words.savepoint(STATEMENT)] })),
    );
    if (outcome.error === undefined || outcome.broken !== undefined) return outcome;
    if (this.#database.dialect.fateOf(outcome.error) !== 'statement-undone') return outcome;
    const undone = parts.map(({ backend }) => backend.run(words.rollbackTo(STATEMENT)));
    const results = await Promise.allSettled(undone);
    if (results.some((result) => result.status === 'rejected')) this.isFailed = true;
    return outcome;
  }

  /** Makes it permanent on every shard, or throws having undone it everywhere. Returns false when it had failed and was rolled back. */
  async commit(): Promise<boolean> {
    if (this.isFailed) {
      await this.rollback();
      if (this.#database.dialect.manners.anyErrorFailsTransaction) return false;
      throw new OperatingError(
        'transaction-failed',
        'the transaction was rolled back because a shard was lost in it',
      );
    }
    const writers = this.#begun().filter((participant) => participant.hasWritten);
    try {
      await this.#commitWriters(writers.map((participant) => participant.backend));
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
    await this.#endReaders(writers);
    for (const { backend } of writers)
      await awaitMirrors(this.#database.topology, backend, this.ticket.touches);
    this.#leave(true);
    return true;
  }

  /** Undoes it everywhere; never throws: a shard that cannot be told has lost the connection and with it the transaction. */
  async rollback(): Promise<void> {
    const statements = this.#database.dialect.words.rollback(this.gid);
    await Promise.all(
      this.#begun().map(async ({ backend }) => {
        if (backend.isBroken || backend.transaction === 'idle') return;
        if (backend.isBusy) backend.terminate();
        else await runAllOf(backend, statements).catch(() => backend.terminate());
      }),
    );
    this.#leave(false);
  }

  async #commitWriters(writers: readonly Backend[]): Promise<void> {
    const { words } = this.#database.dialect;
    if (writers.length > 1) {
      await this.#database.twoPhase.commit(writers, this.gid);
      return;
    }
    const writer = writers[0];
    if (writer === undefined) return;
    try {
      await runTogether(writer, words.commit(this.gid));
    } catch (thrown) {
      if (thrown instanceof ServerFailure && !writer.isBroken) throw thrown;
      throw new OperatingError(
        'outcome-unknown',
        `the connection to shard "${writer.shard}" was lost during COMMIT`,
        {
          detail: asOperatingError(thrown).message,
          hint: 'Look whether the transaction was committed before sending it again.',
        },
      );
    }
  }

  async #endReaders(writers: readonly Participant[]): Promise<void> {
    const statements = this.#database.dialect.words.commit(this.gid);
    const readers = this.#begun().filter((participant) => !writers.includes(participant));
    await Promise.all(
      readers.map(({ backend }) => runTogether(backend, statements).catch(() => backend.terminate())),
    );
  }

  #begun(): Participant[] {
    return [...this.#participants.values()].filter((participant) => participant.before.length === 0);
  }

  #leave(committed: boolean): void {
    this.#settings.transactionEnded(committed, this.backends);
    for (const { backend, pool, before } of this.#participants.values()) {
      if (before.length > 0) this.#settings.invalidate(backend);
      this.#lanes.giveBack(backend, pool);
    }
    this.#participants.clear();
    this.#database.counters.transactions++;
    this.#database.topology.gate.leave(this.ticket);
  }

  #noteSavepoint(sql: string): void {
    this.#savepoints.push(sql);
  }

  #requireSavepoint(name: string): void {
    const { words } = this.#database.dialect;
    if (this.#savepoints.includes(words.savepoint(name))) return;
    this.isFailed = this.#database.dialect.manners.anyErrorFailsTransaction;
    throw unknownSavepoint(name);
  }
}

export function unknownSavepoint(name: string): OperatingError {
  return new OperatingError('no-transaction', `savepoint "${name}" does not exist`, { sqlstate: '3B001' });
}
