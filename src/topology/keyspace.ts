import type { ShardName } from './ring.js';

/** What a key column's type family is; decides the one canonical text that is hashed. */
export type KeyType =
  | 'integer'
  | 'text'
  | 'bpchar'
  | 'uuid'
  | 'numeric'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'bytes';

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
  readonly isGenerated: boolean;
  /** Compares and sorts as bytes (collation C and the like), so that text can be merged in order by us. */
  readonly hasByteOrder: boolean;
  /** Texts that differ may be equal (a nondeterministic collation). */
  readonly isLooselyEqual?: boolean;
  /** The default's value differs from call to call (now(), random() …). */
  readonly isDefaultVolatile?: boolean;
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
  /** Lower-case names of functions that are the engine's own. */
  readonly builtinFunctions: ReadonlySet<string>;
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
