import type mysql from 'mysql2';
import type { CopyTask, ShardAddress } from '../migration/engine.js';
import { actAsApplier, allowEmptyEnums } from './apply-target.js';
import { exactSql, literalMaker } from './column-values.js';
import { quoteTable } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { checkAlike, columnList, readExistingTables, storedColumns } from './engine-tables.js';
import { selectionSql } from './selection.js';

/** One INSERT of many rows; the source is asked to wait while some of them are on their way. */
const STATEMENT_CHARACTERS = 512 << 10;
const MAX_WAITING_STATEMENTS = 4;
/** A transaction on the target: large enough to be fast, small enough to be undone. */
const TRANSACTION_STATEMENTS = 16;

export interface CopyOptions {
  readonly onProgress: (rows: number, bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Copies the selected rows as `source`, which is in the snapshot's transaction, sees them: one SELECT whose rows are not
 * kept, many-row INSERTs, values as exact literals. Returns the number of rows. Foreign keys, checks and generated
 * columns have been through these rows on the source.
 */
export async function copyRows(
  source: EngineSession,
  address: ShardAddress,
  task: CopyTask,
  { onProgress, signal }: CopyOptions,
): Promise<number> {
  signal.throwIfAborted();
  const target = await EngineSession.connect(address);
  const abort = (): void => {
    source.destroy();
    target.destroy();
  };
  signal.addEventListener('abort', abort);
  try {
    const [facts] = await readExistingTables(source, [task.table]);
    const [there] = await readExistingTables(target, [task.table]);
    checkAlike(facts!, there!);
    const columns = storedColumns(facts!);
    const name = quoteTable(task.table);
    await actAsApplier(target);
    await allowEmptyEnums(target, [there!]);
    const list = columns.map((column) => `${exactSql(column)} AS ${columnList([column])}`).join(', ');
    const writer = new RowWriter(target, `INSERT INTO ${name} (${columnList(columns)}) VALUES `, onProgress);
    const makers = columns.map((column) => literalMaker(column));
    await eachRow(source, `SELECT ${list} FROM ${name} WHERE ${selectionSql(task)}`, (row, flow) =>
      writer.add(`(${row.map((bytes, index) => makers[index]!(bytes)).join(', ')})`, flow),
    );
    await writer.end();
    // Without statistics the first statements after the switch would be planned as for an empty table.
    await target.rows(`ANALYZE TABLE ${name}`);
    return writer.rows;
  } catch (error) {
    // What runs on the source is of no use any more, and the session would have to wait for its end.
    source.destroy();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    target.destroy();
  }
}

interface Flow {
  pause(): void;
  resume(): void;
  fail(error: Error): void;
}

/** Hands over the rows of one SELECT as they come. */
async function eachRow(
  session: EngineSession,
  sql: string,
  onRow: (row: readonly (Buffer | null)[], flow: Flow) => void,
): Promise<void> {
  const { connection } = session;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => reject(session.failure(error));
    const flow: Flow = { pause: () => connection.pause(), resume: () => connection.resume(), fail };
    session.onLost = fail;
    const query = connection.query({
      sql,
      rowsAsArray: true,
      // The packet's bytes are the connection's: what is made of a row is made at once.
      typeCast: ((field: { buffer(): Buffer | null }) => field.buffer()) as mysql.TypeCast,
    });
    query.on('error', fail);
    query.on('result', (row: unknown) => {
      if (Array.isArray(row)) onRow(row as (Buffer | null)[], flow);
    });
    query.on('end', () => resolve());
  }).finally(() => {
    session.onLost = undefined;
  });
}

/** Gathers rows into statements and sends them one after the other, a bounded number waiting. */
class RowWriter {
  readonly #target: EngineSession;
  readonly #head: string;
  readonly #onProgress: (rows: number, bytes: number) => void;
  #bodies: string[] = [];
  #length = 0;
  #waiting = 0;
  #sent = 0;
  #bytes = 0;
  #last: Promise<void> = Promise.resolve();
  rows = 0;

  constructor(target: EngineSession, head: string, onProgress: (rows: number, bytes: number) => void) {
    this.#target = target;
    this.#head = head;
    this.#onProgress = onProgress;
  }

  add(body: string, flow: Flow): void {
    this.#bodies.push(body);
    this.#length += body.length;
    if (this.#length < STATEMENT_CHARACTERS) return;
    this.#send();
    if (this.#waiting < MAX_WAITING_STATEMENTS) {
      this.#last.catch(flow.fail);
      return;
    }
    flow.pause();
    this.#last.then(flow.resume, flow.fail);
  }

  async end(): Promise<void> {
    if (this.#bodies.length > 0) this.#send();
    await this.#last;
    if (this.#sent % TRANSACTION_STATEMENTS !== 0) await this.#target.run('COMMIT');
    this.#onProgress(this.rows, this.#bytes);
  }

  #send(): void {
    const sql = this.#head + this.#bodies.join(', ');
    const rows = this.#bodies.length;
    this.#bodies = [];
    this.#length = 0;
    this.#waiting++;
    this.#last = this.#last.then(() => this.#write(sql, rows));
    this.#last.catch(() => {});
  }

  async #write(sql: string, rows: number): Promise<void> {
    if (this.#sent % TRANSACTION_STATEMENTS === 0) await this.#target.run('START TRANSACTION');
    await this.#target.run(sql);
    this.#sent++;
    if (this.#sent % TRANSACTION_STATEMENTS === 0) await this.#target.run('COMMIT');
    this.#waiting--;
    this.rows += rows;
    this.#bytes += sql.length;
    this.#onProgress(this.rows, this.#bytes);
  }
}
