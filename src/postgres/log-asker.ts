import type { Lsn } from './lsn.js';

/** How the source is made to tell how far its log goes. */
export interface AskerCalls {
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
 * Asks the source again and again, until it has told of the furthest position that is wanted: log that holds nothing for us
 * is passed in silence otherwise.
 */
export class LogAsker {
  readonly #calls: AskerCalls;
  #wanted: Lsn = 0n;
  #timer: NodeJS.Timeout | undefined;
  #askMs = FIRST_ASK_MS;
  #nudgeAtMs = 0;
  #isNudging = false;

  constructor(calls: AskerCalls) {
    this.#calls = calls;
  }

  /** Somebody waits for `lsn`. Asks at once if it is further than what was wanted before. */
  want(lsn: Lsn): void {
    if (lsn <= this.#wanted) return;
    this.#wanted = lsn;
    clearTimeout(this.#timer);
    this.#askMs = FIRST_ASK_MS;
    this.#nudgeAtMs = performance.now() + NUDGE_AFTER_MS;
    this.#ask();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #ask(): void {
    if (this.#calls.told() >= this.#wanted) return;
    this.#calls.ask();
    if (performance.now() >= this.#nudgeAtMs && !this.#isNudging) this.#nudge();
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
