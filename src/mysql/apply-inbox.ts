import { OperatingError } from '../lib/errors.js';
import { type ApplyQueue, STEP_OVERHEAD_BYTES } from '../migration/apply-queue.js';
import { type ApplyStep, type ApplyTable, stepBytes } from './apply-table.js';
import type { LogEvent, LogTable, RowImage } from './binlog-events.js';
import { LEDGER_TABLE } from './engine-names.js';
import type { Gtid, GtidPosition } from './gtid.js';
import { readLogStatement } from './log-statement.js';

/** How far the log has been dealt with, and from where to read so that transactions that are prepared and undecided there are seen again. */
export interface Progress {
  readonly position: GtidPosition;
  readonly readFrom: GtidPosition;
}

export interface InboxOptions {
  /** By `schema.name`. */
  readonly tables: ReadonlyMap<string, ApplyTable>;
  /** The database that the stream is about. */
  readonly schema: string;
  readonly migration: string;
  /** What the target has, and where the log is read from. */
  readonly start: Progress;
  /** Most that is kept of transactions that are prepared and undecided. Bytes of their statements. */
  readonly maxPreparedBytes?: number;
}

const MAX_PREPARED_BYTES = 256 << 20;

interface Group {
  readonly gtid: Gtid;
  readonly kind: 'ordinary' | 'prepared' | 'decided' | 'single';
  readonly xid: string | undefined;
  isLeftOut: boolean;
  hasSteps: boolean;
}

interface Prepared {
  /** Where the log stood before it was prepared. */
  readonly before: GtidPosition;
  readonly steps: ApplyStep[];
  bytes: number;
}

/**
 * Between the source's log and the applier's queue: leaves out what is not ours, and keeps prepared transactions until they
 * are decided. A transaction that one of the migration's own sessions made (the ledger's row of this migration comes first
 * in it) is left out whole.
 */
export class ApplyInbox {
  readonly #queue: ApplyQueue<Progress, ApplyStep>;
  readonly #options: InboxOptions;
  /** Tables of the stream by the log's numbers; the ledger is `'ledger'`. */
  readonly #byId = new Map<number, ApplyTable | 'ledger'>();
  /** In the order in which they were prepared. */
  readonly #prepared = new Map<string, Prepared>();
  #preparedBytes = 0;
  #position: GtidPosition;
  #group: Group | undefined;

  constructor(queue: ApplyQueue<Progress, ApplyStep>, options: InboxOptions) {
    this.#queue = queue;
    this.#options = options;
    this.#position = options.start.readFrom;
  }

  accept(event: LogEvent): void {
    switch (event.type) {
      case 'begin':
        this.#begin(event);
        break;
      case 'table':
        this.#bind(event.id, event.table);
        break;
      case 'rows':
        this.#rows(event.table, event.change, event.images);
        break;
      case 'query':
        this.#statement(event.sql, event.schema);
        break;
      case 'end':
        if (event.isOnePhase === true && this.#group?.kind === 'prepared') this.#decideAtOnce(this.#group);
        else this.#end(true);
    }
  }

  #begin({ gtid, kind, xid }: Extract<LogEvent, { type: 'begin' }>): void {
    if (this.#group !== undefined) throw this.#unreadable('a transaction begins inside another');
    // What was prepared before the target's position may be decided behind it.
    const isLeftOut = kind !== 'prepared' && this.#options.start.position.holds(gtid);
    this.#group = { gtid, kind, xid, isLeftOut, hasSteps: false };
    if (kind === 'prepared') this.#prepared.set(xid!, { before: this.#position, steps: [], bytes: 0 });
  }

  #bind(id: number, table: LogTable): void {
    this.#byId.delete(id);
    if (table.schema === this.#options.schema && table.name === LEDGER_TABLE) this.#byId.set(id, 'ledger');
    const ours = this.#options.tables.get(`${table.schema}.${table.name}`);
    if (ours === undefined || this.#group?.isLeftOut === true) return;
    ours.bind(id, table);
    this.#byId.set(id, ours);
  }

  #rows(id: number, change: 'insert' | 'update' | 'delete', images: readonly RowImage[]): void {
    const group = this.#group;
    const table = this.#byId.get(id);
    if (group === undefined) throw this.#unreadable('a changed row stands outside of every transaction');
    if (table === undefined || group.isLeftOut) return;
    if (table === 'ledger') {
      if (images[0]?.[0]?.toString('utf8') === this.#options.migration) this.#leaveOut(group);
      return;
    }
    for (const step of table.steps(id, change, images)) this.#addStep(group, step);
  }

  #leaveOut(group: Group): void {
    if (group.hasSteps) throw this.#unreadable('the ledger does not come first in a transaction of our own');
    group.isLeftOut = true;
  }

  #addStep(group: Group, step: ApplyStep): void {
    group.hasSteps = true;
    if (group.kind !== 'prepared') {
      this.#queue.addStep(step, stepBytes(step));
      return;
    }
    const bytes = stepBytes(step) + STEP_OVERHEAD_BYTES;
    const prepared = this.#prepared.get(group.xid!)!;
    prepared.steps.push(step);
    prepared.bytes += bytes;
    this.#preparedBytes += bytes;
    if (this.#preparedBytes > (this.#options.maxPreparedBytes ?? MAX_PREPARED_BYTES)) {
      throw new OperatingError(
        'limit-exceeded',
        `transactions that are prepared (XA) and not decided have changed too many moving rows to be kept; the last is ${group.xid}`,
        {
          hint: 'change fewer rows in one transaction across shards while rows move, and start the migration again',
        },
      );
    }
  }

  #statement(sql: string, schema: string): void {
    const group = this.#group;
    if (group === undefined) return;
    const statement = readLogStatement(sql, schema);
    if (statement.type !== 'commit' && statement.type.startsWith('rollback') && group.hasSteps)
      throw this.#unreadable('a transaction that also wrote to tables without transactions was rolled back');
    if (statement.type === 'commit' || statement.type === 'rollback') {
      this.#end(statement.type === 'commit');
      return;
    }
    if (statement.type === 'change' && !group.isLeftOut) {
      for (const [key, table] of this.#options.tables) {
        if (!statement.concerns(key.slice(0, key.indexOf('.')), key.slice(key.indexOf('.') + 1))) continue;
        if (!statement.isTruncate) throw statement.isDdl ? table.changed() : this.#unlogged(table, sql);
        this.#addStep(group, table.truncate());
      }
    }
    if (group.kind === 'single') this.#end(true);
  }

  #unlogged(table: ApplyTable, sql: string): OperatingError {
    return new OperatingError(
      'migration',
      `table ${table.name}: a change of its rows is in the log as a statement, not as rows: ${sql.slice(0, 100)}`,
      { hint: 'binlog_format must be ROW in every session; set it, abort the migration and start it again' },
    );
  }

  #end(isCommit: boolean): void {
    const group = this.#group;
    if (group === undefined) throw this.#unreadable('a transaction ends that never began');
    this.#group = undefined;
    this.#byId.clear();
    if (group.kind === 'decided') this.#decide(group, isCommit);
    if (group.kind === 'prepared' && group.isLeftOut) this.#prepared.get(group.xid!)!.steps.length = 0;
    this.#position = this.#position.with(group.gtid);
    if (group.kind !== 'prepared' && group.hasSteps) this.#queue.addCommit(this.#progress());
    else this.#queue.addPassed(this.#progress());
  }

  /** Both halves in one group of the log, under one GTID. */
  #decideAtOnce(group: Group): void {
    const isLeftOut = group.isLeftOut || this.#options.start.position.holds(group.gtid);
    this.#group = { ...group, kind: 'decided', isLeftOut };
    this.#end(true);
  }

  /** Applied at the place of its decision: only then did the source's other transactions see it. */
  #decide(group: Group, isCommit: boolean): void {
    const prepared = this.#prepared.get(group.xid!);
    if (prepared === undefined) {
      if (group.isLeftOut) return;
      throw new OperatingError(
        'migration',
        `a transaction was decided (XA) that was prepared before the log was read: ${group.xid}`,
        { hint: 'abort the migration and start it again' },
      );
    }
    this.#prepared.delete(group.xid!);
    this.#preparedBytes -= prepared.bytes;
    if (group.isLeftOut || !isCommit) return;
    for (const step of prepared.steps) {
      group.hasSteps = true;
      this.#queue.addStep(step, stepBytes(step));
    }
  }

  /** Never behind what the target has already: there the log is only read again. */
  #progress(): Progress {
    const { start } = this.#options;
    const oldest = this.#prepared.values().next().value;
    const position = this.#position.covers(start.position) ? this.#position : start.position;
    return { position, readFrom: oldest?.before ?? this.#position };
  }

  #unreadable(what: string): OperatingError {
    return new OperatingError('migration', `the log cannot be read behind ${this.#position}: ${what}`, {
      hint: 'abort the migration and start it again',
    });
  }
}
