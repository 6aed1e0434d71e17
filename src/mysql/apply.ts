import { OperatingError } from '../lib/errors.js';
import { Applier, type ApplierOptions } from '../migration/applier.js';
import type { ApplyQueue } from '../migration/apply-queue.js';
import type { AppliedStream, StreamSpec } from '../migration/engine.js';
import { streamedTasks } from '../migration/selection.js';
import type { Fault, Places, StreamEnds } from '../migration/stream-ends.js';
import { tableKey } from '../topology/keyspace.js';
import type { Position } from '../topology/topology.js';
import { ApplyInbox, type Progress } from './apply-inbox.js';
import { type ApplyStep, ApplyTable } from './apply-table.js';
import { ApplyTarget, allowEmptyEnums, MissingRows } from './apply-target.js';
import { readStart } from './change-source.js';
import { errnoOf } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';
import { readExistingTables } from './engine-tables.js';
import { GtidPosition } from './gtid.js';
import { isPassing } from './passing-errors.js';
import { BinlogSource } from './source-log.js';

export interface StreamOptions extends ApplierOptions {
  readonly sessions: EngineSessions;
  /** A source that says nothing for longer, not even that it lives, is gone. */
  readonly silenceMs?: number;
}

/** Resolves when the stream runs; rejects when it cannot begin. */
export function openChangeStream(
  spec: StreamSpec,
  options: StreamOptions,
  signal: AbortSignal,
): Promise<AppliedStream> {
  return Applier.open(spec, new BinlogStreamEnds(spec, options), options, signal);
}

const PLACES: Places<Progress> = {
  start: { position: GtidPosition.start, readFrom: GtidPosition.start },
  parse(text: Position) {
    const position = GtidPosition.parse(text);
    return { position, readFrom: position };
  },
  format: ({ position }) => position.toString(),
  covers: (place, other) => place.position.covers(other.position),
};

const NOTE_INTERVAL_MS = 5_000;

/** A stream from a binary log to a session that the fence lets pass. */
class BinlogStreamEnds implements StreamEnds<Progress, ApplyStep, ApplyTarget> {
  readonly places = PLACES;
  /** A source keeps no positions of its replicas: the target's note is what lets it forget its log. */
  readonly noteIntervalMs = NOTE_INTERVAL_MS;
  readonly #spec: StreamSpec;
  readonly #options: StreamOptions;
  #lagBytes = 0;

  constructor(spec: StreamSpec, options: StreamOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  async openTarget(): Promise<ApplyTarget> {
    const { from } = this.#spec;
    const start = await this.#options.sessions.use(from, (session) => readStart(session, this.#spec));
    return await ApplyTarget.open(this.#spec, start);
  }

  async openLog(
    target: ApplyTarget,
    queue: ApplyQueue<Progress, ApplyStep>,
    applied: () => Progress,
  ): Promise<BinlogSource> {
    const { sessions, silenceMs } = this.#options;
    const inbox = await this.#openInbox(target, queue);
    const fail = (error: Error): void => queue.fail(error);
    target.session.onLost = fail;
    return await BinlogSource.open({ spec: this.#spec, sessions, silenceMs, start: target.progress }, inbox, {
      applied,
      onLag: (bytes) => {
        this.#lagBytes = bytes;
      },
      onEnd: fail,
    });
  }

  lagBytes(): number {
    return this.#lagBytes;
  }

  /** What has no number at all is a connection's or our own, and the next try tells. */
  judge(error: Error): Fault {
    if (error instanceof MissingRows) return 'missing-row';
    const errno = errnoOf(error);
    if (errno === DUPLICATE_ENTRY || errno === DUPLICATE_ENTRY_OF_KEY) return 'conflict';
    return errno === undefined || isPassing(error) ? 'passing' : 'lasting';
  }

  async #openInbox(target: ApplyTarget, queue: ApplyQueue<Progress, ApplyStep>): Promise<ApplyInbox> {
    const { migration, from, to } = this.#spec;
    const tasks = streamedTasks(this.#spec);
    const list = tasks.map((task) => task.table);
    const targetTables = await readExistingTables(target.session, list);
    await allowEmptyEnums(target.session, targetTables);
    const { sourceTables, schema, namesColumns } = await this.#options.sessions.use(
      from,
      async (session) => ({
        sourceTables: await readExistingTables(session, list),
        schema: (await session.value('SELECT database()')) ?? '',
        namesColumns: session.flavor.logNamesColumns,
      }),
    );
    const tables = new Map(
      tasks.map((task, index) => [
        tableKey(task.table),
        new ApplyTable(task, sourceTables[index]!, targetTables[index]!, namesColumns),
      ]),
    );
    if (tables.size !== tasks.length)
      throw new OperatingError(
        'internal',
        `a table stands twice in the stream from ${from.shard} to ${to.shard}`,
      );
    return new ApplyInbox(queue, { tables, schema, migration, start: target.progress });
  }
}

/** ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME */
const DUPLICATE_ENTRY = 1062;
const DUPLICATE_ENTRY_OF_KEY = 1586;
