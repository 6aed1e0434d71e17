import type { FuncCall, SelectStmt } from '@pgsql/types';
import { functionNameOf, walk } from '../sql/postgres-tree.js';
import type { Keyspace } from '../topology/keyspace.js';

/** Volatile for the planner (PostgreSQL manual 36.7), and yet nothing is different after a call. */
const VOLATILE_WITHOUT_TRACE = new Set(
  'now clock_timestamp statement_timestamp transaction_timestamp timeofday random gen_random_uuid'.split(' '),
);
/** What the catalogue of a database calls stable or immutable cannot write; where none was read, these are known not to. */
const COMMON = new Set(
  (
    'count sum avg min max bool_and bool_or every string_agg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg ' +
    'stddev variance percentile_cont percentile_disc row_number rank dense_rank ntile lag lead first_value last_value ' +
    'abs ceil ceiling floor round trunc sign sqrt power mod exp ln log greatest least ' +
    'lower upper initcap length char_length octet_length position substring substr left right lpad rpad ltrim rtrim btrim trim ' +
    'replace translate reverse repeat split_part strpos concat concat_ws format md5 encode decode chr ascii starts_with ' +
    'regexp_replace regexp_match regexp_matches regexp_split_to_array like_escape to_char to_date to_timestamp to_number ' +
    'date_trunc date_part extract age make_date make_time make_timestamp make_interval timezone ' +
    'coalesce nullif array_length array_position array_append array_remove array_to_string string_to_array cardinality unnest generate_series ' +
    'json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb row_to_json json_array_length jsonb_array_length ' +
    'jsonb_set jsonb_path_query json_extract_path jsonb_extract_path json_extract_path_text jsonb_extract_path_text jsonb_array_elements json_array_elements ' +
    'jsonb_each json_each jsonb_object_keys json_object_keys jsonb_typeof json_typeof ' +
    'to_tsvector to_tsquery plainto_tsquery websearch_to_tsquery ts_rank ts_headline'
  ).split(' '),
);
/** Nodes that write, lock or make something, wherever they stand. */
const LEAVES_TRACE = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'LockingClause',
  'IntoClause',
]);

/** Is nothing different after this query has run once more, or not at all? When in doubt, no. */
export function leavesNoTrace(select: SelectStmt, keyspace: Keyspace): boolean {
  if (select.intoClause !== undefined) return false;
  let isTraceless = true;
  walk({ SelectStmt: select }, (kind, node) => {
    if (LEAVES_TRACE.has(kind)) isTraceless = false;
    if (kind === 'FuncCall') isTraceless &&= isHarmless(node as FuncCall, keyspace);
    return isTraceless ? undefined : 'skip';
  });
  return isTraceless;
}

function isHarmless(call: FuncCall, { builtinFunctions, volatileFunctions }: Keyspace): boolean {
  const { schema, name } = functionNameOf(call);
  if (schema !== undefined && schema !== 'pg_catalog') return false;
  if (VOLATILE_WITHOUT_TRACE.has(name)) return true;
  if (volatileFunctions === undefined) return COMMON.has(name);
  return builtinFunctions.has(name) && !volatileFunctions.has(name);
}
