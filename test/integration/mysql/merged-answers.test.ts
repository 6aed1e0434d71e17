import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MARIADB_TESTS } from '../../engines.js';
import { startMariadb } from '../../mariadb.js';
import { startThreeShards } from './shards.js';

const TABLE = `CREATE TABLE sales (id int PRIMARY KEY, shop varchar(20) COLLATE utf8mb4_general_ci, amount decimal(12, 3), count_of int unsigned,
  weight double, rate double(10, 2), size float, at datetime(3))`;
const SHOPS = ['Nord', 'nord ', 'NORD', 'Süd', 'sud', 'Öst', 'ost', 'ß', 'ss', ''];
const rows = Array.from({ length: 60 }, (_, id) => {
  const shop = id % 13 === 0 ? 'NULL' : `'${SHOPS[id % SHOPS.length]}'`;
  return `(${id}, ${shop}, ${id}.${id % 10}, ${4_000_000_000 + id}, ${id} / 4, ${id}.25, ${id}.5, '2024-01-${10 + (id % 20)} 10:00:00.${id}')`;
});
const INSERT = `INSERT INTO sales VALUES ${rows.join(', ')}`;

/** Answered by three shards and by one server, as text and prepared. */
const STATEMENTS: readonly { readonly sql: string; readonly values: readonly unknown[] }[] = [
  {
    sql: 'SELECT count(*), sum(amount), avg(amount), sum(count_of), avg(count_of) AS average FROM sales',
    values: [],
  },
  {
    sql: 'SELECT sum(weight), avg(weight), sum(rate), avg(rate), max(at), min(amount) FROM sales WHERE id > ?',
    values: [3],
  },
  { sql: 'SELECT sum(amount), avg(weight), count(shop), max(id) FROM sales WHERE id < ?', values: [-1] },
  {
    sql: 'SELECT at, count(*) AS n, avg(id) FROM sales WHERE id > ? GROUP BY at ORDER BY n DESC, avg(id) LIMIT ?',
    values: [9, 12],
  },
  { sql: 'SELECT count(*), avg(amount) FROM sales GROUP BY shop ORDER BY shop', values: [] },
  { sql: 'SELECT id, shop FROM sales ORDER BY shop DESC, id LIMIT ? OFFSET ?', values: [20, 3] },
  { sql: 'SELECT id, shop AS s, CONCAT(shop, ?) AS t FROM sales ORDER BY t, id', values: ['!'] },
  { sql: 'SELECT max(CONCAT(shop, ?)), count(*) FROM sales WHERE shop LIKE ?', values: ['x', 'ö%'] },
];

describe('one answer of three shards and of one server', () => {
  const atEnd = lastFirst(after);
  let single: mysql.Connection;
  let sharded: mysql.Connection;
  before(async () => {
    const [server] = await startMariadb(atEnd);
    const shards = await startThreeShards(atEnd, [TABLE], { sales: { key: 'id' } });
    single = await mysql.createConnection({ uri: server!.url('mysql'), charset: 'utf8mb4' });
    atEnd(() => single.end());
    await single.query(`CREATE DATABASE ${MARIADB_TESTS.database}`);
    await single.query(`USE ${MARIADB_TESTS.database}`);
    await single.query(TABLE);
    sharded = await mysql.createConnection({ uri: shards.url, charset: 'utf8mb4' });
    atEnd(() => sharded.end());
    for (const connection of [single, sharded]) await connection.query(INSERT);
  });

  for (const { sql, values } of STATEMENTS) {
    test(`prepared: ${sql}`, async () => {
      for (let time = 0; time < 2; time++)
        assert.deepEqual(
          await answer(sharded, 'execute', sql, values),
          await answer(single, 'execute', sql, values),
        );
    });

    test(`as text: ${sql}`, async () => {
      assert.deepEqual(
        await answer(sharded, 'query', sql, values),
        await answer(single, 'query', sql, values),
      );
    });
  }

  test('a FLOAT is compared where all its digits are told: prepared', async () => {
    const sql = 'SELECT min(size), max(size) FROM sales';
    assert.deepEqual(await answer(sharded, 'execute', sql, []), await answer(single, 'execute', sql, []));
    await assert.rejects(answer(sharded, 'query', sql, []), { errno: 1235 });
  });

  test('digits behind the point are those that the session asks for', async () => {
    for (const connection of [single, sharded]) await connection.query('SET div_precision_increment = 8');
    const sql = 'SELECT avg(id), avg(amount) FROM sales';
    assert.deepEqual(await answer(sharded, 'execute', sql, []), await answer(single, 'execute', sql, []));
    for (const connection of [single, sharded])
      await connection.query('SET div_precision_increment = DEFAULT');
  });
});

/** The rows, and all that the driver was told of their columns. */
async function answer(
  connection: mysql.Connection,
  how: 'query' | 'execute',
  sql: string,
  values: readonly unknown[],
): Promise<unknown> {
  const options = { sql, values: [...values], rowsAsArray: true, decimalNumbers: false };
  const [found, fields] =
    how === 'query'
      ? await connection.query<RowDataPacket[]>(options)
      : await connection.execute<RowDataPacket[]>({ ...options, values: [...values] as string[] });
  return {
    rows: found,
    columns: fields.map(
      ({
        name,
        columnType,
        flags,
        decimals,
        characterSet,
        columnLength,
        schema,
        table,
        orgTable,
        orgName,
      }) => ({
        name,
        columnType,
        flags,
        decimals,
        characterSet,
        columnLength,
        schema,
        table,
        orgTable,
        orgName,
      }),
    ),
  };
}
