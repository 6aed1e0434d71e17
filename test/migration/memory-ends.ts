import type { ApplyQueue } from '../../src/migration/apply-queue.js';
import type { Fault, SourceLog, StreamEnds, StreamTarget } from '../../src/migration/stream-ends.js';

type Entry = readonly string[] | 'none of ours';

/** A source's log and a target in memory: places are numbers of transactions, steps are texts. */
export class MemoryEnds implements StreamEnds<number, string, MemoryTarget> {
  readonly places = {
    start: 0,
    parse: Number,
    format: String,
    covers: (place: number, other: number) => other <= place,
  };
  noteIntervalMs: number | undefined;
  /** Thrown by the next openings, in order. */
  readonly openErrors: Error[] = [];
  /** Thrown by the next commits, in order. */
  readonly commitErrors: Error[] = [];
  /** What the next commit waits for. */
  untilCommit: Promise<void> | undefined;
  /** Every batch that was sent, with the place that it was committed with. */
  readonly batches: { readonly steps: readonly string[]; readonly place?: number }[] = [];
  /** Every place that somebody was said to wait for. */
  readonly wanted: number[] = [];
  committed = 0;
  lag = 0;
  beats = 0;
  opened = 0;
  /** Ends that are open now. */
  open = 0;
  log: MemoryLog | undefined;
  readonly #entries: Entry[] = [];

  /** A transaction at the source; returns its place. */
  write(entry: Entry): number {
    this.#entries.push(entry);
    this.log?.tell(entry, this.#entries.length);
    return this.#entries.length;
  }

  async openTarget(): Promise<MemoryTarget> {
    const error = this.openErrors.shift();
    if (error !== undefined) throw error;
    this.opened++;
    this.open++;
    return new MemoryTarget(this);
  }

  async openLog(_target: MemoryTarget, queue: ApplyQueue<number, string>): Promise<MemoryLog> {
    this.open++;
    const log = new MemoryLog(this, queue);
    this.log = log;
    for (const [index, entry] of this.#entries.entries())
      if (index >= this.committed) log.tell(entry, index + 1);
    return log;
  }

  lagBytes(): number {
    return this.lag;
  }

  judge(error: Error): Fault {
    return error.message as Fault;
  }
}

class MemoryTarget implements StreamTarget<number, string> {
  readonly #ends: MemoryEnds;
  #steps: string[] = [];
  pendingBytes = 0;

  constructor(ends: MemoryEnds) {
    this.#ends = ends;
  }

  add(step: string): Promise<void> | undefined {
    const add = (): void => {
      this.#steps.push(step);
      this.pendingBytes += step.length;
    };
    if (step.startsWith('late')) return Promise.resolve().then(add);
    add();
    return undefined;
  }

  async flush(): Promise<void> {
    this.#ends.batches.push({ steps: this.#take() });
  }

  async commit(place: number): Promise<void> {
    const steps = this.#take();
    await this.#ends.untilCommit;
    const error = this.#ends.commitErrors.shift();
    if (error !== undefined) throw error;
    this.#ends.batches.push({ steps, place });
    this.#ends.committed = place;
  }

  async close(): Promise<void> {
    this.#ends.open--;
  }

  #take(): string[] {
    this.pendingBytes = 0;
    return this.#steps.splice(0);
  }
}

class MemoryLog implements SourceLog<number> {
  readonly #ends: MemoryEnds;
  readonly #queue: ApplyQueue<number, string>;
  readonly beginsBehind: number;

  constructor(ends: MemoryEnds, queue: ApplyQueue<number, string>) {
    this.#ends = ends;
    this.#queue = queue;
    this.beginsBehind = ends.committed;
  }

  tell(entry: Entry, place: number): void {
    if (entry === 'none of ours') {
      this.#queue.addPassed(place);
      return;
    }
    for (const step of entry) this.#queue.addStep(step, step.length);
    this.#queue.addCommit(place);
  }

  /** A transaction that has not come to its end. */
  begin(...steps: string[]): void {
    for (const step of steps) this.#queue.addStep(step, step.length);
  }

  fail(error: Error): void {
    this.#queue.fail(error);
  }

  pause(): void {}

  resume(): void {}

  want(place: number): void {
    this.#ends.wanted.push(place);
  }

  async beat(): Promise<void> {
    this.#ends.beats++;
  }

  async close(): Promise<void> {
    this.#ends.log = undefined;
    this.#ends.open--;
  }
}
