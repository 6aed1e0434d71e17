import type { AppliedStream, StreamSpec } from '../../src/migration/engine.js';
import { type SimDatabase, selects } from './database.js';
import type { Faults, Life } from './engine.js';
import type { VirtualTime } from './virtual-time.js';

export function slotOf(
  migration: string,
  direction: StreamSpec['direction'],
  from: string,
  to: string,
): string {
  return `${migration}/${direction}/${from}-${to}`;
}

/** An applier: reads the source's log from its slot, and applies what concerns it in commit order, with its position. */
export class SimStream implements AppliedStream {
  transactionsApplied = 0;
  rowsApplied = 0;
  readonly ended: Promise<void>;
  readonly #from: SimDatabase;
  readonly #to: SimDatabase;
  readonly #spec: StreamSpec;
  readonly #time: VirtualTime;
  readonly #life: Life;
  readonly #faults: Faults;
  readonly #slot: string;
  #next: number;
  #isStopped = false;
  #isOver = false;
  #waiters: { position: number; resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(
    from: SimDatabase,
    to: SimDatabase,
    spec: StreamSpec,
    time: VirtualTime,
    life: Life,
    faults: Faults,
  ) {
    this.#from = from;
    this.#to = to;
    this.#spec = spec;
    this.#time = time;
    this.#life = life;
    this.#faults = faults;
    this.#slot = slotOf(spec.migration, spec.direction, spec.from.shard, spec.to.shard);
    const begin = from.slots.get(this.#slot);
    if (begin === undefined) throw new Error(`there is no slot ${this.#slot}`);
    this.#next = Math.max(begin, to.progress.get(this.#slot) ?? 0);
    this.ended = this.#run();
    // Nobody may have got hold of it yet when it breaks.
    this.ended.catch(() => {});
  }

  get applied(): string {
    return String(this.#next);
  }

  get lagBytes(): number {
    return (this.#from.log.length - this.#next) * 100;
  }

  waitFor(position: string): Promise<void> {
    if (this.#isOver) return Promise.reject(new Error('the stream ended'));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ position: Number(position), resolve, reject });
      this.#tell();
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.ended.catch(() => {});
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopped) {
        await this.#time.sleep(this.#faults.slowStreamMs ?? 1 + this.#time.below(4));
        if (this.#life.isOver || this.#isStopped) return;
        if (this.#time.chance(this.#faults.failing / 10))
          throw Object.assign(new Error('server closed the connection'), { code: '57P01' });
        this.#applySome(1 + this.#time.below(4));
        this.#tell();
      }
    } finally {
      this.#isOver = true;
      for (const { reject } of this.#waiters.splice(0)) reject(new Error('the stream ended'));
    }
  }

  #applySome(most: number): void {
    const opposite = this.#spec.direction === 'forward' ? 'reverse' : 'forward';
    for (let i = 0; i < most && this.#next < this.#from.log.length; i++) {
      const entry = this.#from.log[this.#next]!;
      this.#next++;
      const isOurs = entry.origin?.startsWith(`${this.#spec.migration}/${opposite}/`) ?? false;
      const changes = isOurs
        ? []
        : entry.changes.filter(({ table, key }) => selects(this.#spec.tasks, table, key));
      this.#to.apply(changes, this.#slot);
      this.#to.progress.set(this.#slot, this.#next);
      if (changes.length > 0) this.transactionsApplied++;
      this.rowsApplied += changes.length;
    }
  }

  #tell(): void {
    const due = this.#waiters.filter(({ position }) => position <= this.#next);
    this.#waiters = this.#waiters.filter(({ position }) => position > this.#next);
    for (const { resolve } of due) resolve();
  }
}
