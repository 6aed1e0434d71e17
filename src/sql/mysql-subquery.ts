import type { Node } from '@pgsql/types';
import { Tok } from './mysql-lexer.js';
import type { Reader } from './mysql-reader.js';
import { selectNode } from './mysql-tree.js';

/** `(SELECT …)` as a statement node. VALUES(c) of ON DUPLICATE KEY UPDATE is not read inside of it. */
export function readSubquery(reader: Reader): Node {
  const isInConflict = reader.isInConflict;
  reader.isInConflict = false;
  const query = reader.parenthesised(() => selectNode(reader.deeper(() => reader.grammar.query(reader))));
  reader.isInConflict = isInConflict;
  return query;
}

/** Does a query begin here, perhaps in parentheses? */
export function beginsQuery(reader: Reader): boolean {
  let distance = 0;
  while (reader.isSymbol('(', distance)) distance++;
  const { word } = reader.peek(distance);
  return (
    word === 'SELECT' ||
    word === 'WITH' ||
    (word === 'TABLE' && reader.knowsMysql8) ||
    (word === 'VALUES' && !reader.isInConflict && reader.isSymbol('(', distance + 1)) ||
    beginsRows(reader, distance)
  );
}

/** VALUES ROW(…), which is a query wherever it stands. */
export function beginsRows(reader: Reader, distance = 0): boolean {
  return (
    reader.knowsMysql8 &&
    reader.peek(distance).word === 'VALUES' &&
    reader.peek(distance + 1).word === 'ROW' &&
    reader.isSymbol('(', distance + 2)
  );
}

/**
 * Is what the parenthesis here holds a query? `((SELECT 1) + 2)` is not, `((SELECT 1) UNION SELECT 2)` is: the word behind
 * the inner parenthesis tells. `mayEnd`: where no expression can stand, `((SELECT 1))` is a query too.
 */
export function isSubquery(reader: Reader, mayEnd = false): boolean {
  if (!reader.isSymbol('(') || !beginsQuery(reader)) return false;
  if (!reader.isSymbol('(', 1)) return true;
  let distance = 1;
  for (let open = 0; ; distance++) {
    if (reader.peek(distance).kind === Tok.end) return false;
    if (reader.isSymbol('(', distance)) open++;
    if (reader.isSymbol(')', distance) && --open === 0) break;
  }
  if (mayEnd && reader.isSymbol(')', distance + 1)) return true;
  return ['UNION', 'EXCEPT', 'INTERSECT', 'ORDER', 'LIMIT'].includes(reader.peek(distance + 1).word);
}
