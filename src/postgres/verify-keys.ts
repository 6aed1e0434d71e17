import type { ComparedRows, KeyStretch } from '../migration/verify-rows.js';
import { quoteName, quoteTable } from './engine-names.js';
import { type EngineSession, sqlstateOf } from './engine-session.js';
import type { TableFacts } from './engine-tables.js';

const LOCK_TIMEOUT_MS = 2_000;

/** Reads one table on one shard by its primary key. Keys travel as a JSON array of the columns' texts. */
export class KeyReader implements ComparedRows {
  readonly #session: EngineSession;
  readonly #table: string;
  readonly #condition: string;
  readonly #columns: string;
  /** Of the key's columns, as format_type gives them. */
  readonly #types: readonly string[];
  readonly #keySql: string;
  readonly #rowSql: string;

  private constructor(session: EngineSession, facts: TableFacts, columns: string, condition: string) {
    const names = facts.primaryKey.map((column) => quoteName(column.name));
    this.#session = session;
    this.#table = quoteTable(facts.table);
    this.#condition = condition;
    this.#columns = names.join(', ');
    this.#types = facts.primaryKey.map(
      ({ name }) => facts.columns.find((column) => column.name === name)!.type,
    );
    this.#keySql = `json_build_array(${names.map((name) => `${name}::text`).join(', ')})::text`;
    this.#rowSql = `md5(ROW(${columns})::text)`;
  }

  /** `columns`: what is compared, in the same order on both shards. The session's search_path is set to where the key's operators are. */
  static async open(
    session: EngineSession,
    facts: TableFacts,
    columns: string,
    condition: string,
  ): Promise<KeyReader> {
    const schemas = new Set(facts.primaryKey.map((column) => column.operatorSchema));
    await session.run(`SET search_path = ${[...schemas].map(quoteName).join(', ')}`);
    return new KeyReader(session, facts, columns, condition);
  }

  /** The key that ends a stretch of `rows` rows of the table; undefined when the table ends before. */
  async endOfStretch(
    after: readonly string[] | undefined,
    rows: number,
  ): Promise<readonly string[] | undefined> {
    const parameters: string[] = [];
    const behind = this.#behind({ after, upTo: undefined }, parameters);
    const sql = `SELECT ${this.#keySql} FROM ONLY ${this.#table} WHERE ${behind} ORDER BY ${this.#columns} OFFSET ${rows - 1} LIMIT 1`;
    const key = await this.#session.value(sql, parameters);
    return key === undefined ? undefined : (JSON.parse(key!) as string[]);
  }

  /** The sum does not depend on the order of rows; each row counts with 64 bits of its md5. */
  async checksum(stretch: KeyStretch): Promise<{ rows: number; sum: string }> {
    const parameters: string[] = [];
    const where = this.#where(stretch, parameters);
    const [row] = await this.#session.rows(
      `SELECT count(*), coalesce(sum(('x' || substr(${this.#rowSql}, 1, 16))::bit(64)::bigint), 0) FROM ONLY ${this.#table} WHERE ${where}`,
      parameters,
    );
    return { rows: Number(row![0]), sum: row![1]! };
  }

  /** Key → the row's checksum. */
  async rowsOf(stretch: KeyStretch): Promise<Map<string, string>> {
    const parameters: string[] = [];
    return this.#read(this.#where(stretch, parameters), parameters);
  }

  async rowsWith(keys: readonly string[]): Promise<Map<string, string>> {
    return this.#read(`${this.#keyIsIn()} AND ${this.#condition}`, [
      JSON.stringify(keys.map((key) => JSON.parse(key))),
    ]);
  }

  /** Runs `compare` with the row's checksum while nobody can change the row; undefined when there is none. */
  async withLock<T>(key: string, compare: (row: string | undefined) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#session.transaction(async () => {
        await this.#session.run(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
        const rows = await this.#read(`${this.#keyIsIn()} AND ${this.#condition} FOR SHARE`, [`[${key}]`]);
        return await compare(rows.get(key));
      });
    } catch (error) {
      // Somebody writes the row at this very moment: its change is in the log and comes with the stream.
      if (sqlstateOf(error) === '55P03') return undefined;
      throw error;
    }
  }

  async #read(where: string, parameters: readonly string[]): Promise<Map<string, string>> {
    const rows = await this.#session.rows(
      `SELECT ${this.#keySql}, ${this.#rowSql} FROM ONLY ${this.#table} WHERE ${where}`,
      parameters,
    );
    return new Map(rows.map(([key, row]) => [key!, row!]));
  }

  #keyIsIn(): string {
    const values = this.#types.map((type, index) => `(k ->> ${index})::${type}`);
    return `(${this.#columns}) IN (SELECT ${values.join(', ')} FROM json_array_elements($1::json) AS k)`;
  }

  #where(stretch: KeyStretch, parameters: string[]): string {
    return `${this.#behind(stretch, parameters)} AND ${this.#condition}`;
  }

  #behind(stretch: KeyStretch, parameters: string[]): string {
    const tuple = (values: readonly string[]): string =>
      `(${values.map((value, index) => `$${parameters.push(value)}::${this.#types[index]!}`).join(', ')})`;
    const bounds = [
      stretch.after === undefined ? [] : [`(${this.#columns}) > ${tuple(stretch.after)}`],
      stretch.upTo === undefined ? [] : [`(${this.#columns}) <= ${tuple(stretch.upTo)}`],
    ].flat();
    return bounds.length === 0 ? 'true' : bounds.join(' AND ');
  }
}
