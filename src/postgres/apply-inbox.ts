import type { ApplyTable, TableStep } from './apply-table.js';
import type { Lsn } from './lsn.js';
import { decodePgoutput, type PgoutputMessage } from './pgoutput.js';

/** What the applier has to do next, in log order. */
export type InboxEntry =
  | { readonly type: 'step'; readonly step: TableStep; readonly bytes: number }
  | { readonly type: 'commit'; readonly endLsn: Lsn; readonly bytes: number }
  /** Everything before `lsn` has been told, and nothing of it is ours. */
  | { readonly type: 'passed'; readonly lsn: Lsn; readonly bytes: number };

/** Above this the source is asked to wait, below half of it to go on. */
const MAX_WAITING_BYTES = 16 << 20;
const ENTRY_OVERHEAD_BYTES = 200;

export interface InboxFlow {
  pause(): void;
  resume(): void;
}

/**
 * Between the source's stream and the applier: decodes, leaves out what is not ours, and holds a bounded amount. A
 * transaction that one of the migration's own sessions made (its origin says so) is left out whole.
 */
export class ApplyInbox {
  readonly #tables: ReadonlyMap<string, ApplyTable>;
  readonly #ownOrigins: string;
  readonly #appliedBefore: Lsn;
  readonly #byRelation = new Map<number, ApplyTable | undefined>();
  #entries: InboxEntry[] = [];
  #first = 0;
  #waitingBytes = 0;
  #isPaused = false;
  #isLeftOut = false;
  #hasSteps = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  flow: InboxFlow | undefined;
  /** The furthest position that the source has told of. */
  told: Lsn = 0n;

  /** `appliedBefore`: transactions that end there or before are on the target already. */
  constructor(tables: ReadonlyMap<string, ApplyTable>, ownOrigins: string, appliedBefore: Lsn) {
    this.#tables = tables;
    this.#ownOrigins = ownOrigins;
    this.#appliedBefore = appliedBefore;
  }

  accept(bytes: Buffer): void {
    this.#take(decodePgoutput(bytes), bytes.length);
  }

  passed(lsn: Lsn): void {
    if (lsn > this.told) this.told = lsn;
    const last = this.#entries.at(-1);
    if (last?.type === 'passed' && this.#first < this.#entries.length) this.#entries.pop();
    this.#push({ type: 'passed', lsn, bytes: 0 });
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** The next entry, or undefined when there is none yet. Throws when the stream has failed. */
  next(): InboxEntry | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const entry = this.#entries[this.#first];
    if (entry === undefined) return undefined;
    this.#first++;
    if (this.#first === this.#entries.length || this.#first > 1024) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    this.#waitingBytes -= entry.bytes;
    if (this.#isPaused && this.#waitingBytes < MAX_WAITING_BYTES / 2) {
      this.#isPaused = false;
      this.flow?.resume();
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

  wake(): void {
    this.#wake?.();
  }

  #take(message: PgoutputMessage, bytes: number): void {
    switch (message.type) {
      case 'begin':
        // The commit record begins before the transaction ends, and none other lies between.
        this.#isLeftOut = message.commitLsn < this.#appliedBefore;
        this.#hasSteps = false;
        break;
      case 'origin':
        if (message.name.startsWith(this.#ownOrigins)) this.#isLeftOut = true;
        break;
      case 'relation': {
        const table = this.#tables.get(`${message.schema}.${message.name}`);
        table?.checkRelation(message);
        this.#byRelation.set(message.id, table);
        break;
      }
      case 'insert':
      case 'update':
      case 'delete':
        if (!this.#isLeftOut)
          this.#addSteps(this.#byRelation.get(message.relation)?.steps(message) ?? [], bytes);
        break;
      case 'truncate':
        for (const relation of this.#isLeftOut ? [] : message.relations) {
          const table = this.#byRelation.get(relation);
          if (table !== undefined) this.#addSteps([table.truncate()], bytes);
        }
        break;
      case 'commit':
        this.#commit(message.endLsn);
        break;
      default:
    }
  }

  #addSteps(steps: readonly TableStep[], bytes: number): void {
    for (const step of steps) {
      this.#hasSteps = true;
      this.#push({ type: 'step', step, bytes: bytes + ENTRY_OVERHEAD_BYTES });
    }
  }

  #commit(endLsn: Lsn): void {
    if (endLsn > this.told) this.told = endLsn;
    if (this.#hasSteps) this.#push({ type: 'commit', endLsn, bytes: 0 });
    else this.passed(endLsn);
  }

  #push(entry: InboxEntry): void {
    this.#entries.push(entry);
    this.#waitingBytes += entry.bytes;
    if (!this.#isPaused && this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#isPaused = true;
      this.flow?.pause();
    }
    this.#wake?.();
  }
}
