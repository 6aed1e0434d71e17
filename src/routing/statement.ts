import type { FuncCall, RangeVar } from '@pgsql/types';
import type { Keyspace, Table } from '../topology/keyspace.js';
import type { LiteralIndex } from './key-source.js';
import type { SqlDialect } from './sql-dialect.js';

/** One statement being planned: names looked up in the keyspace, and which tables it turned out to use. */
export class Statement {
  readonly keyspace: Keyspace;
  readonly dialect: SqlDialect;
  readonly literals: LiteralIndex;
  readonly #searchPath: readonly string[];
  /** FROM entries of sharded tables: where a scatter may have to leave out rows. */
  readonly shardedRanges = new Map<RangeVar, Table>();
  readonly used = new Set<Table>();

  constructor(keyspace: Keyspace, literals: LiteralIndex, searchPath: readonly string[] | undefined) {
    this.keyspace = keyspace;
    this.dialect = literals.dialect;
    this.literals = literals;
    this.#searchPath = searchPath ?? keyspace.searchPath;
  }

  /** The table that a name means; undefined for catalogs and for tables that the keyspace does not know. */
  find(range: { schemaname?: string; relname?: string }): Table | undefined {
    const name = range.relname ?? '';
    if (range.schemaname !== undefined) return this.#table(range.schemaname, name);
    for (const schema of this.#searchPath) {
      const table = this.#table(schema, name);
      if (table !== undefined) return table;
    }
    return undefined;
  }

  #table(schema: string, name: string): Table | undefined {
    const full = `${schema}.${name}`;
    const { tables, foldsTableNames } = this.keyspace;
    return tables.get(foldsTableNames === true ? full.toLowerCase() : full);
  }

  use(range: RangeVar, table: Table): void {
    this.used.add(table);
    if (table.placement === 'sharded') this.shardedRanges.set(range, table);
  }

  get usesSharded(): boolean {
    return [...this.used].some((table) => table.placement === 'sharded');
  }

  isAggregate(call: FuncCall): boolean {
    if (call.over !== undefined) return false;
    if (
      call.agg_star ||
      call.agg_distinct ||
      call.agg_filter !== undefined ||
      call.agg_within_group ||
      (call.agg_order ?? []).length > 0
    )
      return true;
    return this.dialect.isAggregate(call, this.keyspace);
  }
}
