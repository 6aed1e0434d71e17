import type { DatabaseConfig, LimitsConfig } from '../config/config.js';
import type { BackendConnector } from '../pool/backend.js';
import type { Step } from '../pool/request.js';
import type { StatementRouter } from '../routing/router.js';
import type { Keyspace } from '../topology/keyspace.js';
import type { MergeValues } from './merge-values.js';

/** Runs one small statement on some shard: rows as text. */
export type RowsQuery = (sql: string) => Promise<(string | null)[][]>;

/** SQL that the proxy itself says to a server. */
export interface TransactionWords {
  readonly begin: string;
  readonly commit: string;
  readonly rollback: string;
  savepoint(name: string): string;
  rollbackTo(name: string): string;
  release(name: string): string;
  prepare(gid: string): string;
  commitPrepared(gid: string): string;
  rollbackPrepared(gid: string): string;
  /** Lists the gids of prepared transactions of this database, one column. */
  readonly listPrepared: string;
  /** Tags of the commands that the session answers itself. */
  readonly tags: {
    readonly begin: string;
    readonly commit: string;
    readonly rollback: string;
    readonly savepoint: string;
    readonly release: string;
  };
}

/** What a wing gives to the hall: facts and functions in which the engines differ. */
export interface Dialect {
  readonly engine: DatabaseConfig['engine'];
  readonly connect: BackendConnector;
  readonly words: TransactionWords;
  /** Brings a backend's settings back to how they were after connect. */
  readonly resetSettings: string;
  /** Startup parameters as they are for a client that does not say them, where our own connections have another value. */
  readonly startupDefaults: ReadonlyMap<string, string>;
  /** The statement that sets one startup parameter of the client on a backend; undefined when it cannot be said. */
  startupSetting(name: string, value: string): string | undefined;
  /** Names of the parameters that `options=-c name=value` sets, with their values. */
  startupOptions(options: string): [string, string][];
  queryStep(sql: string): Step;
  /** One tag for a command that several shards ran: counts added. */
  sumTags(tags: readonly (string | undefined)[]): string;
  /** What a CopyData frame carries. */
  copyPayload(frame: Buffer): Buffer;
  copyFail(reason: string): Buffer;
  /** Arithmetic on values for merging. */
  mergeValues(keyspace: Keyspace): MergeValues;
  /** Router of a sharded database. */
  createRouter(keyspace: Keyspace, limits: LimitsConfig): StatementRouter;
  /** Router of a database with one shard and no tables: only transaction and session facts, refuses nothing. */
  createPassThroughRouter(database: string, limits: LimitsConfig): StatementRouter;
  readKeyspace(rows: RowsQuery, database: DatabaseConfig): Promise<Keyspace>;
  /** The same shard URL with another database name. */
  withDatabase(url: string, database: string): string;
}
