import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { DecisionLog } from '../topology/store.js';
import type { ToPrimary } from './messages.js';

interface Primary {
  ask(message: ToPrimary): Promise<unknown>;
  tell(message: ToPrimary): void;
}

/** The primary's durable log, as a worker's two-phase commits use it. */
export class RemoteDecisions implements DecisionLog {
  readonly owner: string;
  readonly #primary: Primary;

  constructor(owner: string, primary: Primary) {
    this.owner = owner;
    this.#primary = primary;
  }

  /** A primary that has gone may have stored it: then whoever comes after it resolves the transaction, and this process ends. */
  async record(gid: string): Promise<void> {
    try {
      await this.#primary.ask({ type: 'record-decision', gid });
    } catch (thrown) {
      const error = asOperatingError(thrown);
      if (error.code !== 'not-ready') throw error;
      throw new OperatingError('outcome-unknown', 'the process that stores decisions has gone', {
        hint: 'The transaction is committed or rolled back when Ringferry is up again. Look before you send it again.',
        cause: thrown,
      });
    }
  }

  async forget(gid: string): Promise<void> {
    this.#primary.tell({ type: 'forget-decision', gid });
  }

  async list(): Promise<string[]> {
    const answer = await this.#primary.ask({ type: 'list-decisions' });
    if (Array.isArray(answer) && answer.every((gid) => typeof gid === 'string')) return answer;
    throw new OperatingError('internal', 'the list of decisions was not understood');
  }
}
