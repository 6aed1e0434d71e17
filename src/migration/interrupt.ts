import type { Clock } from '../lib/clock.js';
import type { Phase } from './record.js';

/** The loop itself asked a phase to end: the process stops, or the operator aborts. Not an error. */
export class Interrupted extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'Interrupted';
  }
}

/** The phase cannot go on as it is; an earlier one makes it good. Counted, never an error for clients. */
export class StepBack extends Error {
  readonly phase: Phase;
  constructor(phase: Phase, reason: string) {
    super(reason);
    this.name = 'StepBack';
    this.phase = phase;
  }
}

/** Something took longer than it may. */
export class TimedOut extends Error {
  constructor(what: string, limitMs: number) {
    super(`${what} took longer than ${limitMs} ms`);
    this.name = 'TimedOut';
  }
}

/** `promise`, or a TimedOut after `limitMs`. The promise itself goes on; who started it sees to its end. */
export async function within<T>(
  clock: Clock,
  limitMs: number,
  what: string,
  promise: Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const timeout = clock.sleep(limitMs, ended.signal).then((): never => {
    throw new TimedOut(what, limitMs);
  });
  // When the promise wins, the sleep ends early and its rejection is nobody's.
  timeout.catch(() => {});
  promise.catch(() => {});
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    ended.abort();
  }
}

/** Throws what the signal was aborted with. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason;
}
