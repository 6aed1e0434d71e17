import type { Clock } from '../lib/clock.js';
import type { ApplyQueue, QueueEntry } from './apply-queue.js';
import type { StreamTarget } from './stream-ends.js';

export interface PumpCalls<Place> {
  /** False: the transaction that is under way is brought to its end if it is all here, and that is all. */
  isRunning(): boolean;
  onCommitted(transactions: number, rows: number): void;
  /** Everything up to `place` is on the target, or is none of ours. */
  onApplied(place: Place): void;
}

export interface PumpOptions {
  readonly clock: Clock;
  /** As in StreamEnds. */
  readonly noteIntervalMs: number | undefined;
}

/** So much goes to the target in one batch. */
const BATCH_BYTES = 1 << 20;

/**
 * Takes a queue's entries to the target for as long as the stream runs: as many whole transactions in one as are here, and one
 * that is too large for a batch in pieces of one transaction of the target.
 */
export class ApplyPump<Place, Step> {
  readonly #queue: ApplyQueue<Place, Step>;
  readonly #target: StreamTarget<Place, Step>;
  readonly #options: PumpOptions;
  readonly #calls: PumpCalls<Place>;
  /** The end of the last whole transaction that was added. */
  #added: Place | undefined;
  #passed: Place | undefined;
  #rows = 0;
  #transactions = 0;
  /** Of a transaction, the beginning was added and not the end. */
  #isInside = false;
  #notedAtMs: number;

  constructor(
    queue: ApplyQueue<Place, Step>,
    target: StreamTarget<Place, Step>,
    options: PumpOptions,
    calls: PumpCalls<Place>,
  ) {
    this.#queue = queue;
    this.#target = target;
    this.#options = options;
    this.#calls = calls;
    this.#notedAtMs = options.clock.now();
  }

  /** Resolves when the stream runs no more; rejects when either end fails. */
  async run(): Promise<void> {
    while (this.#calls.isRunning() || this.#isInside) {
      const isFull = this.#target.pendingBytes >= BATCH_BYTES;
      const entry = isFull ? undefined : this.#queue.next();
      if (entry?.type === 'step') {
        const completing = this.#add(entry);
        // Most steps are whole: no turn is spent on them.
        if (completing !== undefined) await completing;
      } else if (entry !== undefined) this.#reach(entry);
      else if (this.#isInside && isFull) await this.#target.flush();
      else if (this.#isInside && !this.#calls.isRunning()) return;
      else {
        if (!this.#isInside) await this.#settle();
        // A stop may have come meanwhile, when nobody was here to be woken.
        if (this.#calls.isRunning()) await this.#queue.arrived();
      }
    }
  }

  #add({ step }: QueueEntry<Place, Step> & { type: 'step' }): Promise<void> | undefined {
    this.#rows++;
    this.#isInside = true;
    return this.#target.add(step);
  }

  #reach({ type, place }: Exclude<QueueEntry<Place, Step>, { type: 'step' }>): void {
    if (type === 'passed') {
      this.#passed = place;
      return;
    }
    this.#added = place;
    this.#transactions++;
    this.#isInside = false;
  }

  /** Commits what there is. Whoever waits for log that is none of ours need not wait for the note of it. */
  async #settle(): Promise<void> {
    const added = this.#added;
    const passed = this.#passed;
    this.#added = this.#passed = undefined;
    if (added !== undefined) {
      await this.#commit(added);
      this.#calls.onCommitted(this.#transactions, this.#rows);
      this.#transactions = this.#rows = 0;
      this.#calls.onApplied(added);
    }
    if (passed !== undefined) this.#calls.onApplied(passed);
    if (added === undefined && passed !== undefined && this.#isNoteDue()) await this.#commit(passed);
  }

  async #commit(place: Place): Promise<void> {
    await this.#target.commit(place);
    this.#notedAtMs = this.#options.clock.now();
  }

  #isNoteDue(): boolean {
    const { clock, noteIntervalMs } = this.#options;
    return noteIntervalMs !== undefined && clock.now() - this.#notedAtMs >= noteIntervalMs;
  }
}
