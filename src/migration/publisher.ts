import { asError } from '../lib/errors.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { TopologyStore } from '../topology/store.js';
import type { Topology } from '../topology/topology.js';

/**
 * Changes the topology: first in the store, then for the sessions. A store that fails does not say whether the change
 * is in it; nothing else is changed before that is known, or two epochs of the same number could differ.
 */
export class Publisher {
  readonly #topology: Topology;
  readonly #store: TopologyStore;
  /** Given to the store, which did not say whether it has it. */
  #doubtful: Snapshot | undefined;

  constructor(topology: Topology, store: TopologyStore) {
    this.#topology = topology;
    this.#store = store;
  }

  /** Resolves when every proxy routes by it. Rejects when the change was not made, or when it is not known; then trying again finds out. */
  async publish(change: (current: Snapshot) => Snapshot): Promise<void> {
    await this.settle();
    const next = change(this.#topology.current);
    const failure = await this.store(next);
    if (failure !== undefined) throw failure;
    await this.#topology.publish(next);
  }

  /** Stores without publishing: undefined when it is in the store, the reason when it is not. Rejects when that is not known. */
  async store(next: Snapshot): Promise<Error | undefined> {
    this.#doubtful = next;
    try {
      await this.#store.compareAndSwap(next.database, next.epoch - 1, next);
      this.#doubtful = undefined;
      return undefined;
    } catch (thrown) {
      const isStored = await this.#isStored(next);
      this.#doubtful = undefined;
      return isStored ? undefined : asError(thrown);
    }
  }

  /** Finds out about a change that was left in doubt, and publishes it when the store has it. */
  async settle(): Promise<void> {
    const doubtful = this.#doubtful;
    if (doubtful === undefined) return;
    const isStored = await this.#isStored(doubtful);
    this.#doubtful = undefined;
    if (isStored) await this.#topology.publish(doubtful);
  }

  /** The migration's loop is the only writer: its epoch in the store is its snapshot in the store. */
  async #isStored(next: Snapshot): Promise<boolean> {
    return (await this.#store.load(next.database))?.epoch === next.epoch;
  }
}
