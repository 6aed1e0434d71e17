import { MysqlLexer, Tok } from './mysql-lexer.js';
import { DEFAULT_MODE, type SqlMode } from './mysql-mode.js';

/** Begins with a word, so there is something in it. */
const BEGINS_PLAINLY = /^[a-z]/i;
/** Kinds of objects whose bodies hold statements of their own. */
const ROUTINES = new Set(['procedure', 'function', 'trigger', 'event', 'package']);
/** They open what an END closes; IF, LOOP and the like only with their own word behind END. */
const COMPOUND = new Set(['begin', 'case', 'if', 'loop', 'repeat', 'while', 'for']);

/**
 * Cuts a COM_QUERY at its top-level semicolons, as a server with CLIENT_MULTI_STATEMENTS does: not in the bodies of
 * routines, triggers, events and BEGIN NOT ATOMIC blocks. Statements keep their comments; those without any token are left out.
 */
export function splitStatements(sql: string, mode: SqlMode = DEFAULT_MODE): string[] {
  // Most are one statement, and need not be walked through to see it.
  if (!sql.includes(';') && BEGINS_PLAINLY.test(sql)) return [sql.trim()];
  const statements: string[] = [];
  const lexer = new MysqlLexer(sql, mode);
  let from = 0;
  let isEmpty = true;
  let body = new BodyDepth();
  const cut = (end: number) => {
    if (!isEmpty) statements.push(sql.slice(from, end).trim());
    from = end + 1;
    isEmpty = true;
    body = new BodyDepth();
  };
  for (let kind = lexer.nextSolid(); kind !== Tok.end; kind = lexer.nextSolid()) {
    if (kind === Tok.symbol && lexer.source === ';') {
      if (body.depth === 0) {
        cut(lexer.start);
        continue;
      }
      body.symbol(';');
      continue;
    }
    isEmpty = false;
    if (kind === Tok.word) body.word(lexer.source.toLowerCase(), sql, lexer.end);
    else body.symbol(lexer.source);
  }
  cut(sql.length);
  return statements;
}

/** Words behind which IF, LOOP and the like are no statement of a routine: IF(…) is a function, IF EXISTS belongs to DDL. */
const NOT_BEFORE_STATEMENT = new Set(
  'return select set and or not when in as by values procedure function trigger event package drop default table is like , ( = + - * /'.split(
    ' ',
  ),
);

/** Follows the words of one statement and knows how many compound statements are open in its routine's body. */
class BodyDepth {
  depth = 0;
  #words = 0;
  #first = '';
  #last = '';
  #isRoutine = false;

  word(word: string, sql: string, end: number): void {
    const previous = this.#last;
    this.#last = word;
    if (this.#words++ === 0) this.#first = word;
    if (this.#first === 'create' && ROUTINES.has(word)) this.#isRoutine = true;
    // MariaDB takes IF, LOOP and the like outside of routines too.
    if (this.#words === 1 && word !== 'begin' && COMPOUND.has(word)) this.#isRoutine = true;
    // BEGIN NOT ATOMIC
    if (this.#words === 2 && this.#first === 'begin' && word === 'not') {
      this.#isRoutine = true;
      this.depth = 1;
    }
    if (!this.#isRoutine) return;
    if (word === 'end') this.depth = Math.max(0, this.depth - 1);
    else if (this.#opens(word, previous, sql, end)) this.depth++;
  }

  #opens(word: string, previous: string, sql: string, end: number): boolean {
    // END IF, END LOOP …: the word belongs to the END.
    if (!COMPOUND.has(word) || previous === 'end') return false;
    if (word === 'begin' || word === 'case') return true;
    if (NOT_BEFORE_STATEMENT.has(previous)) return false;
    if (word === 'if') return !/^\s*(not\s+)?exists\s+[^(\s]/i.test(sql.slice(end, end + 60));
    return word !== 'for' || this.depth > 0;
  }

  symbol(symbol: string): void {
    this.#last = symbol;
  }
}
