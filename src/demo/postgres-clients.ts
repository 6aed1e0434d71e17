import pg from 'pg';
import type { Answer, ClientsOptions, ShopClients, ShopConnection } from './engine.js';

/** A pool of node-postgres. */
export class PostgresClients implements ShopClients {
  readonly #pool: pg.Pool;

  constructor(url: string, options: ClientsOptions) {
    this.#pool = new pg.Pool({ connectionString: url, max: options.size, application_name: options.name });
    this.#pool.on('error', options.onLost ?? ignore);
  }

  run(sql: string, values?: readonly unknown[]): Promise<Answer> {
    return run(this.#pool, sql, values);
  }

  async connect(): Promise<ShopConnection> {
    const client = await this.#pool.connect();
    // A connection that is lost is told twice: by the statement on it, which counts, and by this event.
    client.on('error', ignore);
    return {
      run: (sql, values) => run(client, sql, values),
      begin: async () => {
        await client.query('BEGIN');
      },
      commit: async () => {
        const end = await client.query('COMMIT');
        if (end.command !== 'COMMIT') throw new Error(`COMMIT was answered with ${end.command}`);
      },
      release: (isDoubtful) => {
        if (!isDoubtful) client.off('error', ignore);
        client.release(isDoubtful);
      },
    };
  }

  end(): Promise<void> {
    return this.#pool.end();
  }
}

async function run(
  client: pg.Pool | pg.PoolClient,
  sql: string,
  values?: readonly unknown[],
): Promise<Answer> {
  const { rows, rowCount } = await client.query<Record<string, unknown>>(sql, values?.slice());
  return { rows, rowCount: rowCount ?? 0 };
}

function ignore(): void {}
