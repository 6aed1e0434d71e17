import type { Node } from '@pgsql/types';
import { functionNameOf, namesOf } from '../sql/postgres-tree.js';
import type { Column } from '../topology/keyspace.js';
import { isByteCollation, isOrderedByCollation } from './mysql-collations.js';

/** Functions whose values are numbers, times, or texts that differ when they are not equal. */
const EXACT = new Set(
  (
    'year month day dayofmonth dayofweek dayofyear hour minute second microsecond week weekofyear weekday yearweek quarter date time extract ' +
    'to_days to_seconds from_days from_unixtime unix_timestamp last_day makedate maketime str_to_date datediff timediff timestampdiff timestampadd ' +
    'date_add date_sub adddate subdate addtime subtime period_add period_diff date_format time_format monthname dayname sec_to_time time_to_sec ' +
    'length octet_length char_length character_length bit_length ascii ord locate position instr find_in_set field strcmp crc32 crc32c md5 sha sha1 ' +
    'sha2 hex bin oct conv abs sign mod floor ceil ceiling round truncate pow power sqrt exp ln log log2 log10 isnull interval inet_aton ' +
    'count sum avg std stddev variance bit_and bit_or bit_xor bit_count json_length json_valid json_contains weight_string'
  ).split(' '),
);
const EXACT_CASTS = new Set(
  'binary signed unsigned decimal float double date datetime time year uuid'.split(' '),
);
/** Those of them that give text: it is ordered by a collation all the same. */
const TEXTUAL = new Set(
  'monthname dayname date_format time_format md5 sha sha1 sha2 hex bin oct conv'.split(' '),
);
const TEXT_OPERATORS = new Set(['||', '->', '->>']);
const PASSING = new Set([
  'ifnull',
  'nvl',
  'coalesce',
  'nullif',
  'greatest',
  'least',
  'min',
  'max',
  'any_value',
]);

/** May the database take values of the expression as equal whose bytes differ? Nearly all text of MySQL is so, by its collation. */
export function isLooseInMysql(expression: Node, columns: readonly (Column | undefined)[]): boolean {
  if ('ColumnRef' in expression) {
    const column = columns[0];
    return column === undefined || column.isLooselyEqual === true;
  }
  if ('A_Const' in expression || 'ParamRef' in expression) return false;
  if ('BoolExpr' in expression || 'NullTest' in expression || 'BooleanTest' in expression) return false;
  if ('A_Expr' in expression) return TEXT_OPERATORS.has(namesOf(expression.A_Expr.name).at(-1) ?? '');
  if ('SubLink' in expression) return expression.SubLink.subLinkType !== 'EXISTS_SUBLINK';
  if ('CollateClause' in expression)
    return !isByteCollation(namesOf(expression.CollateClause.collname).at(-1) ?? '');
  if ('TypeCast' in expression) {
    const name = namesOf(expression.TypeCast.typeName?.names).at(-1) ?? '';
    return !EXACT_CASTS.has(name);
  }
  if (!('FuncCall' in expression)) return true;
  const { name } = functionNameOf(expression.FuncCall);
  if (EXACT.has(name.toLowerCase())) return false;
  // What they give is one of their arguments; columns are then all that is read, so any loose one makes it loose.
  return (
    !PASSING.has(name.toLowerCase()) ||
    columns.length === 0 ||
    columns.some((column) => column === undefined || column.isLooselyEqual === true)
  );
}

/** Is what the expression gives certainly no text, or the same for all rows? */
export function isNoTextInMysql(expression: Node, columns: readonly (Column | undefined)[]): boolean {
  if ('ColumnRef' in expression) {
    const column = columns[0];
    return column !== undefined && (column.hasByteOrder || !isOrderedByCollation(column));
  }
  if ('FuncCall' in expression && TEXTUAL.has(functionNameOf(expression.FuncCall).name.toLowerCase()))
    return false;
  if ('FuncCall' in expression && PASSING.has(functionNameOf(expression.FuncCall).name.toLowerCase()))
    return (
      columns.length > 0 && columns.every((column) => column !== undefined && !isOrderedByCollation(column))
    );
  return !isLooseInMysql(expression, columns);
}
