import type { Node } from '@pgsql/types';
import { fixedConstant, readConstant } from './mysql-constant.js';
import { Tok } from './mysql-lexer.js';
import { readPrimary } from './mysql-primary.js';
import type { Reader } from './mysql-reader.js';
import { isSubquery, readSubquery } from './mysql-subquery.js';
import { boolNode, listNode, makeNode, operatorNode, stringNode } from './mysql-tree.js';
/**
 * Expressions, with the precedence of the manual's "Operator Precedence". Where MySQL and MariaDB differ, or
 * follow their grammar rather than that table, the text is refused unless parentheses say what is meant.
 */
export function readExpression(reader: Reader): Node {
  return reader.deeper(() => readOr(reader));
}

/** A chain of one operator as one flat node. */
function flat(
  reader: Reader,
  operator: 'AND_EXPR' | 'OR_EXPR',
  isNext: () => boolean,
  read: (reader: Reader) => Node,
): Node {
  const args = [read(reader)];
  while (isNext()) {
    reader.next();
    args.push(read(reader));
  }
  return args.length === 1 ? args[0]! : boolNode(operator, args);
}

function readOr(reader: Reader): Node {
  const isOr = () => reader.is('OR') || (!reader.mode.pipesAsConcat && reader.isSymbol('||'));
  return flat(reader, 'OR_EXPR', isOr, readXor);
}

function readXor(reader: Reader): Node {
  let left = readAnd(reader);
  for (let length = 1; reader.accept('XOR'); length++) {
    reader.checkChain(length);
    left = operatorNode('XOR', left, readAnd(reader));
  }
  return left;
}

function readAnd(reader: Reader): Node {
  return flat(reader, 'AND_EXPR', () => reader.is('AND') || reader.isSymbol('&&'), readNot);
}

function readNot(reader: Reader): Node {
  if (!reader.is('NOT')) return readComparison(reader);
  if (reader.mode.highNotPrecedence) throw reader.unexpected();
  reader.next();
  return boolNode('NOT_EXPR', [reader.deeper(() => readNot(reader))]);
}

const COMPARISONS: Readonly<Record<string, string>> = {
  '=': '=',
  '<=>': '<=>',
  '<': '<',
  '>': '>',
  '<=': '<=',
  '>=': '>=',
  '<>': '<>',
  '!=': '<>',
};

/** Comparisons, from left to right; IS behind something simpler. */
function readComparison(reader: Reader): Node {
  const first = readPredicate(reader);
  let left = first.node;
  for (let length = 1; ; length++) {
    const symbol = reader.token.kind === Tok.symbol ? COMPARISONS[reader.token.source] : undefined;
    if (symbol === undefined) break;
    reader.checkChain(length);
    reader.next();
    left = compared(reader, left, symbol);
  }
  if (!reader.is('IS')) return left;
  // `a = b IS NULL` and `a IN (…) IS NULL` do not mean the same everywhere.
  if (left !== first.node || first.isPredicate) throw reader.unexpected();
  left = readIs(reader, left);
  if (reader.is('IS', 'IN', 'LIKE', 'BETWEEN', 'NOT') || isComparison(reader)) throw reader.unexpected();
  return left;
}

function isComparison(reader: Reader): boolean {
  return reader.token.kind === Tok.symbol && reader.token.source in COMPARISONS;
}

function compared(reader: Reader, left: Node, operator: string): Node {
  const quantifier =
    reader.is('ANY', 'SOME', 'ALL') && reader.isSymbol('(', 1) ? reader.token.word : undefined;
  if (quantifier !== undefined) {
    reader.next();
    return makeNode('SubLink', {
      subLinkType: quantifier === 'ALL' ? 'ALL_SUBLINK' : 'ANY_SUBLINK',
      testexpr: left,
      operName: [stringNode(operator)],
      subselect: readSubquery(reader),
    });
  }
  const { node } = readPredicate(reader);
  const kind = operator === '<=>' ? 'AEXPR_NOT_DISTINCT' : 'AEXPR_OP';
  return operatorNode(operator, left, node, {}, kind);
}

function readIs(reader: Reader, arg: Node): Node {
  reader.expect('IS');
  const isNot = reader.accept('NOT');
  const { word } = reader.next();
  if (word === 'NULL') return makeNode('NullTest', { arg, nulltesttype: isNot ? 'IS_NOT_NULL' : 'IS_NULL' });
  if (word !== 'TRUE' && word !== 'FALSE' && word !== 'UNKNOWN') throw reader.unexpected();
  return makeNode('BooleanTest', { arg, booltesttype: `IS_${isNot ? 'NOT_' : ''}${word}` });
}

/** IN, BETWEEN, LIKE, REGEXP, SOUNDS LIKE: one at most, since two in a row do not mean the same everywhere. */
function readPredicate(reader: Reader): { node: Node; isPredicate: boolean } {
  const left = readBits(reader);
  const isNot =
    reader.is('NOT') && ['IN', 'BETWEEN', 'LIKE', 'REGEXP', 'RLIKE'].includes(reader.peek(1).word);
  if (isNot) reader.next();
  const node = predicateOf(reader, left, isNot);
  if (node === undefined) return { node: left, isPredicate: false };
  if (reader.is('IN', 'BETWEEN', 'LIKE', 'REGEXP', 'RLIKE', 'SOUNDS', 'NOT')) throw reader.unexpected();
  return { node, isPredicate: true };
}

function predicateOf(reader: Reader, left: Node, isNot: boolean): Node | undefined {
  if (reader.accept('IN')) return readIn(reader, left, isNot);
  if (reader.accept('BETWEEN')) {
    const low = readBits(reader);
    reader.expect('AND');
    const bounds = listNode([low, readBits(reader)]);
    const name = isNot ? 'NOT BETWEEN' : 'BETWEEN';
    return operatorNode(name, left, bounds, {}, isNot ? 'AEXPR_NOT_BETWEEN' : 'AEXPR_BETWEEN');
  }
  if (reader.accept('LIKE')) {
    const pattern = readBits(reader);
    const escaped = reader.accept('ESCAPE') ? readSimple(reader) : undefined;
    return operatorNode(isNot ? 'NOT LIKE' : 'LIKE', left, pattern, { escape: escaped }, 'AEXPR_LIKE');
  }
  if (reader.accept('REGEXP') || reader.accept('RLIKE'))
    return operatorNode(isNot ? 'NOT REGEXP' : 'REGEXP', left, readBits(reader));
  if (reader.accept('SOUNDS', 'LIKE')) return operatorNode('SOUNDS LIKE', left, readBits(reader));
  return undefined;
}

function readIn(reader: Reader, left: Node, isNot: boolean): Node {
  if (isSubquery(reader)) {
    const link = makeNode('SubLink', {
      subLinkType: 'ANY_SUBLINK',
      testexpr: left,
      subselect: readSubquery(reader),
    });
    return isNot ? boolNode('NOT_EXPR', [link]) : link;
  }
  const items = reader.parenthesised(() => reader.list(() => readExpression(reader)));
  return operatorNode(isNot ? '<>' : '=', left, listNode(items), {}, 'AEXPR_IN');
}

/** By the operator: how strongly it binds. */
const BINDING: Readonly<Record<string, number>> = {
  '|': 1,
  '&': 2,
  '<<': 3,
  '>>': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
  DIV: 5,
  MOD: 5,
  '^': 6,
};

function binaryOperator(reader: Reader): string | undefined {
  const { kind, source, word } = reader.token;
  if (kind === Tok.symbol) return source in BINDING ? source : undefined;
  return word === 'DIV' || word === 'MOD' ? word : undefined;
}

/** Arithmetic and bits. */
export function readBits(reader: Reader, binding = 1): Node {
  let left = readUnary(reader);
  for (let length = 1; ; length++) {
    if (reader.mode.pipesAsConcat && reader.isSymbol('||')) {
      left = readConcat(reader, left, length > 1 || binding > 1);
      continue;
    }
    const operator = binaryOperator(reader);
    if (operator === undefined || BINDING[operator]! < binding) return left;
    // Beside INTERVAL an operator does not always bind as it does elsewhere.
    if (isInterval(left) && (operator !== '+' || length > 1)) throw reader.unexpected();
    reader.checkChain(length);
    reader.next();
    const right = reader.deeper(() => readBits(reader, BINDING[operator]! + 1));
    if (isInterval(left) && binaryOperator(reader) !== undefined) throw reader.unexpected();
    left = operatorNode(operator === 'MOD' ? '%' : operator, left, right);
  }
}

function isInterval(node: Node): boolean {
  return 'A_Expr' in node && 'unit' in node.A_Expr;
}

/** `||` as concatenation: how strongly it binds beside other operators depends on the server. */
function readConcat(reader: Reader, first: Node, isBesideOther: boolean): Node {
  let left = first;
  for (let length = 1; reader.acceptSymbol('||'); length++) {
    reader.checkChain(length);
    left = operatorNode('||', left, readUnary(reader));
  }
  if (isBesideOther || binaryOperator(reader) !== undefined) throw reader.unexpected();
  return left;
}

function readUnary(reader: Reader): Node {
  const { kind, source, start } = reader.token;
  if (kind === Tok.symbol && (source === '-' || source === '+' || source === '~')) {
    reader.next();
    const isNumber = reader.token.kind === Tok.integer || reader.token.kind === Tok.decimal;
    if (source === '-' && isNumber) {
      const constant = readConstant(reader, start)!;
      return reader.is('COLLATE') ? withPostfix(reader, constant) : constant;
    }
    const arg = reader.deeper(() => readUnary(reader));
    if (isInterval(arg)) throw reader.unexpected();
    return operatorNode(source, undefined, arg);
  }
  if (kind === Tok.symbol && source === '!') {
    reader.next();
    return boolNode('NOT_EXPR', [reader.deeper(() => readNegated(reader))]);
  }
  return readSimple(reader);
}

/** Behind `!`: something that no operator could bind otherwise. */
function readNegated(reader: Reader): Node {
  if (reader.isSymbol('!')) return readUnary(reader);
  if (reader.isSymbol('-') || reader.isSymbol('~') || reader.isSymbol('+')) throw reader.unexpected();
  return readSimple(reader);
}

/** An operand with what is written behind it: COLLATE, `->`, `->>`. */
function readSimple(reader: Reader): Node {
  if (reader.is('BINARY')) {
    reader.next();
    const arg = reader.deeper(() => readSimple(reader));
    // BINARY a COLLATE b: which comes first depends on the server.
    if ('CollateClause' in arg) throw reader.unexpected();
    return operatorNode('BINARY', undefined, arg);
  }
  return withPostfix(reader, readPrimary(reader));
}

function withPostfix(reader: Reader, primary: Node): Node {
  let node = primary;
  for (let length = 1; ; length++) {
    reader.checkChain(length);
    if (reader.accept('COLLATE')) {
      const quoted = reader.token.kind === Tok.string ? readConstant(reader) : undefined;
      const name =
        quoted !== undefined && 'A_Const' in quoted
          ? (quoted.A_Const.sval?.sval ?? '')
          : nameOrBinary(reader);
      node = makeNode('CollateClause', { arg: node, collname: [stringNode(name)] });
    } else if ((reader.isSymbol('->') || reader.isSymbol('->>')) && 'ColumnRef' in node) {
      const operator = reader.next().source;
      const path = readConstant(reader);
      if (path === undefined || !('A_Const' in path) || path.A_Const.sval === undefined)
        throw reader.unexpected();
      node = operatorNode(operator, node, fixedConstant(path));
    } else return node;
  }
}

function nameOrBinary(reader: Reader): string {
  return reader.is('BINARY', 'DEFAULT') ? reader.next().source : reader.name();
}
