import type { Position } from '../topology/topology.js';
import type { ApplyQueue, QueueFlow } from './apply-queue.js';

/** How a wing's places in a log are read and compared. A place says how far the log was dealt with; it may hold more than its position. */
export interface Places<Place> {
  /** Before everything. */
  readonly start: Place;
  parse(position: Position): Place;
  format(place: Place): Position;
  /** Whether whoever is at `place` has dealt with everything up to `other`. */
  covers(place: Place, other: Place): boolean;
}

/** What an error of the servers, or of the connections to them, means for a stream. */
export type Fault =
  /** The same may succeed later: a lost connection, a restart, a lock, a full disk. */
  | 'passing'
  /** An older stream still holds what this one needs, and is on its way out. */
  | 'taken'
  /** A unique value that another stream has yet to give up. */
  | 'conflict'
  /** The target does not hold a row that the source changed. */
  | 'missing-row'
  /** It would fail again. */
  | 'lasting';

/** The session that applies one stream. Nothing is kept that `commit` did not return from. */
export interface StreamTarget<Place, Step> {
  /** Bytes added and not sent. */
  readonly pendingBytes: number;
  /** Resolves, if a step must be completed first, when the next may be added. */
  add(step: Step): Promise<void> | undefined;
  /** Sends what was added and keeps the transaction open. */
  flush(): Promise<void>;
  /** Commits everything added, and in the same transaction that the stream has come to `place`. */
  commit(place: Place): Promise<void>;
  close(): Promise<void>;
}

/** The source's log while it is read. */
export interface SourceLog<Place> extends QueueFlow {
  /** Everything up to there is on the target, or is none of ours. */
  readonly beginsBehind: Place;
  /** Once a second: tells the source what it may forget, and asks how far its log goes. */
  beat(): Promise<void>;
  /** Somebody waits for `place`. For logs that pass over what is none of ours in silence: they must be asked. */
  want?(place: Place): void;
  close(): Promise<void>;
}

/**
 * What a wing brings to one change stream: its two ends, and how their places and errors are to be read. Both ends are
 * opened anew whenever the stream begins again.
 */
export interface StreamEnds<Place, Step, Target extends StreamTarget<Place, Step>> {
  readonly places: Places<Place>;
  /** Log that holds nothing of ours is noted as passed on the target at this interval; undefined where the source keeps that. */
  readonly noteIntervalMs: number | undefined;
  openTarget(): Promise<Target>;
  /** Reads the log behind what is committed on `target` into `queue`, which also hears when either end is lost. */
  openLog(target: Target, queue: ApplyQueue<Place, Step>, applied: () => Place): Promise<SourceLog<Place>>;
  /** Bytes of log between `applied` and the source's end, as last known. */
  lagBytes(applied: Place): number;
  /** Of an error that is none of our own. */
  judge(error: Error): Fault;
}
