import { DEFAULT_MODE, type SqlMode } from './mysql-mode.js';

/**
 * The lexical rules of MySQL and MariaDB (manual, "Language Structure"). The lexer never fails: what is not closed runs
 * to the end of the text, and the parser says what is wrong with it.
 */
export enum Tok {
  end,
  /** Unquoted: a keyword or a name. */
  word,
  /** `x`, or "x" under ANSI_QUOTES. */
  quotedName,
  integer,
  /** A number with a point or an exponent. */
  decimal,
  /** '…' and "…", also in several parts, also with an introducer: _utf8mb4'…'. */
  string,
  /** x'…', 0x…, b'…', 0b…, also with an introducer. */
  bits,
  /** N'…'. */
  national,
  /** ? */
  parameter,
  /** @name, @'name', @`name`. */
  variable,
  /** An operator or a character of punctuation. */
  symbol,
  comment,
  space,
  /** An executable comment that some server versions run and others skip. */
  conditional,
}

const QUOTE = 39;
const DOUBLE_QUOTE = 34;
const BACKTICK = 96;
const BACKSLASH = 92;
const SLASH = 47;
const STAR = 42;
const DOT = 46;
const AT = 64;

/** Comments for versions up to this one are run by every server that is served (MySQL 5.6, MariaDB 10). */
const OLDEST_VERSION = 50_600;

const CHARSETS = new Set(
  (
    'armscii8 ascii big5 binary cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 cp932 dec8 eucjpms euckr gb18030 gb2312 gbk geostd8 greek hebrew hp8 ' +
    'keybcs2 koi8r koi8u latin1 latin2 latin5 latin7 macce macroman sjis swe7 tis620 ucs2 ujis utf16 utf16le utf32 utf8 utf8mb3 utf8mb4'
  ).split(' '),
);

/** Longest first. */
const OPERATORS = ['<=>', '->>', ':=', '<=', '>=', '<>', '!=', '<<', '>>', '||', '&&', '->', '@@'];
const OPERATOR_STARTS = new Set(OPERATORS.map((operator) => operator.charCodeAt(0)));

export function isCharset(name: string): boolean {
  return CHARSETS.has(name.toLowerCase());
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** Letters, digits, `_`, `$` and everything outside of ASCII. */
function isWordPart(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    isDigit(code) ||
    code === 95 ||
    code === 36 ||
    code >= 128
  );
}

function isHexDigit(code: number): boolean {
  return isDigit(code) || ((code | 32) >= 97 && (code | 32) <= 102);
}

/** Walks over a text token by token without making objects: `next()` sets `kind`, `start` and `end`. */
export class MysqlLexer {
  readonly text: string;
  readonly mode: SqlMode;
  kind: Tok = Tok.space;
  start = 0;
  end = 0;
  /** Inside of an executable comment, whose end is white space. */
  #isExecuting = false;

  constructor(text: string, mode: SqlMode = DEFAULT_MODE) {
    this.text = text;
    this.mode = mode;
  }

  /** The token's source text. */
  get source(): string {
    return this.text.slice(this.start, this.end);
  }

  /** An executable comment was opened and never closed. */
  get isUnclosed(): boolean {
    return this.#isExecuting;
  }

  next(): Tok {
    const { text } = this;
    const before = this.kind;
    const start = (this.start = this.end);
    if (start >= text.length) return (this.kind = Tok.end);
    const code = text.charCodeAt(start);
    if (isSpace(code)) return (this.kind = this.#space());
    const isAfterDot = before === Tok.symbol && text.charCodeAt(start - 1) === DOT;
    if (isAfterDot && isWordPart(code)) return (this.kind = this.#name());
    if (isDigit(code)) return (this.kind = this.#number());
    if (isWordPart(code)) return (this.kind = this.#word(code));
    if (code === QUOTE) return (this.kind = this.#string(start));
    if (code === BACKTICK) return (this.kind = this.#quoted(start, BACKTICK, Tok.quotedName));
    if (code === DOUBLE_QUOTE)
      return (this.kind = this.mode.ansiQuotes
        ? this.#quoted(start, DOUBLE_QUOTE, Tok.quotedName)
        : this.#string(start));
    const following = text.charCodeAt(start + 1);
    if (code === 35 || (code === 45 && following === 45 && endsDashes(text, start + 2)))
      return (this.kind = this.#lineComment());
    if (code === SLASH && following === STAR) return (this.kind = this.#blockComment());
    if (code === STAR && following === SLASH && this.#isExecuting) {
      this.#isExecuting = false;
      this.end = start + 2;
      return (this.kind = Tok.space);
    }
    const isName = before === Tok.word || before === Tok.quotedName;
    if (code === DOT && isDigit(following) && !isName) return (this.kind = this.#number());
    if (code === 63) {
      this.end = start + 1;
      return (this.kind = Tok.parameter);
    }
    if (code === AT && following !== AT) return (this.kind = this.#variable());
    this.end = start + this.#operatorLength(code);
    return (this.kind = Tok.symbol);
  }

  /** The next token that is neither white space nor a comment. */
  nextSolid(): Tok {
    let kind = this.next();
    while (kind === Tok.space || kind === Tok.comment) kind = this.next();
    return kind;
  }

  #operatorLength(code: number): number {
    if (!OPERATOR_STARTS.has(code)) return 1;
    const found = OPERATORS.find((operator) => this.text.startsWith(operator, this.start));
    return found?.length ?? 1;
  }

  #space(): Tok {
    let at = this.start + 1;
    while (isSpace(this.text.charCodeAt(at))) at++;
    this.end = at;
    return Tok.space;
  }

  #name(): Tok {
    let at = this.start + 1;
    while (isWordPart(this.text.charCodeAt(at))) at++;
    this.end = at;
    return Tok.word;
  }

  #word(code: number): Tok {
    const { text, start } = this;
    if (text.charCodeAt(start + 1) === QUOTE) {
      const letter = code | 32;
      if (letter === 120 || letter === 98) return this.#quoted(start + 1, QUOTE, Tok.bits);
      if (letter === 110) {
        this.#string(start + 1);
        return Tok.national;
      }
    }
    this.#name();
    if (code === 95 && isCharset(text.slice(start + 1, this.end))) return this.#introduced();
    return Tok.word;
  }

  /** What stands behind an introducer, which belongs to the literal; the word itself where none does. */
  #introduced(): Tok {
    const { text } = this;
    const wordEnd = this.end;
    let at = wordEnd;
    while (isSpace(text.charCodeAt(at))) at++;
    const code = text.charCodeAt(at);
    if (code === QUOTE || (code === DOUBLE_QUOTE && !this.mode.ansiQuotes)) return this.#string(at);
    const letter = code | 32;
    if ((letter === 120 || letter === 98) && text.charCodeAt(at + 1) === QUOTE)
      return this.#quoted(at + 1, QUOTE, Tok.bits);
    if (code === 48 && at > wordEnd) {
      const end = basedEnd(text, at);
      if (end !== -1) {
        this.end = end;
        return Tok.bits;
      }
    }
    return Tok.word;
  }

  /** A number, or a name that begins with a digit. */
  #number(): Tok {
    const { text, start } = this;
    const based = basedEnd(text, start);
    if (based !== -1) {
      this.end = based;
      return Tok.bits;
    }
    let at = start;
    while (isDigit(text.charCodeAt(at))) at++;
    const exponent = exponentEnd(text, at);
    if (exponent !== -1) {
      this.end = exponent;
      return Tok.decimal;
    }
    if (isWordPart(text.charCodeAt(at))) return this.#name();
    if (text.charCodeAt(at) !== DOT) {
      this.end = at;
      return Tok.integer;
    }
    at++;
    while (isDigit(text.charCodeAt(at))) at++;
    const end = exponentEnd(text, at);
    this.end = end === -1 ? at : end;
    return Tok.decimal;
  }

  /** From the opening quote; goes on over `'a' 'b'`, which is one literal. */
  #string(quoteAt: number): Tok {
    const { text } = this;
    let at = this.#stringEnd(quoteAt);
    for (;;) {
      const again = continuation(text, at, this.mode.ansiQuotes);
      if (again === -1) break;
      at = this.#stringEnd(again);
    }
    this.end = Math.min(at, text.length);
    return Tok.string;
  }

  #stringEnd(quoteAt: number): number {
    const { text } = this;
    const quote = text.charCodeAt(quoteAt);
    const hasEscapes = !this.mode.noBackslashEscapes;
    let at = quoteAt + 1;
    while (at < text.length) {
      const code = text.charCodeAt(at);
      if (hasEscapes && code === BACKSLASH) at += 2;
      else if (code !== quote) at++;
      else if (text.charCodeAt(at + 1) === quote) at += 2;
      else return at + 1;
    }
    return at;
  }

  /** Without escapes other than the doubled quote. */
  #quoted(quoteAt: number, quote: number, kind: Tok): Tok {
    const { text } = this;
    let at = quoteAt + 1;
    while (at < text.length) {
      if (text.charCodeAt(at) !== quote) at++;
      else if (text.charCodeAt(at + 1) === quote && kind !== Tok.bits) at += 2;
      else break;
    }
    this.end = Math.min(at + 1, text.length);
    return kind;
  }

  #variable(): Tok {
    const { text, start } = this;
    const code = text.charCodeAt(start + 1);
    if (code === BACKTICK) return this.#quoted(start + 1, code, Tok.variable);
    if (code === QUOTE || code === DOUBLE_QUOTE) {
      this.end = Math.min(this.#stringEnd(start + 1), text.length);
      return Tok.variable;
    }
    let at = start + 1;
    while (isWordPart(text.charCodeAt(at)) || text.charCodeAt(at) === DOT) at++;
    this.end = at;
    return at === start + 1 ? Tok.symbol : Tok.variable;
  }

  /** Only a line feed ends it. */
  #lineComment(): Tok {
    const close = this.text.indexOf('\n', this.start);
    this.end = close === -1 ? this.text.length : close;
    return Tok.comment;
  }

  /** Not nested, except that comments may stand in executable ones. */
  #blockComment(): Tok {
    const { text, start } = this;
    const executable = /(M)?!(\d{5,6})?/y;
    executable.lastIndex = start + 2;
    const match = this.#isExecuting ? null : executable.exec(text);
    if (match === null) {
      const close = text.indexOf('*/', start + 2);
      this.end = close === -1 ? text.length : close + 2;
      return Tok.comment;
    }
    const isCertain = match[1] === undefined && Number(match[2] ?? 0) <= OLDEST_VERSION;
    if (isCertain) {
      this.#isExecuting = true;
      this.end = executable.lastIndex;
      return Tok.space;
    }
    const close = text.indexOf('*/', start + 2);
    this.end = close === -1 ? text.length : close + 2;
    return Tok.conditional;
  }
}

/** `--` begins a comment only before white space, a control character or the end. */
function endsDashes(text: string, at: number): boolean {
  return at >= text.length || text.charCodeAt(at) <= 32 || text.charCodeAt(at) === 127;
}

/** End of 0x… or 0b…, -1 when that is not what stands there. */
function basedEnd(text: string, start: number): number {
  if (text.charCodeAt(start) !== 48) return -1;
  const base = text.charCodeAt(start + 1);
  if (base !== 120 && base !== 98) return -1;
  let at = start + 2;
  while (base === 120 ? isHexDigit(text.charCodeAt(at)) : (text.charCodeAt(at) | 1) === 49) at++;
  return at === start + 2 || isWordPart(text.charCodeAt(at)) ? -1 : at;
}

function exponentEnd(text: string, from: number): number {
  if ((text.charCodeAt(from) | 32) !== 101) return -1;
  const sign = text.charCodeAt(from + 1);
  let at = sign === 43 || sign === 45 ? from + 2 : from + 1;
  if (!isDigit(text.charCodeAt(at))) return -1;
  while (isDigit(text.charCodeAt(at))) at++;
  return at;
}

/** Where the next part of a string opens after white space; -1 when the string ends. */
function continuation(text: string, from: number, ansiQuotes: boolean): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  const code = text.charCodeAt(at);
  const opens = code === QUOTE || (code === DOUBLE_QUOTE && !ansiQuotes);
  return opens && at > from ? at : -1;
}
