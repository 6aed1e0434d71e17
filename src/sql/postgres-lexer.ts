/**
 * Postgres' lexical rules (manual section 4.1, scan.l), with standard_conforming_strings on. The lexer never fails:
 * what is not closed runs to the end of the text, and the parser says what is wrong with it.
 */
export enum Tok {
  end,
  /** Unquoted: a keyword or a name. */
  word,
  quotedName,
  integer,
  /** A number with a point, an exponent or another base. */
  decimal,
  /** '…', E'…', U&'…' (with its UESCAPE), $tag$…$tag$. */
  string,
  /** B'…' and X'…'. */
  bits,
  /** N'…'. */
  national,
  /** $1 */
  parameter,
  /** One character of an operator or of punctuation. */
  symbol,
  comment,
  space,
}

const QUOTE = 39;
const DOUBLE_QUOTE = 34;
const BACKSLASH = 92;
const DOLLAR = 36;
const NEWLINE = 10;
const RETURN = 13;

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isWordStart(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || code >= 128;
}

function isWordPart(code: number): boolean {
  return isWordStart(code) || isDigit(code) || code === DOLLAR;
}

/** Walks over a text token by token without making objects: `next()` sets `kind`, `start` and `end`. */
export class PostgresLexer {
  readonly text: string;
  kind: Tok = Tok.space;
  start = 0;
  end = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** The token's source text. */
  get source(): string {
    return this.text.slice(this.start, this.end);
  }

  next(): Tok {
    const text = this.text;
    const start = (this.start = this.end);
    if (start >= text.length) return (this.kind = Tok.end);
    const code = text.charCodeAt(start);
    if (isWordStart(code)) return (this.kind = this.#word(code));
    if (isSpace(code)) return (this.kind = this.#space());
    if (isDigit(code)) return (this.kind = this.#number());
    if (code === QUOTE) return (this.kind = this.#string(start, false));
    if (code === DOUBLE_QUOTE) return (this.kind = this.#quotedName(start));
    if (code === DOLLAR) return (this.kind = this.#dollar());
    const following = text.charCodeAt(start + 1);
    if (code === 45 && following === 45) return (this.kind = this.#lineComment());
    if (code === 47 && following === 42) return (this.kind = this.#blockComment());
    if (code === 46 && isDigit(following)) return (this.kind = this.#number());
    this.end = start + 1;
    return (this.kind = Tok.symbol);
  }

  /** The next token that is neither white space nor a comment. */
  nextSolid(): Tok {
    let kind = this.next();
    while (kind === Tok.space || kind === Tok.comment) kind = this.next();
    return kind;
  }

  #space(): Tok {
    let at = this.start + 1;
    while (isSpace(this.text.charCodeAt(at))) at++;
    this.end = at;
    return Tok.space;
  }

  #word(code: number): Tok {
    const { text, start } = this;
    const following = text.charCodeAt(start + 1);
    if (following === QUOTE) {
      const letter = code | 32;
      if (letter === 101) return this.#string(start + 1, true);
      if (letter === 98 || letter === 120) {
        this.#string(start + 1, false);
        return Tok.bits;
      }
      if (letter === 110) {
        this.#string(start + 1, false);
        return Tok.national;
      }
    }
    if (following === 38 && (code | 32) === 117) {
      const quote = text.charCodeAt(start + 2);
      if (quote === QUOTE) return this.#withUescape(this.#string(start + 2, false));
      if (quote === DOUBLE_QUOTE) return this.#withUescape(this.#quotedName(start + 2));
    }
    let at = start + 1;
    while (isWordPart(text.charCodeAt(at))) at++;
    this.end = at;
    return Tok.word;
  }

  #number(): Tok {
    const { text, start } = this;
    let at = start;
    let isInteger = true;
    const base = text.charCodeAt(start + 1) | 32;
    if (text.charCodeAt(start) === 48 && (base === 120 || base === 111 || base === 98)) {
      at = start + 2;
      while (isWordPart(text.charCodeAt(at)) && text.charCodeAt(at) !== DOLLAR) at++;
      this.end = at;
      return Tok.decimal;
    }
    const digits = () => {
      while (isDigit(text.charCodeAt(at)) || (text.charCodeAt(at) === 95 && isDigit(text.charCodeAt(at + 1))))
        at++;
    };
    digits();
    if (text.charCodeAt(at) === 46 && text.charCodeAt(at + 1) !== 46) {
      isInteger = false;
      at++;
      digits();
    }
    if ((text.charCodeAt(at) | 32) === 101) {
      const sign = text.charCodeAt(at + 1);
      const first = sign === 43 || sign === 45 ? at + 2 : at + 1;
      if (isDigit(text.charCodeAt(first))) {
        isInteger = false;
        at = first;
        digits();
      }
    }
    this.end = at;
    return isInteger ? Tok.integer : Tok.decimal;
  }

  /** From the opening quote; goes on over `'a' <newline> 'b'`, which is one literal. */
  #string(quoteAt: number, hasEscapes: boolean): Tok {
    const text = this.text;
    let at = quoteAt + 1;
    for (;;) {
      if (at >= text.length) break;
      const code = text.charCodeAt(at);
      if (hasEscapes && code === BACKSLASH) {
        at += 2;
      } else if (code !== QUOTE) {
        at++;
      } else if (text.charCodeAt(at + 1) === QUOTE) {
        at += 2;
      } else {
        const again = continuation(text, at + 1);
        if (again === -1) {
          at++;
          break;
        }
        at = again;
      }
    }
    this.end = Math.min(at, text.length);
    return Tok.string;
  }

  #quotedName(quoteAt: number): Tok {
    const text = this.text;
    let at = quoteAt + 1;
    while (at < text.length) {
      if (text.charCodeAt(at) !== DOUBLE_QUOTE) at++;
      else if (text.charCodeAt(at + 1) === DOUBLE_QUOTE) at += 2;
      else break;
    }
    this.end = Math.min(at + 1, text.length);
    return Tok.quotedName;
  }

  #withUescape(kind: Tok): Tok {
    const rest = /^\s*uescape\s*'[^']'/i.exec(this.text.slice(this.end, this.end + 200));
    if (rest !== null) this.end += rest[0].length;
    return kind;
  }

  #dollar(): Tok {
    const { text, start } = this;
    let at = start + 1;
    if (isDigit(text.charCodeAt(at))) {
      while (isDigit(text.charCodeAt(at))) at++;
      this.end = at;
      return Tok.parameter;
    }
    if (isWordStart(text.charCodeAt(at)))
      while (isWordPart(text.charCodeAt(at)) && text.charCodeAt(at) !== DOLLAR) at++;
    if (text.charCodeAt(at) !== DOLLAR) {
      this.end = start + 1;
      return Tok.symbol;
    }
    const tag = text.slice(start, at + 1);
    const close = text.indexOf(tag, at + 1);
    this.end = close === -1 ? text.length : close + tag.length;
    return Tok.string;
  }

  #lineComment(): Tok {
    const text = this.text;
    let at = this.start + 2;
    while (at < text.length && text.charCodeAt(at) !== NEWLINE && text.charCodeAt(at) !== RETURN) at++;
    this.end = at;
    return Tok.comment;
  }

  /** Nested, as the standard has it. */
  #blockComment(): Tok {
    const text = this.text;
    let depth = 1;
    let at = this.start + 2;
    while (at < text.length && depth > 0) {
      const code = text.charCodeAt(at);
      const following = text.charCodeAt(at + 1);
      if (code === 47 && following === 42) {
        depth++;
        at += 2;
      } else if (code === 42 && following === 47) {
        depth--;
        at += 2;
      } else at++;
    }
    this.end = Math.min(at, text.length);
    return Tok.comment;
  }
}

/** Where a string goes on after white space with a newline in it (line comments may stand there too); -1 when it ends. */
function continuation(text: string, from: number): number {
  let at = from;
  let hasNewline = false;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === NEWLINE || code === RETURN) {
      hasNewline = true;
      at++;
    } else if (isSpace(code)) at++;
    else if (code === 45 && text.charCodeAt(at + 1) === 45) {
      while (at < text.length && text.charCodeAt(at) !== NEWLINE && text.charCodeAt(at) !== RETURN) at++;
    } else return hasNewline && code === QUOTE ? at + 1 : -1;
  }
}
