import type { KeyType } from '../topology/keyspace.js';
import type { Range } from '../topology/ring.js';

/** `name` as a quoted identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The canonical text of a key column, in SQL: what `canonicalKey` gives in JavaScript. */
function canonicalSql(keyType: KeyType, column: string): string {
  switch (keyType) {
    case 'text':
      return column;
    case 'text-ci':
      return `pg_catalog.lower(pg_catalog.rtrim((${column})::text))`;
    case 'integer':
    case 'uuid':
    case 'bpchar':
      return `(${column})::text`;
    case 'numeric':
      return `(pg_catalog.trim_scale(${column}))::text`;
    case 'date':
      return `(${column} - '2000-01-01'::date)::text`;
    case 'timestamp':
    case 'timestamptz':
      return `((EXTRACT(epoch FROM ${column}) * 1000000)::bigint)::text`;
    case 'bytes':
      return `pg_catalog.encode(${column}, 'hex')`;
  }
}

/**
 * The token of a key column as SQL, equal to `tokenOf(canonicalKey(…))`; `quotedColumn` as it is to stand there,
 * perhaps with its table before it. Postgres 14 or later (before, EXTRACT was inexact). NULL for a NULL key.
 */
export function tokenSql(keyType: KeyType, quotedColumn: string): string {
  const text = canonicalSql(keyType, quotedColumn);
  return `('x' || pg_catalog.substr(pg_catalog.md5(${text}), 1, 16))::bit(64)::bigint`;
}

/**
 * Whether a token is in one of the ranges, evaluating it once: the bounds as a sorted array, of which every other gap is
 * inside (`width_bucket`, manual section 9.3). Ranges are inclusive and disjoint; no upper bound stands for 2^63-1.
 */
export function rangeTestSql(tokenExpression: string, ranges: readonly Range[]): string {
  if (ranges.length === 0) return 'false';
  const bounds: bigint[] = [];
  for (const { low, high } of [...ranges].sort((a, b) => (a.low < b.low ? -1 : 1))) {
    if (bounds.length > 0 && bounds.at(-1) === low) bounds.pop();
    else bounds.push(low);
    bounds.push(high + 1n);
  }
  if (bounds.at(-1) === 2n ** 63n) bounds.pop();
  return `(pg_catalog.width_bucket(${tokenExpression}, '{${bounds.join(',')}}'::bigint[]) % 2 = 1)`;
}

/** True for rows that are not in the ranges; rows without a key are in none. */
export function ownedExclusion(keyType: KeyType, quotedColumn: string, foreign: readonly Range[]): string {
  return `${rangeTestSql(tokenSql(keyType, quotedColumn), foreign)} IS NOT TRUE`;
}
