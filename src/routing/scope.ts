import type { Column, KeyType, Table } from '../topology/keyspace.js';
import type { ColumnId } from './facts.js';

/** A column as an expression can name it. `id` only where its key type is known. */
export interface ScopeColumn {
  readonly id: ColumnId | undefined;
  readonly keyType: KeyType | undefined;
  /** The table's column that it passes on unchanged. */
  readonly column: Column | undefined;
}

/** One entry of a FROM clause. `columns` undefined: unknown (a function's result, a table made meanwhile). */
export interface Source {
  readonly alias: string;
  /** Schema of a table without alias, so that `schema.table.column` finds it. */
  readonly schema: string | undefined;
  readonly columns: ReadonlyMap<string, ScopeColumn> | undefined;
  readonly table: Table | undefined;
}

export const UNKNOWN_COLUMN: ScopeColumn = { id: undefined, keyType: undefined, column: undefined };

const SYSTEM_COLUMNS = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid']);

export function isSystemColumn(name: string): boolean {
  return SYSTEM_COLUMNS.has(name);
}

/** Names of one query level; what it does not know, the level around it may. */
export class Scope {
  readonly outer: Scope | undefined;
  readonly sources: Source[] = [];
  /** Columns merged by USING or NATURAL. */
  readonly merged = new Map<string, ScopeColumn>();

  constructor(outer: Scope | undefined) {
    this.outer = outer;
  }

  /** The column that a name means; undefined when that cannot be told. */
  resolve(fields: readonly string[]): ScopeColumn | undefined {
    if (fields.length === 1) return this.#unqualified(fields[0]!);
    const [alias, name] = fields.slice(-2) as [string, string];
    const schema = fields.length === 3 ? fields[0] : undefined;
    if (fields.length > 3) return undefined;
    const source = this.sources.find(
      (candidate) => candidate.alias === alias && (schema === undefined || candidate.schema === schema),
    );
    if (source !== undefined) return source.columns?.get(name);
    return this.outer?.resolve(fields);
  }

  #unqualified(name: string): ScopeColumn | undefined {
    const merged = this.merged.get(name);
    if (merged !== undefined) return merged;
    const found = columnIn(this.sources, name);
    if (found !== undefined) return found;
    if (this.sources.some((source) => source.columns === undefined)) return undefined;
    return this.outer?.resolve([name]);
  }
}

export function columnIn(sources: readonly Source[], name: string): ScopeColumn | undefined {
  for (const source of sources) {
    const column = source.columns?.get(name);
    if (column !== undefined) return column;
  }
  return undefined;
}

/** Columns in their order by name, renamed as `AS alias (a, b)` says; a name that stands for two columns stands for none. */
export function namedColumns(
  outputs: Iterable<readonly [string, ScopeColumn]>,
  names: readonly string[] = [],
): ReadonlyMap<string, ScopeColumn> {
  const columns = new Map<string, ScopeColumn>();
  let index = 0;
  for (const [ownName, column] of outputs) {
    const name = names[index++] ?? ownName;
    columns.set(name, columns.has(name) ? UNKNOWN_COLUMN : column);
  }
  return columns;
}

/** Key types by the oid of the column's type. */
const KEY_TYPES: Readonly<Record<number, KeyType>> = {
  20: 'integer',
  21: 'integer',
  23: 'integer',
  25: 'text',
  1043: 'text',
  1042: 'bpchar',
  2950: 'uuid',
  1700: 'numeric',
  1082: 'date',
  1114: 'timestamp',
  1184: 'timestamptz',
  17: 'bytes',
};

export function keyTypeOf(typeOid: number): KeyType | undefined {
  return KEY_TYPES[typeOid];
}
