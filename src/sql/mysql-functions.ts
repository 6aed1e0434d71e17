import type { Node, WindowDef } from '@pgsql/types';
import { readConstant } from './mysql-constant.js';
import { Tok } from './mysql-lexer.js';
import { nameOf, type Reader } from './mysql-reader.js';
import { readSortItem } from './mysql-sort.js';
import { callNode, columnNode, type Fields, makeNode } from './mysql-tree.js';
import { readUnit } from './mysql-types.js';
import { readWindow } from './mysql-windows.js';
import { CALLABLE, INTERVAL_UNITS, RESERVED, TIMESTAMP_UNITS } from './mysql-words.js';

/** Does a function call begin here: `f(`, `db.f(`? */
export function isCall(reader: Reader): boolean {
  const { kind, word } = reader.token;
  if (kind !== Tok.word && kind !== Tok.quotedName) return false;
  const isAllowed = !RESERVED.has(word) || CALLABLE.has(word) || word === 'VALUES' || word === 'DEFAULT';
  if (reader.isSymbol('(', 1)) return isAllowed;
  return reader.isName() && reader.isSymbol('.', 1) && reader.isSymbol('(', 3);
}

/** Forms with words between their arguments. */
const SPECIAL: Readonly<Record<string, (reader: Reader, location: number) => Node>> = {
  EXTRACT: readExtract,
  TRIM: readTrim,
  SUBSTRING: readSubstring,
  SUBSTR: readSubstring,
  MID: readSubstring,
  POSITION: readPosition,
  GROUP_CONCAT: joiningAggregate('group_concat'),
  JSON_ARRAYAGG: joiningAggregate('json_arrayagg'),
  TIMESTAMPADD: timestampCall('timestampadd'),
  TIMESTAMPDIFF: timestampCall('timestampdiff'),
  GET_FORMAT: readGetFormat,
  CHAR: readChar,
  VALUES: readValues,
  VALUE: readValues,
  COALESCE: readCoalesce,
};

/** Parts of a grammar that is not read here. */
const UNREAD = new Set(['JSON_TABLE', 'PERCENTILE_CONT', 'PERCENTILE_DISC']);

export function readCall(reader: Reader): Node {
  const location = reader.byteOffset(reader.token.start);
  const { kind, word } = reader.token;
  const isQualified = reader.isSymbol('.', 1);
  if (kind === Tok.word && !isQualified) {
    if (UNREAD.has(word)) throw reader.unexpected();
    const special = SPECIAL[word];
    if (special !== undefined) {
      reader.next();
      return special(reader, location);
    }
  }
  const names = [nameOf(reader.next())];
  if (reader.acceptSymbol('.')) names.push(reader.anyName());
  const name = isQualified ? names : [names[0]!.toLowerCase()];
  return readArguments(reader, name, location);
}

/** CURRENT_TIMESTAMP and the like without parentheses. */
export function readBareFunction(reader: Reader): Node {
  const { start, word } = reader.next();
  return callNode([word.toLowerCase()], [], { location: reader.byteOffset(start) });
}

function readArguments(reader: Reader, name: readonly string[], location: number): Node {
  reader.expectSymbol('(');
  if (reader.isSymbol('*') && reader.isSymbol(')', 1)) {
    reader.next();
    reader.next();
    return callNode(name, [], { agg_star: true, over: readOver(reader), location });
  }
  const isDistinct = reader.accept('DISTINCT');
  if (!isDistinct) reader.accept('ALL');
  const args = reader.isSymbol(')') ? [] : reader.list(() => reader.grammar.expression(reader));
  // f(a AS name), f(a USING …) and the like are forms of their own.
  reader.expectSymbol(')');
  const over = readOver(reader);
  return callNode(name, args, { agg_distinct: isDistinct, over, location });
}

function readOver(reader: Reader): WindowDef | undefined {
  if (reader.is('IGNORE', 'RESPECT') && reader.peek(1).word === 'NULLS') throw reader.unexpected();
  if (!reader.accept('OVER')) return undefined;
  if (!reader.isSymbol('(')) return { name: reader.name() };
  return readWindow(reader);
}

function readExtract(reader: Reader, location: number): Node {
  return reader.parenthesised(() => {
    const unit = readUnit(reader, INTERVAL_UNITS);
    reader.expect('FROM');
    return callNode(['extract'], [reader.grammar.expression(reader)], { unit, location });
  });
}

/** TRIM([LEADING|TRAILING|BOTH] [what] FROM x): `form` keeps the words. */
function readTrim(reader: Reader, location: number): Node {
  return reader.parenthesised(() => {
    const form = reader.is('LEADING', 'TRAILING', 'BOTH') ? reader.next().word : undefined;
    if (form !== undefined && reader.accept('FROM'))
      return callNode(['trim'], [reader.grammar.expression(reader)], { form: `${form} FROM`, location });
    const first = reader.grammar.expression(reader);
    if (!reader.accept('FROM')) {
      if (form !== undefined) throw reader.unexpected();
      return callNode(['trim'], [first], { location });
    }
    return callNode(['trim'], [first, reader.grammar.expression(reader)], { form: form ?? 'BOTH', location });
  });
}

function readSubstring(reader: Reader, location: number): Node {
  return reader.parenthesised(() => {
    const args = [reader.grammar.expression(reader)];
    const isWords = reader.accept('FROM');
    if (!isWords) reader.expectSymbol(',');
    args.push(reader.grammar.expression(reader));
    if (isWords ? reader.accept('FOR') : reader.acceptSymbol(','))
      args.push(reader.grammar.expression(reader));
    return callNode(['substring'], args, { location });
  });
}

/** POSITION(a IN b) is LOCATE(a, b). */
function readPosition(reader: Reader, location: number): Node {
  return reader.parenthesised(() => {
    const part = reader.grammar.operand(reader);
    reader.expect('IN');
    return callNode(['locate'], [part, reader.grammar.expression(reader)], { location });
  });
}

/** Aggregates that sort what they join. */
function joiningAggregate(name: string) {
  return (reader: Reader, location: number): Node => {
    const fields: Record<string, unknown> = { location };
    const args = reader.parenthesised(() => {
      fields['agg_distinct'] = reader.accept('DISTINCT');
      const items = reader.list(() => reader.grammar.expression(reader));
      if (reader.accept('ORDER', 'BY')) fields['agg_order'] = reader.list(() => readSortItem(reader));
      if (reader.accept('SEPARATOR')) fields['separator'] = constantOrParameter(reader);
      if (reader.accept('LIMIT')) fields['limit'] = reader.list(() => constantOrParameter(reader));
      return items;
    });
    return callNode([name], args, { ...fields, over: readOver(reader) });
  };
}

function constantOrParameter(reader: Reader): Node {
  const constant = readConstant(reader);
  if (constant !== undefined) return constant;
  if (reader.token.kind !== Tok.parameter) throw reader.unexpected();
  return reader.grammar.expression(reader);
}

function timestampCall(name: string) {
  return (reader: Reader, location: number): Node =>
    reader.parenthesised(() => {
      const isOld = TIMESTAMP_UNITS.has(reader.token.word);
      const unit = isOld ? reader.next().word.slice('SQL_TSI_'.length) : readUnit(reader, INTERVAL_UNITS);
      reader.expectSymbol(',');
      const first = reader.grammar.expression(reader);
      reader.expectSymbol(',');
      return callNode([name], [first, reader.grammar.expression(reader)], { unit, location });
    });
}

function readGetFormat(reader: Reader, location: number): Node {
  return reader.parenthesised(() => {
    if (!reader.is('DATE', 'TIME', 'DATETIME', 'TIMESTAMP')) throw reader.unexpected();
    const unit = reader.next().word;
    reader.expectSymbol(',');
    return callNode(['get_format'], [reader.grammar.expression(reader)], { unit, location });
  });
}

function readChar(reader: Reader, location: number): Node {
  return reader.parenthesised(() => {
    const args = reader.list(() => reader.grammar.expression(reader));
    const using = reader.accept('USING') ? reader.anyName().toLowerCase() : undefined;
    return callNode(['char'], args, { using, location });
  });
}

/** VALUES(column) in ON DUPLICATE KEY UPDATE. Elsewhere it is NULL, which is seldom what is meant. */
function readValues(reader: Reader, location: number): Node {
  return reader.parenthesised(() => {
    const names = [reader.name()];
    while (reader.acceptSymbol('.')) names.push(reader.anyName());
    if (!reader.isInConflict) throw reader.unexpected();
    return columnNode(['excluded', names.at(-1)!], location, { isValues: true });
  });
}

function readCoalesce(reader: Reader, location: number): Node {
  const args = reader.parenthesised(() => reader.list(() => reader.grammar.expression(reader)));
  const fields: Fields = { args, location };
  return makeNode('CoalesceExpr', fields);
}
