import type { Duplex } from 'node:stream';
import pg from 'pg';
import { asError, OperatingError } from '../lib/errors.js';
import type { ShardAddress } from '../migration/engine.js';

/** One row: every value as the server's own text, untouched. */
export type TextRow = readonly (string | null)[];

/** What pg calls while a request that we wrote ourselves is answered. */
export interface WireRequest {
  submit(connection: WireConnection): void;
  handleError(error: Error): void;
  handleReadyForQuery(): void;
  handleCommandComplete(message: { readonly text: string }): void;
  handleRowDescription(): void;
  handleDataRow(): void;
  handlePortalSuspended(): void;
  handleEmptyQuery(): void;
  handleCopyInResponse(): void;
  handleCopyData(message: { readonly chunk: Buffer }): void;
}

/** The part of pg's Connection that we use. */
export interface WireConnection {
  readonly stream: Duplex;
  query(text: string): void;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Everything that could change how values are written as text, or end our sessions in the middle of long work. */
const FIXED_SETTINGS = [
  `SET application_name = 'ringferry'`,
  `SET client_encoding = 'UTF8'`,
  `SET search_path = ''`,
  `SET datestyle = 'ISO, YMD'`,
  `SET intervalstyle = 'postgres'`,
  `SET timezone = 'UTC'`,
  `SET extra_float_digits = 3`,
  `SET bytea_output = 'hex'`,
  `SET lc_monetary = 'C'`,
  `SET xmloption = 'content'`,
  `SET standard_conforming_strings = on`,
  `SET row_security = off`,
  `SET statement_timeout = 0`,
  `SET lock_timeout = 0`,
  `SET idle_in_transaction_session_timeout = 0`,
  `SET idle_session_timeout = 0`,
  `SET default_transaction_isolation = 'read committed'`,
  `SET default_transaction_read_only = off`,
  `SET default_transaction_deferrable = off`,
  // Positions, flags and rows that we report as done must be on the disk.
  'SET synchronous_commit = on',
  'SET jit = off',
].join('; ');

const asText = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

/** One connection of the migration to a database, with settings fixed so that values are the same text everywhere. One request at a time. */
export class EngineSession {
  readonly address: ShardAddress;
  readonly #client: pg.Client;
  #lost: Error | undefined;
  /** Work to be done when the connection is lost. */
  onLost: ((error: Error) => void) | undefined;

  private constructor(address: ShardAddress, client: pg.Client) {
    this.address = address;
    this.#client = client;
    client.on('error', (error) => this.#lose(error));
    client.on('end', () => this.#lose(new Error('the connection has ended')));
  }

  /** Rejects with `shard-connect-failed`, which names the shard. `replication`: a walsender, for slots and streams. */
  static async connect(
    address: ShardAddress,
    options: { replication?: boolean } = {},
  ): Promise<EngineSession> {
    const config = {
      connectionString: address.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      fallback_application_name: 'ringferry',
      ...(options.replication === true ? { replication: 'database' } : {}),
    };
    let session: EngineSession | undefined;
    try {
      session = new EngineSession(address, new pg.Client(config as pg.ClientConfig));
      await session.#client.connect();
      await session.run(FIXED_SETTINGS);
      return session;
    } catch (thrown) {
      session?.destroy();
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

  get stream(): Duplex {
    return this.#client.connection.stream;
  }

  /** Runs one statement; `parameters` go as text, undefined types. */
  async rows(sql: string, parameters?: readonly (string | null)[]): Promise<TextRow[]> {
    const result = await this.#query(sql, parameters);
    return (Array.isArray(result) ? result.at(-1)!.rows : result.rows) as unknown as TextRow[];
  }

  /** The first row's first value; undefined without rows. */
  async value(sql: string, parameters?: readonly (string | null)[]): Promise<string | null | undefined> {
    return (await this.rows(sql, parameters))[0]?.[0];
  }

  /** Runs one or more statements; returns the number of rows that the last one touched. */
  async run(sql: string, parameters?: readonly (string | null)[]): Promise<number> {
    const result = await this.#query(sql, parameters);
    return (Array.isArray(result) ? result.at(-1)!.rowCount : result.rowCount) ?? 0;
  }

  /** Runs `work` in one transaction; `begin` may say more (isolation level). */
  async transaction<T>(work: () => Promise<T>, begin = 'BEGIN'): Promise<T> {
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

  /** Hands a request over that writes its own messages. */
  submit(request: WireRequest): void {
    this.#client.query(request as unknown as pg.Submittable);
  }

  /** An idle session must not keep the process alive. */
  ref(isWorking: boolean): void {
    const socket = this.stream as Duplex & { ref?(): void; unref?(): void };
    if (isWorking) socket.ref?.();
    else socket.unref?.();
  }

  async close(): Promise<void> {
    if (this.#lost === undefined) await this.#client.end().catch(() => {});
    this.destroy();
  }

  /** At once, whatever runs. */
  destroy(): void {
    this.stream.destroy();
    this.#lose(new Error('the connection was closed'));
  }

  async #query(
    sql: string,
    parameters?: readonly (string | null)[],
  ): Promise<pg.QueryArrayResult | pg.QueryArrayResult[]> {
    if (this.#lost !== undefined) throw this.#connectionLost(this.#lost);
    const config: pg.QueryArrayConfig = { text: sql, rowMode: 'array', types: asText };
    try {
      return await this.#client.query(
        parameters === undefined ? config : { ...config, values: [...parameters] },
      );
    } catch (error) {
      if (this.#lost !== undefined) throw this.#connectionLost(this.#lost);
      throw error;
    }
  }

  #connectionLost(cause: Error): OperatingError {
    const message = `shard ${this.address.shard}: the connection was lost: ${cause.message}`;
    return new OperatingError('shard-unavailable', message, { cause });
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.onLost?.(this.#connectionLost(error));
  }
}

/** SQLSTATE of a server's error, undefined for anything else: a system's error has a code too, and EPIPE looks like one. */
export function sqlstateOf(thrown: unknown): string | undefined {
  return thrown instanceof pg.DatabaseError ? thrown.code : undefined;
}
