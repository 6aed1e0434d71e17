import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../lib/errors.js';
import type { DemoEngine, ShopClients } from './engine.js';
import type { Journal } from './journal.js';
import { Latencies } from './latencies.js';
import { Shopper } from './shopper.js';

export interface TrafficOptions {
  readonly engine: DemoEngine;
  readonly url: string;
  readonly shoppers: number;
  /** A shopper thinks this long between two acts, on average. */
  readonly thinkMs: number;
  /** The watcher's pause between two counts, on average; none when not given. */
  readonly countPauseMs?: number;
  readonly customerIds: readonly string[];
  readonly journal: Journal;
}

/** What has been measured since a moment. */
export interface TrafficSection {
  readonly name: string;
  readonly latencies: Latencies;
  statements: number;
  readonly startedAtMs: number;
  endedAtMs: number | undefined;
}

/**
 * The shop's live traffic: shoppers on an ordinary driver's pool, and one watcher who counts the customers over all shards
 * again and again. There are always equally many customers, so any other answer is wrong.
 */
export class Traffic {
  readonly errors: string[] = [];
  readonly wrongAnswers: string[] = [];
  readonly sections: TrafficSection[] = [];
  statements = 0;
  errorCount = 0;
  counts = 0;
  wrongCounts = 0;
  readonly #options: TrafficOptions;
  readonly #clients: ShopClients;
  #isRunning = false;
  #loops: Promise<void>[] = [];

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#clients = options.engine.clients(options.url, {
      size: options.shoppers + 1,
      name: 'shop',
      // A lost connection is reported by the statement that ran on it; an idle one that is lost is an error too.
      onLost: (error) => this.#failed(error),
    });
  }

  start(section: string): void {
    this.#isRunning = true;
    this.enter(section);
    this.#loops = Array.from({ length: this.#options.shoppers }, () => this.#shop());
    this.#loops.push(this.#watch());
  }

  /** Statements from now on are measured under this name. */
  enter(section: string): void {
    const now = performance.now();
    const last = this.sections.at(-1);
    if (last !== undefined) last.endedAtMs = now;
    this.sections.push({
      name: section,
      latencies: new Latencies(),
      statements: 0,
      startedAtMs: now,
      endedAtMs: undefined,
    });
  }

  /** Resolves when every shopper has finished what it was doing. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#loops);
    const last = this.sections.at(-1);
    if (last !== undefined) last.endedAtMs = performance.now();
    await this.#clients.end();
  }

  async #shop(): Promise<void> {
    const { customerIds, journal, thinkMs } = this.#options;
    const shopper = new Shopper(this.#clients, customerIds, journal, {
      onStatement: (ms) => this.#measured(ms),
      onError: (error) => this.#failed(error),
      onWrongAnswer: (text) => this.wrongAnswers.push(text),
    });
    while (this.#isRunning) {
      await shopper.act();
      await sleep(Math.random() * 2 * thinkMs);
    }
  }

  async #watch(): Promise<void> {
    const { customerIds, countPauseMs = 0 } = this.#options;
    const expected = String(customerIds.length);
    while (this.#isRunning) {
      const begin = performance.now();
      try {
        const { rows } = await this.#clients.run('SELECT count(*) AS count FROM customers');
        this.#measured(performance.now() - begin);
        this.counts++;
        const count = String(rows[0]?.['count']);
        if (count !== expected) {
          this.wrongCounts++;
          this.wrongAnswers.push(`SELECT count(*) FROM customers gave ${count} instead of ${expected}`);
        }
        if (countPauseMs > 0) await sleep(Math.random() * 2 * countPauseMs);
      } catch (thrown) {
        this.#failed(asError(thrown));
        await sleep(5);
      }
    }
  }

  #measured(ms: number): void {
    this.statements++;
    const section = this.sections.at(-1)!;
    section.statements++;
    section.latencies.add(ms);
  }

  #failed(error: Error): void {
    this.errorCount++;
    const code = (error as { code?: string }).code;
    if (this.errors.length < 20)
      this.errors.push(code === undefined ? error.message : `${code}: ${error.message}`);
  }
}
