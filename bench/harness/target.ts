import { cpuOf, cpuPer } from './proc.js';
import type { Contender, Sample } from './scenario.js';

/** What a load did, as its own report says. */
export interface Work {
  /** In the unit of the comparison's figure. */
  readonly value: number;
  readonly also?: Readonly<Record<string, number>>;
  readonly statements: number;
  /** What the proxy's time is divided by, where that is not statements. */
  readonly cpuUnits?: number;
  readonly transactions: number;
  readonly connections: number;
}

/** A running proxy, or the server itself, as a scenario drives it. */
export interface Target {
  readonly port: number;
  readonly database: string;
  /** Of the proxy; undefined for the server itself, whose time is not what is asked. */
  readonly processId?: number;
  /** It compiles itself while it runs, so its first load is no measure. */
  readonly warmsUp?: true;
  /** How the proxy counts what it passes on since its start, and in which of a load's words. */
  readonly counter?: {
    readonly counts: 'statements' | 'transactions' | 'connections';
    read(): Promise<number>;
  };
}

/** By their names in the report, in the order in which they are measured. */
export type Targets = Readonly<Record<string, Target>>;

/** Targets that are measured in the same way. */
export function contendersOf(
  targets: Targets,
  measure: (target: Target) => Promise<Sample>,
): readonly Contender[] {
  return Object.entries(targets).map(([name, target]) => ({
    name,
    warmsUp: target.warmsUp === true,
    measure: () => measure(target),
  }));
}

/** What began just before the end of a run may not be in the load's own figure or in the proxy's. */
const LEAST_SEEN = 0.95;

/**
 * Runs a load against a target and takes the proxy's time per statement. Rejects when the proxy's own counter did not
 * grow by what the load did: then something else was measured.
 */
export async function underLoad(target: Target, load: () => Promise<Work>): Promise<Sample> {
  const { processId, counter } = target;
  const countBefore = (await counter?.read()) ?? 0;
  const before = processId === undefined ? undefined : cpuOf(processId);
  const work = await load();
  const after = processId === undefined ? undefined : cpuOf(processId);
  if (!(work.statements > 0) || !(work.value > 0)) throw new Error('the load did nothing');
  if (counter !== undefined) {
    const seen = (await counter.read()) - countBefore;
    const done = work[counter.counts];
    if (!(seen >= LEAST_SEEN * done))
      throw new Error(`the load counts ${done} ${counter.counts}, the proxy only ${seen}`);
  }
  const sample = { value: work.value, ...(work.also === undefined ? {} : { also: work.also }) };
  if (before === undefined || after === undefined) return sample;
  return { ...sample, cpu: cpuPer(before, after, work.cpuUnits ?? work.statements) };
}
