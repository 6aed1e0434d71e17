import { asError } from '../../src/lib/errors.js';
import { Bench, type RunOptions } from './bench.js';
import { type ComparisonResult, type ScenarioResult, sumUp } from './results.js';
import type { Comparison, Sample, Scenario, Stage } from './scenario.js';
import type { Servers } from './servers.js';

/** Told what is happening, for whoever watches. */
export type Tell = (line: string) => void;

/** Runs one scenario from its set-up to its end; what goes wrong is in the result. */
export async function runScenario(
  scenario: Scenario,
  options: RunOptions,
  servers: Servers,
  tell: Tell,
): Promise<ScenarioResult> {
  const bench = new Bench(options, servers);
  const began = Date.now();
  const facts = { name: scenario.name, title: scenario.title, about: scenario.about };
  const finished = (
    rest: Pick<ScenarioResult, 'outcome' | 'notes' | 'comparisons'> & { reason?: string },
  ) => ({
    ...facts,
    seconds: (Date.now() - began) / 1000,
    ...rest,
  });
  try {
    const stage = await scenario.setUp(bench);
    if (typeof stage === 'string')
      return finished({ outcome: 'skipped', reason: stage, notes: [], comparisons: [] });
    const comparisons = await measureAll(stage, options, tell);
    const reason = failuresOf(comparisons);
    const outcome = reason === '' ? { outcome: 'measured' as const } : { outcome: 'failed' as const, reason };
    return finished({ ...outcome, notes: stage.notes ?? [], comparisons });
  } catch (error) {
    return finished({ outcome: 'failed', reason: asError(error).message, notes: [], comparisons: [] });
  } finally {
    await bench.end().catch((error: unknown) => tell(`  not ended cleanly: ${asError(error).message}`));
  }
}

async function measureAll(stage: Stage, options: RunOptions, tell: Tell): Promise<ComparisonResult[]> {
  const results: ComparisonResult[] = [];
  for (const comparison of stage.comparisons) results.push(await measureOne(comparison, options, tell));
  return results;
}

/**
 * Measurements that do not count, of what compiles while it runs: one client's 12,000 statements do not suffice (user time of a statement on three
 * shards in three loads of 4 s: 126, 80, 48 µs).
 */
const WARM_UPS = 3;

/** A contender that fails is left out from then on; the others go on, so that one fault does not cost the whole run. */
async function measureOne(
  comparison: Comparison,
  options: RunOptions,
  tell: Tell,
): Promise<ComparisonResult> {
  const rounds = Math.min(options.rounds, comparison.mostRounds ?? options.rounds);
  const samples = new Map<string, Sample[]>();
  const failures = new Map<string, string>();
  for (let round = 1 - Math.min(WARM_UPS, rounds); round <= rounds; round++) {
    for (const { name, warmsUp, measure } of comparison.contenders) {
      if (failures.has(name) || (round < 1 && warmsUp !== true)) continue;
      try {
        const sample = await measure();
        if (round < 1) continue;
        samples.set(name, [...(samples.get(name) ?? []), sample]);
        const value = `${sample.value.toFixed(comparison.figure.decimals)} ${comparison.figure.label}`;
        tell(`  ${comparison.name}, round ${round}: ${name}: ${value}`);
      } catch (error) {
        failures.set(name, asError(error).message);
        tell(`  ${comparison.name}, round ${round}: ${name} FAILED: ${asError(error).message}`);
      }
    }
  }
  return sumUp(comparison, rounds, samples, failures);
}

function failuresOf(comparisons: readonly ComparisonResult[]): string {
  return comparisons
    .flatMap(({ name, contenders }) =>
      contenders.flatMap((contender) =>
        contender.failure === undefined ? [] : [`${name}: ${contender.name}: ${contender.failure}`],
      ),
    )
    .join('; ');
}
