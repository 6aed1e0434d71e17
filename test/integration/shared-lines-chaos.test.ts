import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { cancelOn } from './cancel-on.js';
import { startRingferry } from './harness.js';

/** Many clients do everything at once while backends are killed, statements cancelled and clients vanish. */
const atEnd = lastFirst(after);
const [server] = await startPostgres(atEnd, { count: 1 });
await runSql(
  server!.url(),
  'CREATE TABLE things (id int PRIMARY KEY, v int)',
  'INSERT INTO things SELECT n, n * 7 FROM generate_series(1, 500) n',
);
const proxy = await startRingferry(atEnd, { shards: { a: server! }, pool: { size: 4, pipeline: 16 } });

/** What may happen to a statement whose backend is killed, or that is cancelled. Anything else is a defect. */
const KILLED = new Set(['57P01', '08006', '08007', '57014', '25P02']);
const isConnectionLoss = (error: unknown) => /terminat|ECONN|closed|not queryable/i.test(String(error));

class Chaotic {
  answered = 0;
  readonly wrong: string[] = [];
  readonly #random: () => number;
  #client: pg.Client | undefined;

  constructor(seed: number) {
    let state = seed;
    this.#random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
  }

  async act(): Promise<void> {
    try {
      // A newcomer, too, may get a backend that is being killed.
      await this.#statement((this.#client ??= await this.#connect()));
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === undefined ? !isConnectionLoss(error) : !KILLED.has(code))
        this.wrong.push(`${code} ${error}`);
      await this.leave();
    }
  }

  async leave(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: proxy.url() });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  async #statement(client: pg.Client): Promise<void> {
    const id = 1 + Math.floor(this.#random() * 500);
    const lot = this.#random();
    const expected = [{ id, v: id * 7 }];
    if (lot < 0.4) this.#check(expected, await client.query('SELECT id, v FROM things WHERE id = $1', [id]));
    else if (lot < 0.6)
      this.#check(expected, await client.query(`SELECT id, v FROM things WHERE id = ${id}`));
    else if (lot < 0.75) {
      const text = 'SELECT id, v FROM things WHERE id = $1 LIMIT 2';
      this.#check(expected, await client.query({ name: 'by-id', text, values: [id] }));
    } else if (lot < 0.85) {
      await client.query('BEGIN');
      this.#check(expected, await client.query('SELECT id, v FROM things WHERE id = $1', [id]));
      await client.query('UPDATE things SET v = id * 7 WHERE id = $1', [id]);
      await client.query('COMMIT');
    } else if (lot < 0.9) {
      const { rows } = await client.query(
        'SELECT count(*)::int AS n FROM things a, things b WHERE a.id <= $1',
        [id],
      );
      this.#check([{ n: id * 500 }], { rows });
    } else if (lot < 0.96) {
      const asked = client.query('SELECT id, v FROM things WHERE id = $1', [id]);
      const [result] = await Promise.allSettled([asked, cancelOn(client)]);
      if (result.status === 'fulfilled') this.#check(expected, result.value);
      else if ((result.reason as { code?: string }).code !== '57014') throw result.reason;
    } else if (lot < 0.98) {
      const stream = (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream;
      client.query('SELECT id, v FROM things WHERE id = $1', [id]).catch(() => undefined);
      await sleep(this.#random() * 3);
      stream.destroy();
      this.#client = undefined;
    } else {
      await client.query(`SET application_name = 'app ${Math.floor(this.#random() * 2)}'`);
      const { rows } = await client.query('SELECT id, v FROM things WHERE id = $1', [id]);
      this.#check(expected, { rows });
    }
  }

  #check(expected: unknown, { rows }: { rows: unknown[] }): void {
    this.answered++;
    if (JSON.stringify(rows) !== JSON.stringify(expected))
      this.wrong.push(`${JSON.stringify(rows)} instead of ${JSON.stringify(expected)}`);
  }
}

test('whatever happens to the others, each client gets the answer to its own question or a clear error', async () => {
  const seed = Number(process.env['RINGFERRY_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const clients = Array.from({ length: 24 }, (_, index) => new Chaotic(seed + index));
  let isOver = false;
  const running = clients.map(async (client) => {
    while (!isOver) await client.act();
    await client.leave();
  });
  for (let kill = 0; kill < 25; kill++) {
    await sleep(120);
    await runSql(
      server!.url(),
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1",
    );
  }
  isOver = true;
  await Promise.all(running);
  const wrong = clients.flatMap((client) => client.wrong);
  assert.deepEqual(wrong, [], `seed ${seed}`);
  const answered = clients.reduce((sum, client) => sum + client.answered, 0);
  assert.ok(answered > 500, `only ${answered} answers, seed ${seed}`);
  // Nothing is left held: everybody gets a backend of their own.
  await Promise.all(
    clients.map(async () => {
      await runSql(proxy.url(), 'BEGIN', 'SELECT 1', 'COMMIT');
    }),
  );
});
