import type { Cpu } from './proc.js';
import type { Bound, Comparison, Contender, Figure, Sample } from './scenario.js';
import { median, medianRatio, type Summary, summaryOf } from './statistics.js';

/** What was measured of one contender; `samples` has a place for every round that was tried. */
export interface ContenderResult {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly summary?: Summary;
  /** Median of the ratios to the peer in the same round. */
  readonly ratio?: number;
  /** Medians. */
  readonly cpu?: Cpu;
  readonly also?: Readonly<Record<string, number>>;
  /** Why it was not measured to the end. */
  readonly failure?: string;
}

/** A goal beside what was measured. */
export interface Verdict extends Bound {
  readonly measured: number;
  readonly isMet: boolean;
}

export interface ComparisonResult {
  readonly name: string;
  readonly figure: Figure;
  readonly command?: string;
  readonly peer?: string;
  readonly rounds: number;
  readonly contenders: readonly ContenderResult[];
  readonly verdicts: readonly Verdict[];
}

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly outcome: 'measured' | 'skipped' | 'failed';
  /** Why it was skipped or has failed. */
  readonly reason?: string;
  readonly seconds: number;
  readonly notes: readonly string[];
  readonly comparisons: readonly ComparisonResult[];
}

/** Sums up the rounds of one comparison; `failures` by contender. */
export function sumUp(
  comparison: Comparison,
  rounds: number,
  samples: ReadonlyMap<string, readonly Sample[]>,
  failures: ReadonlyMap<string, string>,
): ComparisonResult {
  const { name, figure, command, peer } = comparison;
  const contenders = comparison.contenders.map((contender) =>
    contenderResult(contender, samples, failures, peer),
  );
  return {
    name,
    figure,
    ...(command === undefined ? {} : { command }),
    ...(peer === undefined ? {} : { peer }),
    rounds,
    contenders,
    verdicts: (comparison.bounds ?? []).flatMap((bound) => verdictOf(bound, contenders)),
  };
}

function contenderResult(
  contender: Contender,
  all: ReadonlyMap<string, readonly Sample[]>,
  failures: ReadonlyMap<string, string>,
  peer: string | undefined,
): ContenderResult {
  const { name } = contender;
  const samples = all.get(name) ?? [];
  const failure = failures.get(name);
  const values = samples.map((sample) => sample.value);
  const peers = (peer === undefined ? undefined : all.get(peer)) ?? [];
  const ratio =
    name === peer
      ? undefined
      : medianRatio(
          values,
          peers.map((sample) => sample.value),
        );
  const cpu = cpuOfAll(samples);
  return {
    name,
    samples,
    ...(values.length === 0 ? {} : { summary: summaryOf(values), also: alsoOfAll(samples) }),
    ...(ratio === undefined ? {} : { ratio }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(failure === undefined ? {} : { failure }),
  };
}

function cpuOfAll(samples: readonly Sample[]): Cpu | undefined {
  const all = samples.flatMap(({ cpu }) => (cpu === undefined ? [] : [cpu]));
  if (all.length === 0) return undefined;
  return {
    userUs: median(all.map((cpu) => cpu.userUs)),
    systemUs: median(all.map((cpu) => cpu.systemUs)),
  };
}

function alsoOfAll(samples: readonly Sample[]): Record<string, number> {
  const labels = Object.keys(samples[0]?.also ?? {});
  return Object.fromEntries(
    labels.map((label) => [label, median(samples.map((sample) => sample.also?.[label] ?? 0))]),
  );
}

function verdictOf(bound: Bound, contenders: readonly ContenderResult[]): Verdict[] {
  const contender = contenders.find(({ name }) => name === bound.contender);
  const measured = bound.of === 'ratio' ? contender?.ratio : contender?.summary?.median;
  if (measured === undefined) return [];
  const { atLeast = -Infinity, atMost = Infinity } = bound;
  return [{ ...bound, measured, isMet: measured >= atLeast && measured <= atMost }];
}
