import type { FuncCall } from '@pgsql/types';
import { functionNameOf } from '../sql/postgres-tree.js';
import type { Keyspace } from '../topology/keyspace.js';

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

export function isAggregate(call: FuncCall, keyspace: Keyspace): boolean {
  const { name } = functionNameOf(call);
  return AGGREGATES.has(name) || keyspace.aggregateFunctions?.has(name) === true;
}
