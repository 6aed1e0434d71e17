import type { ApplyQueue } from '../migration/apply-queue.js';
import type { ApplyTable, TableStep } from './apply-table.js';
import type { Lsn } from './lsn.js';
import { decodePgoutput, type PgoutputMessage } from './pgoutput.js';

/**
 * Between the source's stream and the applier's queue: decodes, and leaves out what is not ours. A transaction that one of
 * the migration's own sessions made (its origin says so) is left out whole.
 */
export class ApplyInbox {
  readonly #queue: ApplyQueue<Lsn, TableStep>;
  readonly #tables: ReadonlyMap<string, ApplyTable>;
  readonly #ownOrigins: string;
  readonly #appliedBefore: Lsn;
  readonly #byRelation = new Map<number, ApplyTable | undefined>();
  #isLeftOut = false;
  #hasSteps = false;
  /** The furthest position that the source has told of. */
  told: Lsn = 0n;

  /** `appliedBefore`: transactions that end there or before are on the target already. */
  constructor(
    queue: ApplyQueue<Lsn, TableStep>,
    tables: ReadonlyMap<string, ApplyTable>,
    ownOrigins: string,
    appliedBefore: Lsn,
  ) {
    this.#queue = queue;
    this.#tables = tables;
    this.#ownOrigins = ownOrigins;
    this.#appliedBefore = appliedBefore;
  }

  accept(bytes: Buffer): void {
    this.#take(decodePgoutput(bytes), bytes.length);
  }

  passed(lsn: Lsn): void {
    if (lsn > this.told) this.told = lsn;
    this.#queue.addPassed(lsn);
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
      this.#queue.addStep(step, bytes);
    }
  }

  #commit(endLsn: Lsn): void {
    if (endLsn > this.told) this.told = endLsn;
    if (this.#hasSteps) this.#queue.addCommit(endLsn);
    else this.passed(endLsn);
  }
}
