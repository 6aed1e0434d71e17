import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysqlCallback from 'mysql2';
import mysql, { type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { startThreeShards } from './shards.js';

const atEnd = lastFirst(after);
const { url, onEach } = await startThreeShards(
  atEnd,
  [
    'CREATE TABLE tenants (id char(36) PRIMARY KEY, name varchar(60) NOT NULL)',
    'CREATE TABLE events (tenant char(36), id int, body json, at datetime(3) DEFAULT current_timestamp(3), raw blob, amount decimal(30,9), PRIMARY KEY (tenant, id))',
  ],
  { tenants: { key: 'id' }, events: { key: 'tenant' } },
);
const pool = mysql.createPool({ uri: url, connectionLimit: 8 });
atEnd(() => pool.end());

const tenant = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** The rows of a text statement or, with values, of a prepared one. */
async function rowsOf(sql: string, values?: (string | number)[]): Promise<RowDataPacket[]> {
  const [rows] =
    values === undefined
      ? await pool.query<RowDataPacket[]>(sql)
      : await pool.execute<RowDataPacket[]>(sql, values);
  return rows;
}

describe('mysql2 against three shards', () => {
  test('parameters of many types come back as they went in, as text and prepared', async () => {
    await pool.execute('INSERT INTO tenants VALUES (?, ?)', [tenant(1), 'Ada']);
    const raw = Buffer.from([0, 1, 2, 255]);
    const row = [JSON.stringify({ deep: ['ü', null] }), raw, '123456789012345678901.123456789'];
    await pool.execute('INSERT INTO events (tenant, id, body, raw, amount) VALUES (?, ?, ?, ?, ?)', [
      tenant(1),
      1,
      ...row,
    ]);
    await pool.query('INSERT INTO events (tenant, id, body, raw, amount) VALUES (?)', [
      [tenant(1), 2, ...row],
    ]);
    for (const id of [1, 2]) {
      const [found] = await rowsOf('SELECT body, raw, amount, at FROM events WHERE tenant = ? AND id = ?', [
        tenant(1),
        id,
      ]);
      assert.deepEqual(found!['body'], { deep: ['ü', null] });
      assert.deepEqual(found!['raw'], raw);
      assert.equal(found!['amount'], '123456789012345678901.123456789');
      assert.ok(found!['at'] instanceof Date);
    }
    // The rows of several shards, too, and those that we write ourselves.
    for (const sql of [
      'SELECT body FROM events ORDER BY id',
      'SELECT max(id) AS id, body FROM events GROUP BY body',
    ])
      assert.deepEqual((await rowsOf(sql)).at(-1)!['body'], { deep: ['ü', null] });
  });

  test('many clients at once each get their own answers', async () => {
    await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        pool.execute('INSERT INTO tenants VALUES (?, ?)', [tenant(n + 100), `tenant ${n}`]),
      ),
    );
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        n % 2 === 0
          ? rowsOf('SELECT name FROM tenants WHERE id = ?', [tenant(n + 100)])
          : rowsOf(`SELECT name FROM tenants WHERE id = '${tenant(n + 100)}'`),
      ),
    );
    for (const [n, answer] of answers.entries()) assert.deepEqual(answer, [{ name: `tenant ${n}` }]);
    assert.deepEqual(await rowsOf('SELECT count(*) AS n FROM tenants'), [{ n: 301 }]);
    const spread = await onEach('SELECT count(*) FROM tenants');
    assert.ok(
      spread.every((count) => count > 40),
      `spread ${spread}`,
    );
  });

  test('prepared statements survive a change of backend between transactions', async () => {
    const connections = await Promise.all(Array.from({ length: 6 }, () => pool.getConnection()));
    try {
      for (let round = 0; round < 5; round++) {
        const answers = await Promise.all(
          connections.map((connection, n) =>
            connection.execute<RowDataPacket[]>('SELECT name FROM tenants WHERE id = ?', [
              tenant(100 + n * 7 + round),
            ]),
          ),
        );
        for (const [n, [rows]] of answers.entries())
          assert.deepEqual(rows, [{ name: `tenant ${n * 7 + round}` }]);
      }
    } finally {
      for (const connection of connections) connection.release();
    }
  });

  test('IN reaches only the rows asked for, from all their owners', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => tenant(100 + n));
    const marks = ids.map(() => '?').join(', ');
    const all = await rowsOf(`SELECT id FROM tenants WHERE id IN (${marks}) ORDER BY id`, ids);
    assert.deepEqual(
      all.map((row) => row['id']),
      ids,
    );
    const [some] = await pool.query<RowDataPacket[]>(
      'SELECT id FROM tenants WHERE id IN (?) ORDER BY id DESC LIMIT 4',
      [ids.slice(0, 9)],
    );
    assert.deepEqual(
      some.map((row) => row['id']),
      ids.slice(5, 9).reverse(),
    );
  });

  test('a multi-row INSERT, UPDATE and DELETE tell how many rows they met over all shards', async () => {
    const values = Array.from({ length: 30 }, (_, n) => [tenant(900 + n), `r${n}`]);
    const [inserted] = await pool.query<ResultSetHeader>('INSERT INTO tenants VALUES ?', [values]);
    assert.deepEqual([inserted.affectedRows, inserted.warningStatus], [30, 0]);
    const [updated] = await pool.query<ResultSetHeader>(
      "UPDATE tenants SET name = 'r7' WHERE name LIKE 'r%'",
    );
    assert.deepEqual([updated.affectedRows, updated.changedRows], [30, 29]);
    const [deleted] = await pool.query<ResultSetHeader>("DELETE FROM tenants WHERE name = 'r7'");
    assert.equal(deleted.affectedRows, 30);
  });

  test('ON DUPLICATE KEY UPDATE and REPLACE by the key', async () => {
    const upsert = (name: string) =>
      pool.execute<ResultSetHeader>(
        'INSERT INTO tenants VALUES (?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name)',
        [tenant(700), name],
      );
    assert.equal((await upsert('first'))[0].affectedRows, 1);
    assert.equal((await upsert('second'))[0].affectedRows, 2);
    const [replaced] = await pool.query<ResultSetHeader>('REPLACE INTO tenants VALUES (?, ?)', [
      tenant(700),
      'third',
    ]);
    assert.equal(replaced.affectedRows, 2);
    assert.deepEqual(await rowsOf('SELECT name FROM tenants WHERE id = ?', [tenant(700)]), [
      { name: 'third' },
    ]);
  });

  test('a transaction on one key commits, rolls back, and keeps savepoints', async () => {
    const connection = await pool.getConnection();
    try {
      await connection.beginTransaction();
      await connection.execute('INSERT INTO tenants VALUES (?, ?)', [tenant(5000), 'one']);
      await connection.query('SAVEPOINT s');
      await assert.rejects(connection.execute('INSERT INTO tenants VALUES (?, ?)', [tenant(5000), 'two']), {
        errno: 1062,
        sqlState: '23000',
      });
      // An error does not end a transaction of MySQL.
      await connection.execute('UPDATE tenants SET name = ? WHERE id = ?', ['lost', tenant(5000)]);
      await connection.query('ROLLBACK TO SAVEPOINT s');
      await connection.execute('UPDATE tenants SET name = concat(name, ?) WHERE id = ?', [
        ' kept',
        tenant(5000),
      ]);
      await connection.commit();
      await connection.beginTransaction();
      await connection.execute('DELETE FROM tenants WHERE id = ?', [tenant(5000)]);
      await connection.rollback();
    } finally {
      connection.release();
    }
    assert.deepEqual(await rowsOf('SELECT name FROM tenants WHERE id = ?', [tenant(5000)]), [
      { name: 'one kept' },
    ]);
  });

  test('a transaction over all shards commits whole, or leaves nothing', async () => {
    const connection = await pool.getConnection();
    const rename = async (name: string) => {
      for (let n = 0; n < 12; n++)
        await connection.execute('UPDATE tenants SET name = ? WHERE id = ?', [name, tenant(100 + n)]);
    };
    try {
      await connection.beginTransaction();
      await rename('changed');
      await connection.rollback();
      assert.deepEqual(await rowsOf("SELECT count(*) AS n FROM tenants WHERE name = 'changed'"), [{ n: 0 }]);
      await connection.query('SET autocommit = 0');
      await rename('changed');
      assert.deepEqual(await rowsOf("SELECT count(*) AS n FROM tenants WHERE name = 'changed'"), [{ n: 0 }]);
      await connection.commit();
      await connection.query('SET autocommit = 1');
    } finally {
      connection.release();
    }
    assert.deepEqual(await rowsOf("SELECT count(*) AS n FROM tenants WHERE name = 'changed'"), [{ n: 12 }]);
  });

  test('a long statement can be killed by the id that the client was told', async () => {
    const connection = await pool.getConnection();
    const { threadId } = connection;
    const long = connection.query('SELECT sleep(30) FROM tenants WHERE id = ?', [tenant(1)]);
    const outcome = assert.rejects(long, { errno: 1317, sqlState: '70100' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await pool.query(`KILL QUERY ${threadId}`);
    await outcome;
    const [rows] = await connection.query('SELECT name FROM tenants WHERE id = ?', [tenant(1)]);
    assert.deepEqual(rows, [{ name: 'Ada' }]);
    connection.release();
  });

  test('what cannot be answered right is refused and says so', async () => {
    await assert.rejects(pool.query('SELECT t.name, u.name FROM tenants t JOIN tenants u ON t.name = u.id'), {
      errno: 1235,
      sqlState: '42000',
    });
  });

  test('what only MySQL 8 knows is the error of syntax that it is at the servers', async () => {
    for (const sql of [
      "INSERT INTO tenants VALUES ('a', 'b'), ('c', 'd') AS new ON DUPLICATE KEY UPDATE name = new.name",
      'TABLE tenants ORDER BY name',
      "INSERT INTO tenants VALUES ROW('a', 'b')",
    ])
      await assert.rejects(pool.query(sql), { errno: 1064, sqlState: '42000' }, sql);
  });

  test('callbacks, streams of rows, and several statements in one query', async () => {
    const connection = mysqlCallback.createConnection({ uri: url, multipleStatements: true });
    try {
      const names: string[] = [];
      const stream = connection
        .query("SELECT name FROM tenants WHERE name LIKE 'tenant %' ORDER BY id")
        .stream();
      for await (const row of stream) names.push((row as { name: string }).name);
      assert.equal(names.length, 288);
      assert.equal(names[287], 'tenant 299');
      const several = await new Promise((resolve, reject) =>
        connection.query(
          `SELECT name FROM tenants WHERE id = '${tenant(150)}'; UPDATE tenants SET name = 'Bo' WHERE id = '${tenant(151)}'; SELECT count(*) AS n FROM tenants WHERE name = 'Bo'`,
          (error, results) => (error === null ? resolve(results) : reject(error)),
        ),
      );
      const [first, second, third] = several as [unknown, ResultSetHeader, unknown];
      assert.deepEqual([first, second.affectedRows, third], [[{ name: 'tenant 50' }], 1, [{ n: 1 }]]);
    } finally {
      connection.destroy();
    }
  });

  test('no prepared transaction is left on any shard', async () => {
    assert.deepEqual(await onEach('SELECT count(*) FROM information_schema.innodb_trx'), [0, 0, 0]);
  });
});
