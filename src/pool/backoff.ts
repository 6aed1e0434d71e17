import type { OperatingError } from '../lib/errors.js';

const FIRST_MS = 50;
const MOST_MS = 1_000;

/**
 * Keeps a shard that cannot be reached from being hammered: for a while after a failed attempt its error stands, and no
 * other attempt is made. The while doubles with each failure up to one second.
 */
export class Backoff {
  #failure: OperatingError | undefined;
  #pauseMs = 0;
  #untilMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** The error that stands now; undefined when an attempt may be made. */
  get standing(): OperatingError | undefined {
    return performance.now() < this.#untilMs ? this.#failure : undefined;
  }

  failed(error: OperatingError): void {
    this.#failure = error;
    this.#pauseMs = Math.min(MOST_MS, this.#pauseMs === 0 ? FIRST_MS : this.#pauseMs * 2);
    this.#untilMs = performance.now() + this.#pauseMs;
  }

  succeeded(): void {
    this.#failure = undefined;
    this.#pauseMs = 0;
    this.#untilMs = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Calls back once when the next attempt may be made; one caller at a time. */
  whenOver(act: () => void): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        act();
      },
      Math.max(1, this.#untilMs - performance.now() + 1),
    );
    this.#timer.unref();
  }
}
