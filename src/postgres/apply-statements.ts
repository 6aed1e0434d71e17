import { quoteName, quoteTable } from './engine-names.js';
import {
  columnList,
  type KeyColumn,
  storedColumns,
  type TableColumn,
  type TableFacts,
} from './engine-tables.js';

/** One statement that the target prepares once. */
export interface ApplyStatement {
  /** The server-side name. */
  readonly name: string;
  readonly sql: string;
  /** For errors: `update of public.orders`. */
  readonly what: string;
}

/**
 * The statements that apply changes to one table. An UPDATE or DELETE must touch exactly one row: it divides by the
 * number of rows that it touched, so that a row that is not there fails the whole transaction before it can commit,
 * without another round trip to look at the count.
 */
export class ApplyStatements {
  readonly #facts: TableFacts;
  readonly #columns: readonly TableColumn[];
  readonly #prefix: string;
  readonly #made = new Map<string, ApplyStatement>();

  /** `prefix` must be unique among the tables of one session. */
  constructor(facts: TableFacts, prefix: string) {
    this.#facts = facts;
    this.#columns = storedColumns(facts);
    this.#prefix = prefix;
  }

  /** Parameters: all stored columns, in the table's order. */
  insert(): ApplyStatement {
    return this.#make('insert', () => {
      const parameters = this.#columns.map((_, index) => `$${index + 1}`).join(', ');
      return `INSERT INTO ${this.#table} (${columnList(this.#columns)}) OVERRIDING SYSTEM VALUE VALUES (${parameters})`;
    });
  }

  /** Parameters: the columns with these indexes, then the old primary key. */
  update(columns: readonly number[]): ApplyStatement {
    return this.#make(`update of ${columns.join(',')}`, () => {
      const sets = columns
        .map((column, index) => `${quoteName(this.#columns[column]!.name)} = $${index + 1}`)
        .join(', ');
      return exactlyOne(
        `UPDATE ONLY ${this.#table} SET ${sets} WHERE ${this.#keyTest(columns.length)} RETURNING 1`,
      );
    });
  }

  /** Parameters: the old primary key. */
  delete(): ApplyStatement {
    return this.#make('delete', () =>
      exactlyOne(`DELETE FROM ONLY ${this.#table} WHERE ${this.#keyTest(0)} RETURNING 1`),
    );
  }

  /** No parameters: everything that the condition selects. */
  clear(condition: string): ApplyStatement {
    return this.#make('truncate', () => `DELETE FROM ONLY ${this.#table} WHERE ${condition}`);
  }

  get #table(): string {
    return quoteTable(this.#facts.table);
  }

  #keyTest(parametersBefore: number): string {
    return keyTest(this.#facts.primaryKey, parametersBefore);
  }

  #make(verb: string, sql: () => string): ApplyStatement {
    const made = this.#made.get(verb);
    if (made !== undefined) return made;
    const { schema, name } = this.#facts.table;
    const statement = {
      name: `${this.#prefix}_${this.#made.size}`,
      sql: sql(),
      what: `${verb.split(' ')[0]} in ${schema}.${name}`,
    };
    this.#made.set(verb, statement);
    return statement;
  }
}

export function keyTest(primaryKey: readonly KeyColumn[], parametersBefore: number): string {
  return primaryKey
    .map((column, index) => `${quoteName(column.name)} ${column.equals} $${parametersBefore + index + 1}`)
    .join(' AND ');
}

/** Fails with division_by_zero (22012) when `statement`, which returns one row per row it touched, touched none. */
export function exactlyOne(statement: string): string {
  return `WITH touched AS (${statement}) SELECT 1 / count(*) FROM touched`;
}

export const NOT_EXACTLY_ONE = '22012';
