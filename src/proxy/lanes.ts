import { OperatingError } from '../lib/errors.js';
import type { Backend } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import type { ShardName } from '../topology/ring.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { Credentials, Database } from './database.js';
import type { Frontend } from './frontend.js';
import { SharedRead } from './shared-read.js';
import type { Lanes } from './transaction.js';

/** One session's ways to its shards: leases from the pools, backends that are pinned to it, and its place in line on a shared one. */
export class SessionLanes implements Lanes {
  readonly #database: Database;
  readonly #frontend: Frontend;
  readonly #credentials: Credentials;
  readonly #startup: ReadonlyMap<string, string>;
  readonly #pinned = new Map<ShardName, { backend: Backend; pool: Pool }>();
  readonly #borrowed = new Map<Backend, Pool>();
  readonly #pools = new Map<ShardName, Pool>();
  #poolsOf: Snapshot | undefined;
  /** Asked to cancel: the request may reach the server late, so they serve nobody else any more. */
  readonly #cancelled = new Set<Backend>();
  /** Their rows wait for those of others: they go on when told to, not whenever the client can take more. */
  readonly #stopped = new Set<Backend>();
  #abort = new AbortController();
  readonly shared: SharedRead;
  pinReason: string | undefined;
  /** Since when it waits for a backend or at the gate, by performance.now(). */
  waitingSinceMs: number | undefined;

  constructor(database: Database, frontend: Frontend, credentials: Credentials) {
    this.#database = database;
    this.#frontend = frontend;
    this.#credentials = credentials;
    this.#startup = database.startupOf(frontend.identity);
    this.shared = new SharedRead(database, frontend);
  }

  /** Ends when the client cancels; waits for a lease or a gate listen to it. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Ids of the backends that it uses now: shared, pinned or borrowed. */
  get servers(): number[] {
    const { backendId } = this.shared;
    const pinned = [...this.#pinned.values()].map(({ backend }) => backend);
    const own = [...new Set([...pinned, ...this.#borrowed.keys()])].map(({ id }) => id);
    return backendId === undefined ? own : [backendId, ...own];
  }

  async borrow(shard: ShardName): Promise<{ backend: Backend; pool: Pool }> {
    const pinned = this.#pinned.get(shard);
    if (pinned !== undefined) {
      if (pinned.backend.isBroken) throw this.#lostPinned(shard);
      this.#borrowed.set(pinned.backend, pinned.pool);
      return pinned;
    }
    const pool = this.poolOf(shard);
    const backend = pool.tryLease() ?? (await this.#wait(pool));
    this.#database.counters.leases++;
    this.#borrowed.set(backend, pool);
    return { backend, pool };
  }

  giveBack(backend: Backend, pool: Pool, mayShare = false): void {
    this.#borrowed.delete(backend);
    const isPinned = this.#pinned.get(backend.shard)?.backend === backend;
    if (isPinned && !backend.isBroken) return;
    if (isPinned) this.#pinned.delete(backend.shard);
    backend.onAsync = undefined;
    pool.release(backend, { discard: this.#cancelled.delete(backend), mayShare });
  }

  /** Keeps `backend` for this session until it ends or discards everything. */
  pin(backend: Backend, reason: string): void {
    const pool = this.#borrowed.get(backend);
    if (pool === undefined || this.#pinned.has(backend.shard)) return;
    this.#pinned.set(backend.shard, { backend, pool });
    this.pinReason = reason;
    backend.onAsync = (frame) => this.#frontend.send(frame);
  }

  /** Gives pinned backends back, clean. */
  unpin(): void {
    for (const { backend, pool } of this.#pinned.values()) {
      backend.onAsync = undefined;
      pool.release(backend, { reset: true });
    }
    this.#pinned.clear();
    this.pinReason = undefined;
  }

  /** Resolves when the servers have heard it. */
  async cancel(): Promise<void> {
    this.#abort.abort(new OperatingError('cancelled', 'canceling statement due to user request'));
    this.#abort = new AbortController();
    const busy = [...this.#borrowed.keys()].filter((backend) => backend.isBusy);
    await Promise.all([this.shared.cancel(), ...busy.map((backend) => this.cancelOn(backend))]);
  }

  async cancelOn(backend: Backend): Promise<void> {
    this.#cancelled.add(backend);
    // A cancel that cannot be delivered leaves the statement running to its own end.
    await backend.cancel().catch(() => undefined);
  }

  /** Ends the connections of statements that did not end by being cancelled. */
  terminateBusy(): void {
    for (const backend of this.#borrowed.keys()) if (backend.isBusy) backend.terminate();
  }

  /** The client is gone: its answers are read to nobody, its statements cancelled. */
  abandon(): void {
    this.shared.abandon();
    this.#stopped.clear();
    this.resumeAll();
    void this.cancel();
  }

  /** The client can take more. */
  resumeAll(): void {
    this.shared.resume();
    for (const backend of this.#borrowed.keys()) if (!this.#stopped.has(backend)) backend.resume();
  }

  /** From now to `goOn` it stays paused, though the client can take more. */
  stop(backend: Backend): void {
    this.#stopped.add(backend);
  }

  isStopped(backend: Backend): boolean {
    return this.#stopped.has(backend);
  }

  goOn(backend: Backend): void {
    this.#stopped.delete(backend);
  }

  /** Looked up once per shard and epoch: a new snapshot may give a shard another URL. */
  poolOf(shard: ShardName): Pool {
    const snapshot = this.#database.topology.current;
    if (this.#poolsOf !== snapshot) {
      this.#poolsOf = snapshot;
      this.#pools.clear();
    }
    let pool = this.#pools.get(shard);
    if (pool === undefined || pool.isClosed) {
      pool = this.#database.pool(shard, this.#credentials, this.#startup);
      this.#pools.set(shard, pool);
    }
    return pool;
  }

  async #wait(pool: Pool): Promise<Backend> {
    this.waitingSinceMs = performance.now();
    try {
      return await pool.lease(this.signal);
    } finally {
      this.#database.counters.leaseWaitMs += performance.now() - this.waitingSinceMs;
      this.waitingSinceMs = undefined;
    }
  }

  #lostPinned(shard: ShardName): OperatingError {
    this.#pinned.delete(shard);
    return new OperatingError(
      'shard-unavailable',
      `the connection to shard "${shard}" that this session was pinned to is lost`,
      {
        detail: `It was pinned because of: ${this.pinReason}.`,
        hint: 'What lived in it (temporary tables, LISTEN, locks) is gone. Reconnect.',
      },
    );
  }
}
