import { setTimeout as sleep } from 'node:timers/promises';
import { asError, OperatingError } from '../lib/errors.js';
import type { AppliedStream, StreamSpec } from '../migration/engine.js';
import type { Position } from '../topology/topology.js';
import type { ApplyStep } from './apply-batch.js';
import { ApplyInbox } from './apply-inbox.js';
import { NOT_EXACTLY_ONE } from './apply-statements.js';
import { ApplyTable, type MissingValues } from './apply-table.js';
import { ApplyTarget } from './apply-target.js';
import { ApplyWaiters } from './apply-waiters.js';
import { claimSlot, markLog } from './change-source.js';
import { namePrefix, publicationName, slotName, tableKey } from './engine-names.js';
import { sqlstateOf } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';
import { readExistingTables } from './engine-tables.js';
import { formatLsn, type Lsn, laterLsn, parseLsn } from './lsn.js';
import { Replication } from './replication.js';

export interface StreamOptions {
  readonly sessions: EngineSessions;
  readonly log: (level: 'info' | 'warn', message: string) => void;
  /** How long a broken stream tries to come back without getting on. */
  readonly retryForMs: number;
  /** A lag above it is warned about. */
  readonly maxLagBytes: number | undefined;
}

const BATCH_BYTES = 1 << 20;
const STATUS_INTERVAL_MS = 1_000;
/** Unique values that two sources pass on to each other arrive in any order: the later one waits for the earlier this long. */
const CONFLICT_RETRY_MS = 20_000;
const MAX_PAUSE_MS = 2_000;
/** object_in_use: the walsender of an older stream is on its way out. */
const SLOT_IN_USE = '55006';
const CLAIM_MS = 10_000;

/**
 * Applies one source's changes on one target: single writer, commit order, the position in the same transaction. When a
 * connection breaks, or the target refuses for a reason that passes, it begins again behind what is committed on the
 * target; what cannot pass (a row that is not there, a table that has changed) ends it.
 */
export class ChangeStream implements AppliedStream {
  readonly #spec: StreamSpec;
  readonly #options: StreamOptions;
  readonly #waiters: ApplyWaiters;
  #applied: Lsn = 0n;
  #sourceEnd: Lsn = 0n;
  #phase: 'running' | 'stopping' | 'ended' = 'running';
  #inbox: ApplyInbox | undefined;
  #replication: Replication | undefined;
  #progressedAtMs = performance.now();
  #isLate = false;
  #ended!: Promise<void>;
  #pauseEnds = new AbortController();
  transactionsApplied = 0;
  rowsApplied = 0;

  private constructor(spec: StreamSpec, options: StreamOptions) {
    this.#spec = spec;
    this.#options = options;
    this.#waiters = new ApplyWaiters({
      told: () => this.#inbox?.told ?? 0n,
      ask: () => this.#replication?.sendStatus(this.#applied, true),
      nudge: () => this.#nudge(),
    });
  }

  /** Resolves when the stream runs; rejects when it cannot begin. */
  static async open(spec: StreamSpec, options: StreamOptions, signal: AbortSignal): Promise<ChangeStream> {
    signal.throwIfAborted();
    const stream = new ChangeStream(spec, options);
    await new Promise<void>((resolve, reject) => {
      stream.#ended = stream.#runUntilStopped(resolve);
      stream.#ended.then(
        () => reject(new OperatingError('migration', 'the stream was stopped before it began')),
        reject,
      );
    });
    const stop = (): void => void stream.stop();
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    stream.#ended.catch(() => {}).finally(() => signal.removeEventListener('abort', stop));
    return stream;
  }

  get applied(): Position {
    return formatLsn(this.#applied);
  }

  get lagBytes(): number {
    return this.#sourceEnd > this.#applied ? Number(this.#sourceEnd - this.#applied) : 0;
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  waitFor(position: Position): Promise<void> {
    const lsn = parseLsn(position);
    if (lsn <= this.#applied) return Promise.resolve();
    if (this.#phase !== 'running')
      return Promise.reject(new OperatingError('migration', 'the change stream has ended'));
    return this.#waiters.add(lsn);
  }

  async stop(): Promise<void> {
    if (this.#phase === 'running') this.#phase = 'stopping';
    this.#pauseEnds.abort();
    this.#inbox?.wake();
    await this.#ended.catch(() => {});
  }

  async #runUntilStopped(onRunning: () => void): Promise<void> {
    let failure: Error | undefined;
    let pauseMs = 50;
    let isFirst = true;
    while (this.#phase === 'running') {
      const before = this.#applied;
      try {
        await this.#runOnce(() => {
          isFirst = false;
          onRunning();
        });
      } catch (error) {
        failure = this.#judge(asError(error), isFirst);
        if (failure !== undefined) break;
        this.#options.log(
          'warn',
          `stream ${this.#spec.from.shard} → ${this.#spec.to.shard} begins again: ${asError(error).message}`,
        );
        pauseMs = this.#applied > before ? 50 : Math.min(MAX_PAUSE_MS, pauseMs * 2);
        await sleep(pauseMs, undefined, { signal: this.#pauseEnds.signal }).catch(() => {});
      }
    }
    this.#phase = 'ended';
    this.#waiters.end(failure ?? new OperatingError('migration', 'the change stream was stopped'));
    if (failure !== undefined) throw failure;
  }

  /** What ends the stream for good, or undefined when it may be tried again. */
  #judge(error: Error, isFirst: boolean): Error | undefined {
    const state = sqlstateOf(error);
    const { from, to } = this.#spec;
    if (state === NOT_EXACTLY_ONE) {
      return new OperatingError(
        'migration',
        `shard ${to.shard} does not hold a row that ${from.shard} changed (${error.message})`,
        {
          cause: error,
          hint: 'something else has changed the rows on the target; abort the migration and start it again',
        },
      );
    }
    const waitedMs = performance.now() - this.#progressedAtMs;
    const limitMs = isFirst
      ? state === SLOT_IN_USE
        ? CLAIM_MS
        : 0
      : isPassing(error, state)
        ? this.#options.retryForMs
        : isConflict(state)
          ? CONFLICT_RETRY_MS
          : 0;
    if (waitedMs < limitMs) return undefined;
    if (error instanceof OperatingError) return error;
    const message = `changes of shard ${from.shard} cannot be applied on ${to.shard}: ${error.message}`;
    return new OperatingError(isPassing(error, state) ? 'shard-unavailable' : 'migration', message, {
      cause: error,
    });
  }

  async #runOnce(onRunning: () => void): Promise<void> {
    const spec = this.#spec;
    const target = await ApplyTarget.open(spec);
    let status: NodeJS.Timeout | undefined;
    try {
      const inbox = await this.#openInbox(target);
      this.#inbox = inbox;
      target.session.onLost = (error) => inbox.fail(error);
      const replication = await Replication.start(
        spec.from,
        {
          slot: slotName(spec.migration, spec.direction, spec.from.shard, spec.to.shard),
          publication: publicationName(spec.migration),
          start: target.position,
        },
        {
          onChange: (bytes) => inbox.accept(bytes),
          onPassed: (lsn) => inbox.passed(lsn),
          onReplyWanted: () => this.#replication?.sendStatus(this.#applied, false),
          onEnd: (error) => inbox.fail(error),
        },
      );
      this.#replication = replication;
      inbox.flow = replication;
      status = setInterval(() => this.#beat(), STATUS_INTERVAL_MS).unref();
      this.#beat();
      this.#waiters.restart();
      onRunning();
      await this.#pump(inbox, target);
    } finally {
      clearInterval(status);
      const replication = this.#replication;
      this.#replication = undefined;
      this.#inbox = undefined;
      replication?.sendStatus(this.#applied, false);
      await Promise.all([replication?.close(), target.close()]);
    }
  }

  async #openInbox(target: ApplyTarget): Promise<ApplyInbox> {
    const { migration, direction, from, to } = this.#spec;
    // Changes to reference tables reach the way back's target through the proxy itself, on every shard.
    const tasks =
      this.#spec.direction === 'reverse'
        ? this.#spec.tasks.filter((task) => task.selection.type === 'ranges')
        : this.#spec.tasks;
    const list = tasks.map((task) => task.table);
    const targetTables = await readExistingTables(target.session, list);
    const sourceTables = await this.#options.sessions.use(from, async (session) => {
      const confirmed = await claimSlot(
        session,
        slotName(migration, direction, from.shard, to.shard),
        target.position,
      );
      this.#advance(laterLsn(confirmed, target.position));
      return await readExistingTables(session, list);
    });
    const tables = new Map(
      tasks.map((task, index) => [
        tableKey(task.table),
        new ApplyTable(task, sourceTables[index]!, targetTables[index]!, `t${index}`),
      ]),
    );
    return new ApplyInbox(tables, namePrefix(migration), target.position);
  }

  async #pump(inbox: ApplyInbox, target: ApplyTarget): Promise<void> {
    let committed: Lsn | undefined;
    let passed: Lsn = 0n;
    let rows = 0;
    let transactions = 0;
    let isInside = false;
    while (this.#phase === 'running' || isInside) {
      const entry = target.pendingBytes < BATCH_BYTES ? inbox.next() : undefined;
      if (entry?.type === 'step') {
        target.add(
          entry.step.missing === undefined
            ? entry.step
            : await this.#complete(entry.step, entry.step.missing),
        );
        rows++;
        isInside = true;
      } else if (entry?.type === 'commit') {
        committed = entry.endLsn;
        transactions++;
        isInside = false;
      } else if (entry?.type === 'passed') {
        passed = entry.lsn;
      } else if (isInside) {
        // A transaction too large for one batch: what there is goes, the target's transaction stays open.
        if (target.pendingBytes >= BATCH_BYTES) await target.flush();
        else if (this.#phase === 'running') await inbox.arrived();
        else return;
      } else {
        if (committed !== undefined) {
          await target.commit(committed);
          this.transactionsApplied += transactions;
          this.rowsApplied += rows;
          transactions = rows = 0;
        }
        this.#advance(laterLsn(committed ?? 0n, passed));
        committed = undefined;
        await inbox.arrived();
      }
    }
  }

  async #complete(step: ApplyStep, missing: MissingValues): Promise<ApplyStep> {
    const { from } = this.#spec;
    const key = missing.key.map((cell) => cell?.toString('utf8') ?? null);
    const [row] = await this.#options.sessions.use(from, (session) => session.rows(missing.sql, key));
    if (row === undefined) {
      throw new OperatingError(
        'migration',
        `shard ${from.shard}: a row that moved in (${step.statement.what}) went away before its large values could be read`,
        {
          hint: 'abort the migration and start it again',
        },
      );
    }
    const values = [...step.values];
    for (const [at, column] of missing.columns.entries())
      values[column] = row[at] === null ? null : Buffer.from(row[at]!);
    return { statement: step.statement, values };
  }

  #advance(lsn: Lsn): void {
    if (lsn <= this.#applied) return;
    this.#applied = lsn;
    this.#progressedAtMs = performance.now();
    if (this.#sourceEnd < lsn) this.#sourceEnd = lsn;
    this.#waiters.advance(lsn);
  }

  /** Tells the source what it may forget, and asks how far its log goes. */
  #beat(): void {
    this.#replication?.sendStatus(this.#applied, false);
    this.#options.sessions
      .use(this.#spec.from, (session) => session.value('SELECT pg_current_wal_flush_lsn()'))
      .then((end) => {
        this.#sourceEnd = parseLsn(end!);
        if (this.#sourceEnd <= this.#applied) this.#progressedAtMs = performance.now();
        this.#warnOfLag();
      })
      .catch(() => {
        // The stream itself finds out when the source is gone.
      });
  }

  #warnOfLag(): void {
    const { maxLagBytes, log } = this.#options;
    const isLate = maxLagBytes !== undefined && this.lagBytes > maxLagBytes;
    if (isLate && !this.#isLate)
      log(
        'warn',
        `stream ${this.#spec.from.shard} → ${this.#spec.to.shard} is ${this.lagBytes} bytes of log behind`,
      );
    this.#isLate = isLate;
  }

  /** A position in the middle of a record that is not flushed yet is passed only when something commits. */
  async #nudge(): Promise<void> {
    await this.#options.sessions.use(this.#spec.from, (session) => markLog(session, ''));
  }
}

/** Connections that broke, servers that start or stop, locks and deadlocks, full disks: classes 08, 40, 53, 55, 57, 58. */
function isPassing(error: Error, state: string | undefined): boolean {
  if (error instanceof OperatingError)
    return error.code === 'shard-unavailable' || error.code === 'shard-connect-failed';
  return state === undefined || /^(08|40|53|55|57|58)/.test(state);
}

/** unique_violation, exclusion_violation */
function isConflict(state: string | undefined): boolean {
  return state === '23505' || state === '23P01';
}
