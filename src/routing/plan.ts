import type { OperatingError } from '../lib/errors.js';
import type { Touch } from '../topology/gate.js';
import type { KeyBounds, KeyType } from '../topology/keyspace.js';
import type { ShardName } from '../topology/ring.js';
import type { IncomingRows } from './incoming-rows.js';
import type { KeyReader } from './key-value.js';
import type { Pace } from './pace.js';

/** Where a key's value is found in one execution of the statement. */
export type KeySource =
  /** The `index`-th literal that the template lexer took out (0-based). `negated`: a minus sign stands before it; `array`: `= ANY('{…}')`. */
  | { readonly type: 'literal'; readonly index: number; readonly negated: boolean; readonly array?: boolean }
  /** `$n`, 0-based; `array`: `= ANY($n)`. */
  | { readonly type: 'parameter'; readonly index: number; readonly array: boolean }
  /** NULL: equals nothing. */
  | { readonly type: 'null' };

/** Which shards a statement concerns; says how to find them, never which they are. */
export type Placement =
  /** No table at all, or only reads of reference tables: any shard will do. */
  | { readonly type: 'anywhere' }
  | { readonly type: 'home' }
  /** The owners of these values: rows can only be where one of them is owned. */
  | {
      readonly type: 'keys';
      readonly keyType: KeyType;
      readonly keys: readonly KeySource[];
      /** The statement is right on one shard only: all these values must be the same, else it is refused at routing. */
      readonly mustAgree?: boolean;
    }
  /** INSERT … VALUES: row i goes to the owner of rows[i]. */
  | {
      readonly type: 'rows';
      readonly keyType: KeyType;
      readonly rows: readonly KeySource[];
      /** Longest text that the key column stores unchanged (varchar(n)). */
      readonly maxLength?: number;
      readonly bounds?: KeyBounds;
    }
  /** Every serving shard: scatter, writes to reference tables, DDL. */
  | { readonly type: 'every' }
  /** Said by hand: comment hint or SET ringferry.shard. */
  | { readonly type: 'shard'; readonly shard: ShardName }
  | { readonly type: 'key-by-hand'; readonly key: string; readonly keyType?: KeyType }
  | { readonly type: 'refused'; readonly error: OperatingError };

export type TransactionCommand =
  | {
      readonly type: 'begin';
      readonly isolation: 'read committed' | 'repeatable read' | 'serializable' | undefined;
      /** START TRANSACTION READ ONLY (MySQL). */
      readonly readOnly?: boolean;
    }
  | { readonly type: 'commit'; readonly chain: boolean }
  | { readonly type: 'rollback'; readonly chain: boolean }
  | { readonly type: 'savepoint' | 'release' | 'rollback-to'; readonly name: string };

/** What a statement does to the session that outlives it. */
export type SessionEffect =
  /** `name` lower-cased. `local`: SET LOCAL, for this transaction only. */
  | {
      readonly type: 'set';
      readonly name: string;
      readonly local: boolean;
      /** The values as texts, where they are plain constants; undefined for DEFAULT and the like. */
      readonly values?: readonly string[];
    }
  /** SET autocommit (MySQL): off, every statement begins a transaction that lasts until COMMIT. */
  | { readonly type: 'autocommit'; readonly on: boolean }
  /** KILL (MySQL): another session's statement, or the whole session. */
  | { readonly type: 'kill'; readonly id: number; readonly queryOnly: boolean }
  /** RESET name (or ALL when undefined). */
  | { readonly type: 'reset'; readonly name: string | undefined }
  | { readonly type: 'discard-all' }
  /** Something that lives in the backend itself (temp table, LISTEN, session advisory lock, SQL PREPARE, WITH HOLD, LOAD, set_config): the session stays on its backend. */
  | { readonly type: 'pin'; readonly reason: string };

/** What a statement asks of what its own session did before (MySQL). */
export type SessionState =
  | 'last-insert-id'
  /** LAST_INSERT_ID(value), which is what later ones are told. */
  | 'given-insert-id'
  | 'row-count'
  | 'found-rows'
  | 'warnings'
  | 'autocommit'
  | 'connection-id';

/** How answers of several shards become one. Column indexes are of the rows that the shards send. */
export interface Merge {
  /** Columns that the client sees, in order: each made from shard columns. */
  readonly output: readonly MergeColumn[];
  /** Names of the output columns, where the shards' text names them otherwise. */
  readonly names?: readonly string[];
  /** Shard columns that make a group; undefined when nothing is grouped. An empty list: one group, always present. */
  readonly groupBy: readonly number[] | undefined;
  readonly distinct: boolean;
  /** Shard columns of enum types, whose oids differ from shard to shard: their labels in order. */
  readonly enums?: ReadonlyMap<number, readonly string[]>;
  /** Shard columns by whose bytes texts compare as the database compares them, for the columns of texts. */
  readonly weights?: ReadonlyMap<number, TextWeight>;
  /** Groups for which it is not true are left out. */
  readonly having?: MergeHaving;
  readonly orderBy: readonly MergeOrder[];
  readonly limit: LimitSource | undefined;
  readonly offset: LimitSource | undefined;
}

/** `weight`: the weights of the text's characters; `blank`: those of a blank where trailing blanks do not count, else nothing. */
export interface TextWeight {
  readonly weight: number;
  readonly blank: number;
}

export type MergeColumn =
  /** As it comes; in a group: of the group's first row. */
  | { readonly type: 'pass'; readonly column: number }
  /** All shard columns from `from` on, as they come (`SELECT *`). Only without groups; always last. */
  | { readonly type: 'rest'; readonly from: number }
  | {
      readonly type: 'count' | 'sum' | 'bool-and' | 'bool-or';
      readonly column: number;
      readonly cast?: MergeCast;
    }
  /** `byteOrder`: known to compare as bytes, if it is text. */
  | { readonly type: 'min' | 'max'; readonly column: number; readonly byteOrder: boolean }
  /** `like`: the shards' own averages, where only they say how an average is described. */
  | {
      readonly type: 'avg';
      readonly sum: number;
      readonly count: number;
      readonly like?: number;
      readonly cast?: MergeCast;
    };

/** HAVING: conditions name `values` of the group and `constants`, which are numbers, by their index. */
export interface MergeHaving {
  readonly values: readonly MergeColumn[];
  readonly constants: readonly KeySource[];
  readonly condition: MergeCondition;
}

export type MergeComparison = '=' | '<>' | '<' | '<=' | '>' | '>=';

export type MergeCondition =
  | { readonly type: 'and' | 'or'; readonly conditions: readonly MergeCondition[] }
  | { readonly type: 'not'; readonly condition: MergeCondition }
  | { readonly type: 'is-null'; readonly value: number }
  | {
      readonly type: 'compare';
      readonly operator: MergeComparison;
      readonly value: number;
      readonly constant: number;
    };

/** `count(*)::int` and the like: what the merged value is cast to. */
export type MergeCast = 'int2' | 'int4' | 'int8' | 'numeric' | 'float8' | 'text';

export interface MergeOrder {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  /** Known to sort as bytes, if it is text. */
  readonly byteOrder: boolean;
  /** Sorts by a merged value (`ORDER BY count(*)`) instead of `column`. */
  readonly value?: MergeColumn;
}

export type LimitSource = { readonly type: 'constant'; readonly value: bigint } | KeySource;

/** One statement understood once; cached by its template. Immutable. */
export interface Plan {
  /** First word(s) for counting and for command tags: 'SELECT', 'INSERT', 'CREATE TABLE' … */
  readonly verb: string;
  readonly access: 'read' | 'write' | 'ddl' | 'none';
  readonly transaction: TransactionCommand | undefined;
  readonly session: SessionEffect | undefined;
  readonly placement: Placement;
  /** Set when a SELECT, or a write with RETURNING, may concern several shards. */
  readonly merge: Merge | undefined;
  /** COPY … FROM STDIN or TO STDOUT through the protocol; facts for splitting rows by owner. */
  readonly copy: CopyPlan | undefined;
  /** Rows that follow the statement and must be dealt out. */
  readonly incoming?: IncomingRows;
  /** Reads or writes a sharded table. */
  readonly usesSharded: boolean;
  readonly writesReference: boolean;
  /** The statement starts no transaction and must not run in one (VACUUM, CREATE INDEX CONCURRENTLY …). */
  readonly isOutsideTransaction: boolean;
  /** It commits the transaction in which it stands before it runs (DDL in MySQL). */
  readonly commitsBefore?: boolean;
  /** Values by which the database numbers a row itself when they are NULL or 0: each shard would do so on its own. */
  readonly mustBeGiven?: { readonly column: string; readonly sources: readonly KeySource[] };
  /** Values that an INSERT gives by hand to a column whose numbering goes on behind them. */
  readonly givenNumbers?: GivenNumbers;
  /** An INSERT that leaves this column of a sharded table to the database, in so many rows: `withNumbers` gives them their numbers first. */
  readonly numbers?: {
    readonly table: string;
    readonly column: string;
    readonly rows: number;
    /** Where the column stands among the values of a row; -1 when it is left out. */
    readonly position: number;
    /** Names of the columns of a row alias that has none of its own: it must not show the numbers. */
    readonly aliasNames?: readonly string[];
  };
  /** It asks for what the session's earlier statements left. */
  readonly usesSessionState?: SessionState;
  /** Only of a read that leaves no trace, so that it may be run again or given up: how long it takes. */
  readonly pace?: Pace;
}

export interface GivenNumbers {
  /** As `schema.name`. */
  readonly table: string;
  readonly column: string;
  /** The column holds none that is greater. */
  readonly greatest: bigint;
  readonly sources: readonly KeySource[];
}

export interface CopyPlan {
  readonly direction: 'in' | 'out';
  readonly format: 'text' | 'csv' | 'binary';
  /** Position of the shard key among the copied columns; -1 when the table is not sharded. */
  readonly keyColumn: number;
  readonly keyType: KeyType | undefined;
  /** n of a varchar(n) key: longer texts would be stored changed, or not at all. */
  readonly maxKeyLength?: number;
  readonly delimiter: string;
  readonly nullText: string;
  readonly hasHeader: boolean;
  readonly quote: string;
  readonly escape: string;
}

/** A statement with its plan and the literals of this one text. */
export interface PlannedStatement {
  readonly sql: string;
  readonly plan: Plan;
  /** Literals in text order, undecoded source text (quotes and all). */
  readonly literals: readonly string[];
  /** How they and parameters are read. */
  readonly keys: KeyReader;
}

/** The values bound to `$1 …`, as they came over the wire. */
export interface ParameterValues {
  readonly count: number;
  /** Declared type of parameter `index`, 0 when the client left it open. */
  typeOid(index: number): number;
  /** 0 text, 1 binary. */
  format(index: number): number;
  /** undefined for NULL. Throws `unsupported` where there is a word in its place. */
  bytes(index: number): Buffer | undefined;
  /** What stands in place of the value, in bulk executions: the column's default, or that the column stays as it is. */
  word?(index: number): ParameterWord | undefined;
  /** Bulk execution: the statement runs with one of these after the other. What is said beside them is the first's. */
  readonly sets?: readonly ParameterValues[];
}

export type ParameterWord = 'DEFAULT' | 'IGNORE';

/** Where one execution goes, at one epoch. */
export interface Route {
  /** Ascending; one or more. */
  readonly shards: readonly ShardName[];
  readonly touch: Touch;
  /** For an INSERT split by owner: the row numbers of each shard. */
  readonly rows: ReadonlyMap<ShardName, readonly number[]> | undefined;
  /** For a bulk execution that concerns several shards: the numbers of the sets that each shard runs. */
  readonly sets?: ReadonlyMap<ShardName, readonly number[]>;
}
