import type { Backend, TransactionStatus } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import type { Request } from '../pool/request.js';
import type { Course } from './course.js';
import type { Database } from './database.js';
import type { Frontend } from './frontend.js';
import { endAsServer } from './lost-connection.js';
import { relay } from './relay.js';

/**
 * Serves a client of a one-shard database in session mode: one backend of its own from login to the end, every frame as it
 * came. Whatever works on a direct connection works here.
 */
export class SessionCourse implements Course {
  readonly #database: Database;
  readonly #frontend: Frontend;
  readonly #backend: Backend;
  readonly #pool: Pool;
  #status: TransactionStatus = 'idle';
  #swallowSyncs = 0;
  takesCopy = false;
  #wasCancelled = false;
  onTakesCopy: (() => void) | undefined;
  readonly pinReason = 'session mode';
  readonly waitingSinceMs = undefined;
  readonly preparedStatements = 0;

  constructor(database: Database, frontend: Frontend, backend: Backend, pool: Pool) {
    this.#database = database;
    this.#frontend = frontend;
    this.#backend = backend;
    this.#pool = pool;
    backend.onAsync = (frame) => frontend.send(frame);
    backend.onDrain = () => frontend.resume();
    backend.onLost = (error) => endAsServer(frontend, backend.shard, error);
  }

  get isInTransaction(): boolean {
    return this.#status !== 'idle';
  }

  get servers(): number[] {
    return [this.#backend.id];
  }

  async run(request: Request): Promise<void> {
    if (this.#swallowSyncs > 0 && request.steps.length === 0 && request.end === 'sync') {
      this.#swallowSyncs--;
      return;
    }
    const outcome = await relay(this.#frontend, this.#backend, request, {
      rename: false,
      onCopyIn: () => {
        this.takesCopy = true;
        this.onTakesCopy?.();
      },
    });
    this.takesCopy = false;
    if (outcome.broken !== undefined) return endAsServer(this.#frontend, this.#backend.shard, outcome.broken);
    if (outcome.error !== undefined) this.#database.counters.serverErrors++;
    if (request.end === 'flush') return;
    if (outcome.sawCopyIn && request.end === 'sync') this.#swallowSyncs++;
    if (outcome.status === 'idle') this.#database.counters.transactions++;
    this.#status = outcome.status;
    this.#frontend.sendReady(outcome.status);
  }

  onCopy(frame: Buffer): void {
    if (!this.#backend.sendCopy(frame)) this.#frontend.pause();
  }

  onDrain(): void {
    this.#backend.resume();
  }

  cancel(): void {
    if (!this.#backend.isBusy) return;
    this.#wasCancelled = true;
    this.#backend.cancel().catch(() => undefined);
  }

  abandon(): void {
    if (this.takesCopy) this.#backend.sendCopy(this.#database.dialect.copyFail('the client went away'));
    this.#backend.resume();
    this.cancel();
  }

  abort(): void {
    if (this.#backend.isBusy) this.#backend.terminate();
  }

  async close(): Promise<void> {
    this.#backend.onAsync = undefined;
    this.#backend.onLost = undefined;
    // A cancel may still be on its way to it, and what the client left in it is unknown.
    this.#pool.release(this.#backend, this.#wasCancelled ? { discard: true } : { reset: true });
  }
}
