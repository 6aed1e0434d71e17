import type { Node } from '@pgsql/types';
import { readConstant } from './mysql-constant.js';
import { Tok } from './mysql-lexer.js';
import type { Reader } from './mysql-reader.js';
import { callNode, makeNode, stringNode } from './mysql-tree.js';

/** Types that CAST knows, by the word that they begin with, under the name that they have in the tree. */
const CAST_TYPES: Readonly<Record<string, string>> = {
  BINARY: 'binary',
  CHAR: 'char',
  CHARACTER: 'char',
  VARCHAR: 'char',
  NCHAR: 'nchar',
  DATE: 'date',
  DATETIME: 'datetime',
  TIME: 'time',
  DECIMAL: 'decimal',
  DEC: 'decimal',
  NUMERIC: 'decimal',
  FLOAT: 'float',
  DOUBLE: 'double',
  SIGNED: 'signed',
  UNSIGNED: 'unsigned',
  INT: 'signed',
  INTEGER: 'signed',
  JSON: 'json',
  YEAR: 'year',
  UUID: 'uuid',
  INET6: 'inet6',
  INET4: 'inet4',
};

/** CAST(x AS type), CONVERT(x, type), CONVERT(x USING charset). */
export function readCast(reader: Reader): Node {
  const location = reader.byteOffset(reader.token.start);
  const isCast = reader.next().word === 'CAST';
  reader.expectSymbol('(');
  const arg = reader.grammar.expression(reader);
  if (!isCast && reader.accept('USING')) {
    const using = reader.anyName();
    reader.expectSymbol(')');
    return callNode(['convert'], [arg], { using: using.toLowerCase(), location });
  }
  if (isCast) reader.expect('AS');
  else reader.expectSymbol(',');
  const typeName = readCastType(reader);
  reader.expectSymbol(')');
  return makeNode('TypeCast', { arg, typeName, location });
}

function readCastType(reader: Reader): unknown {
  const { word } = reader.next();
  const name = CAST_TYPES[word];
  if (name === undefined) throw reader.unexpected();
  if (name === 'signed' || name === 'unsigned') if (!reader.accept('INTEGER')) reader.accept('INT');
  if (name === 'double') reader.accept('PRECISION');
  const typmods: Node[] = [];
  if (reader.acceptSymbol('(')) {
    for (const modifier of reader.list(() => readConstant(reader))) {
      if (modifier === undefined) throw reader.unexpected();
      typmods.push(modifier);
    }
    reader.expectSymbol(')');
  }
  const start = reader.token.start;
  if (reader.accept('CHARACTER', 'SET') || reader.accept('CHARSET')) reader.anyName();
  else if (reader.is('ASCII', 'UNICODE') || (name === 'char' && reader.is('BINARY'))) reader.next();
  const charset = reader.token.start === start ? undefined : reader.textFrom(start);
  if (reader.token.kind === Tok.word && !reader.is('COLLATE')) throw reader.unexpected();
  const collate = reader.accept('COLLATE') ? reader.anyName() : undefined;
  return {
    names: [stringNode(name)],
    ...(typmods.length === 0 ? {} : { typmods }),
    typemod: -1,
    ...(charset === undefined ? {} : { charset }),
    ...(collate === undefined ? {} : { collate }),
  };
}

/** A unit of time behind INTERVAL or in EXTRACT, in capitals. */
export function readUnit(reader: Reader, units: ReadonlySet<string>): string {
  const { word } = reader.token;
  if (!units.has(word)) throw reader.unexpected();
  return reader.next().word;
}
