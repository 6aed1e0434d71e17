import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { startThreeShards, uuidOf } from './three-shards.js';

const { ringferry, atEnd } = await startThreeShards(
  after,
  [
    'CREATE TABLE events (tenant uuid, id int, body jsonb, at timestamptz DEFAULT now(), raw bytea, amount numeric, PRIMARY KEY (tenant, id))',
    'CREATE TABLE tenants (id uuid PRIMARY KEY, name text NOT NULL)',
  ],
  { events: { key: 'tenant' }, tenants: { key: 'id' } },
);
const pool = new pg.Pool({ connectionString: ringferry.url(), max: 8 });
// The pool's end does not wait for its sockets: the proxy's farewell may still reach them.
pool.on('error', () => {});
atEnd(() => pool.end());

describe('node-postgres against three shards', () => {
  test('parameters of many types come back as they went in', async () => {
    await pool.query('INSERT INTO tenants VALUES ($1, $2)', [uuidOf(1), 'Ada']);
    const raw = Buffer.from([0, 1, 2, 255]);
    await pool.query('INSERT INTO events (tenant, id, body, raw, amount) VALUES ($1, $2, $3, $4, $5)', [
      uuidOf(1),
      1,
      { deep: ['ü', null] },
      raw,
      '12345678901234567890.123456789',
    ]);
    const { rows } = await pool.query(
      'SELECT body, raw, amount, at FROM events WHERE tenant = $1 AND id = $2',
      [uuidOf(1), 1],
    );
    assert.deepEqual(rows[0].body, { deep: ['ü', null] });
    assert.deepEqual(rows[0].raw, raw);
    assert.equal(rows[0].amount, '12345678901234567890.123456789');
    assert.ok(rows[0].at instanceof Date);
  });

  test('many clients at once each get their own answers', async () => {
    await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        pool.query('INSERT INTO tenants VALUES ($1, $2)', [uuidOf(n + 100), `tenant ${n}`]),
      ),
    );
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        pool.query('SELECT name FROM tenants WHERE id = $1', [uuidOf(n + 100)]),
      ),
    );
    for (const [n, answer] of answers.entries()) assert.deepEqual(answer.rows, [{ name: `tenant ${n}` }]);
    const count = await pool.query('SELECT count(*) FROM tenants');
    assert.equal(count.rows[0].count, '301');
  });

  test('named prepared statements survive a change of backend between transactions', async () => {
    const clients = await Promise.all(Array.from({ length: 6 }, () => pool.connect()));
    try {
      for (let round = 0; round < 5; round++) {
        const answers = await Promise.all(
          clients.map((client, n) =>
            client.query({
              name: 'by id',
              text: 'SELECT name FROM tenants WHERE id = $1',
              values: [uuidOf(100 + n * 7 + round)],
            }),
          ),
        );
        for (const [n, answer] of answers.entries())
          assert.equal(answer.rows[0].name, `tenant ${n * 7 + round}`);
      }
    } finally {
      for (const client of clients) client.release();
    }
  });

  test('= ANY($1) and IN reach only the rows asked for, from all their owners', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => uuidOf(100 + n));
    const any = await pool.query('SELECT id FROM tenants WHERE id = ANY($1::uuid[]) ORDER BY id', [ids]);
    assert.deepEqual(
      any.rows.map((row) => row.id),
      ids,
    );
    const list = await pool.query(
      `SELECT id FROM tenants WHERE id IN (${ids
        .slice(0, 9)
        .map((_, i) => `$${i + 1}`)
        .join(', ')}) ORDER BY id DESC LIMIT 4`,
      ids.slice(0, 9),
    );
    assert.deepEqual(
      list.rows.map((row) => row.id),
      ids.slice(5, 9).reverse(),
    );
  });

  test('a multi-row INSERT with RETURNING gives back every row', async () => {
    const values = Array.from({ length: 30 }, (_, n) => [uuidOf(900 + n), `r${n}`]);
    const text = `INSERT INTO tenants VALUES ${values.map((_, i) => `($${2 * i + 1}, $${2 * i + 2})`).join(', ')} RETURNING id, name`;
    const result = await pool.query(text, values.flat());
    assert.equal(result.rowCount, 30);
    assert.deepEqual(result.rows.map((row) => row.name).sort(), values.map(([, name]) => name).sort());
  });

  test('a transaction on one key commits, rolls back, and keeps savepoints', async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await client.query('INSERT INTO tenants VALUES ($1, $2)', [uuidOf(5000), 'one']);
      await client.query('SAVEPOINT s');
      await assert.rejects(client.query('INSERT INTO tenants VALUES ($1, $2)', [uuidOf(5000), 'two']), {
        code: '23505',
      });
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await client.query('ROLLBACK TO s');
      await client.query('UPDATE tenants SET name = $2 WHERE id = $1', [uuidOf(5000), 'three']);
      await client.query('COMMIT');
      await client.query('BEGIN');
      await client.query('DELETE FROM tenants WHERE id = $1', [uuidOf(5000)]);
      await client.query('ROLLBACK');
    } finally {
      client.release();
    }
    assert.deepEqual((await pool.query('SELECT name FROM tenants WHERE id = $1', [uuidOf(5000)])).rows, [
      { name: 'three' },
    ]);
  });

  test('a transaction over shards that fails at the end leaves nothing on any shard', async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      for (let n = 0; n < 12; n++)
        await client.query('UPDATE tenants SET name = $2 WHERE id = $1', [uuidOf(100 + n), 'changed']);
      await assert.rejects(client.query('INSERT INTO tenants VALUES ($1, NULL)', [uuidOf(6000)]), {
        code: '23502',
      });
      const end = await client.query('COMMIT');
      assert.equal(end.command, 'ROLLBACK');
    } finally {
      client.release();
    }
    const changed = await pool.query("SELECT count(*) FROM tenants WHERE name = 'changed'");
    assert.equal(changed.rows[0].count, '0');
  });

  test('a long statement can be cancelled', async () => {
    const client = new pg.Client({ connectionString: ringferry.url() });
    await client.connect();
    try {
      const long = client.query('SELECT pg_sleep(30) FROM tenants WHERE id = $1', [uuidOf(1)]);
      const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
      setTimeout(() => {
        const canceller = new pg.Client({ connectionString: ringferry.url() });
        (canceller as unknown as { connection: { stream: NodeJS.WritableStream } }).connection.stream.on(
          'error',
          () => {},
        );
        // pg's own way to cancel: a connection of its own that says which process, with the secret.
        const { connection } = canceller as unknown as {
          connection: {
            on(event: string, act: () => void): void;
            connect(port: number, host: string): void;
            cancel(pid: number, key: number): void;
          };
        };
        connection.on('connect', () => connection.cancel(processID, secretKey));
        connection.connect(ringferry.ports.postgres, '127.0.0.1');
      }, 200);
      await assert.rejects(long, { code: '57014' });
      assert.deepEqual((await client.query('SELECT name FROM tenants WHERE id = $1', [uuidOf(1)])).rows, [
        { name: 'Ada' },
      ]);
    } finally {
      await client.end();
    }
  });
});
