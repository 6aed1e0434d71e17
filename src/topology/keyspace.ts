import type { ShardName } from './ring.js';

/** What a key column's type family is; decides the one canonical text that is hashed. */
export type KeyType =
  | 'integer'
  | 'text'
  /** Text whose trailing blanks do not count. */
  | 'bpchar'
  /** Text whose case does not count either: printable ASCII only. */
  | 'text-ci'
  | 'uuid'
  | 'numeric'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'bytes';

/** Values beyond these are stored as other ones (clamped, rounded, padded, cut off), or not at all. */
export interface KeyBounds {
  /** Integers. */
  readonly low?: bigint;
  readonly high?: bigint;
  /** Digits behind the point: of a number, or of the seconds. */
  readonly scale?: number;
  /** Digits of a number in all. */
  readonly precision?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
}

export interface Column {
  readonly name: string;
  /** The engine's own name of the type, as `format_type` gives it. */
  readonly type: string;
  readonly typeOid: number;
  readonly isNotNull: boolean;
  /** The default's SQL text, undefined when there is none. */
  readonly defaultSql: string | undefined;
  /** The database fills it by a sequence (serial, identity) when an INSERT leaves it out. */
  readonly isSequenceFilled: boolean;
  /** The greatest number that it holds, where the numbering goes on behind values that are given by hand (AUTO_INCREMENT). */
  readonly greatestNumber?: bigint;
  readonly isGenerated: boolean;
  /** Meant only where it is named. */
  readonly isInvisible?: boolean;
  /** A text's character set, by the engine's own name, where columns have one each. */
  readonly charset?: string;
  /** What its values are as keys, where that is not decided by `typeOid` (MySQL: by collation and precision). */
  readonly keyType?: KeyType;
  /** Compares and sorts as bytes (collation C and the like), so that text can be merged in order by us. */
  readonly hasByteOrder: boolean;
  /** Texts that differ may be equal (a nondeterministic collation). */
  readonly isLooselyEqual?: boolean;
  /** The default's value differs from call to call (now(), random() …). */
  readonly isDefaultVolatile?: boolean;
  /** An UPDATE that leaves it out gives it a value that differs from server to server (ON UPDATE CURRENT_TIMESTAMP). */
  readonly isUpdateVolatile?: boolean;
}

/** A table or view that exists in the database; `placement` says where its rows live. */
export interface Table {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'view' | 'other';
  readonly placement: 'sharded' | 'reference' | 'home';
  /** Only for sharded tables. */
  readonly key:
    | {
        readonly column: string;
        readonly type: KeyType /** n of a varchar(n) key. */;
        readonly maxLength?: number;
        readonly bounds?: KeyBounds;
      }
    | undefined;
  readonly columns: readonly Column[];
  readonly primaryKey: readonly string[];
  /** For a view: the tables it reads, transitively, as `schema.name`. */
  readonly reads: readonly string[];
}

/** All that planning must know of one sharded database's schema. Immutable; read anew on reload and after DDL. */
export interface Keyspace {
  readonly database: string;
  readonly home: ShardName;
  /** By `schema.name`. */
  readonly tables: ReadonlyMap<string, Table>;
  readonly searchPath: readonly string[];
  /** Names of tables mean the same in upper and lower case; `tables` has them in lower case. */
  readonly foldsTableNames?: boolean;
  /** Which grammar the servers read, where an engine has several (`mysql-8`; `mysql-5`, as MariaDB does). */
  readonly grammar?: string;
  /** Lower-case names of functions that are the engine's own. */
  readonly builtinFunctions: ReadonlySet<string>;
  /** What the database takes texts to be in whose character set is not said, by the engine's own name. */
  readonly charset?: string;
  /** The default collation of the database sorts as bytes. */
  readonly hasByteOrder: boolean;
  /** Lower-case names of functions whose result differs from call to call or from server to server. */
  readonly volatileFunctions?: ReadonlySet<string>;
  /** Lower-case names of aggregate functions. */
  readonly aggregateFunctions?: ReadonlySet<string>;
  /** Configured tables that do not exist yet, by `schema.name`: an application may create them through the proxy. */
  readonly missing?: ReadonlyMap<
    string,
    { readonly placement: 'sharded' | 'reference'; readonly key: string | undefined }
  >;
  /** Indexes and owned sequences by `schema.name`: where their table lives. */
  readonly objects?: ReadonlyMap<string, Table['placement']>;
  /** Labels of enum types in their order, by type oid. */
  readonly enums?: ReadonlyMap<number, readonly string[]>;
}

/** `schema.name`, the key by which keyspaces know tables. */
export function tableKey(table: Pick<Table, 'schema' | 'name'>): string {
  return `${table.schema}.${table.name}`;
}

/** The tables, without views, that are more than home's own: sharded ones, and reference tables. */
export function placedTables(keyspace: Keyspace): Table[] {
  return [...keyspace.tables.values()].filter(
    (table) => table.kind === 'table' && table.placement !== 'home',
  );
}
