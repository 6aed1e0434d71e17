import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import postgres from 'postgres';
import { startThreeShards } from './three-shards.js';

const { ringferry, atEnd } = await startThreeShards(
  after,
  [
    'CREATE TABLE accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance numeric NOT NULL DEFAULT 0, tags text[])',
  ],
  { accounts: { key: 'id' } },
);
const sql = postgres(ringferry.url(), { max: 6, onnotice: () => {} });
atEnd(() => sql.end());

describe('postgres.js against three shards', () => {
  test('inserts of many objects are split by owner and found one by one', async () => {
    const rows = Array.from({ length: 120 }, (_, id) => ({
      id,
      owner: `owner ${id}`,
      balance: '10.50',
      tags: ['x', `t${id % 3}`],
    }));
    const inserted = await sql`INSERT INTO accounts ${sql(rows)}`;
    assert.equal(inserted.count, 120);
    const found = await Promise.all(
      rows.map(({ id }) => sql`SELECT owner, tags FROM accounts WHERE id = ${id}`),
    );
    for (const [id, [row]] of found.entries())
      assert.deepEqual({ ...row }, { owner: `owner ${id}`, tags: ['x', `t${id % 3}`] });
  });

  test('its pipelined queries each get their answer, and an error hits only its own', async () => {
    const results = await Promise.allSettled([
      sql`SELECT owner FROM accounts WHERE id = 1`,
      sql`INSERT INTO accounts (id, owner) VALUES (1, 'twice')`,
      sql`SELECT owner FROM accounts WHERE id = 2`,
      sql`SELECT count(*)::int AS n FROM accounts`,
    ]);
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
    );
    assert.equal((results[1] as PromiseRejectedResult).reason.code, '23505');
    assert.equal(
      (results[3] as PromiseFulfilledResult<postgres.RowList<postgres.Row[]>>).value[0]!['n'],
      120,
    );
  });

  test('a money transfer between shards is one transaction', async () => {
    await sql.begin(async (transaction) => {
      await transaction`UPDATE accounts SET balance = balance - 5 WHERE id = 3`;
      await transaction`UPDATE accounts SET balance = balance + 5 WHERE id = 4`;
    });
    await assert.rejects(
      sql.begin(async (transaction) => {
        await transaction`UPDATE accounts SET balance = balance - 5 WHERE id = 3`;
        throw new Error('changed my mind');
      }),
      /changed my mind/,
    );
    const rows = await sql`SELECT id, balance FROM accounts WHERE id IN (3, 4) ORDER BY id`;
    assert.deepEqual(
      rows.map((row) => row['balance']),
      ['5.50', '15.50'],
    );
  });

  test('a cursor over one shard reads in batches', async () => {
    const batches: number[] = [];
    await sql`SELECT n FROM accounts, generate_series(1, 25) AS n WHERE id = 7`.cursor(10, (rows) => {
      batches.push(rows.length);
    });
    assert.deepEqual(batches, [10, 10, 5]);
  });

  test('describe tells types without running anything', async () => {
    const description = await sql`SELECT id, owner FROM accounts WHERE id = ${1}`.describe();
    assert.deepEqual(
      description.columns.map((column) => [column.name, column.type]),
      [
        ['id', 20],
        ['owner', 25],
      ],
    );
  });
});
