import { type Clock, systemClock } from '../lib/clock.js';
import { asError, OperatingError } from '../lib/errors.js';
import type { Position } from '../topology/topology.js';
import { ApplyPump } from './apply-pump.js';
import { ApplyQueue } from './apply-queue.js';
import { ApplyWaiters } from './apply-waiters.js';
import type { AppliedStream, StreamSpec } from './engine.js';
import type { Fault, SourceLog, StreamEnds, StreamTarget } from './stream-ends.js';

export interface ApplierOptions {
  readonly log: (level: 'info' | 'warn', message: string) => void;
  /** How long a broken stream tries to come back without getting on. */
  readonly retryForMs: number;
  /** A lag above it is warned about. Bytes of log. */
  readonly maxLagBytes: number | undefined;
  readonly clock?: Clock;
}

const BEAT_INTERVAL_MS = 1_000;
/** Unique values that two sources pass on to each other arrive in any order: the later one waits for the earlier this long. */
const CONFLICT_RETRY_MS = 20_000;
/** How long a stream that begins waits for an older one to let go. */
const TAKEN_RETRY_MS = 10_000;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2_000;

/**
 * Applies one source's changes on one target: single writer, commit order, the position in the same transaction. When a
 * connection breaks, or the target refuses for a reason that passes, it begins again behind what is committed on the
 * target; what cannot pass (a row that is not there, a table that has changed) ends it.
 */
export class Applier<Place, Step, Target extends StreamTarget<Place, Step>> implements AppliedStream {
  readonly #spec: StreamSpec;
  readonly #ends: StreamEnds<Place, Step, Target>;
  readonly #options: ApplierOptions;
  readonly #clock: Clock;
  readonly #waiters: ApplyWaiters<Place>;
  readonly #stopping = new AbortController();
  #applied: Place;
  #phase: 'beginning' | 'running' | 'stopping' | 'ended' = 'beginning';
  #queue: ApplyQueue<Place, Step> | undefined;
  #log: SourceLog<Place> | undefined;
  #progressedAtMs: number;
  #isLate = false;
  #failure: Error | undefined;
  #ended!: Promise<void>;
  transactionsApplied = 0;
  rowsApplied = 0;

  private constructor(spec: StreamSpec, ends: StreamEnds<Place, Step, Target>, options: ApplierOptions) {
    this.#spec = spec;
    this.#ends = ends;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#applied = ends.places.start;
    this.#waiters = new ApplyWaiters((place, other) => ends.places.covers(place, other));
    this.#progressedAtMs = this.#clock.now();
  }

  /** Resolves when the stream runs; rejects when it cannot begin. */
  static async open<Place, Step, Target extends StreamTarget<Place, Step>>(
    spec: StreamSpec,
    ends: StreamEnds<Place, Step, Target>,
    options: ApplierOptions,
    signal: AbortSignal,
  ): Promise<AppliedStream> {
    signal.throwIfAborted();
    const applier = new Applier(spec, ends, options);
    await new Promise<void>((resolve, reject) => {
      applier.#ended = applier.#runUntilStopped(resolve);
      applier.#ended.then(
        () => reject(new OperatingError('migration', 'the stream was stopped before it began')),
        reject,
      );
    });
    const stop = (): void => void applier.stop();
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    applier.#ended.catch(() => {}).finally(() => signal.removeEventListener('abort', stop));
    return applier;
  }

  get applied(): Position {
    return this.#ends.places.format(this.#applied);
  }

  get lagBytes(): number {
    return this.#ends.lagBytes(this.#applied);
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  waitFor(position: Position): Promise<void> {
    const place = this.#ends.places.parse(position);
    if (this.#ends.places.covers(this.#applied, place)) return Promise.resolve();
    if (!this.#isGoing)
      return Promise.reject(this.#failure ?? new OperatingError('migration', 'the change stream has ended'));
    const reached = this.#waiters.add(place);
    this.#log?.want?.(place);
    return reached;
  }

  async stop(): Promise<void> {
    if (this.#isGoing) this.#phase = 'stopping';
    this.#stopping.abort();
    this.#queue?.wake();
    await this.#ended.catch(() => {});
  }

  get #isGoing(): boolean {
    return this.#phase === 'beginning' || this.#phase === 'running';
  }

  async #runUntilStopped(onRunning: () => void): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (this.#isGoing) {
      const before = this.#applied;
      try {
        await this.#runOnce(onRunning);
      } catch (thrown) {
        const error = asError(thrown);
        this.#failure = this.#finalError(error);
        if (this.#failure !== undefined) break;
        this.#warn(`begins again: ${error.message}`);
        pauseMs = this.#applied === before ? Math.min(MAX_PAUSE_MS, pauseMs * 2) : FIRST_PAUSE_MS;
        await this.#clock.sleep(pauseMs, this.#stopping.signal);
      }
    }
    this.#phase = 'ended';
    this.#waiters.end(this.#failure ?? new OperatingError('migration', 'the change stream was stopped'));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What ends the stream for good, or undefined when it may be tried again. */
  #finalError(error: Error): Error | undefined {
    const { from, to } = this.#spec;
    const fault = error instanceof OperatingError ? faultOf(error) : this.#ends.judge(error);
    if (fault === 'missing-row') {
      return new OperatingError(
        'migration',
        `shard ${to.shard} does not hold a row that ${from.shard} changed (${error.message})`,
        {
          cause: error,
          hint: 'something else has changed the rows on the target; abort the migration and start it again',
        },
      );
    }
    if (this.#clock.now() - this.#progressedAtMs < this.#patienceMs(fault)) return undefined;
    if (error instanceof OperatingError) return error;
    return new OperatingError(
      fault === 'passing' || fault === 'taken' ? 'shard-unavailable' : 'migration',
      `changes of shard ${from.shard} cannot be applied on ${to.shard}: ${error.message}`,
      { cause: error },
    );
  }

  /** How long the stream is tried again without getting on. One that has never run is tried by whoever opens it. */
  #patienceMs(fault: Fault): number {
    if (this.#phase === 'beginning') return fault === 'taken' ? TAKEN_RETRY_MS : 0;
    if (fault === 'passing' || fault === 'taken') return this.#options.retryForMs;
    return fault === 'conflict' ? CONFLICT_RETRY_MS : 0;
  }

  async #runOnce(onRunning: () => void): Promise<void> {
    const queue = new ApplyQueue<Place, Step>();
    const target = await this.#ends.openTarget();
    const beats = new AbortController();
    this.#queue = queue;
    try {
      this.#log = await this.#ends.openLog(target, queue, () => this.#applied);
      queue.control(this.#log);
      this.#advance(this.#log.beginsBehind);
      void this.#keepBeating(this.#log, beats.signal);
      for (const place of this.#waiters.places) this.#log.want?.(place);
      if (this.#phase === 'beginning') this.#phase = 'running';
      onRunning();
      await this.#pumpOf(queue, target).run();
    } finally {
      beats.abort();
      const log = this.#log;
      this.#log = undefined;
      this.#queue = undefined;
      await Promise.all([log?.close(), target.close()]);
    }
  }

  #pumpOf(queue: ApplyQueue<Place, Step>, target: Target): ApplyPump<Place, Step> {
    const options = { clock: this.#clock, noteIntervalMs: this.#ends.noteIntervalMs };
    return new ApplyPump(queue, target, options, {
      isRunning: () => this.#isGoing,
      onCommitted: (transactions, rows) => {
        this.transactionsApplied += transactions;
        this.rowsApplied += rows;
      },
      onApplied: (place) => this.#advance(place),
    });
  }

  #advance(place: Place): void {
    if (this.#ends.places.covers(this.#applied, place)) return;
    this.#applied = place;
    this.#progressedAtMs = this.#clock.now();
    this.#waiters.advance(place);
  }

  async #keepBeating(log: SourceLog<Place>, signal: AbortSignal): Promise<void> {
    for (; !signal.aborted; await this.#clock.sleep(BEAT_INTERVAL_MS, signal)) {
      log.beat().then(
        () => this.#lookAtLag(),
        () => {
          // The stream itself finds out when the source is gone.
        },
      );
    }
  }

  #lookAtLag(): void {
    const { lagBytes } = this;
    const { maxLagBytes } = this.#options;
    if (lagBytes === 0) this.#progressedAtMs = this.#clock.now();
    const isLate = maxLagBytes !== undefined && lagBytes > maxLagBytes;
    if (isLate && !this.#isLate) this.#warn(`is ${lagBytes} bytes of log behind`);
    this.#isLate = isLate;
  }

  #warn(what: string): void {
    this.#options.log('warn', `stream ${this.#spec.from.shard} → ${this.#spec.to.shard} ${what}`);
  }
}

/** Our own errors say by their codes whether the shard was not there. */
function faultOf({ code }: OperatingError): Fault {
  return code === 'shard-unavailable' || code === 'shard-connect-failed' ? 'passing' : 'lasting';
}
