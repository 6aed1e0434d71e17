import type { DatabaseConfig, LimitsConfig } from '../config/config.js';
import type { OperatingError } from '../lib/errors.js';
import type { BackendConnector, ResultColumn, RowFields, ServerError } from '../pool/backend.js';
import type { Step } from '../pool/request.js';
import type { Dependencies } from '../routing/dependencies.js';
import type { ParameterValues, SessionState } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import type { Column, Keyspace, Table } from '../topology/keyspace.js';
import type { ClientIdentity } from './frontend.js';
import type { MergeValues } from './merge-values.js';

/** Runs one small statement on some shard: rows as text. */
export type RowsQuery = (sql: string) => Promise<(string | null)[][]>;

/**
 * SQL that the proxy itself says to a server. Each transaction of a sharded database has a name that no other has, its `gid`; engines
 * whose two-phase transactions must be named from the start use it in all words, others only to prepare.
 */
export interface TransactionWords {
  /** Begins a transaction of our own. */
  readonly begin: string;
  /** Opens transaction `gid` on a shard; `sql` is how the client began it, or `begin`. */
  open(sql: string, gid: string): readonly string[];
  commit(gid: string): readonly string[];
  /** All may fail but the last. */
  rollback(gid: string): readonly string[];
  /** Ends whatever transaction a client has left open on its own connection (one shard, passed through). */
  readonly abandon: string;
  savepoint(name: string): string;
  rollbackTo(name: string): string;
  release(name: string): string;
  prepare(gid: string): readonly string[];
  commitPrepared(gid: string): string;
  rollbackPrepared(gid: string): string;
  /** Lists the prepared transactions of this database, of which `preparedGid` tells the gid. */
  readonly listPrepared: string;
  preparedGid(row: readonly (string | null)[]): string | null | undefined;
  /** Tags of the commands that the session answers itself. */
  readonly tags: {
    readonly begin: string;
    readonly commit: string;
    readonly rollback: string;
    readonly savepoint: string;
    readonly release: string;
  };
}

/** What an error does to the transaction that it happened in. */
export type Fate =
  /** The transaction can only be rolled back any more. */
  | 'transaction-failed'
  /** The server has rolled it back already. */
  | 'transaction-lost'
  /** Only the statement is undone; the transaction goes on. */
  | 'statement-undone';

/** Facts in which the engines' sessions differ. */
export interface SessionManners {
  /** Any error inside a transaction, ours too, leaves only ROLLBACK to it; otherwise `fateOf` says what an error does. */
  readonly anyErrorFailsTransaction: boolean;
  /** Several statements of one Query are one transaction, unless they say otherwise. */
  readonly severalStatementsAreOne: boolean;
  /** ROLLBACK takes SET back too. */
  readonly settingsRollBack: boolean;
  /** BEGIN inside a transaction commits it and begins another. */
  readonly beginCommits: boolean;
  /** SAVEPOINT outside of a transaction is an error; else it does nothing there. */
  readonly savepointsNeedTransaction: boolean;
}

/** Where a session can ask what its last statement warned of. */
export interface WarningWords {
  readonly sql: string;
  /** Does a statement that ended with this tag have warnings? */
  isDue(tag: string): boolean;
  ofError(error: ServerError): readonly (string | null)[];
  /** An error of our own, as the client was told it. */
  ofRefusal(error: OperatingError): readonly (string | null)[];
  /** Does a statement that ended so leave the warnings of earlier ones? */
  staysBehind(end: StatementEnd): boolean;
}

/** An INSERT whose rows of VALUES went to several shards. */
export interface SplitInsert {
  readonly sql: string;
  /** How many of them each shard got. */
  readonly rows: readonly number[];
  /** Which of the shards, by their order, got the last one. */
  readonly last: number;
}

/** How one statement of a session ended. */
export interface StatementEnd {
  /** Undefined: with an error. */
  readonly tag: string | undefined;
  /** The plan's. '' where it is not known which of several it was. */
  readonly verb: string;
  readonly sql: string;
  /** The values that were bound to it. */
  readonly parameters?: ParameterValues | undefined;
  /** What the server answered to `askedBehind`. */
  readonly answer?: string | undefined;
}

/** What a session's statements have left for later ones to ask, as only the wing reads it. */
export type SessionLeft = object;

/** The answer to a question about what earlier statements left, and what the question itself leaves. */
export interface StateAnswer {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly RowFields[];
  readonly left: SessionLeft;
}

/** What a wing gives to the hall: facts and functions in which the engines differ. */
export interface Dialect {
  readonly engine: DatabaseConfig['engine'];
  readonly connect: BackendConnector;
  readonly words: TransactionWords;
  readonly manners: SessionManners;
  fateOf(error: ServerError): Fate;
  /** The statement that brings a backend's settings back to how they were after connect; `names`: those that clients may have changed; `version`: as the server has told it. */
  resetSettings(names: readonly string[], version: string): string;
  /** What must be said when connecting and cannot be said later: backends are pooled by it. */
  connectionStartup(identity: ClientIdentity, database: DatabaseConfig): ReadonlyMap<string, string>;
  readonly warnings: WarningWords | undefined;
  /**
   * Questions, each with one row of one field for an answer, whether a query that names these may write although its text does not show it:
   * if it may not, all answers are `no`. The fewer of its own each query has, the fewer are asked.
   */
  hiddenWritesSql(dependencies: Dependencies): readonly string[];
  /** What a session must remember of its statements for later ones: folded over their ends. */
  remembered(left: SessionLeft | undefined, end: StatementEnd): SessionLeft | undefined;
  /** Statements that make a server answer for what this session did elsewhere (`LAST_INSERT_ID()`). undefined: it cannot be said. */
  recall(state: SessionState, left: SessionLeft | undefined): readonly string[] | undefined;
  /** What must be asked right behind a statement, because its end does not tell it and later ones may ask for it. */
  askedBehind(end: StatementEnd): string | undefined;
  /** The same, to know whether the number that its tag tells was given by the server and not by the client. */
  askedOfNumber(end: StatementEnd): string | undefined;
  /** May it leave the number of an earlier statement, so that its backend must know that of this session? */
  mayKeepNumber(sql: string): boolean;
  /** Its tag, as later statements may ask for it. */
  tagAsAnswered(end: StatementEnd & { readonly tag: string }, answer: string): string;
  /**
   * The answer to a statement that asks for nothing but that; undefined: the servers must answer it, or nobody can. `messages`: what
   * `warnings` brought, undefined where that is not known; `isBinary`: the client has prepared the statement; `connectionId`: the number that the client was told.
   */
  tellState(
    sql: string,
    left: SessionLeft | undefined,
    messages: readonly (readonly (string | null)[])[] | undefined,
    isBinary: boolean,
    connectionId: number | undefined,
  ): StateAnswer | undefined;
  /** Startup parameters as they are for a client that does not say them, where our own connections have another value. */
  readonly startupDefaults: ReadonlyMap<string, string>;
  /** The statement that sets one startup parameter of the client on a backend; undefined when it cannot be said. */
  startupSetting(name: string, value: string): string | undefined;
  /** Names of the parameters that `options=-c name=value` sets, with their values. */
  startupOptions(options: string): [string, string][];
  /** Are the client's texts UTF-8, by what it said when it came? Others are only routed as far as they are ASCII. */
  writesUtf8(identity: ClientIdentity): boolean;
  queryStep(sql: string): Step;
  /** One tag for a command that several shards ran: counts added. `split`: it was an INSERT of VALUES. */
  sumTags(tags: readonly (string | undefined)[], split?: SplitInsert): string;
  /** The tag of an answer of `rows` merged rows, from those of the shards. */
  mergedTag(rows: number, tags: readonly (string | undefined)[]): string;
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
  /**
   * Numbers for a column that one database would number by itself, taken from a sequence on the home shard, which `rows`
   * asks; all above `floor`.
   */
  leaseNumbers(
    rows: RowsQuery,
    table: Table,
    column: Column,
    count: number,
    floor: bigint,
  ): Promise<readonly bigint[]>;
  /** The highest number in use on one shard; undefined where the sequence itself knows. */
  highestNumberSql(table: Table, column: string): string | undefined;
  /** Asks for the least of these numbers that a row has, behind an INSERT that may not have used all of them. undefined: it has used them, or nobody is told. */
  firstNumberSql(sql: string, table: Table, column: string, numbers: readonly bigint[]): string | undefined;
  /** A write's tag that tells the first number given in it, where tags tell it. */
  tagWithNumber(tag: string, first: bigint): string;
  /** The same shard URL with another database name. */
  withDatabase(url: string, database: string): string;
}
