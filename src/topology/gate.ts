import { OperatingError } from '../lib/errors.js';
import type { Range } from './ring.js';
import { rangeHolds } from './ring.js';
import type { Token } from './token.js';

/** What a statement touches: the tokens of its keys, or whole tables (`sharded`: any range; `reference`: a reference table's write). */
export interface Touch {
  readonly tokens: readonly Token[];
  readonly sharded: boolean;
  readonly reference: boolean;
}

export const TOUCHES_NOTHING: Touch = { tokens: [], sharded: false, reference: false };

/** One transaction (or autocommit request) inside the gate, from its first statement to its end. */
export class Ticket {
  touches: Touch[] = [];
  /** Its place among those inside, -1 outside. For the gate only. */
  at = -1;
}

/** What a hold covers. */
export interface Hold {
  readonly ranges: readonly Range[];
  readonly reference: boolean;
}

function concerns(hold: Hold, touch: Touch): boolean {
  if (touch.sharded && hold.ranges.length > 0) return true;
  if (touch.reference && hold.reference) return true;
  for (const token of touch.tokens) if (hold.ranges.some((range) => rangeHolds(range, token))) return true;
  return false;
}

/**
 * One database's gate between sessions and a cutover. A statement enters before it is sent and leaves when its
 * transaction has ended; while a hold stands, statements that touch it wait, and the cutover waits for those already
 * inside. Entering and reading the snapshot must happen in the same turn of the event loop, so that no statement is
 * routed by an epoch that a cutover has ended.
 */
export class Gate {
  #hold: Hold | undefined;
  readonly #inside: Ticket[] = [];
  #waiting: { ticket: Ticket; touch: Touch; open: () => void }[] = [];
  #drained: (() => void)[] = [];
  readonly #passages = new Set<{ readonly inside: Set<Ticket>; readonly resolve: () => void }>();
  /** Statements that had to wait, and the longest wait of the last hold in milliseconds. */
  heldTotal = 0;
  lastHoldMs = 0;
  #heldSinceMs = 0;
  /** Told how long each hold was, in milliseconds. */
  onRelease: ((holdMs: number) => void) | undefined;

  /** Enters at once and returns undefined, or returns a promise after which the caller routes anew and tries again. */
  enter(ticket: Ticket, touch: Touch): Promise<void> | undefined {
    if (this.tryEnter(ticket, touch)) return undefined;
    this.heldTotal++;
    return new Promise((resolve) => this.#waiting.push({ ticket, touch, open: resolve }));
  }

  /** Enters if it need not wait. */
  tryEnter(ticket: Ticket, touch: Touch): boolean {
    const hold = this.#hold;
    if (hold !== undefined && concerns(hold, touch)) {
      const isInsideAlready = ticket.touches.some((earlier) => concerns(hold, earlier));
      if (!isInsideAlready) return false;
    }
    ticket.touches.push(touch);
    if (ticket.at === -1) ticket.at = this.#inside.push(ticket) - 1;
    return true;
  }

  leave(ticket: Ticket): void {
    ticket.touches = [];
    const wasInside = this.#remove(ticket);
    for (const passage of this.#passages) {
      if (!passage.inside.delete(ticket) || passage.inside.size > 0) continue;
      this.#passages.delete(passage);
      passage.resolve();
    }
    if (!wasInside || this.#drained.length === 0 || !this.isDrained()) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  /** The last one takes its place. False: it was not inside. */
  #remove(ticket: Ticket): boolean {
    const { at } = ticket;
    if (at === -1) return false;
    const last = this.#inside.pop()!;
    if (last !== ticket) {
      last.at = at;
      this.#inside[at] = last;
    }
    ticket.at = -1;
    return true;
  }

  /** Begins to hold; at most one hold at a time. */
  hold(hold: Hold): void {
    if (this.#hold !== undefined)
      throw new OperatingError('migration', 'another cutover of this database is holding statements');
    this.#hold = hold;
    this.#heldSinceMs = performance.now();
  }

  isDrained(): boolean {
    const hold = this.#hold;
    if (hold === undefined) return true;
    for (const ticket of this.#inside)
      if (ticket.touches.some((touch) => concerns(hold, touch))) return false;
    return true;
  }

  /** Resolves when nothing that the hold concerns is inside; the caller races it against its deadline. */
  drained(): Promise<void> {
    if (this.isDrained()) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /**
   * Resolves when every transaction that is inside now and touches sharded tables as a whole has left; holds nobody
   * back. After it no statement is running that was scattered by an earlier epoch, and no such snapshot is read.
   */
  passed(): Promise<void> {
    const inside = new Set(this.#inside.filter((ticket) => ticket.touches.some((touch) => touch.sharded)));
    if (inside.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#passages.add({ inside, resolve }));
  }

  /** Ends the hold and lets the waiting statements route anew. Returns how long it held, in milliseconds. */
  release(): number {
    if (this.#hold === undefined) return 0;
    this.#hold = undefined;
    this.lastHoldMs = performance.now() - this.#heldSinceMs;
    this.onRelease?.(this.lastHoldMs);
    for (const resolve of this.#drained.splice(0)) resolve();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter.open();
    return this.lastHoldMs;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }
}
