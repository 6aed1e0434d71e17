import type { Column, KeyType, Table } from '../topology/keyspace.js';
import type { ColumnId } from './facts.js';

/** A column as an expression can name it. `id` only where its key type is known. */
export interface ScopeColumn {
  readonly id: ColumnId | undefined;
  readonly keyType: KeyType | undefined;
  /** The table's column that it passes on unchanged. */
  readonly column: Column | undefined;
}

/** Makes names that mean the same column equal. */
export type Fold = (name: string) => string;

/** One entry of a FROM clause. `columns` undefined: unknown (a function's result, a table made meanwhile); else by folded name. */
export interface Source {
  readonly alias: string;
  /** Schema of a table without alias, so that `schema.table.column` finds it. */
  readonly schema: string | undefined;
  readonly columns: ReadonlyMap<string, ScopeColumn> | undefined;
  readonly table: Table | undefined;
}

export const UNKNOWN_COLUMN: ScopeColumn = { id: undefined, keyType: undefined, column: undefined };

/** Names of one query level; what it does not know, the level around it may. */
export class Scope {
  readonly outer: Scope | undefined;
  readonly sources: Source[] = [];
  /** Columns merged by USING or NATURAL. */
  readonly merged = new Map<string, ScopeColumn>();
  readonly #fold: Fold;

  constructor(outer: Scope | undefined, fold: Fold) {
    this.outer = outer;
    this.#fold = fold;
  }

  /** The column that a name means; undefined when that cannot be told. */
  resolve(fields: readonly string[]): ScopeColumn | undefined {
    if (fields.length === 1) return this.#unqualified(this.#fold(fields[0]!));
    const [alias, written] = fields.slice(-2) as [string, string];
    const name = this.#fold(written);
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
  fold: Fold,
  names: readonly string[] = [],
): ReadonlyMap<string, ScopeColumn> {
  const columns = new Map<string, ScopeColumn>();
  let index = 0;
  for (const [ownName, column] of outputs) {
    const name = fold(names[index++] ?? ownName);
    columns.set(name, columns.has(name) ? UNKNOWN_COLUMN : column);
  }
  return columns;
}
