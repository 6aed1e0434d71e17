function names(text: string): string[] {
  return text.split(/\s+/);
}

/** Aggregates (manual, "Aggregate Functions"). */
export const MYSQL_AGGREGATES: ReadonlySet<string> = new Set(
  names(
    'count sum avg min max bit_and bit_or bit_xor group_concat json_arrayagg json_objectagg std stddev stddev_pop stddev_samp var_pop var_samp ' +
      'variance any_value st_collect',
  ),
);

/** Their result differs from call to call, from session to session or from server to server. */
export const MYSQL_VOLATILE: ReadonlySet<string> = new Set(
  names(
    'now current_timestamp localtime localtimestamp curdate current_date curtime current_time sysdate utc_date utc_time utc_timestamp unix_timestamp ' +
      'rand random_bytes uuid uuid_short sys_guid connection_id last_insert_id row_count found_rows nextval lastval setval user current_user ' +
      'session_user system_user current_role version database schema get_lock release_lock release_all_locks is_free_lock is_used_lock load_file sleep',
  ),
);

/** They mean something on one server only, so they are asked of the home shard. */
export const MYSQL_HOME: ReadonlySet<string> = new Set(
  names(
    'get_lock release_lock release_all_locks is_free_lock is_used_lock load_file nextval lastval setval master_pos_wait master_gtid_wait ' +
      'source_pos_wait wait_for_executed_gtid_set binlog_gtid_pos',
  ),
);

/** They leave something in the session of the server. */
export const MYSQL_PINNING: ReadonlyMap<string, string> = new Map([
  ['get_lock', 'GET_LOCK'],
  ['release_lock', 'RELEASE_LOCK'],
  ['release_all_locks', 'RELEASE_ALL_LOCKS'],
  ['lastval', 'LASTVAL'],
]);

/** About the server or the session itself. */
export const MYSQL_SERVER: ReadonlySet<string> = new Set(
  names(
    'connection_id user current_user session_user system_user current_role last_insert_id row_count found_rows',
  ),
);

/** Functions that MySQL and MariaDB bring along (manuals, "Built-In Function and Operator Reference"). Others may read anything. */
export const MYSQL_FUNCTIONS: ReadonlySet<string> = new Set([
  ...MYSQL_AGGREGATES,
  ...MYSQL_VOLATILE,
  ...MYSQL_HOME,
  ...names(
    'abs acos adddate addtime add_months aes_decrypt aes_encrypt ascii asin atan atan2 bin bin_to_uuid binary bit_count bit_length case cast ' +
      'ceil ceiling char char_length character_length chr charset coalesce coercibility collation compress concat concat_ws concat_operator_oracle conv ' +
      'convert convert_tz cos cot crc32 crc32c cume_dist date date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear ' +
      'decode decode_oracle default degrees dense_rank des_decrypt des_encrypt div elt encode encrypt exp export_set extract extractvalue field ' +
      'find_in_set first_value floor format format_bytes format_pico_time from_base64 from_days from_unixtime get_format greatest grouping hex hour if ' +
      'ifnull inet_aton inet_ntoa inet6_aton inet6_ntoa insert instr interval is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_uuid isnull json_array ' +
      'json_array_append json_array_insert json_array_intersect json_compact json_contains json_contains_path json_depth json_detailed json_equals ' +
      'json_exists json_extract json_insert json_key_value json_keys json_length json_loose json_merge json_merge_patch json_merge_preserve ' +
      'json_normalize json_object json_object_filter_keys json_object_to_array json_overlaps json_pretty json_query json_quote json_remove ' +
      'json_replace json_schema_valid json_schema_validation_report json_search json_set json_storage_free json_storage_size json_type json_unquote ' +
      'json_valid json_value lag last_day last_value lcase lead least left length lengthb ln locate log log10 log2 lower lpad ltrim make_set makedate ' +
      'maketime match md5 median microsecond mid minute mod month monthname name_const natural_sort_key nth_value ntile nullif nvl nvl2 oct ' +
      'octet_length old_password ord password percent_rank percentile_cont percentile_disc period_add period_diff pi position pow power quarter ' +
      'quote radians rank regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right round row_number rownum rpad rtrim ' +
      'sec_to_time second sformat sha sha1 sha2 sign sin soundex space sqrt statement_digest statement_digest_text str_to_date strcmp subdate ' +
      'substr substring substring_index subtime tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_char ' +
      'to_days to_seconds trim trim_oracle truncate ucase uncompress uncompressed_length unhex updatexml upper uuid_to_bin validate_password_strength ' +
      'values value weekday week weekofyear weight_string year yearweek benchmark ' +
      'st_asbinary st_astext st_aswkt st_aswkb st_geomfromtext st_geometryfromtext st_geomfromwkb st_pointfromtext st_polygonfromtext st_linefromtext ' +
      'st_distance st_distance_sphere st_contains st_within st_intersects st_equals st_touches st_overlaps st_crosses st_disjoint st_buffer st_area ' +
      'st_length st_centroid st_envelope st_x st_y st_srid st_isvalid st_isempty st_issimple st_geometrytype st_dimension st_union st_intersection ' +
      'st_difference st_symdifference st_convexhull st_numpoints st_pointn st_startpoint st_endpoint st_asgeojson st_geomfromgeojson st_simplify ' +
      'st_latitude st_longitude mbrcontains mbrwithin mbrintersects mbrequal mbrequals mbrdisjoint mbroverlaps mbrtouches point linestring polygon ' +
      'multipoint multilinestring multipolygon geometrycollection geomfromtext astext asbinary x y',
  ),
]);
