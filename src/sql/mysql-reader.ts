import type { Node, SelectStmt } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import { MysqlLexer, Tok } from './mysql-lexer.js';
import type { SqlMode } from './mysql-mode.js';
import { RESERVED } from './mysql-words.js';

export interface Token {
  readonly kind: Tok;
  readonly source: string;
  /** In capitals, when it is a word; '' otherwise. */
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** Expressions, sub-queries and joins in each other; each level costs some ten frames of the stack. */
const MAX_DEPTH = 200;
/** Operators, joins or set operations in a row: walks over the tree are that deep. AND and OR count as one. */
const MAX_CHAIN = 1_000;

/** What the parts of the grammar need of each other. */
export interface Grammar {
  readonly expression: (reader: Reader) => Node;
  /** Without comparisons, AND and OR: what may stand before IN and AND of other forms. */
  readonly operand: (reader: Reader) => Node;
  /** A query with its WITH, set operations, ORDER BY and LIMIT. */
  readonly query: (reader: Reader) => SelectStmt;
}

/** The tokens of a statement, one after the other, with a look at those that follow. */
export class Reader {
  readonly sql: string;
  readonly mode: SqlMode;
  readonly grammar: Grammar;
  /** Row aliases of INSERT, VALUES ROW(…) and TABLE t are read: MySQL 8 has them, MariaDB has not. */
  readonly knowsMysql8: boolean;
  /** Parameters met so far. */
  parameters = 0;
  /** In ON DUPLICATE KEY UPDATE, where VALUES(c) is the value that was to be inserted. */
  isInConflict = false;
  readonly #lexer: MysqlLexer;
  readonly #ahead: Token[] = [];
  readonly #isAscii: boolean;
  #lastEnd = 0;
  #depth = 0;
  #knownChar = 0;
  #knownByte = 0;

  constructor(sql: string, mode: SqlMode, grammar: Grammar, knowsMysql8: boolean) {
    this.sql = sql;
    this.mode = mode;
    this.grammar = grammar;
    this.knowsMysql8 = knowsMysql8;
    this.#lexer = new MysqlLexer(sql, mode);
    this.#isAscii = Buffer.byteLength(sql) === sql.length;
  }

  get token(): Token {
    return this.peek(0);
  }

  /** Where the token before the current one ended. */
  get lastEnd(): number {
    return this.#lastEnd;
  }

  /** The token `distance` behind the current one. */
  peek(distance: number): Token {
    while (this.#ahead.length <= distance) this.#ahead.push(this.#read());
    return this.#ahead[distance]!;
  }

  #read(): Token {
    const kind = this.#lexer.nextSolid();
    const { start, end } = this.#lexer;
    if (kind === Tok.conditional)
      throw syntax('a comment that only some versions of the server run as code cannot be routed');
    if (kind === Tok.end && this.#lexer.isUnclosed) throw syntax('an executable comment is not closed');
    const source = this.sql.slice(start, end);
    if (kind === Tok.quotedName && !/^(`(?:[^`]|``)+`|"(?:[^"]|"")+")$/.test(source))
      throw syntax('a quoted name is not closed, or empty');
    return { kind, source, word: kind === Tok.word ? source.toUpperCase() : '', start, end };
  }

  next(): Token {
    const token = this.peek(0);
    this.#ahead.shift();
    this.#lastEnd = token.end;
    return token;
  }

  is(...words: readonly string[]): boolean {
    return words.includes(this.token.word) && this.token.word !== '';
  }

  /** Do these words follow each other from here? */
  isSequence(...words: readonly string[]): boolean {
    return words.every((word, index) => this.peek(index).word === word);
  }

  isSymbol(symbol: string, distance = 0): boolean {
    const token = this.peek(distance);
    return token.kind === Tok.symbol && token.source === symbol;
  }

  /** The end of the statement. */
  get isEnd(): boolean {
    return this.token.kind === Tok.end || this.isSymbol(';');
  }

  /** Takes everything that is left of the statement; `hasBody`: semicolons of a routine's body too. */
  skipAll(hasBody = false): void {
    while (hasBody ? this.token.kind !== Tok.end : !this.isEnd) this.next();
  }

  /** Takes the words if all of them follow. */
  accept(...words: readonly string[]): boolean {
    if (!this.isSequence(...words)) return false;
    for (const _ of words) this.next();
    return true;
  }

  acceptSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.next();
    return true;
  }

  expect(...words: readonly string[]): void {
    if (!this.accept(...words)) throw this.unexpected();
  }

  expectSymbol(symbol: string): void {
    if (!this.acceptSymbol(symbol)) throw this.unexpected();
  }

  /** Is the token a name: quoted, or a word that is not reserved? */
  isName(distance = 0): boolean {
    const { kind, word } = this.peek(distance);
    return kind === Tok.quotedName || (kind === Tok.word && !RESERVED.has(word));
  }

  name(): string {
    if (!this.isName()) throw this.unexpected();
    return nameOf(this.next());
  }

  /** Behind a point every word is a name. */
  anyName(): string {
    const { kind } = this.token;
    if (kind !== Tok.word && kind !== Tok.quotedName) throw this.unexpected();
    return nameOf(this.next());
  }

  /** Items with commas between them. */
  list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.acceptSymbol(',')) items.push(item());
    return items;
  }

  parenthesised<T>(content: () => T): T {
    this.expectSymbol('(');
    const result = content();
    this.expectSymbol(')');
    return result;
  }

  /** Text from `start` up to the last token taken. */
  textFrom(start: number): string {
    return this.sql.slice(start, this.#lastEnd);
  }

  /** UTF-8 byte offset of a place in the text. */
  byteOffset(char: number): number {
    if (this.#isAscii) return char;
    if (char < this.#knownChar) this.#knownChar = this.#knownByte = 0;
    this.#knownByte += Buffer.byteLength(this.sql.slice(this.#knownChar, char));
    this.#knownChar = char;
    return this.#knownByte;
  }

  /** Runs what reads one level further in. Throws where the tree would get too deep. */
  deeper<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw tooDeep();
    try {
      return read();
    } finally {
      this.#depth--;
    }
  }

  checkChain(length: number): void {
    if (length > MAX_CHAIN) throw tooDeep();
  }

  unexpected(): OperatingError {
    const { kind, source } = this.token;
    const near =
      kind === Tok.end ? 'the end' : `'${this.sql.slice(this.token.start, this.token.start + 40)}'`;
    return syntax(
      source === '' || kind !== Tok.conditional
        ? `the statement cannot be understood near ${near}`
        : 'the statement cannot be understood',
    );
  }
}

export function nameOf(token: Token): string {
  if (token.kind !== Tok.quotedName) return token.source;
  const quote = token.source[0]!;
  return token.source.slice(1, -1).replaceAll(quote + quote, quote);
}

export function syntax(message: string): OperatingError {
  return new OperatingError('unsupported-syntax', message);
}

function tooDeep(): OperatingError {
  return new OperatingError('limit-exceeded', 'the statement is nested too deeply to be routed', {
    sqlstate: '54001',
    hint: `Expressions and sub-queries may be nested some ${MAX_DEPTH} deep, and ${MAX_CHAIN} operators may follow each other; use IN lists instead of long chains.`,
  });
}
