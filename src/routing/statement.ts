import type { FuncCall, RangeVar } from '@pgsql/types';
import { functionNameOf } from '../sql/postgres-tree.js';
import type { Keyspace, Table } from '../topology/keyspace.js';
import type { LiteralIndex } from './key-source.js';

/** Aggregates of Postgres 18; the keyspace's own list adds those of the server at hand. */
const AGGREGATES = new Set(
  (
    'count sum avg min max bool_and bool_or every string_agg array_agg json_agg jsonb_agg json_agg_strict jsonb_agg_strict json_object_agg ' +
    'jsonb_object_agg json_object_agg_strict jsonb_object_agg_strict json_object_agg_unique jsonb_object_agg_unique ' +
    'json_object_agg_unique_strict jsonb_object_agg_unique_strict xmlagg bit_and bit_or bit_xor stddev stddev_pop stddev_samp variance ' +
    'var_pop var_samp corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy ' +
    'percentile_cont percentile_disc mode range_agg range_intersect_agg any_value'
  ).split(' '),
);

/** One statement being planned: names looked up in the keyspace, and which tables it turned out to use. */
export class Statement {
  readonly keyspace: Keyspace;
  readonly literals: LiteralIndex;
  readonly #searchPath: readonly string[];
  /** FROM entries of sharded tables: where a scatter may have to leave out rows. */
  readonly shardedRanges = new Map<RangeVar, Table>();
  readonly used = new Set<Table>();

  constructor(keyspace: Keyspace, literals: LiteralIndex, searchPath: readonly string[] | undefined) {
    this.keyspace = keyspace;
    this.literals = literals;
    this.#searchPath = searchPath ?? keyspace.searchPath;
  }

  /** The table that a name means; undefined for catalogs and for tables that the keyspace does not know. */
  find(range: { schemaname?: string; relname?: string }): Table | undefined {
    const name = range.relname ?? '';
    if (range.schemaname !== undefined) return this.keyspace.tables.get(`${range.schemaname}.${name}`);
    for (const schema of this.#searchPath) {
      const table = this.keyspace.tables.get(`${schema}.${name}`);
      if (table !== undefined) return table;
    }
    return undefined;
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
    const { name } = functionNameOf(call);
    return AGGREGATES.has(name) || this.keyspace.aggregateFunctions?.has(name) === true;
  }
}
