import type { Clock } from '../lib/clock.js';
import type { Control, DatabaseState } from './control.js';

/** The totals that SHOW STATS tells, in PgBouncer's words; times in microseconds. */
export interface StatsTotals {
  readonly serverAssignments: number;
  readonly transactions: number;
  readonly statements: number;
  readonly received: number;
  readonly sent: number;
  readonly transactionUs: number;
  readonly statementUs: number;
  readonly waitUs: number;
  readonly clientParses: number;
  readonly serverParses: number;
  readonly binds: number;
}

const PERIOD_MS = 60_000;
const NOTHING: StatsTotals = {
  serverAssignments: 0,
  transactions: 0,
  statements: 0,
  received: 0,
  sent: 0,
  transactionUs: 0,
  statementUs: 0,
  waitUs: 0,
  clientParses: 0,
  serverParses: 0,
  binds: 0,
};

interface Sample {
  readonly atMs: number;
  readonly totals: ReadonlyMap<string, StatsTotals>;
}

/**
 * Averages over the last period, as PgBouncer's `stats_period`: totals are sampled once a period, and the averages are
 * between the last two samples (since the start, before there are two).
 */
export class StatsWindow {
  readonly #control: Control;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #older: Sample;
  #newer: Sample | undefined;

  constructor(control: Control, clock: Clock) {
    this.#control = control;
    this.#clock = clock;
    this.#older = { atMs: control.startedAtMs, totals: new Map() };
    void this.#run();
  }

  totals(): ReadonlyMap<string, StatsTotals> {
    return new Map(this.#control.databases().map((database) => [database.name, totalsOf(database)]));
  }

  /** Counts per second; times per transaction, statement or assignment, in microseconds. */
  averages(database: string): StatsTotals {
    const newer = this.#newer ?? { atMs: this.#clock.now(), totals: this.totals() };
    const seconds = Math.max(0.001, (newer.atMs - this.#older.atMs) / 1000);
    const now = newer.totals.get(database) ?? NOTHING;
    const before = this.#older.totals.get(database) ?? NOTHING;
    const change = (name: keyof StatsTotals) => Math.max(0, now[name] - before[name]);
    const rate = (name: keyof StatsTotals) => Math.round(change(name) / seconds);
    const mean = (time: keyof StatsTotals, events: keyof StatsTotals) =>
      Math.round(change(time) / Math.max(1, change(events)));
    return {
      serverAssignments: rate('serverAssignments'),
      transactions: rate('transactions'),
      statements: rate('statements'),
      received: rate('received'),
      sent: rate('sent'),
      transactionUs: mean('transactionUs', 'transactions'),
      statementUs: mean('statementUs', 'statements'),
      waitUs: mean('waitUs', 'serverAssignments'),
      clientParses: rate('clientParses'),
      serverParses: rate('serverParses'),
      binds: rate('binds'),
    };
  }

  /** Takes a sample now; called once a period. */
  sample(): void {
    if (this.#newer !== undefined) this.#older = this.#newer;
    this.#newer = { atMs: this.#clock.now(), totals: this.totals() };
  }

  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#clock.sleep(PERIOD_MS, this.#stop.signal);
      await this.#control.gather('counts');
      if (!this.#stop.signal.aborted) this.sample();
    }
  }
}

function totalsOf(database: DatabaseState): StatsTotals {
  return {
    serverAssignments: database.leasesTotal,
    transactions: database.transactionsTotal,
    statements: database.statementsTotal,
    received: database.receivedBytesTotal,
    sent: database.sentBytesTotal,
    transactionUs: Math.round(database.transactionMsTotal * 1000),
    statementUs: Math.round(database.statementMs.sum * 1000),
    waitUs: Math.round(database.leaseWaitMsTotal * 1000),
    clientParses: database.clientParsesTotal,
    serverParses: database.serverParsesTotal,
    binds: database.bindsTotal,
  };
}
