import { PostgresLexer, Tok } from './postgres-lexer.js';

const DEEPENING_WORDS = new Set([
  'case',
  'not',
  'join',
  'union',
  'intersect',
  'except',
  'like',
  'ilike',
  'is',
  'collate',
  'at',
  'between',
  'in',
]);
const FLAT_WORDS = new Set(['and', 'or', 'then', 'else', 'when', 'from', 'where']);

/**
 * An upper bound of how deep the parse tree of a text may get: operators in a row and open parentheses, summed over the
 * levels that are open at once. The parser recurses that deep, and a stack that it overflows kills it for good.
 */
export function nestingBound(sql: string): number {
  const lexer = new PostgresLexer(sql);
  const outer: number[] = [];
  let current = 0;
  let base = 0;
  let kept = 0;
  let deepest = 0;
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    if (kind === Tok.word) {
      const word = lexer.source.toLowerCase();
      if (word === 'join' || word === 'union' || word === 'intersect' || word === 'except' || word === 'case')
        kept++;
      else if (DEEPENING_WORDS.has(word)) current++;
      else if (FLAT_WORDS.has(word)) current = 0;
    } else if (kind === Tok.symbol) {
      const symbol = sql[lexer.start]!;
      if (symbol === '(' || symbol === '[') {
        outer.push(current);
        base += current + 2;
        current = 0;
      } else if (symbol === ')' || symbol === ']') {
        current = outer.pop() ?? 0;
        base = Math.max(0, base - current - 2);
      } else if (symbol === ',') current = 0;
      else if (symbol !== ';' && symbol !== '.') current++;
    }
    if (base + current + kept > deepest) deepest = base + current + kept;
  }
  return deepest;
}
