import type { Gate, Hold } from './gate.js';
import type { Snapshot } from './snapshot.js';

/**
 * One process that routes by a database's topology, as who changes the topology sees it. Acts reach it in the order in
 * which they were made. Every promise resolves when the participant has done it, or has left for good: who is gone has
 * no statement inside. None rejects.
 */
export interface Participant {
  /** It routes by this snapshot from now on. */
  publish(snapshot: Snapshot): Promise<void>;
  /** Statements that the hold concerns wait there from now on. */
  hold(hold: Hold): Promise<void>;
  drained(): Promise<void>;
  passed(): Promise<void>;
  release(): void;
}

/**
 * All processes that route by one database's topology, this one among them: a hold stands when every one of them has
 * acknowledged it, and nothing is inside when every one of them says so. Who joins later is told the snapshot and the hold before it serves.
 */
export class Participants {
  readonly #gate: Gate;
  readonly #others = new Set<Participant>();
  #hold: Hold | undefined;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /** The hold that stands now: whoever joins must be told in the same turn. */
  get standingHold(): Hold | undefined {
    return this.#hold;
  }

  /** It takes part in everything that comes from now on, until the returned function is called. */
  join(participant: Participant): () => void {
    this.#others.add(participant);
    return () => this.#others.delete(participant);
  }

  publish(snapshot: Snapshot): Promise<void> {
    return this.#each((other) => other.publish(snapshot));
  }

  /** Holds here at once, and resolves when all others do; the caller races it against its deadline. Throws while another hold stands. */
  hold(hold: Hold): Promise<void> {
    this.#gate.hold(hold);
    this.#hold = hold;
    return this.#each((other) => other.hold(hold));
  }

  /** Resolves when nothing that the hold concerns is inside anywhere. */
  async drained(): Promise<void> {
    await Promise.all([this.#gate.drained(), this.#each((other) => other.drained())]);
  }

  /** Resolves when every transaction that is inside now, anywhere, and touches sharded tables as a whole has left. */
  async passed(): Promise<void> {
    await Promise.all([this.#gate.passed(), this.#each((other) => other.passed())]);
  }

  /** Ends the hold; the others hear it behind the snapshot that was published before. Returns how long it held, in milliseconds. */
  release(): number {
    if (this.#hold !== undefined) for (const other of this.#others) other.release();
    this.#hold = undefined;
    return this.#gate.release();
  }

  async #each(act: (other: Participant) => Promise<void>): Promise<void> {
    await Promise.all([...this.#others].map(act));
  }
}
