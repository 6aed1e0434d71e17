import type { Hint } from './hint.js';
import { hintOfComment } from './hint.js';
import { MysqlLexer, Tok } from './mysql-lexer.js';
import { DEFAULT_MODE, modeKey, type SqlMode } from './mysql-mode.js';
import type { Template } from './postgres-template.js';

/** By kind of literal, from `Tok.integer` to `Tok.national`. */
const MARKS = ['\u0001', '\u0002', '\u0003', '\u0004', '\u0005'];
/** Stands before the mode when that is not the default, since the same text may then mean something else. */
const MODE_MARK = '\u000e';

/** What begins with one of these keeps its meaning whatever its literals are; other statements keep theirs in the template. */
const TEMPLATED = new Set(['select', 'insert', 'update', 'delete', 'replace', 'with', 'values', 'table']);

/** Takes the literals out of a statement; see `Template`. Executable comments count as the code that they are. */
export function templateOf(sql: string, mode: SqlMode = DEFAULT_MODE): Template {
  const lexer = new MysqlLexer(sql, mode);
  const key = modeKey(mode);
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
      if (kind === Tok.comment) hint = hintOfComment(lexer.source) ?? hint;
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
  return { text: (key === '' ? '' : MODE_MARK + key + MODE_MARK) + text.trimEnd(), literals, starts, hint };
}

/** Longest text that is shown of a template. */
const MAX_SHOWN = 200;

/** A template for people: literals as `?`. Of statements that keep their literals only the first words are shown, since those may be passwords. */
export function shownTemplate(sql: string, mode: SqlMode = DEFAULT_MODE): string {
  const template = templateOf(sql, mode);
  const text = template.text.replace(/^\u000e\w*\u000e/, '');
  const isTemplated = /[\u0001-\u0005]/.test(text);
  if (template.literals.length > 0 && !isTemplated) return `${text.split(/\s+/, 2).join(' ')} …`;
  const shown = text.replace(/[\u0001-\u0005]/g, '?');
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)} …` : shown;
}

/** One blank with more text behind it: what every gap becomes. */
function isSingleBlank(lexer: MysqlLexer): boolean {
  if (lexer.end !== lexer.start + 1 || lexer.text.charCodeAt(lexer.start) !== 32) return false;
  const code = lexer.text.charCodeAt(lexer.end);
  // A comment (or its end) right behind a blank would make one gap of both.
  if (code === 35) return false;
  const following = lexer.text.charCodeAt(lexer.end + 1);
  if (code === 45) return following !== 45;
  return !((code === 47 && following === 42) || (code === 42 && following === 47));
}

function beginsQuery(first: string): boolean {
  return first === '(' || TEMPLATED.has(first) || TEMPLATED.has(first.toLowerCase());
}
