import { type Point, Ring } from '../topology/ring.js';
import type { Move, MoveState, ShardEntry, Snapshot } from '../topology/snapshot.js';
import { rangesOfMove } from './links.js';
import { isBeforeCutover } from './phases.js';
import type { MigrationRecord, Phase, RecordPoint } from './record.js';

/*
 * What each act of a migration makes of the topology. Pure: store and publication are the run's.
 */

/** Before any row is copied: the moves are known, so that scatters leave the copies out; an added shard is there, not serving. */
export function withCopies(current: Snapshot, record: MigrationRecord, url: string | undefined): Snapshot {
  refuseState(current, record, 'switched');
  return next(current, {
    moves: movesOf(record, 'copying'),
    shards: record.kind === 'add-shard' ? withAdded(current, record, false, url) : current.shards,
  });
}

export function withMirror(current: Snapshot, record: MigrationRecord): Snapshot {
  refuseState(current, record, 'switched');
  return next(current, { moves: movesOf(record, 'mirrored') });
}

/** The cutover itself: targets own, an added shard serves. */
export function switched(current: Snapshot, record: MigrationRecord): Snapshot {
  return next(current, {
    ring: ringOf(record.ring.after),
    moves: movesOf(record, 'switched'),
    shards: record.kind === 'add-shard' ? withAdded(current, record, true) : current.shards,
  });
}

/** The cutover back: sources own again, targets still hold copies. */
export function switchedBack(current: Snapshot, record: MigrationRecord): Snapshot {
  return next(current, {
    ring: ringOf(record.ring.before),
    moves: movesOf(record, 'copying'),
    shards: record.kind === 'add-shard' ? withAdded(current, record, false) : current.shards,
  });
}

/** After `finish`: nothing moves any more; a removed shard has left. */
export function finished(current: Snapshot, record: MigrationRecord): Snapshot {
  refuseState(current, record, 'copying', 'mirrored');
  const shards =
    record.kind === 'remove-shard'
      ? current.shards.filter(({ name }) => name !== record.shard)
      : current.shards;
  return next(current, { moves: [], shards });
}

/** After an abort or a failure: as if it had never been. */
export function withdrawn(current: Snapshot, record: MigrationRecord): Snapshot {
  refuseState(current, record, 'switched');
  const shards =
    record.kind === 'add-shard' ? current.shards.filter(({ name }) => name !== record.shard) : current.shards;
  return next(current, { moves: [], shards });
}

/** Where this migration stands in a topology; undefined when it has no moves in it. */
export function stateIn(
  current: { readonly moves: readonly Move[] },
  record: MigrationRecord,
): MoveState | undefined {
  return current.moves.find((move) => move.migration === record.id)?.state;
}

/**
 * The phase that fits who owns. The topology decides, whatever the record says: the swap may have been the last thing
 * that could be stored.
 */
export function phaseByOwner(current: { readonly moves: readonly Move[] }, record: MigrationRecord): Phase {
  const state = stateIn(current, record);
  if (state === 'switched' && isBeforeCutover(record.phase)) return 'switched';
  if (state !== 'switched' && record.phase === 'rolling-back') return 'aborting';
  return record.phase;
}

/** Only a cutover changes who owns; everything else that would is a fault of ours, and is stopped here. */
function refuseState(current: Snapshot, record: MigrationRecord, ...states: MoveState[]): void {
  const state = stateIn(current, record);
  if (state !== undefined && states.includes(state)) {
    throw new RangeError(`migration ${record.id} is ${record.phase}, but the topology says ${state}`);
  }
}

export function ringOf(points: readonly RecordPoint[]): Ring {
  return new Ring(points.map(([token, owner]): Point => ({ token: BigInt(token), owner })));
}

export function recordPoints(ring: Ring): RecordPoint[] {
  return ring.points.map(({ token, owner }) => [token.toString(), owner]);
}

function movesOf(record: MigrationRecord, state: MoveState): Move[] {
  return record.moves.map((move) => ({
    migration: record.id,
    source: move.source,
    target: move.target,
    ranges: rangesOfMove(move),
    state,
  }));
}

function withAdded(
  current: Snapshot,
  record: MigrationRecord,
  isServing: boolean,
  url?: string,
): ShardEntry[] {
  const name = record.shard!;
  const before = current.shards.find((shard) => shard.name === name);
  const entry: ShardEntry = {
    name,
    url: url ?? before?.url ?? record.shardUrl ?? '',
    isServing,
    origin: before?.origin ?? record.shardOrigin ?? 'store',
  };
  return [...current.shards.filter((shard) => shard.name !== name), entry];
}

function next(current: Snapshot, change: Partial<Pick<Snapshot, 'ring' | 'moves' | 'shards'>>): Snapshot {
  return { ...current, ...change, epoch: current.epoch + 1 };
}
