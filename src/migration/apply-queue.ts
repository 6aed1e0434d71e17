/** What the applier has to do next, in log order. */
export type QueueEntry<Place, Step> =
  | { readonly type: 'step'; readonly step: Step; readonly bytes: number }
  | { readonly type: 'commit'; readonly place: Place; readonly bytes: 0 }
  /** Everything up to there has been told, and nothing of it is ours. */
  | { readonly type: 'passed'; readonly place: Place; readonly bytes: 0 };

/** Makes the source wait and go on. */
export interface QueueFlow {
  pause(): void;
  resume(): void;
}

/** Above this the source is asked to wait, below half of it to go on. */
const MAX_WAITING_BYTES = 16 << 20;
/** What a step takes beside its values. */
export const STEP_OVERHEAD_BYTES = 200;
const MOST_TAKEN_ENTRIES = 1024;

/** Between the source's log and the applier: holds a bounded amount, in log order, for one reader. */
export class ApplyQueue<Place, Step> {
  #entries: QueueEntry<Place, Step>[] = [];
  #first = 0;
  #waitingBytes = 0;
  #isPaused = false;
  #flow: QueueFlow | undefined;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** From now on `flow` waits while too much is here. */
  control(flow: QueueFlow): void {
    this.#flow = flow;
    if (this.#isPaused) flow.pause();
  }

  /** `bytes`: of the step's values. */
  addStep(step: Step, bytes: number): void {
    this.#push({ type: 'step', step, bytes: bytes + STEP_OVERHEAD_BYTES });
  }

  /** The steps before it are a whole transaction. */
  addCommit(place: Place): void {
    this.#push({ type: 'commit', place, bytes: 0 });
  }

  addPassed(place: Place): void {
    const isBehindAnother =
      this.#first < this.#entries.length && this.#entries[this.#entries.length - 1]!.type === 'passed';
    if (isBehindAnother) this.#entries.pop();
    this.#push({ type: 'passed', place, bytes: 0 });
  }

  /** The first failure is what `next` throws, whatever else is here. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.wake();
  }

  /** The next entry, or undefined when there is none yet. Throws when the stream has failed. */
  next(): QueueEntry<Place, Step> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const entry = this.#entries[this.#first];
    if (entry === undefined) return undefined;
    this.#first++;
    if (this.#first === this.#entries.length || this.#first > MOST_TAKEN_ENTRIES) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    this.#waitingBytes -= entry.bytes;
    if (this.#isPaused && this.#waitingBytes < MAX_WAITING_BYTES / 2) {
      this.#isPaused = false;
      this.#flow?.resume();
    }
    return entry;
  }

  /** Resolves when there may be something: an entry, a failure, or a call of `wake`. */
  arrived(): Promise<void> {
    if (this.#failure !== undefined || this.#first < this.#entries.length) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Whoever waits for an arrival looks up. Nobody who comes later is woken by it. */
  wake(): void {
    this.#wake?.();
  }

  #push(entry: QueueEntry<Place, Step>): void {
    this.#entries.push(entry);
    this.#waitingBytes += entry.bytes;
    if (!this.#isPaused && this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#isPaused = true;
      this.#flow?.pause();
    }
    this.wake();
  }
}
