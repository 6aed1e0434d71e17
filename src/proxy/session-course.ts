import { asOperatingError } from '../lib/errors.js';
import type { Backend, TransactionStatus } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import type { Request } from '../pool/request.js';
import type { StatementRouter } from '../routing/router.js';
import type { Course } from './course.js';
import type { Database } from './database.js';
import type { Frontend } from './frontend.js';
import { endAsServer } from './lost-connection.js';
import { relay } from './relay.js';
import { severalStatements } from './steps.js';

/** KILL is short; other texts need not be looked at. */
const MOST_OF_KILL = 300;

/**
 * Serves a client of a one-shard database in session mode: one backend of its own from login to the end, every frame as it
 * came. Whatever works on a direct connection works here.
 */
export class SessionCourse implements Course {
  readonly #database: Database;
  readonly #frontend: Frontend;
  readonly #router: StatementRouter;
  readonly #backend: Backend;
  readonly #pool: Pool;
  #status: TransactionStatus = 'idle';
  #swallowSyncs = 0;
  takesCopy = false;
  #wasCancelled = false;
  onTakesCopy: (() => void) | undefined;
  onShared: undefined;
  readonly pinReason = 'session mode';
  readonly waitingSinceMs = undefined;
  readonly preparedStatements = 0;

  constructor(database: Database, frontend: Frontend, router: StatementRouter, backend: Backend, pool: Pool) {
    this.#router = router;
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
    const answered = request.end === 'query' && this.#answeredHere(request);
    if (answered !== false && (await answered)) return;
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

  /** What the server must not get to see: several statements that the client did not ask leave for, and KILL of a session by the number that we gave it. */
  #answeredHere({ steps: [step] }: Request): boolean | Promise<boolean> {
    if (step?.type !== 'query') return false;
    try {
      if (!this.#frontend.allowsSeveralStatements && this.#router.split(step.sql).length > 1)
        throw severalStatements();
      const effect = mayKill(step.sql) ? this.#router.plan(step.sql).plan.session : undefined;
      return effect?.type === 'kill' && this.#kill(effect.id, effect.queryOnly);
    } catch (thrown) {
      return this.#refuse(thrown);
    }
  }

  async #kill(id: number, queryOnly: boolean): Promise<true> {
    try {
      await this.#database.kill(id, queryOnly, this.#frontend.identity.user);
    } catch (thrown) {
      return this.#refuse(thrown);
    }
    this.#frontend.completes();
    this.#frontend.send(this.#frontend.answers.commandComplete('KILL'));
    this.#frontend.sendReady(this.#status);
    return true;
  }

  #refuse(thrown: unknown): true {
    this.#database.counters.proxyErrors++;
    this.#frontend.sendError(asOperatingError(thrown));
    this.#frontend.sendReady(this.#status);
    return true;
  }

  onCopy(frame: Buffer): void {
    if (!this.#backend.sendCopy(frame)) this.#frontend.pause();
  }

  onDrain(): void {
    this.#backend.resume();
  }

  async cancel(): Promise<void> {
    if (!this.#backend.isBusy) return;
    this.#wasCancelled = true;
    await this.#backend.cancel().catch(() => undefined);
  }

  abandon(): void {
    if (this.takesCopy) this.#backend.sendCopy(this.#database.dialect.copyFail('the client went away'));
    this.#backend.resume();
    void this.cancel();
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

function mayKill(sql: string): boolean {
  return sql.length <= MOST_OF_KILL && /\bkill\b/i.test(sql);
}
