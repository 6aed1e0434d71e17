import { OperatingError } from '../lib/errors.js';
import type { ServerError, SharedSink } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import type { Request } from '../pool/request.js';
import type { SharedLane } from '../pool/shared-lanes.js';
import type { PlannedStatement } from '../routing/plan.js';
import { Ticket } from '../topology/gate.js';
import type { Database } from './database.js';
import type { Frontend } from './frontend.js';
import { lostConnection } from './lost-connection.js';
import type { SessionMemory } from './session-memory.js';

/** An answer that is longer goes to the client before its end is known. */
const MAX_KEPT_BYTES = 64 * 1024;

/**
 * One session's place in the line of a shared backend. At most one read of a session stands there at a time, so one object serves
 * them all, without a promise or a closure for each.
 *
 * Only a read that leaves no trace is let in (`Plan.pace`), so until its answer begins to go to the client it can be given up or run again.
 */
export class SharedRead implements SharedSink {
  /** Told once for each read: it is answered, or must be run by the session's own way. Set by the course. */
  onDone: (mustRunAgain: boolean, nowMs: number) => void = () => {};
  /** The server has refused it; comes before `onDone`. */
  onRefused: () => void = () => {};
  /** Where the engine has statements that ask for what earlier ones left. Set by the course. */
  memory: SessionMemory | undefined;
  readonly ticket = new Ticket();
  readonly #database: Database;
  readonly #frontend: Frontend;
  #pool: Pool | undefined;
  #lane: SharedLane | undefined;
  #planned: PlannedStatement | undefined;
  #startedMs = 0;
  #weightMs = 0;
  #hasAnswered = false;
  /** Its end may say that it must be run alone. */
  #isUncertain = false;
  #error: ServerError | undefined;
  #tag: string | undefined;
  /** What has come of an answer that may yet have to be thrown away. */
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(database: Database, frontend: Frontend) {
    this.#database = database;
    this.#frontend = frontend;
  }

  /** The backend in whose line it stands. */
  get backendId(): number | undefined {
    return this.#lane?.backend.id;
  }

  /** Joins a line, or returns false and has done nothing. */
  begin(planned: PlannedStatement, request: Request, pool: Pool, settings: string, nowMs: number): boolean {
    const lane = pool.join(request, settings);
    if (lane === undefined) return false;
    this.#pool = pool;
    this.#lane = lane;
    this.#planned = planned;
    this.#hasAnswered = false;
    this.#error = undefined;
    this.#tag = undefined;
    this.#isUncertain = this.memory !== undefined;
    this.#startedMs = nowMs;
    this.#weightMs = planned.plan.pace!.weightMs(pool.floorMs);
    lane.weightMs += this.#weightMs;
    this.#database.counters.leases++;
    this.#database.counters.shared++;
    lane.line.join(request, this);
    return true;
  }

  onBytes(chunk: Buffer): boolean {
    if (this.#isUncertain && this.#keptBytes + chunk.length <= MAX_KEPT_BYTES) {
      this.#kept.push(Buffer.from(chunk));
      this.#keptBytes += chunk.length;
      return true;
    }
    this.#passKept();
    return this.#frontend.send(chunk);
  }

  #passKept(): void {
    this.#isUncertain = false;
    this.#hasAnswered = true;
    if (this.#keptBytes === 0) return;
    for (const chunk of this.#kept) this.#frontend.send(chunk);
    this.#dropKept();
  }

  #dropKept(): void {
    if (this.#keptBytes === 0) return;
    this.#kept.length = 0;
    this.#keptBytes = 0;
  }

  onError(error: ServerError): void {
    this.#error ??= error;
  }

  /** Its backend must be asked what it warned of before anybody else runs there. */
  acceptsTag(tag: string): boolean {
    if (!this.#isUncertain || this.memory?.isToBeAsked(tag) !== true) {
      this.#passKept();
      return true;
    }
    this.#planned!.plan.pace!.leavesTrace();
    this.#lane!.line.giveUp(this);
    this.onMoved();
    return false;
  }

  onCommandTag(tag: string): void {
    this.#tag = tag;
    this.#frontend.completes();
  }

  onCopyIn(): void {}

  onParameter(): void {}

  onEnd(): void {
    this.#passKept();
    const lane = this.#lane!;
    const pool = this.#pool!;
    const { plan, sql } = this.#planned!;
    const { counters, templates } = this.#database;
    const nowMs = performance.now();
    const tookMs = nowMs - this.#startedMs;
    plan.pace!.noteShared(pool.lanes.answered(lane, this.#startedMs, pool.floorMs, nowMs), nowMs);
    counters.transactions++;
    this.memory?.noteShared(this.#tag, this.#planned!, this.#error);
    if (!lane.line.passesReady) this.#frontend.sendReady('idle');
    if (this.#error !== undefined) {
      counters.serverErrors++;
      this.onRefused();
    }
    templates.count(plan, sql, this.#database.loadedRouter, tookMs, this.#error !== undefined);
    this.#leave();
    this.onDone(false, nowMs);
  }

  onBroken(error: Error): void {
    const { shard } = this.#lane!.backend;
    const mustRunAgain = !this.#hasAnswered;
    this.#leave();
    if (mustRunAgain) this.#database.counters.sharedAgain++;
    else {
      this.#refuse(lostConnection(shard, error, false));
    }
    this.onDone(mustRunAgain, performance.now());
  }

  onMoved(): void {
    this.#database.counters.sharedAgain++;
    this.#leave();
    this.onDone(true, performance.now());
  }

  resume(): void {
    this.#lane?.backend.resume();
  }

  /**
   * The client cancels it. What has not begun to answer is given up and answered by us, so no cancel can hit who stands behind it;
   * else it gets the backend for itself first. Resolves when the server has heard it.
   */
  async cancel(): Promise<void> {
    const lane = this.#lane;
    if (lane === undefined) return;
    if (this.#hasAnswered) {
      this.#pool!.lanes.isolate(lane);
      await this.#pool!.lanes.cancelHead(lane);
      return;
    }
    lane.line.giveUp(this);
    this.#leave();
    this.#refuse(new OperatingError('cancelled', 'canceling statement due to user request'));
    this.onDone(false, performance.now());
  }

  /** The client is gone: nobody waits for the answer. */
  abandon(): void {
    const lane = this.#lane;
    if (lane === undefined) return;
    lane.line.giveUp(this);
    this.#leave();
    this.onDone(false, performance.now());
  }

  #refuse(error: OperatingError): void {
    this.#database.counters.proxyErrors++;
    this.memory?.noteRefusal(error);
    this.#frontend.sendError(error);
    this.#frontend.sendReady('idle');
  }

  #leave(): void {
    this.#dropKept();
    this.#lane!.weightMs -= this.#weightMs;
    this.#pool!.lanes.left(this.#lane!);
    this.#lane = undefined;
    this.#pool = undefined;
    this.#planned = undefined;
    this.#database.topology.gate.leave(this.ticket);
  }
}
