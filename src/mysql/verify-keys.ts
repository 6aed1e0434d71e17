import type { ComparedRows, KeyStretch } from '../migration/verify-rows.js';
import { exactSql } from './column-values.js';
import { quoteName, quoteTable, quoteText } from './engine-names.js';
import { type EngineSession, errnoOf } from './engine-session.js';
import { storedColumns, type TableColumn, type TableFacts } from './engine-tables.js';

const LOCK_TIMEOUT_SECONDS = 2;
const LOCK_TIMEOUT = 1205;
const DEADLOCK = 1213;
/** Keys in one statement. */
const KEYS_AT_ONCE = 500;

/** Reads one table on one shard by its primary key. Keys travel as JSON arrays of the columns' texts (bytes in hex). */
export class KeyReader implements ComparedRows {
  readonly #session: EngineSession;
  readonly #table: string;
  readonly #condition: string;
  readonly #key: readonly KeyColumn[];
  readonly #keySql: string;
  readonly #rowSql: string;

  constructor(session: EngineSession, facts: TableFacts, condition: string) {
    this.#session = session;
    this.#table = quoteTable(facts.table);
    this.#condition = condition;
    this.#key = facts.primaryKey.map((name) =>
      keyColumn(facts.columns.find((column) => column.name === name)!),
    );
    this.#keySql = this.#key.map((column) => column.text).join(', ');
    this.#rowSql = rowSql(storedColumns(facts));
  }

  /** The key that ends a stretch of `rows` rows of the table; undefined when the table ends before. */
  async endOfStretch(
    after: readonly string[] | undefined,
    rows: number,
  ): Promise<readonly string[] | undefined> {
    const order = this.#key.map((column) => column.sql).join(', ');
    const [key] = await this.#session.rows(
      `SELECT ${this.#keySql} FROM ${this.#table} FORCE INDEX (PRIMARY) WHERE ${this.stretchSql({ after, upTo: undefined })} ORDER BY ${order} LIMIT 1 OFFSET ${rows - 1}`,
    );
    return key as readonly string[] | undefined;
  }

  /** The sum does not depend on the order of rows; each row counts with the 128 bits of its md5. */
  async checksum(stretch: KeyStretch): Promise<{ rows: number; sum: string }> {
    const half = (from: number): string => `BIT_XOR(CAST(CONV(SUBSTR(h, ${from}, 16), 16, 10) AS UNSIGNED))`;
    const [row] = await this.#session.rows(
      `SELECT COUNT(*), CONCAT(${half(1)}, ' ', ${half(17)}) FROM (SELECT ${this.#rowSql} AS h FROM ${this.#table} FORCE INDEX (PRIMARY) WHERE ${this.#where(stretch)}) AS hashed`,
    );
    return { rows: Number(row![0]), sum: row![1]! };
  }

  /** Key → the row's checksum. */
  async rowsOf(stretch: KeyStretch): Promise<Map<string, string>> {
    return this.#read(this.#where(stretch));
  }

  async rowsWith(keys: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) {
      const part = keys.slice(from, from + KEYS_AT_ONCE).map((key) => this.keySql(key));
      for (const [key, row] of await this.#read(`(${part.join(' OR ')}) AND ${this.#condition}`))
        found.set(key, row);
    }
    return found;
  }

  /** Runs `compare` with the row's checksum while nobody can change the row; undefined when there is none. */
  async withLock<T>(key: string, compare: (row: string | undefined) => Promise<T>): Promise<T | undefined> {
    await this.#session.run(`SET SESSION innodb_lock_wait_timeout = ${LOCK_TIMEOUT_SECONDS}`);
    return await this.#session.transaction(async () => {
      let rows: Map<string, string>;
      try {
        rows = await this.#read(`${this.keySql(key)} AND ${this.#condition} LOCK IN SHARE MODE`);
      } catch (error) {
        // Somebody writes the row at this very moment: its change is in the log and comes with the stream.
        if ([LOCK_TIMEOUT, DEADLOCK].includes(errnoOf(error) ?? 0)) return undefined;
        throw error;
      }
      return await compare(rows.get(key));
    });
  }

  /** The condition that finds a row by its key. */
  keySql(key: string): string {
    const texts = JSON.parse(key) as string[];
    return `(${this.#key.map((column, index) => `${column.sql} = ${column.literal(texts[index]!)}`).join(' AND ')})`;
  }

  stretchSql({ after, upTo }: KeyStretch): string {
    const bounds = [
      after === undefined ? [] : [this.#beyond('>', after, false)],
      upTo === undefined ? [] : [this.#beyond('<', upTo, true)],
    ].flat();
    return bounds.length === 0 ? 'TRUE' : bounds.join(' AND ');
  }

  /** `(a, b) > (x, y)` in the words for which the server uses the index: `a >= x AND (a > x OR (a = x AND b > y))`. */
  #beyond(sign: '<' | '>', key: readonly string[], isIncluded: boolean): string {
    const columns = this.#key.map(({ sql, literal }, index) => ({ sql, value: literal(key[index]!) }));
    let inner = isIncluded ? 'TRUE' : 'FALSE';
    for (const { sql, value } of columns.toReversed())
      inner = `(${sql} ${sign} ${value} OR (${sql} = ${value} AND ${inner}))`;
    const [first] = columns;
    return `${first!.sql} ${sign}= ${first!.value} AND ${inner}`;
  }

  #where(stretch: KeyStretch): string {
    return `${this.stretchSql(stretch)} AND ${this.#condition}`;
  }

  async #read(where: string): Promise<Map<string, string>> {
    const rows = await this.#session.rows(
      `SELECT ${this.#rowSql}, ${this.#keySql} FROM ${this.#table} WHERE ${where}`,
    );
    return new Map(rows.map(([row, ...key]) => [JSON.stringify(key), row!]));
  }
}

interface KeyColumn {
  readonly sql: string;
  /** Its value as text. */
  readonly text: string;
  /** A literal that compares with the column in the column's own order, so that the index serves. */
  readonly literal: (text: string) => string;
}

function keyColumn(column: TableColumn): KeyColumn {
  const sql = quoteName(column.name);
  const { characterSet, collation, dataType } = column;
  if (dataType === 'enum' || dataType === 'set' || dataType === 'bit')
    return { sql, text: `CAST(${sql} + 0 AS CHAR)`, literal: (text) => text };
  if (characterSet !== null)
    return {
      sql,
      text: `CONVERT(${sql} USING utf8mb4)`,
      literal: (text) =>
        `CONVERT(_utf8mb4 X'${Buffer.from(text, 'utf8').toString('hex')}' USING ${characterSet}) COLLATE ${collation}`,
    };
  if (/binary$|blob$/.test(dataType)) return { sql, text: `HEX(${sql})`, literal: (text) => `X'${text}'` };
  const isNumber = /int$|^decimal$|^year$|^float$|^double$/.test(dataType);
  return {
    sql,
    text: `CAST(${exactSql(column)} AS CHAR)`,
    literal: isNumber ? (text) => text : quoteText,
  };
}

/**
 * The md5 of all columns: of what the value is, not of how its collation sees it; NULL is unlike every value. Long values
 * count with an md5 of their own, because a text longer than max_allowed_packet would become NULL.
 */
function rowSql(columns: readonly TableColumn[]): string {
  const parts = columns.map((column) => {
    const isBytes = /char$|text$|binary$|blob$|geometry|point$|linestring$|polygon$|collection$/.test(
      column.dataType,
    );
    const sql = quoteName(column.name);
    return `IFNULL(${isBytes ? `MD5(${sql})` : `CAST(${exactSql(column)} AS CHAR)`}, '-')`;
  });
  return `MD5(CONCAT_WS(',', ${parts.join(', ')}))`;
}
