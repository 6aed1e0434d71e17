import { randomBytes } from 'node:crypto';
import { asError, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type { Backend } from '../pool/backend.js';
import type { ShardName } from '../topology/ring.js';
import { servingShards } from '../topology/snapshot.js';
import type { DecisionLog } from '../topology/store.js';
import type { Database } from './database.js';

/** How long a commit is acknowledged late for the sake of a shard that cannot be reached after the decision. */
const RESOLVE_PATIENCE_MS = 5_000;
const RETRY_MS = 500;
/** How often the shards are searched for what a lost connection may have left prepared behind our back. */
const PATROL_MS = 60_000;

/**
 * Atomic commit over several shards: every writer prepares, the decision is made durable, every writer commits. A crash
 * before the decision rolls back, a crash after it commits, whoever crashed.
 */
export class TwoPhaseCommit {
  readonly #database: Database;
  readonly #decisions: DecisionLog;
  readonly #log: Logger;
  readonly #prefix: string;
  readonly #inDoubt = new Map<string, { shards: ShardName[]; isCommit: boolean }>();
  #counter = 0;
  /** Gids of this process that are not resolved everywhere; a recovery leaves them alone. */
  readonly #running = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopped = false;

  constructor(database: Database, decisions: DecisionLog, log: Logger) {
    this.#database = database;
    this.#decisions = decisions;
    this.#log = log;
    this.#prefix = gidPrefix(decisions.owner, database.name);
  }

  get inDoubtCount(): number {
    return this.#inDoubt.size;
  }

  /** Commits the open transactions of `writers` as one. Throws when it was rolled back, or when the outcome is not everywhere yet. */
  async commit(writers: readonly Backend[]): Promise<void> {
    const { words } = this.#database.dialect;
    const gid = `${this.#prefix}${randomBytes(6).toString('hex')}_${++this.#counter}`;
    this.#database.counters.twoPhase++;
    this.#running.add(gid);
    const prepared = await Promise.allSettled(writers.map((backend) => backend.run(words.prepare(gid))));
    const failure = prepared.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      await this.#resolve(gid, writers, false);
      throw failure.reason;
    }
    try {
      await this.#decisions.record(gid);
    } catch (thrown) {
      // Whether the decision is on disk is not known: only a restart, which reads it, may resolve the transaction.
      if (thrown instanceof OperatingError && thrown.code === 'outcome-unknown') throw thrown;
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

  /** Resolves what earlier processes left prepared. Called before clients are served and repeated until all shards answered. */
  async recover(): Promise<void> {
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
      this.#later(() => this.recover());
      return;
    }
    for (const gid of decided)
      if (gid.startsWith(this.#prefix) && !this.#running.has(gid)) await this.#decisions.forget(gid);
    this.#later(() => this.recover(), PATROL_MS);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #recoverShard(shard: ShardName, decided: ReadonlySet<string>): Promise<void> {
    const { words } = this.#database.dialect;
    await this.#database.withBackend(shard, async (backend) => {
      for (const [gid] of await backend.rows(words.listPrepared)) {
        if (typeof gid !== 'string' || !gid.startsWith(this.#prefix) || this.#running.has(gid)) continue;
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
          if (!isCommit && backend.transaction !== 'idle') await backend.run(words.rollback);
          else if (isCommit || (await this.#isPrepared(backend, gid))) {
            await backend.run(isCommit ? words.commitPrepared(gid) : words.rollbackPrepared(gid));
          }
        } catch {
          late.push(backend.shard);
        }
      }),
    );
    if (late.length > 0) {
      this.#inDoubt.set(gid, { shards: late, isCommit });
      this.#later(() => this.#retry());
    } else {
      this.#running.delete(gid);
      if (isCommit) await this.#decisions.forget(gid);
    }
    return late;
  }

  async #isPrepared(backend: Backend, gid: string): Promise<boolean> {
    const rows = await backend.rows(this.#database.dialect.words.listPrepared);
    return rows.some(([name]) => name === gid);
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

  #later(act: () => Promise<void>, delayMs = RETRY_MS): void {
    if (this.#isStopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act().catch((thrown) =>
        this.#log.error({ reason: asError(thrown).message }, 'resolving prepared transactions failed'),
      );
    }, delayMs);
    timer.unref();
    this.#timers.add(timer);
  }

  async #becomesCertain(gid: string): Promise<boolean> {
    const until = performance.now() + RESOLVE_PATIENCE_MS;
    while (this.#inDoubt.has(gid) && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return !this.#inDoubt.has(gid);
  }
}

/** Gids are at most 200 bytes (PostgreSQL manual, PREPARE TRANSACTION). */
export function gidPrefix(owner: string, database: string): string {
  return `ringferry_${owner}_${database.replace(/[^A-Za-z0-9]/g, '-').slice(0, 60)}_`;
}
