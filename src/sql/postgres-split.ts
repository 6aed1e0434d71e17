import { PostgresLexer, Tok } from './postgres-lexer.js';

/** Begins with a word, so there is something in it. */
const BEGINS_PLAINLY = /^[a-z]/i;

/**
 * Cuts a simple Query at its top-level semicolons, as psql does: not in parentheses (rules), not in the BEGIN ATOMIC
 * body of a function. Statements keep their comments; those without any token are left out.
 */
export function splitStatements(sql: string): string[] {
  const semicolon = sql.indexOf(';');
  // A text without one, or with nothing behind the first, is one statement; most are. What a quote or a comment holds does not matter then.
  if ((semicolon === -1 || semicolon === sql.length - 1) && BEGINS_PLAINLY.test(sql))
    return [(semicolon === -1 ? sql : sql.slice(0, -1)).trim()];
  const statements: string[] = [];
  const lexer = new PostgresLexer(sql);
  let from = 0;
  let parens = 0;
  let words: string[] = [];
  let bodyDepth = 0;
  let isEmpty = true;
  const cut = (end: number) => {
    if (!isEmpty) statements.push(sql.slice(from, end).trim());
    from = end + 1;
    parens = 0;
    bodyDepth = 0;
    words = [];
    isEmpty = true;
  };
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    if (kind === Tok.symbol) {
      const symbol = sql.charCodeAt(lexer.start);
      if (symbol === 40) parens++;
      else if (symbol === 41) parens = Math.max(0, parens - 1);
      else if (symbol === 59 && parens === 0 && bodyDepth === 0) {
        cut(lexer.start);
        continue;
      }
    }
    isEmpty = false;
    if (kind !== Tok.word) continue;
    const word = lexer.source.toLowerCase();
    if (words.length < 4) words.push(word);
    if (parens === 0 && makesRoutine(words)) bodyDepth = depthAfter(word, bodyDepth);
  }
  cut(sql.length);
  return statements;
}

function makesRoutine(words: readonly string[]): boolean {
  if (words[0] !== 'create') return false;
  const kind = words[1] === 'or' ? words[3] : words[1];
  return kind === 'function' || kind === 'procedure';
}

function depthAfter(word: string, depth: number): number {
  if (word === 'begin') return depth + 1;
  if (word === 'case' && depth > 0) return depth + 1;
  if (word === 'end' && depth > 0) return depth - 1;
  return depth;
}
