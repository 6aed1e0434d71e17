import type { StreamSpec } from '../migration/engine.js';
import type { SourceLog } from '../migration/stream-ends.js';
import type { ApplyInbox } from './apply-inbox.js';
import { markLog } from './change-source.js';
import { publicationName, slotName } from './engine-names.js';
import type { EngineSessions } from './engine-sessions.js';
import { LogAsker } from './log-asker.js';
import { type Lsn, parseLsn } from './lsn.js';
import { Replication } from './replication.js';

export interface SlotLogOptions {
  readonly spec: StreamSpec;
  readonly sessions: EngineSessions;
  /** What the target has; nothing that ends there or before is sent again. */
  readonly start: Lsn;
  readonly beginsBehind: Lsn;
}

export interface SlotLogCalls {
  applied(): Lsn;
  /** The source's log goes so far now. */
  onSourceEnd(lsn: Lsn): void;
  /** At most once. */
  onEnd(error: Error): void;
}

/** The source's log as the walsender of the stream's slot tells it. The slot remembers what was applied. */
export class SlotLog implements SourceLog<Lsn> {
  readonly beginsBehind: Lsn;
  readonly #options: SlotLogOptions;
  readonly #calls: SlotLogCalls;
  readonly #asker: LogAsker;
  #replication: Replication | undefined;

  private constructor(options: SlotLogOptions, inbox: ApplyInbox, calls: SlotLogCalls) {
    this.beginsBehind = options.beginsBehind;
    this.#options = options;
    this.#calls = calls;
    this.#asker = new LogAsker({
      told: () => inbox.told,
      ask: () => this.#sendStatus(true),
      nudge: () => this.#nudge(),
    });
  }

  /** Resolves when the server sends. */
  static async open(options: SlotLogOptions, inbox: ApplyInbox, calls: SlotLogCalls): Promise<SlotLog> {
    const { spec, start } = options;
    const log = new SlotLog(options, inbox, calls);
    log.#replication = await Replication.start(
      spec.from,
      {
        slot: slotName(spec.migration, spec.direction, spec.from.shard, spec.to.shard),
        publication: publicationName(spec.migration),
        start,
      },
      {
        onChange: (bytes) => inbox.accept(bytes),
        onPassed: (lsn) => inbox.passed(lsn),
        onReplyWanted: () => log.#sendStatus(false),
        onEnd: (error) => calls.onEnd(error),
      },
    );
    return log;
  }

  pause(): void {
    this.#replication?.pause();
  }

  resume(): void {
    this.#replication?.resume();
  }

  want(lsn: Lsn): void {
    this.#asker.want(lsn);
  }

  async beat(): Promise<void> {
    this.#sendStatus(false);
    const { sessions, spec } = this.#options;
    const end = await sessions.use(spec.from, (session) =>
      session.value('SELECT pg_current_wal_flush_lsn()'),
    );
    this.#calls.onSourceEnd(parseLsn(end!));
  }

  async close(): Promise<void> {
    this.#asker.stop();
    this.#sendStatus(false);
    await this.#replication?.close();
  }

  #sendStatus(wantsReply: boolean): void {
    this.#replication?.sendStatus(this.#calls.applied(), wantsReply);
  }

  /** A position in the middle of a record that is not flushed yet is passed only when something commits. */
  async #nudge(): Promise<void> {
    await this.#options.sessions.use(this.#options.spec.from, (session) => markLog(session, ''));
  }
}
