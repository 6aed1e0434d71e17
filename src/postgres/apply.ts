import { Applier, type ApplierOptions } from '../migration/applier.js';
import type { ApplyQueue } from '../migration/apply-queue.js';
import type { AppliedStream, StreamSpec } from '../migration/engine.js';
import { streamedTasks } from '../migration/selection.js';
import type { Fault, Places, StreamEnds } from '../migration/stream-ends.js';
import { tableKey } from '../topology/keyspace.js';
import { ApplyInbox } from './apply-inbox.js';
import { NOT_EXACTLY_ONE } from './apply-statements.js';
import { ApplyTable, type TableStep } from './apply-table.js';
import { ApplyTarget } from './apply-target.js';
import { claimSlot } from './change-source.js';
import { namePrefix, slotName } from './engine-names.js';
import { sqlstateOf } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';
import { readExistingTables } from './engine-tables.js';
import { formatLsn, type Lsn, laterLsn, parseLsn } from './lsn.js';
import { SlotLog } from './source-log.js';

export interface StreamOptions extends ApplierOptions {
  readonly sessions: EngineSessions;
}

/** Resolves when the stream runs; rejects when it cannot begin. */
export function openChangeStream(
  spec: StreamSpec,
  options: StreamOptions,
  signal: AbortSignal,
): Promise<AppliedStream> {
  return Applier.open(spec, new SlotStreamEnds(spec, options.sessions), options, signal);
}

const PLACES: Places<Lsn> = {
  start: 0n,
  parse: parseLsn,
  format: formatLsn,
  covers: (place, other) => other <= place,
};

/** A stream from a logical replication slot to a session with the stream's origin. */
class SlotStreamEnds implements StreamEnds<Lsn, TableStep, ApplyTarget> {
  readonly places = PLACES;
  /** The slot keeps what was passed. */
  readonly noteIntervalMs = undefined;
  readonly #spec: StreamSpec;
  readonly #sessions: EngineSessions;
  #sourceEnd: Lsn = 0n;

  constructor(spec: StreamSpec, sessions: EngineSessions) {
    this.#spec = spec;
    this.#sessions = sessions;
  }

  openTarget(): Promise<ApplyTarget> {
    return ApplyTarget.open(this.#spec, this.#sessions);
  }

  async openLog(
    target: ApplyTarget,
    queue: ApplyQueue<Lsn, TableStep>,
    applied: () => Lsn,
  ): Promise<SlotLog> {
    const { migration, direction, from, to } = this.#spec;
    const tasks = streamedTasks(this.#spec);
    const list = tasks.map((task) => task.table);
    const targetTables = await readExistingTables(target.session, list);
    const { confirmed, sourceTables } = await this.#sessions.use(from, async (session) => {
      const slot = slotName(migration, direction, from.shard, to.shard);
      return {
        confirmed: await claimSlot(session, slot, target.position),
        sourceTables: await readExistingTables(session, list),
      };
    });
    const tables = new Map(
      tasks.map((task, index) => [
        tableKey(task.table),
        new ApplyTable(task, sourceTables[index]!, targetTables[index]!, `t${index}`),
      ]),
    );
    const fail = (error: Error): void => queue.fail(error);
    target.session.onLost = fail;
    return await SlotLog.open(
      {
        spec: this.#spec,
        sessions: this.#sessions,
        start: target.position,
        beginsBehind: laterLsn(confirmed, target.position),
      },
      new ApplyInbox(queue, tables, namePrefix(migration), target.position),
      {
        applied,
        onSourceEnd: (lsn) => {
          this.#sourceEnd = lsn;
        },
        onEnd: fail,
      },
    );
  }

  lagBytes(applied: Lsn): number {
    return this.#sourceEnd > applied ? Number(this.#sourceEnd - applied) : 0;
  }

  /** Passing: connections that broke, servers that start or stop, locks and deadlocks, full disks (classes 08, 40, 53, 55, 57, 58). */
  judge(error: Error): Fault {
    const state = sqlstateOf(error);
    if (state === NOT_EXACTLY_ONE) return 'missing-row';
    if (state === OBJECT_IN_USE) return 'taken';
    if (state === UNIQUE_VIOLATION || state === EXCLUSION_VIOLATION) return 'conflict';
    return state === undefined || /^(08|40|53|55|57|58)/.test(state) ? 'passing' : 'lasting';
  }
}

/** The walsender of an older stream is on its way out. */
const OBJECT_IN_USE = '55006';
const UNIQUE_VIOLATION = '23505';
const EXCLUSION_VIOLATION = '23P01';
