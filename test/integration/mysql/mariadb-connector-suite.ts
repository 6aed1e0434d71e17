import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import mariadb, { type UpsertResult } from 'mariadb';
import mariadbCallback from 'mariadb/callback';
import type { After } from '../../cluster.js';
import type { ThreeShards } from './shards.js';

export const CONNECTOR_SCHEMA =
  'CREATE TABLE accounts (id bigint PRIMARY KEY, owner varchar(60) NOT NULL, balance decimal(12,2) NOT NULL DEFAULT 0)';
export const CONNECTOR_TABLES = { accounts: { key: 'id' } };

function affected(results: UpsertResult | UpsertResult[]): number {
  return [results].flat().reduce((total, result) => total + result.affectedRows, 0);
}

/** The connector in front of three shards that have its table. */
export function testMariadbConnector(name: string, { ringferry, onEach }: ThreeShards, atEnd: After): void {
  const where = { host: '127.0.0.1', port: ringferry.ports.mysql!, user: 'root', database: 'shop' };
  const pool = mariadb.createPool({ ...where, connectionLimit: 6, acquireTimeout: 10_000 });
  atEnd(() => pool.end());

  describe(`the mariadb connector against three shards of ${name}`, () => {
    test('a batch of many rows is split by owner, in one statement and one by one', async () => {
      const row = (id: number) => [id, `owner ${id}`, '10.50'];
      const insert = 'INSERT INTO accounts (id, owner, balance) VALUES (?, ?, ?)';
      const bulk = await pool.batch(
        insert,
        Array.from({ length: 120 }, (_, id) => row(id)),
      );
      assert.equal(affected(bulk), 120);
      const single = await pool.batch(
        { sql: insert, bulk: false },
        Array.from({ length: 30 }, (_, id) => row(200 + id)),
      );
      assert.equal(affected(single), 30);
      const spread = await onEach('SELECT count(*) FROM accounts');
      assert.equal(
        spread.reduce((x, y) => x + y),
        150,
      );
      assert.ok(
        spread.every((rows) => rows > 20),
        `spread ${spread}`,
      );
    });

    test('its text and prepared statements give the same rows', async () => {
      const sql = 'SELECT id, owner, balance FROM accounts WHERE id = ?';
      for (const id of [0, 57, 119]) {
        const expected = [{ id: BigInt(id), owner: `owner ${id}`, balance: '10.50' }];
        assert.deepEqual([...(await pool.query(sql, [id]))], expected);
        assert.deepEqual([...(await pool.execute(sql, [id]))], expected);
      }
    });

    test('its pipelined queries each get their answer, and an error hits only its own', async () => {
      const connection = await pool.getConnection();
      try {
        const results = await Promise.allSettled([
          connection.query('SELECT owner FROM accounts WHERE id = 1'),
          connection.query("INSERT INTO accounts (id, owner) VALUES (1, 'twice')"),
          connection.query('SELECT owner FROM accounts WHERE id = 2'),
          connection.query('SELECT count(*) AS n FROM accounts'),
        ]);
        assert.deepEqual(
          results.map((result) => result.status),
          ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
        );
        const { errno, sqlState } = (results[1] as PromiseRejectedResult).reason;
        assert.deepEqual([errno, sqlState], [1062, '23000']);
        assert.deepEqual((results[3] as PromiseFulfilledResult<unknown[]>).value[0], { n: 150n });
      } finally {
        await connection.release();
      }
    });

    test('a money transfer between shards is one transaction', async () => {
      const connection = await pool.getConnection();
      const give = async (from: number, to: number, amount: number) => {
        await connection.execute('UPDATE accounts SET balance = balance - ? WHERE id = ?', [amount, from]);
        await connection.execute('UPDATE accounts SET balance = balance + ? WHERE id = ?', [amount, to]);
      };
      try {
        for (let id = 0; id < 20; id++) {
          await connection.beginTransaction();
          await give(id, id + 1, 1);
          if (id % 2 === 0) await connection.commit();
          else await connection.rollback();
        }
      } finally {
        await connection.release();
      }
      const rows = await pool.query('SELECT id, balance FROM accounts WHERE id < 20 ORDER BY id');
      assert.deepEqual(
        rows.map((row: { balance: string }) => row.balance),
        Array.from({ length: 20 }, (_, id) => (id % 2 === 0 ? '9.50' : '11.50')),
      );
    });

    test('rows come as a stream, and through callbacks', async () => {
      const connection = await pool.getConnection();
      try {
        let last = -1;
        const stream = connection.queryStream('SELECT id FROM accounts ORDER BY id');
        for await (const row of stream) last = Number((row as { id: bigint }).id);
        assert.equal(last, 229);
      } finally {
        await connection.release();
      }
      const callback = mariadbCallback.createConnection(where);
      const rows = await new Promise((resolve, reject) =>
        callback.query(
          'SELECT sum(balance) AS total FROM accounts',
          (error: Error | null, result: unknown) => (error === null ? resolve(result) : reject(error)),
        ),
      );
      assert.deepEqual([...(rows as unknown[])], [{ total: '1575.00' }]);
      await new Promise<void>((resolve) => callback.end(() => resolve()));
    });

    test('a connection is reset, changes its user, and is told that it is alive', async () => {
      const connection = await mariadb.createConnection(where);
      await connection.query('SET @mine = 1');
      await connection.reset();
      assert.deepEqual([...(await connection.query('SELECT @mine AS mine'))], [{ mine: null }]);
      await connection.ping();
      await connection.changeUser({ user: 'root', database: 'shop' });
      const [row] = await connection.query('SELECT database() AS name');
      assert.equal(row.name, 'shop');
      await connection.end();
    });
  });
}
