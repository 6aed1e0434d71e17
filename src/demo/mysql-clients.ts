import mysql from 'mysql2/promise';
import type { Answer, ClientsOptions, ShopClients, ShopConnection } from './engine.js';

/** A pool of mysql2. Statements with values are prepared ones, the others are text. */
export class MysqlClients implements ShopClients {
  readonly #pool: mysql.Pool;

  constructor(url: string, options: ClientsOptions) {
    this.#pool = mysql.createPool({
      uri: url,
      connectionLimit: options.size,
      connectAttributes: { program_name: options.name },
      // As node-postgres gives them: no number loses its last digits.
      supportBigNumbers: true,
      bigNumberStrings: true,
    });
    this.#pool.on('connection', (connection) => {
      // A statement that is under way tells the loss itself; this event is for idle connections.
      connection.on('error', options.onLost ?? ignore);
    });
  }

  run(sql: string, values?: readonly unknown[]): Promise<Answer> {
    return run(this.#pool, sql, values);
  }

  async connect(): Promise<ShopConnection> {
    const connection = await this.#pool.getConnection();
    return {
      run: (sql, values) => run(connection, sql, values),
      begin: async () => {
        await connection.query('START TRANSACTION');
      },
      commit: async () => {
        await connection.query('COMMIT');
      },
      release: (isDoubtful) => {
        if (isDoubtful) connection.destroy();
        else connection.release();
      },
    };
  }

  end(): Promise<void> {
    return this.#pool.end();
  }
}

async function run(
  client: mysql.Pool | mysql.PoolConnection,
  sql: string,
  values?: readonly unknown[],
): Promise<Answer> {
  const [result] =
    values === undefined ? await client.query(sql) : await client.execute(...withQuestionMarks(sql, values));
  if (Array.isArray(result)) return { rows: result as Record<string, unknown>[], rowCount: result.length };
  return { rows: [], rowCount: (result as mysql.ResultSetHeader).affectedRows };
}

/** `$2 … $1` as `? … ?`, with the values in that order. The shop's statements have no `$` in a literal. */
function withQuestionMarks(sql: string, values: readonly unknown[]): [sql: string, values: string[]] {
  const inOrder: string[] = [];
  const text = sql.replace(/\$(\d+)/g, (_, place: string) => {
    inOrder.push(values[Number(place) - 1] as string);
    return '?';
  });
  return [text, inOrder];
}

function ignore(): void {}
