import type { Lsn } from './lsn.js';

/** How the waiters make the source tell how far its log goes. */
export interface WaiterCalls {
  /** The furthest position told, applied or not. */
  told(): Lsn;
  /** Asks the source to tell. */
  ask(): void;
  /** Makes the source commit something, so that its log gets on. */
  nudge(): Promise<void>;
}

const FIRST_ASK_MS = 1;
const LAST_ASK_MS = 16;
const NUDGE_AFTER_MS = 100;

/**
 * Those who wait until a position has been applied. While somebody waits for a position that the source has not told of,
 * it is asked again and again: log that holds nothing for us is passed in silence otherwise.
 */
export class ApplyWaiters {
  readonly #calls: WaiterCalls;
  #waiting: { readonly lsn: Lsn; readonly resolve: () => void; readonly reject: (error: Error) => void }[] =
    [];
  #furthest: Lsn = 0n;
  #timer: NodeJS.Timeout | undefined;
  #askMs = FIRST_ASK_MS;
  #nudgeAtMs = 0;
  #isNudging = false;

  constructor(calls: WaiterCalls) {
    this.#calls = calls;
  }

  add(lsn: Lsn): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lsn, resolve, reject });
      if (lsn > this.#furthest) {
        this.#furthest = lsn;
        this.restart();
      }
    });
  }

  /** Everything up to `lsn` is applied. */
  advance(lsn: Lsn): void {
    if (this.#waiting.length === 0) return;
    const reached = this.#waiting.filter((waiter) => waiter.lsn <= lsn);
    if (reached.length > 0) this.#waiting = this.#waiting.filter((waiter) => waiter.lsn > lsn);
    if (this.#waiting.length === 0) clearTimeout(this.#timer);
    for (const waiter of reached) waiter.resolve();
  }

  /** Asks anew, at once: somebody came, or the stream has begun again. */
  restart(): void {
    if (this.#waiting.length === 0) return;
    clearTimeout(this.#timer);
    this.#askMs = FIRST_ASK_MS;
    this.#nudgeAtMs = performance.now() + NUDGE_AFTER_MS;
    this.#ask();
  }

  end(error: Error): void {
    clearTimeout(this.#timer);
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }

  #ask(): void {
    if (this.#waiting.length === 0) return;
    if (this.#calls.told() < this.#furthest) {
      this.#calls.ask();
      if (performance.now() >= this.#nudgeAtMs && !this.#isNudging) this.#nudge();
    }
    this.#timer = setTimeout(() => this.#ask(), this.#askMs);
    this.#askMs = Math.min(LAST_ASK_MS, this.#askMs * 2);
  }

  #nudge(): void {
    this.#isNudging = true;
    this.#calls
      .nudge()
      .catch(() => {
        // A source that cannot be reached ends or restarts the stream; there is nothing to add here.
      })
      .finally(() => {
        this.#isNudging = false;
        this.#nudgeAtMs = performance.now() + NUDGE_AFTER_MS;
      });
  }
}
