import type { Hold } from '../topology/gate.js';
import type { Participant } from '../topology/participants.js';
import type { Snapshot } from '../topology/snapshot.js';
import { encodeTopology } from '../topology/stored-json.js';
import type { ToWorker } from './messages.js';
import { writeHold } from './written-hold.js';

/** The half of a channel that is needed to ask. */
interface Asks {
  ask(message: ToWorker): Promise<unknown>;
  tell(message: ToWorker): void;
}

/** A worker as a participant in one database's topology, seen from the primary: `topology-duty.ts` is the other end. */
export class RemoteParticipant implements Participant {
  readonly #database: string;
  readonly #worker: Asks;
  readonly #left: Promise<void>;
  readonly #onRefused: (error: Error) => void;

  /** `left`: resolves when the worker's process has ended. `onRefused`: it lives and cannot do it. */
  constructor(database: string, worker: Asks, left: Promise<void>, onRefused: (error: Error) => void) {
    this.#database = database;
    this.#worker = worker;
    this.#left = left;
    this.#onRefused = onRefused;
  }

  publish(snapshot: Snapshot): Promise<void> {
    return this.#ask({ type: 'publish', database: this.#database, topology: encodeTopology(snapshot) });
  }

  hold(hold: Hold): Promise<void> {
    return this.#ask({ type: 'hold', database: this.#database, hold: writeHold(hold) });
  }

  drained(): Promise<void> {
    return this.#ask({ type: 'drained', database: this.#database });
  }

  passed(): Promise<void> {
    return this.#ask({ type: 'passed', database: this.#database });
  }

  release(): void {
    this.#worker.tell({ type: 'release', database: this.#database });
  }

  /** A failed answer is no acknowledgement: only the process's end is as good as one. */
  async #ask(message: ToWorker): Promise<void> {
    try {
      await this.#worker.ask(message);
    } catch (thrown) {
      this.#onRefused(thrown as Error);
      await this.#left;
    }
  }
}
