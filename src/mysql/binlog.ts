import ZongJi from '@vlasky/zongji';
import type { ConnectionOptions } from 'mysql2';
import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { ShardName } from '../topology/ring.js';
import {
  type KnownTables,
  type LogEvent,
  mysqlBegin,
  mysqlGtidOf,
  translate,
  type ZongjiEvent,
} from './binlog-events.js';
import type { GtidPosition, MysqlGtid } from './gtid.js';

export interface BinlogCalls {
  onEvent(event: LogEvent): void;
  /** At most once; nothing is told after it. */
  onEnd(error: Error): void;
}

export interface BinlogStart {
  /** How a session of ours connected to the server. */
  readonly connection: ConnectionOptions;
  readonly silenceMs?: number | undefined;
  readonly position: GtidPosition;
  /** Unlike any other replica's; a second stream of the same id ends the first. */
  readonly serverId: number;
  /** Tables whose rows are told, by schema. */
  readonly tables: Readonly<Record<string, string[]>>;
}

const HEARTBEAT_MS = 1_000;
/** A server that is silent for longer than some heartbeats is gone. */
const SILENCE_MS = 15_000;
const START_TIMEOUT_MS = 15_000;

interface Pausable {
  pause(): void;
  resume(): void;
}

/**
 * A server's log from a position on, as a replica reads it. Values are taken as bytes, before the library below
 * reads them: it would read texts in encodings of its own, drop SRIDs, and round.
 */
export class Binlog {
  readonly #zongji: ZongJi;
  readonly #calls: BinlogCalls;
  readonly #shard: string;
  readonly #silenceMs: number;
  #hasEnded = false;
  readonly #known: KnownTables = new WeakMap();
  #pendingGtid: MysqlGtid | undefined;
  #isPaused = false;
  #heardAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  private constructor(shard: ShardName, { connection, silenceMs }: BinlogStart, calls: BinlogCalls) {
    this.#shard = shard;
    this.#silenceMs = silenceMs ?? SILENCE_MS;
    this.#calls = calls;
    this.#zongji = new ZongJi({ ...connection });
  }

  /** Resolves when the server has been asked; what it refuses then comes through `onEnd`. */
  static async start(shard: ShardName, start: BinlogStart, calls: BinlogCalls): Promise<Binlog> {
    const binlog = new Binlog(shard, start, calls);
    try {
      await binlog.#start(start);
    } catch (error) {
      await binlog.close();
      throw error;
    }
    return binlog;
  }

  /** The file and the offset behind the last whole transaction that was told. */
  get place(): { readonly file: string; readonly offset: number } {
    return { file: this.#zongji.options.filename ?? '', offset: this.#zongji.options.position ?? 0 };
  }

  pause(): void {
    this.#isPaused = true;
    (this.#zongji.connection as Pausable | null)?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#heardAtMs = performance.now();
    (this.#zongji.connection as Pausable | null)?.resume();
  }

  async close(): Promise<void> {
    this.#hasEnded = true;
    clearInterval(this.#timer);
    await new Promise<void>((resolve) => {
      this.#zongji.once('stopped', resolve);
      this.#zongji.stop();
    });
    this.#zongji.removeAllListeners();
    this.#zongji.on('error', () => {});
  }

  async #start({ position, serverId, tables }: BinlogStart): Promise<void> {
    const zongji = this.#zongji;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(this.#lost(new Error('no answer'))), START_TIMEOUT_MS);
      zongji.on('error', (error: Error) => {
        if (isForetold(error)) return;
        clearTimeout(late);
        reject(this.#lost(error));
        this.#end(error);
      });
      zongji.on('ready', () => {
        clearTimeout(late);
        // Before the library's own request, on the same connection: also an idle server then shows that it lives.
        const period = HEARTBEAT_MS * 1e6;
        zongji.connection?.query(
          `SET @master_heartbeat_period = ${period}, @source_heartbeat_period = ${period}`,
          () => {},
        );
        resolve();
      });
      zongji.on('binlog', (event) => this.#take(event as unknown as ZongjiEvent));
      zongji.start({ serverId, gtidSet: position.toString(), includeSchema: { ...tables } });
    });
    this.#heardAtMs = performance.now();
    this.#timer = setInterval(() => this.#listen(), HEARTBEAT_MS).unref();
  }

  #listen(): void {
    if (!this.#isPaused && performance.now() - this.#heardAtMs > this.#silenceMs)
      this.#end(new Error('the server has fallen silent'));
  }

  #end(error: Error): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#timer);
    this.#calls.onEnd(error instanceof OperatingError ? error : this.#lost(error));
  }

  /** Log that is gone is gone for good; everything else is worth another try. */
  #lost(error: Error): OperatingError {
    const { errno } = error as Error & { errno?: number };
    if (errno === READ_ERROR || errno === UNKNOWN_POSITION)
      return new OperatingError(
        'migration',
        `shard ${this.#shard}: its log cannot be read: ${error.message}`,
        {
          cause: error,
          hint: 'keep binary logs longer (binlog_expire_logs_seconds), abort the migration and start it again',
        },
      );
    const isDenied = errno === ACCESS_DENIED || errno === PRIVILEGE_MISSING;
    return new OperatingError(
      isDenied ? 'migration' : 'shard-unavailable',
      `shard ${this.#shard}: the log cannot be read: ${error.message}`,
      {
        cause: error,
        ...(isDenied ? { hint: 'grant REPLICATION SLAVE to its user' } : {}),
      },
    );
  }

  /** MySQL says only by the event behind a GTID what kind of transaction begins. */
  #translate(event: ZongjiEvent): LogEvent[] {
    const name = event.getEventName();
    if (name === 'gtid') {
      this.#pendingGtid = mysqlGtidOf(event);
      return [];
    }
    const told = translate(event, this.#known);
    if (told === undefined) return [];
    const gtid = this.#pendingGtid;
    if (gtid === undefined) return [told];
    this.#pendingGtid = undefined;
    return mysqlBegin(gtid, told);
  }

  #take(event: ZongjiEvent): void {
    if (this.#hasEnded) return;
    this.#heardAtMs = performance.now();
    try {
      for (const told of this.#translate(event)) this.#calls.onEvent(told);
    } catch (error) {
      this.#end(asOperatingError(error));
    }
  }
}

/** The library warns of what it cannot read before it hands over the event itself, which `translate` refuses by name. */
function isForetold(error: Error): boolean {
  return /^Server sent a (TRANSACTION_PAYLOAD|PARTIAL_UPDATE_ROWS)_EVENT /.test(error.message);
}

/** ER_MASTER_FATAL_ERROR_READING_BINLOG, ER_GTID_POSITION_NOT_FOUND_IN_BINLOG */
const READ_ERROR = 1236;
const UNKNOWN_POSITION = 1945;
const ACCESS_DENIED = 1045;
const PRIVILEGE_MISSING = 1227;
