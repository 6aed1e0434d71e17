import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { runSql } from '../cluster.js';
import { startThreeShards } from './three-shards.js';

/** What drivers do that look at the columns first: Parse, Bind and Describe in one request, Execute in the next. */
class InTwoRequests {
  readonly #text: string;
  readonly #values: readonly unknown[];
  readonly #rows: string[][] = [];
  #connection: pg.Connection | undefined;
  #resolve: (rows: string[][]) => void = () => {};
  #reject: (error: Error) => void = () => {};
  readonly rows = new Promise<string[][]>((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });

  constructor(text: string, values: readonly unknown[]) {
    this.#text = text;
    this.#values = values;
  }

  submit(connection: pg.Connection): void {
    this.#connection = connection;
    connection.parse({ name: '', text: this.#text, types: [] }, true);
    connection.bind({ values: this.#values.map(String) } as pg.BindConfig, true);
    connection.describe({ type: 'P' }, true);
    connection.flush();
  }

  handleRowDescription(): void {
    this.#connection!.execute({ portal: '', rows: '0' }, true);
    this.#connection!.sync();
  }

  handleDataRow({ fields }: { readonly fields: readonly (Buffer | string | null)[] }): void {
    this.#rows.push(fields.map(String));
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#rows);
  }

  handleError(error: Error): void {
    this.#reject(error);
  }

  handleCommandComplete(): void {}
}

test('what is bound in one request and executed in the next is answered the same, also on one shard', async () => {
  const { ringferry, atEnd } = await startThreeShards(
    after,
    ['CREATE TABLE numbers (id int PRIMARY KEY, v int)'],
    { numbers: { key: 'id' } },
  );
  const ids = Array.from({ length: 24 }, (_, index) => index + 1);
  await runSql(
    ringferry.url(),
    `INSERT INTO numbers VALUES ${ids.map((id) => `(${id}, ${id * id})`).join(', ')}`,
  );
  const client = new pg.Client(ringferry.url());
  await client.connect();
  atEnd(() => client.end());
  const read = (sql: string, values: readonly unknown[]) => {
    const query = new InTwoRequests(sql, values);
    client.query(query as unknown as pg.QueryConfig);
    return query.rows;
  };
  const place = 'FROM numbers WHERE id IN ($1, $2)';
  // Among so many pairs are both kinds: of one shard, and of two.
  for (const [index, second] of ids.slice(1).entries()) {
    const first = ids[index]!;
    const [low, high] = [first * first, second * second];
    assert.deepEqual(await read(`SELECT count(*), sum(v), max(v) ${place}`, [first, second]), [
      ['2', String(low + high), String(high)],
    ]);
    assert.deepEqual(await read(`SELECT v ${place} ORDER BY id DESC LIMIT 1 OFFSET 1`, [first, second]), [
      [String(low)],
    ]);
    assert.deepEqual(await read(`SELECT DISTINCT id % 2 AS odd ${place} ORDER BY odd`, [first, second]), [
      ['0'],
      ['1'],
    ]);
  }
});
