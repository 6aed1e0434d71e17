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
    `of ${thousands(traffic.counts)} SELECT count(*) over all shards, before, during and after`,
    traffic.wrongCounts === 0,
  );
  row(screen, 'wrong reads', thousands(others), 'of what a client had written itself', others === 0);
  row(
    screen,
    'lost writes',
    thousands(report.lost.length),
    `of ${thousands(journal.acknowledgedWrites)} acknowledged, looked up past the proxy`,
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
  for (const [label, share] of [
    ['median latency', 0.5],
    ['99th percentile', 0.99],
  ] as const)
    row(screen, label, latencyAt(traffic, share), latencyWords(traffic, share));
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
    'that is how long statements for moving keys waited, once',
  );
  const customers = [...report.spread.values()].reduce((a, b) => a + b, 0);
  const shares = [...report.spread].map(
    ([name, count]) => `${name} ${((100 * count) / Math.max(1, customers)).toFixed(0)} %`,
  );
  row(screen, 'spread', `${report.spread.size} shards`, `${shares.join(', ')} of the customers`);
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

/** The latency while rows moved. */
function latencyAt(traffic: Traffic, share: number): string {
  const during = traffic.sections.find((section) => section.name === 'during');
  return during === undefined ? '-' : milliseconds(during.latencies.quantileMs(share));
}

/** The latency before and after, to compare. */
function latencyWords(traffic: Traffic, share: number): string {
  const others = traffic.sections.filter((section) => section.name !== 'during');
  const words = others.map(
    (section) => `${milliseconds(section.latencies.quantileMs(share))} ${section.name}`,
  );
  return `while rows moved; ${words.join(', ')}`;
}

function backfillMs({ began }: Growth): number | undefined {
  const [begin, end] = [began.get('backfilling'), began.get('catching-up')];
  return begin === undefined || end === undefined ? undefined : end - begin;
}
