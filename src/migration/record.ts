import type { ShardName } from '../topology/ring.js';

/** The path of a migration, in order; then what lies off it. */
export const PHASES = [
  'planned',
  'preparing',
  'backfilling',
  'catching-up',
  'verifying',
  'mirroring',
  'ready',
  'cutting-over',
  'switched',
  'cleaning',
  'done',
  'rolling-back',
  'aborting',
  'aborted',
  'failed',
] as const;
export type Phase = (typeof PHASES)[number];

/** Inclusive bounds as decimal text, because JSON has no 64-bit integers. */
export interface RecordRange {
  readonly low: string;
  readonly high: string;
}

export interface RecordMove {
  readonly source: ShardName;
  readonly target: ShardName;
  readonly ranges: readonly RecordRange[];
}

/** A vnode: `[token as decimal text, owner]`. */
export type RecordPoint = readonly [string, ShardName];

/** What one table's copy from one source has done so far. */
export interface CopyProgress {
  readonly source: ShardName;
  readonly table: string;
  rows: number;
  bytes: number;
  estimatedRows: number;
  isDone: boolean;
}

/**
 * The durable record of a migration: the one truth that a restarted proxy goes on from. Every act is intent, done,
 * marked; doing it twice is harmless.
 */
export interface MigrationRecord {
  readonly id: string;
  readonly database: string;
  readonly kind: 'add-shard' | 'remove-shard' | 'rebalance';
  /** The shard added or removed. */
  readonly shard: ShardName | undefined;
  readonly shardUrl: string | undefined;
  /** Who knows `shardUrl` later on: the config, or only the store. */
  readonly shardOrigin?: 'config' | 'store';
  readonly createdAt: string;
  phase: Phase;
  /** Phase in which it failed, and why. */
  failure: { phase: Phase; message: string } | undefined;
  readonly moves: readonly RecordMove[];
  /** The ring's points before and after the cutover. */
  readonly ring: { readonly before: readonly RecordPoint[]; readonly after: readonly RecordPoint[] };
  /** Tables that the backfill copied (`schema.name`): a cutover with others would leave rows behind. */
  tables: string[];
  readonly options: MigrationOptions;
  /** Objects made (or about to be made) in databases, so that cleanup finds them whatever died: written before each is made. */
  objects: { shard: ShardName; type: string; name: string; note?: string }[];
  copies: CopyProgress[];
  verification:
    | { comparedRows: number; differences: number; repaired: number; finishedAt: string }
    | undefined;
  holdMs: number | undefined;
  cutoverAttempts: number;
  stepsBack: number;
  paused: boolean;
  /** The operator asked for it; the loop acts on it. */
  request: 'cutover' | 'rollback' | 'finish' | 'abort' | undefined;
  startedAt: Partial<Record<Phase, string>>;
}

export interface MigrationOptions {
  readonly cutover: 'auto' | 'manual';
  readonly finish: 'now' | 'manual' | { readonly afterMs: number };
  /** COPY streams at once per source. */
  readonly parallel: number;
}
