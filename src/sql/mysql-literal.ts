import { DEFAULT_MODE, type SqlMode } from './mysql-mode.js';
import type { LiteralValue } from './postgres-literal.js';

/** Manual, "String Literals": what stands behind a backslash; `\%` and `\_` keep it. */
const ESCAPES: Readonly<Record<string, string>> = {
  '0': '\0',
  b: '\b',
  n: '\n',
  r: '\r',
  t: '\t',
  Z: '\x1a',
  '%': '\\%',
  _: '\\_',
};

/** Introducers under which every text means what it says in UTF-8. */
const UNICODE = new Set(['_utf8', '_utf8mb3', '_utf8mb4']);
/** Under these, ASCII bytes are no ASCII characters. */
const WIDE = new Set(['_ucs2', '_utf16', '_utf16le', '_utf32']);

/** Decodes a literal's source text (what the template lexer took out); undefined for what cannot be decoded for certain. */
export function decodeLiteral(source: string, mode: SqlMode = DEFAULT_MODE): LiteralValue | undefined {
  const first = source.charCodeAt(0);
  const second = source.charCodeAt(1);
  if (first === 48 && (second === 120 || second === 98)) return { type: 'bits', text: source };
  if ((first >= 48 && first <= 57) || first === 46) return { type: 'number', text: source };
  if (first === 39 || first === 34) return textOf(stringText(source, mode));
  const letter = first | 32;
  if (second === 39 && (letter === 120 || letter === 98)) return { type: 'bits', text: source };
  if (second === 39 && letter === 110) return textOf(stringText(source.slice(1), mode));
  if (first === 95) return introduced(source, mode);
  return undefined;
}

function textOf(text: string | undefined): LiteralValue | undefined {
  return text === undefined ? undefined : { type: 'string', text };
}

function introduced(source: string, mode: SqlMode): LiteralValue | undefined {
  const match = /^(\w+?)\s*(?=['"])/.exec(source);
  if (match === null) return undefined;
  const charset = match[1]!.toLowerCase();
  if (WIDE.has(charset)) return undefined;
  const text = stringText(source.slice(match[0].length), mode);
  if (text === undefined || (!UNICODE.has(charset) && !isAscii(text))) return undefined;
  return { type: 'string', text };
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

/** `'…'` or `"…"`, perhaps in several parts; undefined when it is not closed. */
function stringText(source: string, mode: SqlMode): string | undefined {
  let text = '';
  let at = 0;
  while (at < source.length) {
    const quote = source[at]!;
    if (quote !== "'" && quote !== '"') return undefined;
    const from = ++at;
    let hasSpecial = false;
    for (;;) {
      if (at >= source.length) return undefined;
      const character = source[at]!;
      if (character === '\\' && !mode.noBackslashEscapes) {
        hasSpecial = true;
        at += 2;
      } else if (character !== quote) at++;
      else if (source[at + 1] === quote) {
        hasSpecial = true;
        at += 2;
      } else break;
    }
    const part = source.slice(from, at);
    text += hasSpecial ? unescaped(part, quote, mode) : part;
    at++;
    while (/\s/.test(source[at] ?? '')) at++;
  }
  return text;
}

function unescaped(part: string, quote: string, mode: SqlMode): string {
  if (mode.noBackslashEscapes) return part.replaceAll(quote + quote, quote);
  return part.replace(/\\([\s\S])|''|""/g, (whole, escaped: string | undefined) => {
    if (escaped !== undefined) return ESCAPES[escaped] ?? escaped;
    return whole[0] === quote ? quote : whole;
  });
}

/** A text as a string literal that reads the same in this mode. */
export function quoteText(text: string, mode: SqlMode = DEFAULT_MODE): string {
  const quoted = text.replaceAll("'", "''");
  return `'${mode.noBackslashEscapes ? quoted : quoted.replaceAll('\\', '\\\\')}'`;
}
