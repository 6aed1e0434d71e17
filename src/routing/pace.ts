import type { Dependencies } from './dependencies.js';

/** Runs alone that must have been seen before a statement is called quick. */
const RUNS_TO_KNOW = 2;
/** A statement is quick that keeps an idle server busy for less, in milliseconds … */
const QUICK_MS = 1;
/** … and, on average, a server as busy as it has been lately for less than this. */
const QUICK_LATELY_MS = 5;
/** One run tells no more than this, so that a pause of the machine does not make a quick statement slow. */
const MAX_SAMPLE_MS = 20;
/** Weight of the newest run. */
const NEWEST = 1 / 8;
/** The least time of a run creeps up by this part at each longer one. */
const CREEP = 1 / 256;
/** No statement keeps a server busy for less, in milliseconds. */
const LEAST_MS = 0.03;
/** Looking what it takes when few run at once, this part of the time is believed, so that lines get long and few backends are busy. */
const OPTIMISM = 1 / 4;
/** Then this many answers are not counted, of those who stood in line before … */
const UNCOUNTED = 16;
/** … and the least mean of so many windows of so many answers counts: a pause of the machine spoils one window only. */
const WINDOWS = 4;
const WINDOW = 16;
/** How long that is believed, in milliseconds … */
const BELIEVED_MS = 5_000;
/** … and for how long while it still falls by more than so much: with fewer backends busy it takes less again. */
const DOUBTED_MS = 100;
const FALLS = 0.8;
/** The database is asked at most once in so long, in milliseconds; while one run asks anew, the others go on as before. */
const ASKING_MS = 1_000;

/**
 * Whether runs of one template may stand in line: how long they have kept a server busy lately, and what the database has said of what they
 * name. The only part of a plan that changes.
 */
export class Pace {
  readonly dependencies: Dependencies;
  #isHarmless = false;
  #isDoubtful = true;
  #askAgainAtMs = Number.NEGATIVE_INFINITY;
  #believedUntilMs = Number.NEGATIVE_INFINITY;
  #era = -1;
  #isAlone = false;
  #runs = 0;
  /** Lately, whatever else the machine did. */
  #ms = 0;
  /** Lately when it had a backend for itself and nothing else was in its way. */
  #leastMs = Number.POSITIVE_INFINITY;
  /** In line, when few ran at once; undefined: not seen yet. */
  #sharedMs: number | undefined;
  #isLooking = true;
  #lookAgainAtMs = 0;
  /** Answers of this look, from -UNCOUNTED. */
  #counted = -UNCOUNTED;
  #sumMs = 0;
  #leastMeanMs = Number.POSITIVE_INFINITY;

  constructor(dependencies: Dependencies) {
    this.dependencies = dependencies;
  }

  /** The database has not been asked, or long ago: whoever runs it alone asks, and says so by `asking`. */
  isToBeAskedAbout(nowMs: number): boolean {
    return this.#isDoubtful && nowMs >= this.#askAgainAtMs;
  }

  asking(nowMs: number): void {
    this.#isDoubtful = false;
    this.#askAgainAtMs = nowMs + ASKING_MS;
  }

  /** The database has said whether it writes although its text does not show it, and is believed until then (performance.now()) in this era. */
  judged(isHarmless: boolean, untilMs: number, era: number): void {
    this.#isDoubtful = false;
    this.#isHarmless = isHarmless;
    this.#believedUntilMs = untilMs;
    this.#era = era;
  }

  /** Is it known to write nothing? When that was asked too long ago it is not for one run, which goes alone and asks. `era`: another one after DDL. */
  isHarmless(nowMs: number, era: number): boolean {
    if (era === this.#era && nowMs < this.#believedUntilMs) return this.#isHarmless;
    this.#isDoubtful = true;
    if (era === this.#era) this.#believedUntilMs = nowMs + ASKING_MS;
    return false;
  }

  /** A run of it has left something that must be fetched before the next statement runs there: it keeps a backend for itself. */
  leavesTrace(): void {
    this.#isAlone = true;
  }

  /** It had a backend for itself, for so long from its first byte to the end of its answer. */
  noteAlone(ms: number): void {
    this.#leastMs = ms < this.#leastMs ? ms : this.#leastMs + (ms - this.#leastMs) * CREEP;
    this.#note(ms);
  }

  /** It stood in line, and the server was busy with it for so long, since it had answered what stood before it. By performance.now(). */
  noteShared(ms: number, nowMs: number): void {
    this.#note(ms);
    if (!this.#isLooking) {
      if (nowMs < this.#lookAgainAtMs) return;
      this.#isLooking = true;
      this.#counted = -UNCOUNTED;
      this.#leastMeanMs = Number.POSITIVE_INFINITY;
      this.#sumMs = 0;
    }
    if (this.#counted++ < 0) return;
    this.#sumMs += ms;
    if (this.#counted % WINDOW !== 0) return;
    this.#leastMeanMs = Math.min(this.#leastMeanMs, this.#sumMs / WINDOW);
    this.#sumMs = 0;
    if (this.#counted < WINDOW * WINDOWS) return;
    this.#isLooking = false;
    const falls = this.#leastMeanMs < (this.#sharedMs ?? Number.POSITIVE_INFINITY) * FALLS;
    this.#lookAgainAtMs = nowMs + (falls ? DOUBTED_MS : BELIEVED_MS);
    this.#sharedMs = this.#leastMeanMs;
  }

  #note(ms: number): void {
    const sample = Math.min(ms, MAX_SAMPLE_MS);
    if (this.#runs < RUNS_TO_KNOW) this.#runs++;
    this.#ms = this.#runs === 1 ? sample : this.#ms + (sample - this.#ms) * NEWEST;
  }

  /** `floorMs`: what the way to the server and back takes by itself. */
  isQuick(floorMs: number): boolean {
    return (
      !this.#isAlone &&
      this.#runs >= RUNS_TO_KNOW &&
      this.#ms - floorMs < QUICK_LATELY_MS &&
      this.#leastMs - floorMs < QUICK_MS
    );
  }

  /** Those who come next could stand in line, as far as is known. */
  mayShare(floorMs: number): boolean {
    return this.#isHarmless && this.isQuick(floorMs);
  }

  /**
   * How long others will wait for it who stand behind it, in milliseconds. How busy the machine is does not change it: the more
   * backends are busy, the longer each takes, which must not make more of them busy. So now and then it is seen how
   * long it takes with few (as BBR does with a round trip's time: Cardwell et al., ACM Queue 14:5, 2016).
   */
  weightMs(floorMs: number): number {
    const ms = this.#sharedMs ?? this.#leastMs - floorMs;
    return Math.max(this.#isLooking ? ms * OPTIMISM : ms, LEAST_MS);
  }
}
