import type { Keyspace, Table } from '../topology/keyspace.js';
import type { Range, ShardName } from '../topology/ring.js';
import type { Position } from '../topology/topology.js';

/** A database to work in, as the migration's own user. */
export interface ShardAddress {
  readonly shard: ShardName;
  readonly url: string;
}

/** A reason why a migration must not start; `remedy` says what to do about it. */
export interface Blocker {
  readonly shard: ShardName;
  readonly message: string;
  readonly remedy: string;
}

/** Which rows of a table a stream or copy is about: the moving ranges, or all rows of a reference table. */
export type RowSelection =
  | { readonly type: 'ranges'; readonly ranges: readonly Range[] }
  | { readonly type: 'all' };

export interface CopyTask {
  readonly table: Table;
  readonly selection: RowSelection;
}

/** The state of the source at the moment the change stream begins; copies read it until `close`. */
export interface SourceSnapshot {
  readonly source: ShardName;
  /** The stream delivers exactly what this snapshot does not show. */
  readonly position: Position;
  /** Copies one table's selected rows to the target, server to server through us, triggers and checks off there. Returns rows copied. Rejects on abort. */
  copy(
    task: CopyTask,
    target: ShardAddress,
    onProgress: (rows: number, bytes: number) => void,
    signal: AbortSignal,
  ): Promise<number>;
  /** For progress only. */
  estimateRows(task: CopyTask): Promise<number>;
  close(): Promise<void>;
}

/** One running apply of a source's changes on a target: single writer, source's commit order, position in the target's transaction. */
export interface AppliedStream {
  /** Everything up to here is on the target. */
  readonly applied: Position;
  /** Bytes of log between the source's end and `applied`, as last known. */
  readonly lagBytes: number;
  readonly transactionsApplied: number;
  readonly rowsApplied: number;
  /** Resolves once everything up to `position` has been applied; rejects when the stream ends first. */
  waitFor(position: Position): Promise<void>;
  /** Resolves when it was stopped; rejects when it broke. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export interface StreamSpec {
  readonly migration: string;
  /** `forward`: source → target before the cutover; `reverse`: target → source after it. Changes that the other direction applied are left out. */
  readonly direction: 'forward' | 'reverse';
  readonly from: ShardAddress;
  readonly to: ShardAddress;
  readonly tasks: readonly CopyTask[];
}

export interface ChunkDifference {
  readonly table: string;
  /** Primary key as JSON text. */
  readonly key: string;
  readonly kind: 'missing' | 'extra' | 'different';
}

/** A held fence: writers in the ranges are refused and none is left inside. */
export interface Fence {
  /** Ends it (nothing was switched). */
  lower(): Promise<void>;
  /** Makes it outlast this process; after it, `release` only frees our connection. */
  keep(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Runs short work at a moment when no client of a proxy is inside a transaction that has touched moving tables on the shard: for
 * DDL that a server could let an open transaction fail for. Statements wait meanwhile. Without it the work is done at once.
 */
export type Quiet = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * What a wing offers to migrations. Everything that makes an object in a database is idempotent; names of objects
 * follow from the migration's id, and `removeTraces` finds and removes them all. Calls that make objects in one database
 * come one after the other. `tables` are the sharded tables with a
 * selection of ranges, and the reference tables with `all`.
 */
export interface MigrationEngine {
  /** Does this error, which a server or a connection to one gave, pass by itself: a lock, a restart, a full disk? */
  isPassing(error: Error): boolean;
  /** Finds every reason not to start: log level, slots, privileges, primary keys, encodings, rows already there that `streams` would bring, foreign keys that cross … */
  preflight(
    sources: readonly ShardAddress[],
    targets: readonly ShardAddress[],
    keyspace: Keyspace,
    migration: string,
    streams?: readonly StreamSpec[],
  ): Promise<Blocker[]>;
  /** Makes the schema of `model` on an empty `target` (types, tables, sequences, indexes, constraints, views, functions, triggers), or checks that it is there. */
  copySchema(model: ShardAddress, target: ShardAddress, keyspace: Keyspace): Promise<void>;
  /** Publication and whatever row images need on the source (replica identity), with what it was before noted in the returned text for `removeTraces`. */
  prepareSource(source: ShardAddress, migration: string, tasks: readonly CopyTask[]): Promise<string>;
  /** Tables where the target keeps positions. */
  prepareTarget(target: ShardAddress, migration: string): Promise<void>;
  /** Makes the slot, then the snapshot that fits it (hazard 20). An older slot of that name is dropped first. */
  openSnapshot(
    source: ShardAddress,
    migration: string,
    targets: readonly ShardName[],
  ): Promise<SourceSnapshot>;
  /** Empties the selected rows on the target: before a copy is started again. */
  clearTarget(target: ShardAddress, tasks: readonly CopyTask[]): Promise<void>;
  openStream(spec: StreamSpec, signal: AbortSignal): Promise<AppliedStream>;
  /** Drops what a stopped stream that is never opened again keeps in its databases (its slot holds log back). */
  dropStream?(spec: StreamSpec): Promise<void>;
  /** The slot for the way back, made before the cutover. */
  prepareReverse(spec: StreamSpec): Promise<void>;
  /** End of what is committed in the log now. */
  currentPosition(address: ShardAddress): Promise<Position>;
  /** Writes a marker into the log and returns the position behind it. */
  writeMarker(address: ShardAddress, migration: string): Promise<Position>;
  /**
   * Compares all selected rows by checksums made in the databases, chunk by chunk, while `stream` keeps applying; what
   * differs is read again after the stream has caught up, and only lasting differences are reported.
   */
  verify(
    stream: AppliedStream,
    spec: StreamSpec,
    onProgress: (rows: number) => void,
    signal: AbortSignal,
  ): Promise<{ comparedRows: number; differences: ChunkDifference[] }>;
  /** Brings rows to what the source has. Only before the cutover. Streams of the other direction leave these changes out. */
  repair(spec: StreamSpec, differences: readonly ChunkDifference[]): Promise<void>;
  /** Rows of a task without a snapshot, from the database's statistics: for a dry run only. */
  estimateRows?(address: ShardAddress, task: CopyTask): Promise<number>;
  /*
   * Fences. `migration` names the fence: the migration's id for the moving rows on their sources; the id with `r` behind
   * it for the rollback's fence on the targets; the id with `f` behind it for the short one around writes of reference
   * tables (tasks with selection `all`) on their home. One database can have all three. Lowering a fence that was never
   * raised or prepared is no error, and `removeTraces` is called for each of the three names.
   */
  /** Installs the fence's machinery ahead of time; refuses nothing yet. */
  prepareFence(
    address: ShardAddress,
    migration: string,
    tasks: readonly CopyTask[],
    quiet?: Quiet,
  ): Promise<void>;
  /** Refuses new writers in the tasks' rows and waits for those inside; rejects at the deadline with the fence down again. */
  raiseFence(
    address: ShardAddress,
    migration: string,
    tasks: readonly CopyTask[],
    deadlineMs: number,
  ): Promise<Fence>;
  /** Lowers a fence that was kept by a process that died. */
  lowerKeptFence(address: ShardAddress, migration: string): Promise<void>;
  /** Sets sequences of these tables on the target past the highest value on any of the sources. */
  advanceSequences(
    sources: readonly ShardAddress[],
    target: ShardAddress,
    tasks: readonly CopyTask[],
  ): Promise<void>;
  /** Deletes the selected rows in small batches; returns how many. */
  deleteRows(
    address: ShardAddress,
    migration: string,
    tasks: readonly CopyTask[],
    signal: AbortSignal,
  ): Promise<number>;
  /** Removes slots, publications, triggers, functions, tables and settings of this migration; true when nothing is left. */
  removeTraces(
    address: ShardAddress,
    migration: string,
    notes: readonly string[],
    quiet?: Quiet,
  ): Promise<void>;
}
