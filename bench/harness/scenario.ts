import type { Bench } from './bench.js';
import type { Cpu } from './proc.js';

/** One measurement of one contender. */
export interface Sample {
  /** In the unit of the comparison's figure. */
  readonly value: number;
  /** Other figures of the same measurement, by their names with units. */
  readonly also?: Readonly<Record<string, number>>;
  /** Of the proxy's process, per statement or whatever the figure says. */
  readonly cpu?: Cpu;
}

/** One of those that are measured in turn. */
export interface Contender {
  readonly name: string;
  /** Measurements that do not count come first, in which it compiles and fills its caches. */
  readonly warmsUp?: boolean;
  measure(): Promise<Sample>;
}

/** What is measured, and how it is written. */
export interface Figure {
  readonly label: string;
  readonly decimals: number;
  /** What the proxy's time is told for, where that is not a statement. */
  readonly cpuPer?: string;
}

/** A goal that one contender shall reach: of its median, or of the median of its ratios to the peer in the same round. */
export interface Bound {
  readonly goal: string;
  readonly contender: string;
  readonly of: 'value' | 'ratio';
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** Contenders that are measured one after the other in every round, so that what disturbs one disturbs the others too. */
export interface Comparison {
  readonly name: string;
  readonly figure: Figure;
  /** The load's command line, without host, port and database. */
  readonly command?: string;
  readonly contenders: readonly Contender[];
  /** The contender that the others are divided by. */
  readonly peer?: string;
  readonly bounds?: readonly Bound[];
  /** Fewer rounds than asked for, where one takes long. */
  readonly mostRounds?: number;
}

/** What a scenario has ready to be measured. */
export interface Stage {
  readonly comparisons: readonly Comparison[];
  /** What the report must say beside the figures. */
  readonly notes?: readonly string[];
}

export interface Scenario {
  /** As it is called on the command line. */
  readonly name: string;
  readonly title: string;
  /** What is measured and against what, for the report. */
  readonly about: string;
  /** Programs that must be installed, as scripts/programs.js names them. */
  readonly programs: readonly string[];
  /** Starts what it needs and registers its ending with `bench.atEnd`. A string: why it is skipped here. */
  setUp(bench: Bench): Promise<Stage | string>;
}
