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

/** By kind of literal, from `Tok.integer` to `Tok.national`. */
const MARKS = ['\u0001', '\u0002', '\u0003', '\u0004', '\u0005'];

/** What begins with one of these keeps its meaning whatever its literals are; other statements keep theirs in the template. */
const TEMPLATED = new Set(['select', 'insert', 'update', 'delete', 'with', 'values', 'merge', 'table']);

export function templateOf(sql: string): Template {
  const lexer = new PostgresLexer(sql);
  const literals: string[] = [];
  const starts: number[] = [];
  let hint: Hint | undefined;
  let text = '';
  let isTemplated: boolean | undefined;
  // Text from here on is taken over as it is, until something else must stand in its place.
  let from = 0;
  let hasGap = false;
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next()) {
    if (kind === Tok.space || kind === Tok.comment) {
      if (kind === Tok.space && !hasGap && isTemplated !== undefined && isSingleBlank(lexer)) continue;
      if (!hasGap) text += sql.slice(from, lexer.start);
      hasGap = true;
      from = lexer.end;
      if (kind === Tok.comment && sql.charCodeAt(lexer.start) === SLASH)
        hint = hintOfComment(lexer.source) ?? hint;
      continue;
    }
    if (hasGap && isTemplated !== undefined && !text.endsWith(' ')) text += ' ';
    hasGap = false;
    isTemplated ??= beginsQuery(lexer.source);
    if (kind < Tok.integer || kind > Tok.national) continue;
    literals.push(lexer.source);
    starts.push(lexer.start);
    if (!isTemplated) continue;
    text += sql.slice(from, lexer.start) + MARKS[kind - Tok.integer]!;
    from = lexer.end;
  }
  if (!hasGap) text += sql.slice(from);
  return { text: text.trimEnd(), literals, starts, hint };
}

/** Longest text that is shown of a template. */
const MAX_SHOWN = 200;

/** A template for people: literals as `?`. Of statements that keep their literals only the first words are shown, since those may be passwords. */
export function shownTemplate(sql: string): string {
  const { text, literals } = templateOf(sql);
  const isTemplated = /[\u0001-\u0005]/.test(text);
  if (literals.length > 0 && !isTemplated) return `${text.split(/\s+/, 2).join(' ')} …`;
  const shown = text.replace(/[\u0001-\u0005]/g, '?');
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)} …` : shown;
}

const SLASH = 47;

/** One blank with more text behind it: what every gap becomes. */
function isSingleBlank(lexer: PostgresLexer): boolean {
  return (
    lexer.end === lexer.start + 1 &&
    lexer.text.charCodeAt(lexer.start) === 32 &&
    !isGapAt(lexer.text, lexer.end)
  );
}

/** A comment (or the end) right behind a blank would make one gap of both. */
function isGapAt(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code === 45) return text.charCodeAt(at + 1) === 45;
  return code === SLASH && text.charCodeAt(at + 1) === 42;
}

function beginsQuery(first: string): boolean {
  return first === '(' || TEMPLATED.has(first) || TEMPLATED.has(first.toLowerCase());
}
