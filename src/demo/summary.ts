import type { AuditReport } from './audit.js';
import type { Growth } from './growth.js';
import type { Journal } from './journal.js';
import { milliseconds, type Screen, thousands } from './screen.js';
import type { Traffic } from './traffic.js';

export interface Outcome {
  readonly traffic: Traffic;
  readonly journal: Journal;
  readonly report: AuditReport;
  readonly growth: Growth;
}

/** Nothing failed, was lost, doubled, resurrected, or answered wrong, and something was checked. */
export function isGood({ traffic, report, growth }: Outcome): boolean {
  const failures =
    traffic.errorCount +
    traffic.wrongAnswers.length +
    report.lost.length +
    report.doubled.length +
    report.resurrected.length +
    report.uncertain;
  return failures === 0 && report.checked > 0 && traffic.counts > 0 && growth.copiedRows > 0;
}

/** The figures of this run, and up to five examples of whatever went wrong. */
export function printSummary(screen: Screen, outcome: Outcome): void {
  const { traffic, journal, report, growth } = outcome;
  const copyMs = backfillMs(growth);
  const moved = growth.copiedRows;
  const totalMs = traffic.sections.reduce(
    (ms, section) => ms + (section.endedAtMs ?? section.startedAtMs) - section.startedAtMs,
    0,
  );
  const others = traffic.wrongAnswers.length - traffic.wrongCounts;
  screen.line();
  screen.line(`  ${screen.bold('What the shop saw')}`);
  row(
    screen,
    'statements',
    thousands(traffic.statements),
    `${thousands((traffic.statements / totalMs) * 1000)} a second`,
  );
  row(screen, 'client errors', thousands(traffic.errorCount), '', traffic.errorCount === 0);
  row(
    screen,
    'wrong counts',
    thousands(traffic.wrongCounts),
    `of ${thousands(traffic.counts)} SELECT count(*) over all shards while rows moved`,
    traffic.wrongCounts === 0,
  );
  row(screen, 'wrong reads', thousands(others), 'of rows that a client had written itself', others === 0);
  row(
    screen,
    'lost writes',
    thousands(report.lost.length),
    `of ${thousands(journal.acknowledgedWrites)} acknowledged`,
    report.lost.length === 0,
  );
  row(screen, 'doubled writes', thousands(report.doubled.length), '', report.doubled.length === 0);
  row(
    screen,
    'resurrected rows',
    thousands(report.resurrected.length),
    `of ${thousands(journal.cancelled.size)} deleted`,
    report.resurrected.length === 0,
  );
  row(screen, 'latency', latencyWords(traffic, 0.5), `median ${sectionNames(traffic)}`);
  row(screen, '', latencyWords(traffic, 0.99), '99th percentile');
  screen.line(`  ${screen.bold('What the shards saw')}`);
  row(
    screen,
    'rows moved',
    thousands(moved),
    copyMs === undefined ? '' : `${thousands((moved / Math.max(1, copyMs)) * 1000)} rows/s`,
  );
  row(
    screen,
    'hold',
    growth.holdMs === undefined ? '-' : milliseconds(growth.holdMs),
    'statements for moving keys waited at most this long',
  );
  const customers = [...report.spread.values()].reduce((a, b) => a + b, 0);
  row(
    screen,
    'spread',
    [...report.spread]
      .map(([name, count]) => `${name} ${((100 * count) / Math.max(1, customers)).toFixed(0)} %`)
      .join('  '),
    'of the customers',
  );
  for (const example of [
    ...traffic.errors,
    ...traffic.wrongAnswers,
    ...report.lost,
    ...report.doubled,
    ...report.resurrected,
  ].slice(0, 5)) {
    screen.line(`    ${screen.bad(example)}`);
  }
  screen.line();
}

function row(screen: Screen, label: string, value: string, words: string, isRight?: boolean): void {
  const isShort = value.length <= 12;
  const padded = isShort ? value.padStart(12) : value;
  const styled = isRight === undefined ? padded : isRight ? screen.good(padded) : screen.bad(padded);
  screen.line(`    ${label.padEnd(18)}${styled}   ${screen.dim(words)}`.trimEnd());
}

function latencyWords(traffic: Traffic, share: number): string {
  return traffic.sections.map((section) => milliseconds(section.latencies.quantileMs(share))).join(' → ');
}

function sectionNames(traffic: Traffic): string {
  return traffic.sections.map((section) => section.name).join(', ');
}

function backfillMs({ began }: Growth): number | undefined {
  const [begin, end] = [began.get('backfilling'), began.get('catching-up')];
  return begin === undefined || end === undefined ? undefined : end - begin;
}
