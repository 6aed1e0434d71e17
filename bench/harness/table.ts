import type { ComparisonResult, ContenderResult, Verdict } from './results.js';

/** A comparison as cells, for the terminal and for the documentation; the first row is the head. */
export function cellsOf(comparison: ComparisonResult): string[][] {
  const { contenders, figure, peer } = comparison;
  const also = [...new Set(contenders.flatMap((contender) => Object.keys(contender.also ?? {})))];
  const hasCpu = contenders.some(({ cpu }) => cpu !== undefined);
  const head = [
    '',
    `${figure.label}: median of the rounds`,
    'least – most',
    ...(peer === undefined ? [] : [`÷ ${peer}`]),
    ...also,
    ...(hasCpu ? [`CPU of the proxy per ${figure.cpuPer ?? 'statement'}, µs: user + system`] : []),
  ];
  const rows = contenders.map((contender) => [
    contender.name,
    ...figuresOf(contender, figure.decimals),
    ...(peer === undefined ? [] : [contender.ratio?.toFixed(2) ?? '']),
    ...also.map((label) => numberOf(contender.also?.[label])),
    ...(hasCpu ? [cpuOf(contender)] : []),
  ]);
  return [head, ...rows];
}

function figuresOf({ summary, failure }: ContenderResult, decimals: number): [string, string] {
  if (summary === undefined) return ['failed', failure ?? ''];
  const show = (value: number) => grouped(value, decimals);
  return [show(summary.median), `${show(summary.least)} – ${show(summary.most)}`];
}

function cpuOf({ cpu }: ContenderResult): string {
  return cpu === undefined ? '' : `${cpu.userUs.toFixed(1)} + ${cpu.systemUs.toFixed(1)}`;
}

function numberOf(value: number | undefined): string {
  if (value === undefined) return '';
  return grouped(value, Number.isInteger(value) ? 0 : 1);
}

function grouped(value: number, decimals: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** One sentence about a goal. */
export function sentenceOf(verdict: Verdict, peer: string | undefined): string {
  const { goal, contender, of, atLeast, atMost, measured, isMet } = verdict;
  const wanted = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  const unit = of === 'ratio' ? ` × ${peer}` : '';
  return `${goal} ${isMet ? 'met' : 'NOT met'} by ${contender}: ${grouped(measured, 2)}${unit}, wanted ${wanted}.`;
}
