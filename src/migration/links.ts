import type { Keyspace, Table } from '../topology/keyspace.js';
import type { Range, ShardName } from '../topology/ring.js';
import type { CopyTask } from './engine.js';
import type { MigrationRecord, RecordMove } from './record.js';

/** What flows from one source to one target: one change stream there before the cutover, one back after it. */
export interface Link {
  readonly source: ShardName;
  readonly target: ShardName;
  readonly ranges: readonly Range[];
  /** The moving rows: they have a way back. */
  readonly rangeTasks: readonly CopyTask[];
  /** Reference tables that an added shard gets from home: complete at the cutover, kept so by the sessions after it. */
  readonly referenceTasks: readonly CopyTask[];
}

/** One link for each pair of owners, and one from home for the reference tables of an added shard. */
export function linksOf(record: MigrationRecord, keyspace: Keyspace): Link[] {
  const sharded = tablesOf(keyspace, 'sharded');
  const pairs: RecordMove[] = [...record.moves];
  const added = record.kind === 'add-shard' ? record.shard : undefined;
  const reference = added === undefined ? [] : tablesOf(keyspace, 'reference');
  if (reference.length > 0 && !pairs.some((pair) => pair.source === keyspace.home)) {
    pairs.push({ source: keyspace.home, target: added!, ranges: [] });
  }
  return pairs.map((pair) => {
    const ranges = rangesOfMove(pair);
    return {
      source: pair.source,
      target: pair.target,
      ranges,
      rangeTasks:
        ranges.length === 0 ? [] : sharded.map((table) => ({ table, selection: { type: 'ranges', ranges } })),
      referenceTasks:
        pair.source === keyspace.home && pair.target === added
          ? reference.map((table) => ({ table, selection: { type: 'all' } }))
          : [],
    };
  });
}

export function allTasks(link: Link): CopyTask[] {
  return [...link.rangeTasks, ...link.referenceTasks];
}

export function rangesOfMove(move: RecordMove): Range[] {
  return move.ranges.map(({ low, high }) => ({ low: BigInt(low), high: BigInt(high) }));
}

export function tableName(table: Table): string {
  return `${table.schema}.${table.name}`;
}

/** `schema.name` of every table that a migration of this record must copy, sorted. */
export function copiedTables(links: readonly Link[]): string[] {
  const names = links.flatMap(allTasks).map((task) => tableName(task.table));
  return [...new Set(names)].sort();
}

function tablesOf(keyspace: Keyspace, placement: Table['placement']): Table[] {
  return [...keyspace.tables.values()].filter(
    (table) => table.kind === 'table' && table.placement === placement,
  );
}
