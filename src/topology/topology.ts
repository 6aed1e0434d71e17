import { Gate } from './gate.js';
import { Participants } from './participants.js';
import type { ShardName } from './ring.js';
import type { Snapshot } from './snapshot.js';

/** A point in a database's log (an LSN, a GTID set): opaque text to everyone but the wing that made it. */
export type Position = string;

/**
 * Waits until the change stream that starts at `shard` has applied everything up to `position` on the other owner.
 * Always resolves: when the other owner is late beyond a limit, the migration steps back and the wait ends.
 */
export type MirrorBarrier = (migration: string, shard: ShardName, position: Position) => Promise<void>;

/**
 * One database's current snapshot and its gate: the one place where sessions and migrations meet. Publication is
 * synchronous, so whoever reads `current` and enters the gate in one turn has a consistent pair.
 */
export class Topology {
  #current: Snapshot;
  readonly gate = new Gate();
  /** All processes that route by this topology; who changes it asks them, sessions only pass this one's gate. */
  readonly participants = new Participants(this.gate);
  readonly #watchers = new Set<(snapshot: Snapshot) => void>();
  /** Set by the composition root; sessions call it, the migration implements it. */
  mirrorBarrier: MirrorBarrier = async () => {};

  constructor(initial: Snapshot) {
    this.#current = initial;
  }

  get current(): Snapshot {
    return this.#current;
  }

  /** Here at once; resolves when every participant routes by it. */
  publish(next: Snapshot): Promise<void> {
    if (next.epoch <= this.#current.epoch)
      throw new RangeError(`epoch ${next.epoch} is not after ${this.#current.epoch}`);
    this.#current = next;
    for (const watch of this.#watchers) watch(next);
    return this.participants.publish(next);
  }

  watch(listener: (snapshot: Snapshot) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }
}
