import type { Hint } from './hint.js';
import { hintOfComment } from './hint.js';
import { PostgresLexer, Tok } from './postgres-lexer.js';

/** A statement with its literals taken out. */
export interface Template {
  /**
   * One text for all statements that differ in literals, white space and comments only. Literals stand as control
   * characters by kind, which cannot stand for themselves outside of quotes.
   */
  readonly text: string;
  /** Source text of each literal, in order. */
  readonly literals: readonly string[];
  /** Where each literal begins in the statement (UTF-16 units). */
  readonly starts: readonly number[];
  readonly hint: Hint | undefined;
}

const MARKS: Partial<Record<Tok, string>> = {
  [Tok.integer]: '\u0001',
  [Tok.decimal]: '\u0002',
  [Tok.string]: '\u0003',
  [Tok.bits]: '\u0004',
  [Tok.national]: '\u0005',
};

/** What begins with one of these keeps its meaning whatever its literals are; other statements keep theirs in the template. */
const TEMPLATED = new Set(['select', 'insert', 'update', 'delete', 'with', 'values', 'merge', 'table']);

export function templateOf(sql: string): Template {
  const lexer = new PostgresLexer(sql);
  const literals: string[] = [];
  const starts: number[] = [];
  let hint: Hint | undefined;
  let text = '';
  let isFirst = true;
  let isTemplated = true;
  let hasGap = false;
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next()) {
    if (kind === Tok.space || kind === Tok.comment) {
      hasGap = true;
      if (kind === Tok.comment && sql.charCodeAt(lexer.start) === 47)
        hint = hintOfComment(lexer.source) ?? hint;
      continue;
    }
    if (hasGap && !isFirst) text += ' ';
    hasGap = false;
    if (isFirst) {
      const first = lexer.source;
      isTemplated = first === '(' || TEMPLATED.has(first.toLowerCase());
      isFirst = false;
    }
    const mark = MARKS[kind];
    if (mark === undefined) {
      text += lexer.source;
      continue;
    }
    literals.push(lexer.source);
    starts.push(lexer.start);
    text += isTemplated ? mark : lexer.source;
  }
  return { text, literals, starts, hint };
}
