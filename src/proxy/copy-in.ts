import { OperatingError } from '../lib/errors.js';
import { type Backend, type RelaySink, type ServerError, ServerFailure } from '../pool/backend.js';
import type { CutRow, IncomingRows, RowCutter } from '../routing/incoming-rows.js';
import { canonicalKey } from '../topology/key.js';
import type { ShardName } from '../topology/ring.js';
import { tokenOf } from '../topology/token.js';
import type { Execution, SessionContext, Way } from './execution.js';
import { lostConnection } from './lost-connection.js';
import { type Participant, type Transaction, takeBefore } from './transaction.js';

/**
 * Rows that a client sends behind its statement (COPY … FROM STDIN, LOAD DATA LOCAL INFILE) go to the owners of their keys, or to every
 * shard that has a reference table, in one transaction. Returns the tag.
 */
export async function copyIn(
  context: SessionContext,
  transaction: Transaction,
  execution: Execution,
  way: Way,
  onSplitter: (splitter: CopySplitter | undefined) => void,
): Promise<string> {
  const { incoming, writesReference } = execution.planned.plan;
  const participants: Participant[] = [];
  for (const shard of way.route.shards) participants.push(await transaction.join(shard));
  await execution.answerLocally?.();
  const splitter = new CopySplitter(context, participants, incoming!, way);
  try {
    await splitter.start(incoming!.sql ?? execution.planned.sql);
    onSplitter(splitter);
    context.frontend.beginCopy?.();
    const tags = await splitter.ended;
    // A reference table has the same rows everywhere: one shard's answer is the answer.
    const answering = writesReference ? Math.max(0, way.route.shards.indexOf(way.snapshot.home)) : undefined;
    const told = participants.map(({ backend }, index) => ({ backend, tags: [tags[index]] }));
    await context.memory.noteWarnings(answering === undefined ? told : [told[answering]!], undefined);
    return answering === undefined ? context.database.dialect.sumTags(tags) : tags[answering]!;
  } catch (thrown) {
    transaction.noteFailure(undefined);
    if (thrown instanceof ServerFailure) await context.memory.noteWarnings([], thrown.serverError);
    throw thrown;
  } finally {
    onSplitter(undefined);
    context.frontend.resume();
  }
}

/** Takes what the client sends and deals its rows out. */
export class CopySplitter {
  readonly #context: SessionContext;
  readonly #lanes: readonly CopyLane[];
  readonly #byShard: ReadonlyMap<ShardName, CopyLane>;
  readonly #rows: RowCutter;
  readonly #keyType: IncomingRows['keyType'];
  readonly #way: Way;
  /** The tags of the shards. */
  readonly ended: Promise<string[]>;
  #resolve!: (tags: string[]) => void;
  #reject!: (reason: unknown) => void;
  #isOver = false;

  constructor(
    context: SessionContext,
    participants: readonly Participant[],
    incoming: IncomingRows,
    way: Way,
  ) {
    this.#context = context;
    this.#keyType = incoming.keyType;
    this.#way = way;
    this.#rows = incoming.cut(context.database.limits.maxMessageBytes);
    this.#lanes = participants.map(
      (participant) =>
        new CopyLane(context, participant, {
          onFailure: (failure) => this.#fail(failure),
          onFlowing: () => this.#flow(),
        }),
    );
    this.#byShard = new Map(this.#lanes.map((lane) => [lane.backend.shard, lane]));
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // `start` may throw before anybody waits for the end.
    this.ended.catch(() => {});
  }

  /** Resolves when every shard waits for data and the client has been told to send it. */
  async start(sql: string): Promise<void> {
    const responses = await Promise.all(this.#lanes.map((lane) => lane.start(sql)));
    this.#context.frontend.send(responses[0]!);
  }

  /** False: the client should pause until a shard has taken what it got. */
  take(frame: Buffer, kind: 'data' | 'done' | 'fail'): boolean {
    if (this.#isOver) return true;
    try {
      if (kind === 'data')
        return this.#deal(this.#rows.push(this.#context.database.dialect.copyPayload(frame)));
      if (kind === 'fail') this.#abort(frame);
      else {
        this.#deal(this.#rows.end());
        void this.#finish();
      }
    } catch (thrown) {
      this.#fail(thrown);
    }
    return true;
  }

  #deal(rows: readonly CutRow[]): boolean {
    for (const { row, key, isForAll, isHeader } of rows) {
      if (isForAll) for (const lane of this.#lanes) lane.add(row, isHeader !== true);
      else this.#laneOf(key).add(row, true);
    }
    let canTakeMore = true;
    for (const lane of this.#lanes) canTakeMore = lane.flush() && canTakeMore;
    return canTakeMore;
  }

  /** The client goes on when the slowest shard has taken what it got, not when any has. */
  #flow(): void {
    if (!this.#lanes.some((lane) => lane.isFull)) this.#context.frontend.resume();
  }

  #laneOf(key: string | undefined): CopyLane {
    const keyType = this.#keyType;
    const canonical = key === undefined || keyType === undefined ? undefined : canonicalKey(keyType, key);
    if (canonical === undefined) {
      throw new OperatingError('invalid-key', 'a row of the data has no shard key that can be understood', {
        detail: `row ${this.#lanes.reduce((sum, lane) => sum + lane.rows, 1)} of the data`,
        hint: 'The key must not be NULL and must be written in the plain form of its type.',
      });
    }
    const owner = this.#way.snapshot.ring.owner(tokenOf(canonical));
    return this.#byShard.get(owner)!;
  }

  async #finish(): Promise<void> {
    try {
      const tags = await Promise.all(this.#lanes.map((lane) => lane.finish()));
      this.#isOver = true;
      this.#resolve(tags);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** The client's own CopyFail: the servers say what that means. */
  #abort(frame: Buffer): void {
    for (const lane of this.#lanes) lane.abort(frame);
  }

  #fail(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const frame = this.#context.database.dialect.copyFail('another part of this COPY failed');
    for (const lane of this.#lanes) lane.abort(frame);
    void Promise.allSettled(this.#lanes.map((lane) => lane.ended)).then(() => this.#reject(reason));
  }
}

interface LaneEvents {
  onFailure(reason: unknown): void;
  /** It is not full any more. */
  onFlowing(): void;
}

/** One shard's part of a split COPY. */
class CopyLane implements RelaySink {
  readonly backend: Backend;
  readonly #context: SessionContext;
  readonly #participant: Participant;
  readonly #events: LaneEvents;
  #pending: Buffer[] = [];
  #isCopying = false;
  #aborted: Buffer | undefined;
  #lastBytes: Buffer = Buffer.alloc(0);
  #tag = '';
  #started: { resolve: (response: Buffer) => void; reject: (reason: unknown) => void } | undefined;
  #failure: unknown;
  readonly ended: Promise<void>;
  #end!: () => void;
  rows = 0;
  /** It has got more than its server has taken. */
  isFull = false;

  constructor(context: SessionContext, participant: Participant, events: LaneEvents) {
    this.#context = context;
    this.#participant = participant;
    this.backend = participant.backend;
    this.#events = events;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Resolves with the server's CopyInResponse. */
  start(sql: string): Promise<Buffer> {
    this.backend.onDrain = () => {
      this.isFull = false;
      this.#events.onFlowing();
    };
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      const step = this.#context.database.dialect.queryStep(sql);
      const before = takeBefore(this.#participant);
      this.backend.forward({ steps: [step], end: 'query', byteLength: step.frame.length }, this, {
        rename: true,
        before,
      });
    });
  }

  add(row: Buffer, isRow: boolean): void {
    this.#pending.push(row);
    if (!isRow) return;
    this.rows++;
    this.#participant.hasWritten = true;
  }

  /** False: it is full, and `onFlowing` follows. */
  flush(): boolean {
    if (this.#pending.length === 0 || !this.#isCopying) return !this.isFull;
    const bytes = this.#context.frontend.answers.copyData(Buffer.concat(this.#pending));
    this.#pending = [];
    if (!this.backend.sendCopy(bytes)) this.isFull = true;
    return !this.isFull;
  }

  async finish(): Promise<string> {
    if (this.#isCopying) this.backend.sendCopy(this.#context.frontend.answers.copyDone());
    await this.ended;
    if (this.#failure !== undefined) throw this.#failure;
    return this.#tag;
  }

  /** Also where the server has not asked for rows yet. */
  abort(frame: Buffer): void {
    if (this.#isCopying) this.backend.sendCopy(frame);
    this.#isCopying = false;
    this.#aborted = frame;
  }

  /** The CopyInResponse comes here before `onCopyIn` says what it was. */
  onBytes(chunk: Buffer): boolean {
    this.#lastBytes = Buffer.from(chunk);
    return true;
  }

  onCopyIn(): void {
    if (this.#aborted !== undefined) {
      this.backend.sendCopy(this.#aborted);
      return;
    }
    this.#isCopying = true;
    this.#started?.resolve(this.#lastBytes);
    this.#started = undefined;
  }

  onCommandTag(tag: string): void {
    this.#tag = tag;
  }

  onError(error: ServerError): void {
    this.#failed(new ServerFailure({ ...error, frame: Buffer.from(error.frame) }));
  }

  onParameter(): void {}

  onEnd(): void {
    this.#isCopying = false;
    this.isFull = false;
    this.#end();
  }

  onBroken(error: Error): void {
    this.#isCopying = false;
    this.isFull = false;
    this.#end();
    this.#failed(lostConnection(this.backend.shard, error, false));
  }

  #failed(reason: unknown): void {
    this.#failure ??= reason;
    this.#isCopying = false;
    this.#started?.reject(reason);
    this.#started = undefined;
    this.#events.onFailure(reason);
  }
}
