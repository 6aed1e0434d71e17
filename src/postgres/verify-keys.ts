import { quoteName } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { sqlstateOf } from './engine-session.js';
import type { KeyColumn } from './engine-tables.js';
import type { KeyStretch } from './verify.js';

export interface KeyReaderSpec {
  /** Quoted and qualified. */
  readonly table: string;
  readonly condition: string;
  readonly primaryKey: readonly KeyColumn[];
  /** Of the primary key's columns, as format_type gives them. */
  readonly keyTypes: readonly string[];
  /** One text that is equal for equal rows. */
  readonly rowSql: string;
}

const LOCK_TIMEOUT_MS = 2_000;

/** Reads one table on one shard by its primary key. Keys travel as a JSON array of the columns' texts. */
export class KeyReader {
  readonly #session: EngineSession;
  readonly #spec: KeyReaderSpec;
  readonly #columns: string;
  readonly #keySql: string;

  constructor(session: EngineSession, spec: KeyReaderSpec) {
    this.#session = session;
    this.#spec = spec;
    this.#columns = spec.primaryKey.map((column) => quoteName(column.name)).join(', ');
    this.#keySql = `json_build_array(${spec.primaryKey.map((column) => `${quoteName(column.name)}::text`).join(', ')})::text`;
  }

  /** The key that ends a stretch of `rows` rows of the table; undefined when the table ends before. */
  async endOfStretch(
    after: readonly string[] | undefined,
    rows: number,
  ): Promise<readonly string[] | undefined> {
    const parameters: string[] = [];
    const behind = this.#behind({ after, upTo: undefined }, parameters);
    const sql = `SELECT ${this.#keySql} FROM ONLY ${this.#spec.table} WHERE ${behind} ORDER BY ${this.#columns} OFFSET ${rows - 1} LIMIT 1`;
    const key = await this.#session.value(sql, parameters);
    return key === undefined ? undefined : (JSON.parse(key!) as string[]);
  }

  /** The sum does not depend on the order of rows; each row counts with 64 bits of its md5. */
  async checksum(stretch: KeyStretch): Promise<{ rows: number; sum: string }> {
    const parameters: string[] = [];
    const where = this.#where(stretch, parameters);
    const [row] = await this.#session.rows(
      `SELECT count(*), coalesce(sum(('x' || substr(${this.#spec.rowSql}, 1, 16))::bit(64)::bigint), 0) FROM ONLY ${this.#spec.table} WHERE ${where}`,
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
    return this.#read(`${this.#keyIsIn()} AND ${this.#spec.condition}`, [
      JSON.stringify(keys.map((key) => JSON.parse(key))),
    ]);
  }

  /** The log's end, behind everything that was read here before. */
  async position(): Promise<string> {
    return (await this.#session.value('SELECT pg_current_wal_insert_lsn()'))!;
  }

  /** Runs `compare` with the row's checksum while nobody can change the row; undefined when there is none. */
  async withLock<T>(key: string, compare: (row: string | undefined) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#session.transaction(async () => {
        await this.#session.run(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
        const rows = await this.#read(`${this.#keyIsIn()} AND ${this.#spec.condition} FOR SHARE`, [
          `[${key}]`,
        ]);
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
      `SELECT ${this.#keySql}, ${this.#spec.rowSql} FROM ONLY ${this.#spec.table} WHERE ${where}`,
      parameters,
    );
    return new Map(rows.map(([key, row]) => [key!, row!]));
  }

  #keyIsIn(): string {
    const { primaryKey, keyTypes } = this.#spec;
    const columns = primaryKey.map((column) => `${quoteName(column.name)}`);
    const values = keyTypes.map((type, index) => `(k ->> ${index})::${type}`);
    return `(${columns.join(', ')}) IN (SELECT ${values.join(', ')} FROM json_array_elements($1::json) AS k)`;
  }

  #where(stretch: KeyStretch, parameters: string[]): string {
    return `${this.#behind(stretch, parameters)} AND ${this.#spec.condition}`;
  }

  #behind(stretch: KeyStretch, parameters: string[]): string {
    const tuple = (values: readonly string[]): string =>
      `(${values.map((value, index) => `$${parameters.push(value)}::${this.#spec.keyTypes[index]!}`).join(', ')})`;
    const bounds = [
      stretch.after === undefined ? [] : [`(${this.#columns}) > ${tuple(stretch.after)}`],
      stretch.upTo === undefined ? [] : [`(${this.#columns}) <= ${tuple(stretch.upTo)}`],
    ].flat();
    return bounds.length === 0 ? 'true' : bounds.join(' AND ');
  }
}
