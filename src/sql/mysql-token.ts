import type { KeyType } from '../topology/keyspace.js';
import type { Range } from '../topology/ring.js';

/** `name` as a quoted identifier; backticks quote in every sql_mode. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/**
 * The canonical text of a key column, in SQL: what `canonicalKey` gives in JavaScript. It may stand in any client's statement,
 * so it must mean the same in every sql_mode, character set and time zone. Adding 0 takes ZEROFILL away.
 */
function canonicalSql(keyType: KeyType, column: string): string {
  switch (keyType) {
    case 'text':
      return column;
    case 'bpchar':
      return trimmedBlanks(column);
    case 'text-ci':
      return `LOWER(${trimmedBlanks(column)})`;
    case 'integer':
      return `CAST(${column} + 0 AS CHAR)`;
    case 'uuid':
      return `LOWER(CAST(${column} AS CHAR))`;
    case 'numeric':
      return trimmedScale(`CAST(${column} + 0 AS CHAR)`);
    case 'date':
      return `CAST(DATEDIFF(${column}, '2000-01-01') AS CHAR)`;
    case 'timestamp':
      return `CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', ${column}) AS CHAR)`;
    case 'timestamptz':
      return `CAST(CAST(UNIX_TIMESTAMP(${column}) * 1000000 AS SIGNED) AS CHAR)`;
    case 'bytes':
      return `LOWER(HEX(${column}))`;
  }
}

/** In sql_mode ORACLE an emptied text is NULL, and with EMPTY_STRING_IS_NULL the literal '' as well. */
function trimmedBlanks(text: string): string {
  return `IF(${text} IS NULL, NULL, IFNULL(TRIM(TRAILING ' ' FROM ${text}), SPACE(0)))`;
}

/** Zeros behind the point have no meaning, nor has a point with nothing behind it. */
function trimmedScale(text: string): string {
  return `IF(LOCATE('.', ${text}) > 0, TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM ${text})), ${text})`;
}

/**
 * The token of a key column as SQL, equal to `tokenOf(canonicalKey(…))`; `quotedColumn` as it is to stand there, perhaps
 * with its table before it. CONV with a negative base reads 64 bits as a signed number (MariaDB and MySQL manuals, CONV).
 * NULL for a NULL key. Where character_set_connection has several bytes to a character (utf16), CONV gives its digits in that
 * with MariaDB, but as ASCII that is taken for it with MySQL: so bytes are read, without their zeros.
 */
export function tokenSql(keyType: KeyType, quotedColumn: string): string {
  const text = `CONVERT(${canonicalSql(keyType, quotedColumn)} USING utf8mb4)`;
  const digits = `CAST(CONV(SUBSTR(MD5(${text}), 1, 16), 16, -10) AS BINARY)`;
  return `CAST(REPLACE(${digits}, X'00', SPACE(0)) AS SIGNED)`;
}

/**
 * Whether a token is in one of the ranges, evaluating it once: the bounds in order, of which every other gap is inside
 * (`INTERVAL()`, a binary search; MariaDB and MySQL manuals). Ranges are inclusive and disjoint; no upper bound stands for
 * 2^63-1. False, not NULL, for a NULL token: INTERVAL gives -1.
 */
export function rangeTestSql(tokenExpression: string, ranges: readonly Range[]): string {
  if (ranges.length === 0) return 'FALSE';
  const bounds: bigint[] = [];
  for (const { low, high } of [...ranges].sort((a, b) => (a.low < b.low ? -1 : 1))) {
    if (bounds.length > 0 && bounds.at(-1) === low) bounds.pop();
    else bounds.push(low);
    bounds.push(high + 1n);
  }
  if (bounds.at(-1) === 2n ** 63n) bounds.pop();
  return `(INTERVAL(${tokenExpression}, ${bounds.join(', ')}) % 2 = 1)`;
}

/** True for rows that are not in the ranges; rows without a key are in none. */
export function ownedExclusion(keyType: KeyType, quotedColumn: string, foreign: readonly Range[]): string {
  return `${rangeTestSql(tokenSql(keyType, quotedColumn), foreign)} IS NOT TRUE`;
}
