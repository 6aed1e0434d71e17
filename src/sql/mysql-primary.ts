import type { Node } from '@pgsql/types';
import { fixedConstant, readConstant } from './mysql-constant.js';
import { isCall, readBareFunction, readCall } from './mysql-functions.js';
import { isCharset, Tok } from './mysql-lexer.js';
import { nameOf, type Reader } from './mysql-reader.js';
import { isSubquery, readSubquery } from './mysql-subquery.js';
import { columnNode, makeNode, operatorNode, stringNode } from './mysql-tree.js';
import { readCast, readUnit } from './mysql-types.js';
import { BARE_FUNCTIONS, INTERVAL_UNITS } from './mysql-words.js';

const TYPED_LITERALS = new Set(['DATE', 'TIME', 'TIMESTAMP']);

/** An operand: a literal, a name, a call, or something in parentheses. */
export function readPrimary(reader: Reader): Node {
  const constant = readConstant(reader);
  if (constant !== undefined) return constant;
  const { kind, source, word, start } = reader.token;
  if (kind === Tok.parameter) {
    reader.next();
    return makeNode('ParamRef', { number: ++reader.parameters, location: reader.byteOffset(start) });
  }
  if (kind === Tok.variable) return readUserVariable(reader);
  if (reader.isSymbol('@@')) return readSystemVariable(reader);
  if (reader.isSymbol('(')) return readParenthesised(reader);
  if (kind !== Tok.word && kind !== Tok.quotedName) throw reader.unexpected();
  if (isIntroducer(source, kind) && isLiteral(reader.peek(1).kind)) throw reader.unexpected();
  const keyword = readKeyword(reader, word);
  if (keyword !== undefined) return keyword;
  if (TYPED_LITERALS.has(word) && reader.peek(1).kind === Tok.string) return readTyped(reader);
  if (isCall(reader)) return readCall(reader);
  if (BARE_FUNCTIONS.has(word)) return readBareFunction(reader);
  return readColumn(reader);
}

/** `_utf8 /* … *\/ 'x'`: an introducer that the lexer took for a name. */
function isIntroducer(source: string, kind: Tok): boolean {
  return kind === Tok.word && source.startsWith('_') && isCharset(source.slice(1));
}

function isLiteral(kind: Tok): boolean {
  return kind === Tok.string || kind === Tok.bits;
}

function readKeyword(reader: Reader, word: string): Node | undefined {
  const location = reader.byteOffset(reader.token.start);
  switch (word) {
    case 'NULL':
      reader.next();
      return makeNode('A_Const', { isnull: true, location });
    case 'TRUE':
    case 'FALSE':
      reader.next();
      return { A_Const: { boolval: word === 'TRUE' ? { boolval: true } : {}, location } };
    case 'CASE':
      return readCase(reader);
    case 'EXISTS':
      if (!reader.isSymbol('(', 1)) return undefined;
      reader.next();
      return makeNode('SubLink', { subLinkType: 'EXISTS_SUBLINK', subselect: readSubquery(reader) });
    case 'ROW':
      if (!reader.isSymbol('(', 1)) return undefined;
      reader.next();
      return rowNode(reader.parenthesised(() => reader.list(() => reader.grammar.expression(reader))));
    case 'CAST':
    case 'CONVERT':
      return reader.isSymbol('(', 1) ? readCast(reader) : undefined;
    case 'INTERVAL':
      return readInterval(reader);
    case 'MATCH':
      return readMatch(reader);
    case 'DEFAULT':
      if (reader.isSymbol('(', 1)) return undefined;
      reader.next();
      return { SetToDefault: { location } } as unknown as Node;
    default:
      return undefined;
  }
}

function rowNode(args: readonly Node[]): Node {
  return makeNode('RowExpr', { args, row_format: 'COERCE_EXPLICIT_CALL' });
}

/** `(SELECT …)`, `(a)`, `(a, b)`. */
function readParenthesised(reader: Reader): Node {
  if (isSubquery(reader))
    return makeNode('SubLink', { subLinkType: 'EXPR_SUBLINK', subselect: readSubquery(reader) });
  const items = reader.parenthesised(() => reader.list(() => reader.grammar.expression(reader)));
  return items.length === 1 ? items[0]! : rowNode(items);
}

function readCase(reader: Reader): Node {
  reader.expect('CASE');
  const arg = reader.is('WHEN') ? undefined : reader.grammar.expression(reader);
  const args: Node[] = [];
  while (reader.accept('WHEN')) {
    const expr = reader.grammar.expression(reader);
    reader.expect('THEN');
    args.push(makeNode('CaseWhen', { expr, result: reader.grammar.expression(reader) }));
  }
  const defresult = reader.accept('ELSE') ? reader.grammar.expression(reader) : undefined;
  reader.expect('END');
  if (args.length === 0) throw reader.unexpected();
  return makeNode('CaseExpr', { arg, args, defresult });
}

/** `INTERVAL n DAY`, or the function `INTERVAL(n, a, b …)`. */
function readInterval(reader: Reader): Node {
  reader.expect('INTERVAL');
  if (reader.isSymbol('(')) {
    const args = reader.parenthesised(() => reader.list(() => reader.grammar.expression(reader)));
    if (args.length > 1) return makeNode('FuncCall', { funcname: [stringNode('interval')], args });
    return operatorNode('INTERVAL', undefined, args[0]!, { unit: readUnit(reader, INTERVAL_UNITS) });
  }
  const value = reader.grammar.expression(reader);
  return operatorNode('INTERVAL', undefined, value, { unit: readUnit(reader, INTERVAL_UNITS) });
}

function readMatch(reader: Reader): Node {
  reader.expect('MATCH');
  const args = reader.isSymbol('(')
    ? reader.parenthesised(() => reader.list(() => readColumn(reader)))
    : reader.list(() => readColumn(reader));
  reader.expect('AGAINST');
  reader.expectSymbol('(');
  const against = reader.grammar.operand(reader);
  const start = reader.token.start;
  while (reader.is('IN', 'BOOLEAN', 'NATURAL', 'LANGUAGE', 'MODE', 'WITH', 'QUERY', 'EXPANSION'))
    reader.next();
  const mode =
    reader.token.start === start ? undefined : reader.textFrom(start).replace(/\s+/g, ' ').toUpperCase();
  reader.expectSymbol(')');
  return makeNode('MatchAgainst', { args, against, mode });
}

/** DATE '…', TIME '…', TIMESTAMP '…'. */
function readTyped(reader: Reader): Node {
  const { word, start } = reader.next();
  const arg = readConstant(reader);
  return makeNode('TypeCast', {
    arg: arg === undefined ? undefined : fixedConstant(arg),
    typeName: { names: [stringNode(word === 'TIMESTAMP' ? 'datetime' : word.toLowerCase())], typemod: -1 },
    form: 'literal',
    location: reader.byteOffset(start),
  });
}

function readUserVariable(reader: Reader): Node {
  const { source } = reader.next();
  const quote = source[1]!;
  const name = /['"`]/.test(quote) ? source.slice(2, -1).replaceAll(quote + quote, quote) : source.slice(1);
  if (/['"]/.test(quote) && source.includes('\\')) throw reader.unexpected();
  if (!reader.acceptSymbol(':=')) return makeNode('UserVariable', { name });
  return makeNode('VariableAssignment', { name, value: reader.grammar.expression(reader) });
}

function readSystemVariable(reader: Reader): Node {
  reader.expectSymbol('@@');
  const parts = [reader.anyName()];
  while (reader.acceptSymbol('.')) parts.push(reader.anyName());
  const scope = /^(global|session|local)$/i.test(parts[0]!) ? parts.shift()!.toLowerCase() : undefined;
  if (parts.length === 0 || parts[0]!.toLowerCase() === 'default' || reader.isSymbol(':='))
    throw reader.unexpected();
  return makeNode('SystemVariable', { name: parts.join('.').toLowerCase(), scope });
}

/** `a`, `t.a`, `db.t.a`. */
export function readColumn(reader: Reader): Node {
  const location = reader.byteOffset(reader.token.start);
  if (!reader.isName()) throw reader.unexpected();
  const names = [nameOf(reader.next())];
  while (names.length < 3 && reader.isSymbol('.') && !reader.isSymbol('*', 1)) {
    reader.next();
    names.push(reader.anyName());
  }
  return columnNode(names, location);
}
