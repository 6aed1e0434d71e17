import { OperatingError } from '../lib/errors.js';
import type { StreamSpec } from '../migration/engine.js';
import { streamedTasks } from '../migration/selection.js';
import type { SourceLog } from '../migration/stream-ends.js';
import type { ApplyInbox, Progress } from './apply-inbox.js';
import { Binlog } from './binlog.js';
import { bytesBehind, replicaId } from './change-source.js';
import { LEDGER_TABLE } from './engine-names.js';
import type { EngineSessions } from './engine-sessions.js';
import { GtidPosition } from './gtid.js';
import { checkIdentities } from './table-identity.js';

export interface BinlogSourceOptions {
  readonly spec: StreamSpec;
  readonly sessions: EngineSessions;
  readonly silenceMs: number | undefined;
  /** What the target has, and where the log is read from. */
  readonly start: Progress;
}

export interface BinlogSourceCalls {
  applied(): Progress;
  onLag(bytes: number): void;
  /** The log, or what makes it worth reading, has come to an end. */
  onEnd(error: Error): void;
}

/** The source's log as a replica reads it. It tells of every transaction, so nobody has to ask for one. */
export class BinlogSource implements SourceLog<Progress> {
  readonly beginsBehind: Progress;
  readonly #options: BinlogSourceOptions;
  readonly #calls: BinlogSourceCalls;
  readonly #binlog: Binlog;

  private constructor(binlog: Binlog, options: BinlogSourceOptions, calls: BinlogSourceCalls) {
    this.beginsBehind = options.start;
    this.#binlog = binlog;
    this.#options = options;
    this.#calls = calls;
  }

  /** Resolves when the server has been asked; what it refuses then comes through `onEnd`. */
  static async open(
    options: BinlogSourceOptions,
    inbox: ApplyInbox,
    calls: BinlogSourceCalls,
  ): Promise<BinlogSource> {
    const { spec, sessions, silenceMs, start } = options;
    await checkTarget(options);
    const { schema, connection } = await sessions.use(spec.from, async (session) => ({
      schema: (await session.value('SELECT database()')) ?? '',
      connection: session.options,
    }));
    const tables: Record<string, string[]> = { [schema]: [LEDGER_TABLE] };
    for (const { table } of streamedTasks(spec)) (tables[table.schema] ??= []).push(table.name);
    const binlog = await Binlog.start(
      spec.from.shard,
      { connection, silenceMs, position: start.readFrom, serverId: replicaId(spec), tables },
      { onEvent: (event) => inbox.accept(event), onEnd: (error) => calls.onEnd(error) },
    );
    return new BinlogSource(binlog, options, calls);
  }

  pause(): void {
    this.#binlog.pause();
  }

  resume(): void {
    this.#binlog.resume();
  }

  async beat(): Promise<void> {
    checkTarget(this.#options).catch((error: unknown) => {
      // A target that cannot be asked shows that to the applier as well.
      if (error instanceof OperatingError && error.code === 'migration') this.#calls.onEnd(error);
    });
    const { sessions, spec } = this.#options;
    const bytes = await sessions.use(spec.from, async (session) => {
      const end = GtidPosition.parse((await session.value(session.flavor.logEndSql)) ?? '');
      if (this.#calls.applied().position.covers(end)) return 0;
      return Math.max(1, await bytesBehind(session, this.#binlog.place));
    });
    this.#calls.onLag(bytes);
  }

  async close(): Promise<void> {
    await this.#binlog.close();
  }
}

/** After the switch nobody reads the old owner's log: a TRUNCATE there would go unnoticed. */
async function checkTarget({ spec, sessions }: BinlogSourceOptions): Promise<void> {
  if (spec.direction === 'forward') return;
  const tables = streamedTasks(spec).map((task) => task.table);
  await sessions.use(spec.to, (session) => checkIdentities(session, spec.migration, tables));
}
