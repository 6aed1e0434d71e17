import { randomBytes } from 'node:crypto';
import { asError, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type { Backend } from '../pool/backend.js';
import type { ShardName } from '../topology/ring.js';
import { servingShards } from '../topology/snapshot.js';
import type { DecisionLog } from '../topology/store.js';
import type { Database } from './database.js';
import { runAllOf, runTogether } from './run-together.js';

/** How long a commit is acknowledged late for the sake of a shard that cannot be reached after the decision. */
const RESOLVE_PATIENCE_MS = 5_000;
const RETRY_MS = 500;
/** How often the shards are searched for what a lost connection may have left prepared behind our back. */
const PATROL_MS = 60_000;

/** Several processes commit in the same databases: each names its transactions after its own run. */
export interface TransactionScope {
  /** `[a-z0-9]`; no other process, and no earlier one, has it. */
  readonly run: string;
  /** May this process resolve what that run left prepared? Never while the run's process lives. */
  readonly mayResolve: (run: string) => boolean;
}

/** A name for the `run` of a new process. */
export function newRun(): string {
  return randomBytes(6).toString('hex');
}

/**
 * Atomic commit over several shards: every writer prepares, the decision is made durable, every writer commits. A crash
 * before the decision rolls back, a crash after it commits, whoever crashed.
 */
export class TwoPhaseCommit {
  readonly #database: Database;
  readonly #decisions: DecisionLog;
  readonly #log: Logger;
  readonly #prefix: string;
  readonly #scope: TransactionScope;
  readonly #inDoubt = new Map<string, { shards: ShardName[]; isCommit: boolean }>();
  #counter = 0;
  /** Gids of this process that are not resolved everywhere; a recovery leaves them alone. */
  readonly #running = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #patrol: NodeJS.Timeout | undefined;
  #recovering: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(database: Database, decisions: DecisionLog, scope: TransactionScope, log: Logger) {
    this.#database = database;
    this.#decisions = decisions;
    this.#scope = scope;
    this.#log = log;
    this.#prefix = gidPrefix(decisions.owner, database.name);
  }

  get inDoubtCount(): number {
    return this.#inDoubt.size;
  }

  /** A name for one transaction that no other has. */
  newGid(): string {
    return `${this.#prefix}${this.#scope.run}_${++this.#counter}`;
  }

  /** Commits the open transactions of `writers`, all named `gid`, as one. Throws when it was rolled back, or when the outcome is not everywhere yet. */
  async commit(writers: readonly Backend[], gid: string): Promise<void> {
    const { words } = this.#database.dialect;
    this.#database.counters.twoPhase++;
    this.#running.add(gid);
    const prepared = await Promise.allSettled(
      writers.map((backend) => runTogether(backend, words.prepare(gid))),
    );
    const failure = prepared.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      await this.#resolve(gid, writers, false);
      throw failure.reason;
    }
    try {
      await this.#decide(gid, writers);
    } catch (thrown) {
      // Whether the decision is on disk is not known: only who reads it there may resolve the transaction.
      if (isUnknown(thrown)) {
        for (const backend of writers) leaveToOthers(backend);
        throw thrown;
      }
      await this.#resolve(gid, writers, false);
      throw thrown;
    }
    const late = await this.#resolve(gid, writers, true);
    if (late.length === 0) return;
    if (await this.#becomesCertain(gid)) return;
    throw new OperatingError(
      'outcome-unknown',
      `the transaction is decided to commit, but shard ${late.join(', ')} cannot be reached to do so`,
      {
        hint: 'It will be committed there as soon as the shard answers. Do not send it again.',
      },
    );
  }

  /** Resolves what dead processes left prepared. Called before clients are served and when a worker has died, and repeated until all shards answered. */
  recover(): Promise<void> {
    const recovering = this.#recovering.then(() => this.#recover());
    this.#recovering = recovering.catch(() => {});
    return recovering;
  }

  /** Looks from time to time for what a lost connection may have left prepared behind our back. */
  patrol(delayMs = PATROL_MS): void {
    if (this.#patrol !== undefined) this.#forgetTimer(this.#patrol);
    this.#patrol = this.#later(() => this.recover(), delayMs);
  }

  async #recover(): Promise<void> {
    const decided = new Set(await this.#decisions.list());
    const unreachable: string[] = [];
    for (const shard of servingShards(this.#database.topology.current)) {
      try {
        await this.#recoverShard(shard, decided);
      } catch (thrown) {
        unreachable.push(shard);
        this.#log.warn(
          { shard, reason: asError(thrown).message },
          'prepared transactions of this shard cannot be looked up yet',
        );
      }
    }
    if (unreachable.length > 0) {
      this.patrol(RETRY_MS);
      return;
    }
    for (const gid of decided) if (this.#isLeftBehind(gid)) await this.#decisions.forget(gid);
    this.patrol();
  }

  #isLeftBehind(gid: string): boolean {
    if (!gid.startsWith(this.#prefix) || this.#running.has(gid)) return false;
    return this.#scope.mayResolve(gid.slice(this.#prefix.length).split('_')[0]!);
  }

  /** Waits until the decision is durable. A log that does not say so in time is not waited for; what it says at last is done. */
  async #decide(gid: string, writers: readonly Backend[]): Promise<void> {
    const decision = this.#decisions.record(gid);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), this.#database.limits.decisionTimeoutMs);
    });
    try {
      if ((await Promise.race([decision, late])) !== 'late') return;
    } finally {
      clearTimeout(timer);
    }
    const shards = writers.map(({ shard }) => shard);
    decision.then(
      () => this.#settleLater(gid, shards, true),
      (thrown) => isUnknown(thrown) || this.#settleLater(gid, shards, false),
    );
    throw new OperatingError('outcome-unknown', 'the decision to commit is not durable yet', {
      hint: 'It is committed or rolled back as soon as the store says which. Look before you send it again.',
    });
  }

  #settleLater(gid: string, shards: readonly ShardName[], isCommit: boolean): void {
    this.#inDoubt.set(gid, { shards: [...shards], isCommit });
    this.#later(() => this.#retry());
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #recoverShard(shard: ShardName, decided: ReadonlySet<string>): Promise<void> {
    const { words } = this.#database.dialect;
    await this.#database.withBackend(shard, async (backend) => {
      for (const row of await backend.rows(words.listPrepared)) {
        const gid = words.preparedGid(row);
        if (typeof gid !== 'string' || !this.#isLeftBehind(gid)) continue;
        await backend.run(decided.has(gid) ? words.commitPrepared(gid) : words.rollbackPrepared(gid));
        this.#log.info(
          { shard, gid, committed: decided.has(gid) },
          'resolved a transaction that was left prepared',
        );
      }
    });
  }

  /** Tells every participant the outcome; returns the shards that could not be told. */
  async #resolve(gid: string, writers: readonly Backend[], isCommit: boolean): Promise<ShardName[]> {
    const { words } = this.#database.dialect;
    const late: ShardName[] = [];
    await Promise.all(
      writers.map(async (backend) => {
        try {
          if (backend.isBroken) throw new Error('connection lost');
          // A writer whose PREPARE failed has rolled back by itself, or is still in its transaction.
          if (!isCommit && backend.transaction !== 'idle') await runAllOf(backend, words.rollback(gid));
          else if (isCommit || (await this.#isPrepared(backend, gid))) {
            await backend.run(isCommit ? words.commitPrepared(gid) : words.rollbackPrepared(gid));
          }
        } catch {
          leaveToOthers(backend);
          late.push(backend.shard);
        }
      }),
    );
    if (late.length > 0) {
      this.#settleLater(gid, late, isCommit);
    } else {
      this.#running.delete(gid);
      if (isCommit) await this.#decisions.forget(gid);
    }
    return late;
  }

  async #isPrepared(backend: Backend, gid: string): Promise<boolean> {
    const { words } = this.#database.dialect;
    const rows = await backend.rows(words.listPrepared);
    return rows.some((row) => words.preparedGid(row) === gid);
  }

  async #retry(): Promise<void> {
    for (const [gid, doubt] of [...this.#inDoubt]) {
      for (const shard of [...doubt.shards]) {
        try {
          await this.#settle(shard, gid, doubt.isCommit);
          doubt.shards.splice(doubt.shards.indexOf(shard), 1);
        } catch (thrown) {
          this.#log.warn(
            { shard, gid, reason: asError(thrown).message },
            'a prepared transaction cannot be resolved yet',
          );
        }
      }
      if (doubt.shards.length > 0) continue;
      this.#inDoubt.delete(gid);
      this.#running.delete(gid);
      if (doubt.isCommit) await this.#decisions.forget(gid);
    }
    if (this.#inDoubt.size > 0) this.#later(() => this.#retry());
  }

  async #settle(shard: ShardName, gid: string, isCommit: boolean): Promise<void> {
    const { words } = this.#database.dialect;
    await this.#database.withBackend(shard, async (backend) => {
      if (await this.#isPrepared(backend, gid))
        await backend.run(isCommit ? words.commitPrepared(gid) : words.rollbackPrepared(gid));
    });
  }

  #later(act: () => Promise<void>, delayMs = RETRY_MS): NodeJS.Timeout | undefined {
    if (this.#isStopped) return undefined;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act().catch((thrown) =>
        this.#log.error({ reason: asError(thrown).message }, 'resolving prepared transactions failed'),
      );
    }, delayMs);
    timer.unref();
    this.#timers.add(timer);
    return timer;
  }

  #forgetTimer(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }

  async #becomesCertain(gid: string): Promise<boolean> {
    const until = performance.now() + RESOLVE_PATIENCE_MS;
    while (this.#inDoubt.has(gid) && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return !this.#inDoubt.has(gid);
  }
}

/** In MySQL a session stays inside what it has prepared: until it ends nobody else can resolve it, and its own ROLLBACK would. */
function leaveToOthers(backend: Backend): void {
  if (backend.transaction !== 'idle') backend.terminate();
}

function isUnknown(thrown: unknown): boolean {
  return thrown instanceof OperatingError && thrown.code === 'outcome-unknown';
}

/** Gids are at most 200 bytes (PostgreSQL manual, PREPARE TRANSACTION). */
export function gidPrefix(owner: string, database: string): string {
  return `ringferry_${owner}_${database.replace(/[^A-Za-z0-9]/g, '-').slice(0, 60)}_`;
}
