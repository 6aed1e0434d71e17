import type { Node } from '@pgsql/types';
import { Tok } from './mysql-lexer.js';
import { decodeLiteral } from './mysql-literal.js';
import { type Reader, syntax } from './mysql-reader.js';
import { makeNode } from './mysql-tree.js';
import { copyTree } from './postgres-tree.js';

const MAX_INT4 = 2_147_483_647;

/** A literal as an A_Const with its place in the text; undefined when the token is none. `minusAt`: a sign that belongs to it. */
export function readConstant(reader: Reader, minusAt?: number): Node | undefined {
  const { kind, source, start } = reader.token;
  const location = reader.byteOffset(minusAt ?? start);
  const sign = minusAt === undefined ? '' : '-';
  switch (kind) {
    case Tok.integer: {
      reader.next();
      const value = Number(source);
      if (value > MAX_INT4) return makeNode('A_Const', { fval: { fval: sign + source }, location });
      return makeNode('A_Const', { ival: { ival: sign === '' ? value : 0 - value }, location });
    }
    case Tok.decimal:
      reader.next();
      return makeNode('A_Const', { fval: { fval: sign + source }, location });
    case Tok.bits:
      if (!/^(_\w+\s*)?([xX]'([0-9a-fA-F]{2})*'|[bB]'[01]*'|0x[0-9a-fA-F]+|0b[01]+)$/.test(source))
        throw syntax('a literal of bits or bytes is not well formed');
      reader.next();
      return makeNode('A_Const', { bsval: { bsval: source }, location });
    case Tok.string:
    case Tok.national: {
      reader.next();
      if (!/['"]$/.test(source)) throw syntax('a string is not closed');
      const value = decodeLiteral(source, reader.mode);
      const isPlain = kind === Tok.string && !source.startsWith('_');
      if (value === undefined && isPlain) throw syntax('a string is not closed');
      if (reader.token.kind === Tok.string) throw syntax('parts of a string with a comment between them');
      // With a character set of its own the literal is written again as it is.
      return makeNode('A_Const', {
        sval: { sval: value?.text ?? '' },
        location,
        source: isPlain ? undefined : source,
      });
    }
    default:
      return undefined;
  }
}

/**
 * A query in FROM or WITH whose unnamed columns are named after texts with literals in them: these belong to the plan, since
 * the names do.
 */
export function withFixedNames(query: Node): Node {
  if (!('SelectStmt' in query)) return query;
  let first = query.SelectStmt;
  while (first.larg !== undefined) first = first.larg;
  first.targetList = (first.targetList ?? []).map((target) =>
    'ResTarget' in target && 'written' in target.ResTarget
      ? copyTree(target, (node) => ('A_Const' in node ? fixedConstant(node) : undefined))
      : target,
  );
  if (first.targetList.length === 0) delete first.targetList;
  return query;
}

/** A constant that no parameter can stand for: without a place in the text, so that its value belongs to the plan. */
export function fixedConstant(node: Node): Node {
  return 'A_Const' in node ? { A_Const: { ...node.A_Const, location: -1 } } : node;
}
