import { LRUCache } from 'lru-cache';
import type { PoolConfig } from '../config/config.js';
import type { Backend } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import type { Pace } from '../routing/pace.js';
import type { Dialect } from './dialect.js';

/** How long the database is believed. */
const BELIEVED_MS = 60_000;
const MAX_KNOWN = 1_000;

/**
 * A read may write although its text does not show it: a view, a policy or an operator can call a function that does. One that stands in
 * line may be run twice, so before its template does, the database is asked about what it names, right behind a run that had a backend for itself.
 */
export class HiddenWrites {
  /** Another one after DDL that was seen here: what the database said before does not count any more. */
  era = 0;
  readonly #dialect: Dialect;
  readonly #isOn: boolean;
  /** May reads that a question is about write? */
  readonly #known = new LRUCache<string, boolean>({ max: MAX_KNOWN, ttl: BELIEVED_MS });

  constructor(dialect: Dialect, { pipeline }: PoolConfig) {
    this.#dialect = dialect;
    this.#isOn = pipeline > 1;
  }

  /** Views and the like may have become others. */
  forget(): void {
    this.era++;
    this.#known.clear();
  }

  /** Could it stand in line but for this question? `backend`: where it has just run. */
  isQuestionDue(pace: Pace | undefined, backend: Backend, pool: Pool): pace is Pace {
    if (!this.#isOn || pace?.isToBeAskedAbout(performance.now()) !== true) return false;
    return (
      pace.isQuick(pool.floorMs) && backend.transaction === 'idle' && !backend.isBusy && !backend.isBroken
    );
  }

  /** Asks the backend what is not known. Never rejects: what cannot be answered is taken to write, for as long. */
  async ask(pace: Pace, backend: Backend): Promise<void> {
    pace.asking(performance.now());
    const { era } = this;
    let untilMs = Number.POSITIVE_INFINITY;
    let isHarmless = true;
    try {
      for (const question of this.#dialect.hiddenWritesSql(pace.dependencies)) {
        isHarmless = !(await this.#mayWrite(question, backend, era));
        untilMs = Math.min(untilMs, performance.now() + this.#known.getRemainingTTL(question));
        if (!isHarmless) break;
      }
    } catch {
      isHarmless = false;
      untilMs = performance.now() + BELIEVED_MS;
    }
    pace.judged(isHarmless, untilMs, era);
  }

  async #mayWrite(question: string, backend: Backend, era: number): Promise<boolean> {
    const known = this.#known.get(question);
    if (known !== undefined) return known;
    const mayWrite = (await backend.rows(question))[0]?.[0] !== 'no';
    if (era === this.era) this.#known.set(question, mayWrite);
    return mayWrite;
  }
}
