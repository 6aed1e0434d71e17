import type { Column } from '../topology/keyspace.js';

/** Text whose order is that of its bytes in UTF-8, and which is equal only to itself: no blanks are padded. */
export function isByteCollation(name: string): boolean {
  return /^(binary|(utf8mb4|utf8mb3|utf8|ascii)_nopad_bin|utf8mb4_0900_bin)$/i.test(name);
}

/**
 * Collations under which two texts of printable ASCII can only be equal when they are so without case and trailing blanks. Those of
 * languages are not among them: some take letters as equal.
 */
export function isPlainCollation(name: string): boolean {
  return PLAIN.test(name);
}

const PLAIN =
  /^(?:(?:utf8mb4|utf8mb3|utf8|ascii|latin1)_general(?:_mysql500)?(?:_nopad)?_c[is]|latin1_swedish(?:_nopad)?_ci|(?:utf8mb4|utf8mb3|utf8)_unicode(?:_520)?(?:_nopad)?_ci|utf8mb4_0900_a[is]_c[is]|(?:utf8mb4|utf8mb3)_uca1400(?:_nopad)?_a[is]_c[is])$/i;

const ORDERED_OTHERWISE =
  /^(char|varchar|tinytext|text|mediumtext|longtext|enum|set|uuid|inet4|inet6|json)\b/i;

/** Is the column text, or of a type that is ordered otherwise than the bytes that it is shown as? */
export function isOrderedByCollation(column: Column): boolean {
  return ORDERED_OTHERWISE.test(column.type);
}
