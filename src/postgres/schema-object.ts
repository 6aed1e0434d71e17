/** One thing in a schema that is created by statements of its own. */
export interface SchemaObject {
  /** Kind and qualified name: equal for the same thing in two databases. */
  readonly id: string;
  /** `schema.table` that it is a part of: a column default, constraint, index, trigger, policy. */
  readonly partOf: string | undefined;
  readonly kind: ObjectKind;
  /** What makes it. The first statement is its definition, by which two databases are compared. */
  readonly create: readonly string[];
  /** What gives it its owner, privileges and comment; refused ones are no reason to fail. */
  readonly after: readonly string[];
  /** Why it cannot be copied; undefined for everything that can. */
  readonly unsupported: string | undefined;
  /** Where it stands in the catalogs: `class/oid`, more than one for what is a type and a class at once. */
  readonly addresses: readonly string[];
  /** Ids that must be there before, beside what the catalogs' dependencies say. */
  readonly needs: readonly string[];
}

/** In the order in which they are made where nothing else decides. */
export const OBJECT_KINDS = [
  'schema',
  'extension',
  'collation',
  'type',
  'sequence',
  'function',
  'table',
  'default',
  'owned-sequence',
  'constraint',
  'index',
  'identity',
  'statistics',
  'view',
  'foreign-key',
  'rule',
  'trigger',
  'policy',
  'other',
] as const;
export type ObjectKind = (typeof OBJECT_KINDS)[number];

/** Everything of one database that is ours to look at. */
export interface DatabaseSchema {
  readonly majorVersion: number;
  readonly objects: readonly SchemaObject[];
  /** Object id → ids that must be there before it. */
  readonly needs: ReadonlyMap<string, ReadonlySet<string>>;
}
