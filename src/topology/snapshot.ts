import type { Range, Ring, ShardName } from './ring.js';

/**
 * Where a move stands, as far as routing must know. `copying`: source owns, target may hold copies of the rows.
 * `mirrored`: as copying, and an acknowledged write waits until the target has it. `switched`: target owns, source
 * still holds rows, and an acknowledged write waits until the source has it (the way back).
 */
export type MoveState = 'copying' | 'mirrored' | 'switched';

/** Ranges that one migration moves from one shard to another. Immutable. */
export interface Move {
  readonly migration: string;
  readonly source: ShardName;
  readonly target: ShardName;
  readonly ranges: readonly Range[];
  readonly state: MoveState;
}

/** One shard as the topology knows it; the first shards come from the config, later ones from the store. */
export interface ShardEntry {
  readonly name: ShardName;
  readonly url: string;
  /** False while it is only being filled: it owns nothing and reference writes reach it through the migration. */
  readonly isServing: boolean;
  /** Who knows its URL: the config (also when left out), or the store because a migration added the shard by URL. */
  readonly origin?: 'config' | 'store';
}

/** One database's topology at one epoch. Immutable: a change is a new snapshot with a greater epoch. */
export interface Snapshot {
  readonly database: string;
  readonly epoch: number;
  readonly ring: Ring;
  readonly shards: readonly ShardEntry[];
  readonly home: ShardName;
  readonly moves: readonly Move[];
}

/** Shards that answer statements, ascending. */
export function servingShards(snapshot: Snapshot): ShardName[] {
  return snapshot.shards
    .filter((shard) => shard.isServing)
    .map((shard) => shard.name)
    .sort();
}

/** Ranges of which `shard` may hold rows that it does not own at this epoch; a scatter must leave them out there. */
export function foreignRanges(snapshot: Snapshot, shard: ShardName): Range[] {
  const ranges: Range[] = [];
  for (const move of snapshot.moves) {
    const holder = move.state === 'switched' ? move.source : move.target;
    if (holder === shard) ranges.push(...move.ranges);
  }
  return ranges.sort((a, b) => (a.low < b.low ? -1 : 1));
}
