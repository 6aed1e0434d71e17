import type { Node, SelectStmt } from '@pgsql/types';
import { quoteText } from './mysql-literal.js';
import type { SqlMode } from './mysql-mode.js';
import { quoteName } from './mysql-token.js';

/** What the tree says has no words here; the statement is then not written at all. */
export class Unwritable extends Error {}

/** Collects the text of a statement. */
export class Writer {
  readonly mode: SqlMode;
  /** Writes a query, without parentheses. */
  readonly query: (writer: Writer, select: SelectStmt) => void;
  /** Numbers of the parameters written, in order. */
  readonly numbers: number[] = [];
  /** Columns without an alias get the name that they would have had by their text. */
  keepsNames = true;
  #sql = '';

  constructor(mode: SqlMode, query: (writer: Writer, select: SelectStmt) => void) {
    this.mode = mode;
    this.query = query;
  }

  get sql(): string {
    return this.#sql;
  }

  /** Adds words with blanks between them and what stands there already. */
  put(text: string): this {
    if (this.#sql !== '' && !this.#sql.endsWith('(') && text !== ')' && text !== ',') this.#sql += ' ';
    this.#sql += text;
    return this;
  }

  /** Without a blank before it. */
  join(text: string): this {
    this.#sql += text;
    return this;
  }

  name(name: string): this {
    if (name === '') throw new Unwritable('a name is empty');
    return this.put(quoteName(name));
  }

  names(names: readonly string[]): this {
    return this.put(names.map(quoteName).join('.'));
  }

  text(text: string): this {
    return this.put(quoteText(text, this.mode));
  }

  parameter(number: number): this {
    this.numbers.push(number);
    return this.put('?');
  }

  list<T>(items: readonly T[], write: (item: T) => void): this {
    items.forEach((item, index) => {
      if (index > 0) this.put(',');
      write(item);
    });
    return this;
  }

  /** Function arguments and the like: the parenthesis stands right behind what is before it. */
  arguments<T>(items: readonly T[], write: (item: T) => void): this {
    return this.join('(').list(items, write).put(')');
  }

  parenthesised(write: () => void): this {
    this.put('(');
    write();
    return this.put(')');
  }

  /** A query in parentheses; `keepsNames`: something sees the names of its columns. */
  subquery(node: Node | undefined, keepsNames = true): this {
    if (node === undefined || !('SelectStmt' in node)) throw new Unwritable('a sub-query that is no SELECT');
    const before = this.keepsNames;
    this.keepsNames = keepsNames;
    this.parenthesised(() => this.query(this, node.SelectStmt));
    this.keepsNames = before;
    return this;
  }
}
