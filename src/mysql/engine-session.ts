import type mysql from 'mysql2';
import { asError, OperatingError } from '../lib/errors.js';
import type { ShardAddress } from '../migration/engine.js';
import { connectEngine, type EngineConnection } from './engine-connection.js';
import type { Flavor } from './flavor.js';

/** One row: every value as the server's own text, untouched. */
export type TextRow = readonly (string | null)[];
/** One row: every value as the bytes that the server sent. */
export type ByteRow = readonly (Buffer | null)[];

const CLOSE_TIMEOUT_MS = 1_000;

/** For metadata locks. Whoever must not wait says so. */
export const LOCK_WAIT_SECONDS = 86_400;

/** Everything that could change how values are written or read, or end our sessions in the middle of long work: one statement. */
function fixedSettings({ names, cachesTableFacts }: Flavor): string {
  const settings: Readonly<Record<string, string>> = {
    time_zone: `'+00:00'`,
    // What a row holds may be older than today's rules: invalid dates and zeros are carried as they are.
    sql_mode: `'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'`,
    autocommit: '1',
    [names.isolation]: `'READ-COMMITTED'`,
    [names.readOnly]: '0',
    wait_timeout: '604800',
    net_read_timeout: '3600',
    net_write_timeout: '3600',
    group_concat_max_len: '16777216',
    sql_auto_is_null: '0',
    sql_safe_updates: '0',
    sql_select_limit: 'DEFAULT',
    lock_wait_timeout: String(LOCK_WAIT_SECONDS),
    ...(cachesTableFacts ? { information_schema_stats_expiry: '0' } : {}),
    ...(names.timeLimit === undefined ? {} : { [names.timeLimit]: '0' }),
  };
  const list = Object.entries(settings).map(([name, value]) => `SESSION ${name} = ${value}`);
  return `SET NAMES utf8mb4, ${list.join(', ')}`;
}

export interface SessionOptions {
  /** Several statements in one `runAll`: for the applier, whose statements hold nothing but literals that we made. */
  readonly batches?: boolean;
}

/** One connection of the migration to a database, with settings fixed so that values are the same text everywhere. One request at a time. */
export class EngineSession {
  readonly address: ShardAddress;
  readonly connection: mysql.Connection;
  readonly flavor: Flavor;
  /** With which others connect to this server in the same way. */
  readonly options: mysql.ConnectionOptions;
  #lost: Error | undefined;
  /** Work to be done when the connection is lost. */
  onLost: ((error: Error) => void) | undefined;

  private constructor(address: ShardAddress, { connection, flavor, options }: EngineConnection) {
    this.address = address;
    this.connection = connection;
    this.flavor = flavor;
    this.options = options;
    connection.on('error', (error) => this.#lose(error));
    connection.on('end', () => this.#lose(new Error('the connection has ended')));
  }

  /** Rejects with `shard-connect-failed`, which names the shard, or `configuration` when its URL cannot be followed. */
  static async connect(address: ShardAddress, options: SessionOptions = {}): Promise<EngineSession> {
    let session: EngineSession | undefined;
    try {
      session = new EngineSession(address, await connectEngine(address, options.batches === true));
      await session.run(fixedSettings(session.flavor));
      return session;
    } catch (thrown) {
      session?.destroy();
      if (thrown instanceof OperatingError && thrown.code === 'configuration') throw thrown;
      throw new OperatingError(
        'shard-connect-failed',
        `shard ${address.shard}: cannot connect: ${asError(thrown).message}`,
        {
          cause: thrown,
          hint: 'check that the server runs and that the URL, user and password of the shard are right',
        },
      );
    }
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** The server's id of this connection, for KILL. */
  get connectionId(): number {
    return this.connection.threadId ?? 0;
  }

  /** Runs one statement; each `?` in it stands for one of `parameters`, which go as quoted text. */
  async rows(sql: string, parameters: readonly (string | null)[] = []): Promise<TextRow[]> {
    return await this.#rows<TextRow>(sql, parameters, textOf);
  }

  /** As `rows`, but the bytes as they come: what is not text must not be read as text. */
  async bytes(sql: string, parameters: readonly (string | null)[] = []): Promise<ByteRow[]> {
    return await this.#rows<ByteRow>(sql, parameters, (field) => field.buffer());
  }

  /** The first row's first value; undefined without rows. */
  async value(sql: string, parameters: readonly (string | null)[] = []): Promise<string | null | undefined> {
    return (await this.rows(sql, parameters))[0]?.[0];
  }

  /** Runs one statement; returns the number of rows that it found (not: changed), by FOUND_ROWS. */
  async run(sql: string, parameters: readonly (string | null)[] = []): Promise<number> {
    const result = await this.#query(sql, parameters, textOf);
    return affectedRows(result);
  }

  /** Runs statements that stand behind each other, divided by `;`; returns what each found. Needs `batches`. */
  async runAll(statements: readonly string[]): Promise<number[]> {
    return (await this.#several(statements)).map(affectedRows);
  }

  /** As `runAll`, but returns the rows of each. The first that fails is the last that was tried. */
  async rowsOfAll(statements: readonly string[]): Promise<TextRow[][]> {
    return (await this.#several(statements)).map((result) =>
      Array.isArray(result) ? (result as TextRow[]) : [],
    );
  }

  async #several(statements: readonly string[]): Promise<unknown[]> {
    if (statements.length === 0) return [];
    const result = await this.#query(statements.join(';'), [], textOf);
    return statements.length === 1 ? [result] : (result as unknown[]);
  }

  /** Runs `work` in one transaction; `begin` may say more (START TRANSACTION READ ONLY …). */
  async transaction<T>(work: () => Promise<T>, begin = 'START TRANSACTION'): Promise<T> {
    await this.run(begin);
    try {
      const result = await work();
      await this.run('COMMIT');
      return result;
    } catch (error) {
      if (!this.isLost) await this.run('ROLLBACK').catch(() => this.destroy());
      throw error;
    }
  }

  /** An idle session must not keep the process alive. */
  ref(isWorking: boolean): void {
    const { stream } = this.connection as unknown as { stream: { ref?(): void; unref?(): void } };
    if (isWorking) stream.ref?.();
    else stream.unref?.();
  }

  async close(): Promise<void> {
    if (this.#lost === undefined) {
      await new Promise<void>((resolve) => {
        // A request that never ends would keep the farewell waiting behind it.
        const late = setTimeout(resolve, CLOSE_TIMEOUT_MS);
        this.connection.end(() => {
          clearTimeout(late);
          resolve();
        });
      });
    }
    this.destroy();
  }

  /** At once, whatever runs. */
  destroy(): void {
    this.connection.destroy();
    this.#lose(new Error('the connection was closed'));
  }

  /** What a request that ended with `error` is to throw: the loss of the connection, if that is the cause. */
  failure(error: unknown): Error {
    return this.#lost === undefined ? asError(error) : this.#connectionLost(this.#lost);
  }

  async #rows<Row>(
    sql: string,
    parameters: readonly (string | null)[],
    cast: (field: TypeCastField) => unknown,
  ): Promise<Row[]> {
    const result = await this.#query(sql, parameters, cast);
    return Array.isArray(result) ? (result as Row[]) : [];
  }

  async #query(
    sql: string,
    parameters: readonly (string | null)[],
    cast: (field: TypeCastField) => unknown,
  ): Promise<unknown> {
    if (this.#lost !== undefined) throw this.#connectionLost(this.#lost);
    return await new Promise((resolve, reject) => {
      const lost = this.#onceLost(reject);
      this.connection.query(
        { sql, values: [...parameters], rowsAsArray: true, typeCast: cast as mysql.TypeCast },
        (error, result) => {
          this.#waiting.delete(lost);
          if (error === null) resolve(result);
          else reject(this.failure(error));
        },
      );
    });
  }

  /** mysql2 forgets a query whose connection is destroyed under it: nobody must wait for it for ever. */
  readonly #waiting = new Set<(error: Error) => void>();

  #onceLost(reject: (error: Error) => void): (error: Error) => void {
    this.#waiting.add(reject);
    return reject;
  }

  #connectionLost(cause: Error): OperatingError {
    const message = `shard ${this.address.shard}: the connection was lost: ${cause.message}`;
    return new OperatingError('shard-unavailable', message, { cause });
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    const lost = this.#connectionLost(error);
    for (const reject of this.#waiting) reject(lost);
    this.#waiting.clear();
    this.onLost?.(lost);
  }
}

interface TypeCastField {
  buffer(): Buffer | null;
}

function textOf(field: TypeCastField): string | null {
  return field.buffer()?.toString('utf8') ?? null;
}

function affectedRows(result: unknown): number {
  return (result as { affectedRows?: number } | undefined)?.affectedRows ?? 0;
}

/** The server's error number, undefined for anything else. */
export function errnoOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || thrown instanceof OperatingError) return undefined;
  const { errno, sqlState } = thrown as Error & { errno?: unknown; sqlState?: unknown };
  return typeof errno === 'number' && typeof sqlState === 'string' ? errno : undefined;
}
