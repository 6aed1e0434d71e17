import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysql, { type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { startThreeShards } from './shards.js';

const atEnd = lastFirst(after);
const { servers, url } = await startThreeShards(
  atEnd,
  [
    'CREATE TABLE visits (id bigint AUTO_INCREMENT PRIMARY KEY, page varchar(60) NOT NULL)',
    'CREATE TABLE numbered (id bigint AUTO_INCREMENT, owner int, PRIMARY KEY (owner, id), KEY (id))',
    'CREATE TABLE small (id int AUTO_INCREMENT, owner int, PRIMARY KEY (owner, id), KEY (id))',
    'CREATE TABLE older (id bigint AUTO_INCREMENT, owner int, PRIMARY KEY (owner, id), KEY (id))',
    'CREATE TABLE uniques (id bigint AUTO_INCREMENT, owner int, code varchar(9), n int, PRIMARY KEY (owner, code), KEY (id))',
    'CREATE TABLE kinds (id int AUTO_INCREMENT PRIMARY KEY, name varchar(20))',
    'CREATE TABLE wide (id bigint unsigned AUTO_INCREMENT, owner int, PRIMARY KEY (owner, id), KEY (id))',
  ],
  {
    visits: { key: 'id' },
    numbered: { key: 'owner' },
    uniques: { key: 'owner' },
    small: { key: 'owner' },
    older: { key: 'owner' },
    wide: { key: 'owner' },
    kinds: { reference: true },
  },
);
const pool = mysql.createPool({ uri: url, connectionLimit: 8 });
atEnd(() => pool.end());

test('rows without an id get one that no shard has given to another', async () => {
  const connection = await pool.getConnection();
  try {
    const ids = new Set<number>();
    for (let n = 0; n < 20; n++) {
      const [result] = await connection.execute<ResultSetHeader>('INSERT INTO visits (page) VALUES (?)', [
        `page ${n}`,
      ]);
      const [[last]] = await connection.query<RowDataPacket[]>('SELECT LAST_INSERT_ID() AS id');
      assert.equal(last!['id'], result.insertId);
      ids.add(result.insertId);
      const [rows] = await connection.query('SELECT page FROM visits WHERE id = ?', [result.insertId]);
      assert.deepEqual(rows, [{ page: `page ${n}` }]);
    }
    assert.equal(ids.size, 20);
    const [many] = await connection.query<ResultSetHeader>('INSERT INTO visits (page) VALUES ?', [
      [['x'], ['y'], ['z']],
    ]);
    assert.equal(many.affectedRows, 3);
    const [first] = await connection.query('SELECT page FROM visits WHERE id = ?', [many.insertId]);
    assert.deepEqual(first, [{ page: 'x' }]);
    const [returned] = await connection.query<RowDataPacket[]>(
      "INSERT INTO visits (page) VALUES ('p'), ('q'), ('r') RETURNING id",
    );
    const [[state]] = await connection.query<RowDataPacket[]>(
      'SELECT LAST_INSERT_ID() AS id, ROW_COUNT() AS count',
    );
    assert.deepEqual(state, { id: returned[0]!['id'], count: -1 });
  } finally {
    connection.release();
  }
});

test('an explicit id stays, NULL asks for one, 0 is refused, an id that was rolled back is not given again', async () => {
  const connection = await pool.getConnection();
  try {
    const ids: number[] = [];
    await assert.rejects(connection.query("INSERT INTO visits (id, page) VALUES (0, 'asked')"), {
      code: 'ER_NOT_SUPPORTED_YET',
      message: /would be numbered by each shard on its own/,
    });
    const [asked] = await connection.query<ResultSetHeader>(
      "INSERT INTO visits (id, page) VALUES (NULL, 'asked')",
    );
    ids.push(asked.insertId);
    const explicit = 5_000_000_000;
    await connection.query('INSERT INTO visits (id, page) VALUES (?, ?)', [explicit, 'explicit']);
    const [rows] = await connection.query('SELECT page FROM visits WHERE id = ?', [explicit]);
    assert.deepEqual(rows, [{ page: 'explicit' }]);
    await connection.beginTransaction();
    const [undone] = await connection.execute<ResultSetHeader>('INSERT INTO visits (page) VALUES (?)', [
      'undone',
    ]);
    ids.push(undone.insertId);
    await connection.rollback();
    const [gone] = await connection.query('SELECT page FROM visits WHERE id = ?', [undone.insertId]);
    assert.deepEqual(gone, []);
    const [next] = await connection.execute<ResultSetHeader>('INSERT INTO visits (page) VALUES (?)', [
      'next',
    ]);
    ids.push(next.insertId);
    assert.ok(ids.every((id) => id > 0));
    assert.equal(new Set(ids).size, ids.length);
  } finally {
    connection.release();
  }
});

test('a row of a reference table has the same number on every shard', async () => {
  await pool.query("INSERT INTO kinds (name) VALUES ('a'), ('b')");
  await pool.query("INSERT INTO kinds (name) VALUES ('c')");
  const [rows] = await pool.query<RowDataPacket[]>('SELECT id, name FROM kinds ORDER BY id');
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  for (const server of servers)
    assert.deepEqual(
      await runMysql(server.url(MARIADB_TESTS.database), 'SELECT id, name FROM kinds ORDER BY id'),
      rows,
    );
});

test('rows of a SELECT cannot be numbered, and are refused', async () => {
  await assert.rejects(pool.query("INSERT INTO visits (page) SELECT 'x'"), { code: 'ER_NOT_SUPPORTED_YET' });
});

test('eight clients at once are given no id twice', async () => {
  const given = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const [result] = await pool.execute<ResultSetHeader>('INSERT INTO visits (page) VALUES (?)', [
        `at once ${n}`,
      ]);
      return result.insertId;
    }),
  );
  assert.equal(new Set(given).size, 200);
});

test('an upsert and INSERT IGNORE tell the number of a row that they wrote, and none for one that was there', async () => {
  const connection = await pool.getConnection();
  const add = async (sql: string) => {
    const [{ insertId, affectedRows }] = await connection.query<ResultSetHeader>(sql);
    const [[last]] = await connection.query<RowDataPacket[]>('SELECT LAST_INSERT_ID() AS id');
    return { insertId, affectedRows, last: last!['id'] };
  };
  const idOf = async (owner: number) => {
    const [[row]] = await connection.query<RowDataPacket[]>(
      `SELECT id FROM uniques WHERE owner = ${owner} AND code = 'x'`,
    );
    return row!['id'];
  };
  try {
    const { insertId: one } = await add("INSERT INTO uniques (owner, code) VALUES (1, 'x')");
    const same = "INSERT INTO uniques (owner, code, n) VALUES (1, 'x', 5) ON DUPLICATE KEY UPDATE n = 5";
    assert.deepEqual(await add(`${same}, id = LAST_INSERT_ID(id)`), {
      insertId: one,
      affectedRows: 2,
      last: one,
    });
    const { insertId: two } = await add("INSERT INTO uniques (owner, code) VALUES (2, 'x')");
    assert.deepEqual(await add(same), { insertId: 0, affectedRows: 1, last: two });
    assert.deepEqual(await add(same.replaceAll('5', '6')), { insertId: one, affectedRows: 2, last: two });
    assert.deepEqual(await add("INSERT IGNORE INTO uniques (owner, code) VALUES (1, 'x'), (2, 'x')"), {
      insertId: 0,
      affectedRows: 0,
      last: two,
    });
    // Of several rows the first that is new.
    const rows = [1, 2, 10, 11, 12, 13].map((owner) => `(${owner}, 'x')`).join();
    const mixed = await add(`INSERT IGNORE INTO uniques (owner, code) VALUES ${rows}`);
    const ten = await idOf(10);
    assert.deepEqual(mixed, { insertId: ten, affectedRows: 4, last: ten });
    const more = await add(
      `INSERT INTO uniques (owner, code) VALUES (1, 'x'), (20, 'x'), (21, 'x') ON DUPLICATE KEY UPDATE n = 9`,
    );
    const twenty = await idOf(20);
    assert.deepEqual([more.insertId, more.last], [twenty, twenty]);
  } finally {
    connection.release();
  }
});

test('what an INSERT IGNORE into a reference table warns of is told once', async () => {
  const connection = await pool.getConnection();
  try {
    await connection.query("INSERT INTO kinds (id, name) VALUES (500, 'once')");
    const [result] = await connection.query<ResultSetHeader>(
      "INSERT IGNORE INTO kinds (id, name) VALUES (500, 'twice')",
    );
    const [warnings] = await connection.query<RowDataPacket[]>('SHOW WARNINGS');
    assert.deepEqual([result.warningStatus, warnings.length], [1, 1]);
  } finally {
    connection.release();
  }
});

describe('numbers given by hand', () => {
  const add = async (sql: string, values: (string | number | null)[] = []) =>
    (await pool.execute<ResultSetHeader>(sql, values))[0].insertId;
  const generated = (owner: number) => add('INSERT INTO numbered (owner) VALUES (?)', [owner]);

  test('the next ones are greater, though the block that is leased contains them', async () => {
    const first = await generated(1);
    for (const [ahead, owner] of [
      [3, 1],
      [7, 2],
      [50, 3],
    ] as const) {
      await pool.query(`INSERT INTO numbered (id, owner) VALUES (${first + ahead}, ${owner})`);
      for (const other of [1, 2, 3, 4]) assert.equal(await generated(other), first + ahead + other);
    }
  });

  test('the next ones are greater than the greatest of several rows, written in any form', async () => {
    const start = (await generated(1)) + 1000;
    const forms: readonly [string, (string | number | null)[], number][] = [
      [`INSERT INTO numbered (id, owner) VALUES (${start}, 1), (${start + 9}, 2), (${start + 4}, 3)`, [], 9],
      ['INSERT INTO numbered (id, owner) VALUES (?, 1), (?, 2)', [start + 2000, start + 1500], 2000],
      ['INSERT INTO numbered SET id = ?, owner = 5', [`${start + 3000}`], 3000],
      ['REPLACE INTO numbered (owner, id) VALUES (?, ?)', [6, start + 4000], 4000],
      [
        `INSERT INTO numbered (id, owner) VALUES (?, 7) ON DUPLICATE KEY UPDATE id = id`,
        [start + 5000],
        5000,
      ],
    ];
    for (const [sql, values, greatest] of forms) {
      await add(sql, values);
      assert.equal(await generated(1), start + greatest + 1, sql);
    }
  });

  test('a row that asks for one beside them gets none of them', async () => {
    const next = (await generated(1)) + 1;
    const asked = await add('INSERT INTO numbered (id, owner) VALUES (NULL, 1), (?, 1)', [next]);
    assert.equal(asked, next + 1);
  });

  test('what the column cannot hold is refused by the server and moves nothing', async () => {
    const last = await add('INSERT INTO small (owner) VALUES (1)');
    await assert.rejects(pool.query('INSERT INTO small (id, owner) VALUES (3000000000, 1)'), {
      code: 'ER_WARN_DATA_OUT_OF_RANGE',
    });
    assert.equal(await add('INSERT INTO small (owner) VALUES (1)'), last + 1);
  });

  test('the greatest that a bigint holds are taken as they are', async () => {
    const greatest = ['18446744073709551615', '18446744073709551614', '9223372036854775807'];
    for (const id of greatest) await add('INSERT INTO wide (id, owner) VALUES (?, 1)', [id]);
    const [rows] = await pool.query({
      sql: 'SELECT CAST(id AS CHAR) FROM wide WHERE owner = 1 ORDER BY id DESC',
      rowsAsArray: true,
    });
    assert.deepEqual((rows as unknown as string[][]).flat(), greatest);
  });

  test('before the first row is numbered they hide no row that is there', async () => {
    await runMysql(servers[2]!.url(MARIADB_TESTS.database), 'INSERT INTO older (id, owner) VALUES (700, 1)');
    await add('INSERT INTO older (id, owner) VALUES (50, 2)');
    assert.equal(await add('INSERT INTO older (owner) VALUES (3)'), 701);
  });

  test('growing ones ask the home shard once in a block', async () => {
    const home = servers[0]!.url(MARIADB_TESTS.database);
    const next = () => runMysql(home, "SELECT next FROM ringferry_numbers WHERE name LIKE '%numbered.id'");
    const start = (await generated(1)) + 1000;
    await add('INSERT INTO numbered (id, owner) VALUES (?, 1)', [start]);
    const before = await next();
    for (let ahead = 1; ahead <= 99; ahead++)
      await add('INSERT INTO numbered (id, owner) VALUES (?, 1)', [start + ahead]);
    assert.deepEqual(await next(), before);
  });
});
