import type { Places } from './stream-ends.js';

interface Waiter<Place> {
  readonly place: Place;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Those who wait until a place in the log has been applied. */
export class ApplyWaiters<Place> {
  readonly #covers: Places<Place>['covers'];
  #waiting: Waiter<Place>[] = [];

  constructor(covers: Places<Place>['covers']) {
    this.#covers = covers;
  }

  /** What is waited for. */
  get places(): Place[] {
    return this.#waiting.map(({ place }) => place);
  }

  add(place: Place): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ place, resolve, reject });
    });
  }

  /** Everything up to `applied` is applied. */
  advance(applied: Place): void {
    if (this.#waiting.length === 0) return;
    const waiting: Waiter<Place>[] = [];
    const reached: Waiter<Place>[] = [];
    for (const waiter of this.#waiting)
      (this.#covers(applied, waiter.place) ? reached : waiting).push(waiter);
    this.#waiting = waiting;
    for (const waiter of reached) waiter.resolve();
  }

  /** Nothing more will be applied. */
  end(error: Error): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }
}
