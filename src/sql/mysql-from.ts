import type { Alias, JoinExpr, Node, RangeVar } from '@pgsql/types';
import { readConstant, withFixedNames } from './mysql-constant.js';
import { Tok } from './mysql-lexer.js';
import type { Reader } from './mysql-reader.js';
import { isSubquery, readSubquery } from './mysql-subquery.js';
import { makeNode, present, rangeNode, stringNode } from './mysql-tree.js';

/** The table references behind FROM or UPDATE; undefined for FROM DUAL. */
export function readTables(reader: Reader): Node[] | undefined {
  if (reader.is('DUAL')) {
    reader.next();
    return undefined;
  }
  return reader.list(() => readJoined(reader));
}

/** Tables joined from left to right. */
function readJoined(reader: Reader): Node {
  let left = readTable(reader);
  for (let length = 1; beginsJoin(reader); length++) {
    reader.checkChain(length);
    left = readJoin(reader, left);
  }
  return left;
}

function beginsJoin(reader: Reader): boolean {
  return reader.is('JOIN', 'INNER', 'CROSS', 'STRAIGHT_JOIN', 'LEFT', 'RIGHT', 'NATURAL');
}

function readJoin(reader: Reader, larg: Node): Node {
  const isNatural = reader.accept('NATURAL');
  const { word } = reader.next();
  const isOuter = word === 'LEFT' || word === 'RIGHT';
  if (isOuter) reader.accept('OUTER');
  if (word === 'INNER' || word === 'CROSS' || isOuter) reader.expect('JOIN');
  else if (word !== 'JOIN' && word !== 'STRAIGHT_JOIN') throw reader.unexpected();
  const join: JoinExpr = {
    jointype: word === 'LEFT' ? 'JOIN_LEFT' : word === 'RIGHT' ? 'JOIN_RIGHT' : 'JOIN_INNER',
    larg,
    rarg: readTable(reader),
  };
  const straight = word === 'STRAIGHT_JOIN' || undefined;
  if (isNatural) return makeNode('JoinExpr', { ...join, isNatural, straight });
  // a LEFT JOIN b JOIN c ON … ON …: the inner join is the right side of the outer one.
  if (isOuter)
    for (let length = 1; beginsJoin(reader); length++) {
      reader.checkChain(length);
      join.rarg = reader.deeper(() => readJoin(reader, join.rarg!));
    }
  // Of INSERT … SELECT … FROM a JOIN b ON DUPLICATE KEY UPDATE the ON is not the join's.
  if (!reader.isSequence('ON', 'DUPLICATE', 'KEY') && reader.accept('ON'))
    return makeNode('JoinExpr', { ...join, quals: reader.grammar.expression(reader), straight });
  if (reader.accept('USING')) {
    const usingClause = reader.parenthesised(() => reader.list(() => stringNode(reader.name())));
    return makeNode('JoinExpr', { ...join, usingClause, straight });
  }
  if (isOuter) throw reader.unexpected();
  return makeNode('JoinExpr', { ...join, straight });
}

function readTable(reader: Reader): Node {
  if (reader.isSymbol('(')) return readParenthesised(reader);
  if (reader.is('LATERAL') && reader.isSymbol('(', 1)) {
    reader.next();
    return readDerived(reader, true);
  }
  if (reader.is('JSON_TABLE') && reader.isSymbol('(', 1)) throw reader.unexpected();
  return rangeNode(readRange(reader));
}

/** A derived table, or joins in parentheses: `(t1, t2)` is a join of both. */
function readParenthesised(reader: Reader): Node {
  if (isSubquery(reader, true)) return readDerived(reader, false);
  return reader.deeper(() =>
    reader.parenthesised(() => {
      const items = reader.list(() => readJoined(reader));
      return items.reduce((larg, rarg) => makeNode('JoinExpr', { jointype: 'JOIN_INNER', larg, rarg }));
    }),
  );
}

function readDerived(reader: Reader, lateral: boolean): Node {
  const subquery = withFixedNames(readSubquery(reader));
  const alias = readAlias(reader);
  if (alias === undefined) throw reader.unexpected();
  if (reader.isSymbol('(')) {
    alias.colnames = reader.parenthesised(() => reader.list(() => stringNode(reader.name())));
  }
  return makeNode('RangeSubselect', { lateral, subquery, alias });
}

/** `db.table` without alias or hints. */
export function readTableName(reader: Reader): RangeVar {
  const location = reader.byteOffset(reader.token.start);
  const first = reader.name();
  const second = reader.isSymbol('.') && !reader.isSymbol('*', 1) ? behindPoint(reader) : undefined;
  return present<RangeVar>({
    schemaname: second === undefined ? undefined : first,
    relname: second ?? first,
    inh: true,
    relpersistence: 'p',
    location,
  });
}

function behindPoint(reader: Reader): string {
  reader.next();
  return reader.anyName();
}

function readRange(reader: Reader): RangeVar {
  const range = readTableName(reader);
  const partitions = readPartitions(reader);
  // Rows of the past (FOR SYSTEM_TIME) do not move with the key's owner.
  const alias = readAlias(reader);
  return present<RangeVar>({ ...range, partitions, alias, indexHints: readIndexHints(reader) });
}

export function readPartitions(reader: Reader): string[] | undefined {
  if (!reader.is('PARTITION') || !reader.isSymbol('(', 1)) return undefined;
  reader.next();
  return reader.parenthesised(() => reader.list(() => reader.name()));
}

export function readAlias(reader: Reader): Alias | undefined {
  if (reader.accept('AS')) return { aliasname: reader.name() };
  if (!reader.isName() || reader.is('WINDOW')) return undefined;
  return { aliasname: reader.name() };
}

/** USE INDEX (…), FORCE KEY FOR JOIN (…) …, as text. */
function readIndexHints(reader: Reader): string | undefined {
  const { start } = reader.token;
  let count = 0;
  while (reader.is('USE', 'FORCE', 'IGNORE') && ['INDEX', 'KEY'].includes(reader.peek(1).word)) {
    count++;
    reader.next();
    reader.next();
    if (reader.accept('FOR')) {
      if (!reader.accept('JOIN') && !reader.accept('ORDER', 'BY') && !reader.accept('GROUP', 'BY'))
        throw reader.unexpected();
    }
    reader.expectSymbol('(');
    if (!reader.isSymbol(')')) reader.list(() => (reader.accept('PRIMARY') ? 'PRIMARY' : reader.name()));
    reader.expectSymbol(')');
    reader.acceptSymbol(',');
  }
  return count === 0 ? undefined : reader.textFrom(start);
}

/** The name of an output column behind AS, which may also be a string. */
export function readOutputName(reader: Reader): string | undefined {
  const isGiven = reader.accept('AS');
  if (reader.token.kind === Tok.string) {
    const constant = readConstant(reader);
    if (constant !== undefined && 'A_Const' in constant) return constant.A_Const.sval?.sval ?? '';
  }
  if (isGiven || reader.isName()) return reader.name();
  return undefined;
}
