import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import { mysqlValues } from '../../src/mysql/values.js';
import { MYSQL_TYPE, UNSIGNED } from '../../src/routing/mysql-key.js';
import { lastFirst } from '../cluster.js';
import { startMariadb } from '../mariadb.js';

const UNSIGNED_FLAG = 32;

/** Values of one column each, as the server is told to store them. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  tinyint: ['-128', '0', '127'],
  'smallint unsigned': ['0', '65535', '32768'],
  mediumint: ['-8388608', '5'],
  'int unsigned': ['4294967295', '7'],
  bigint: ['-9223372036854775808', '9223372036854775807', '0'],
  'bigint unsigned': ['18446744073709551615', '1'],
  'decimal(20,4)': ['-0.5', '1234567890123456.7891', '0', '3'],
  double: ['-1.5e300', '0.1', '1e-7', '1e15', '3'],
  date: ["'1970-01-01'", "'9999-12-31'", "'2024-02-29'"],
  'datetime(3)': ["'2024-01-02 03:04:05.006'", "'1000-01-01'", "'2024-01-02 03:04:05'"],
  'timestamp(6)': ["'2024-01-02 03:04:05.000001'", "'2001-01-01'"],
  'time(2)': ["'-838:59:58.5'", "'-00:00:00.1'", "'00:00:00'", "'25:00:00'", "'838:59:59'"],
  year: ['1901', '2155'],
  'bit(12)': ["b'101'", "b'111111111111'", '0'],
  'varbinary(4)': ["x'00ff'", "x'ff'", "x'00'"],
};

describe('values of MySQL', () => {
  const atEnd = lastFirst(after);
  let connection: mysql.Connection;

  before(async () => {
    const [server] = await startMariadb(atEnd);
    connection = await mysql.createConnection({ uri: server!.url(), charset: 'utf8mb4' });
    atEnd(() => connection.end());
    await connection.query('CREATE DATABASE v');
    await connection.query('USE v');
  });

  async function fields(sql: string): Promise<{ typeOids: number[]; rows: (Buffer | null)[][] }> {
    const [rows, columns] = await connection.query({
      sql,
      rowsAsArray: true,
      typeCast: (field) => field.buffer(),
    });
    return {
      rows: rows as unknown as (Buffer | null)[][],
      typeOids: (columns ?? []).map(
        ({ columnType, flags }) =>
          (columnType ?? 0) | ((Number(flags ?? 0) & UNSIGNED_FLAG) !== 0 ? UNSIGNED : 0),
      ),
    };
  }

  for (const [column, values] of Object.entries(COLUMNS)) {
    test(`of ${column} are ordered and told apart as the server does`, async () => {
      await connection.query(`CREATE OR REPLACE TABLE t (n int AUTO_INCREMENT PRIMARY KEY, v ${column})`);
      await connection.query(
        `INSERT INTO t (v) VALUES ${[...values, ...values].map((value) => `(${value})`).join(', ')}`,
      );
      const { rows, typeOids } = await fields('SELECT v FROM t ORDER BY v, n');
      const type = mysqlValues.comparable(typeOids[0]!)!;
      const decoded = rows.map(([value]) => type.decode(value!, 0));
      const sorted = [...decoded].sort(type.compare);
      assert.deepEqual(decoded.map(type.keyOf), sorted.map(type.keyOf));
      assert.equal(new Set(decoded.map(type.keyOf)).size, values.length);
    });
  }

  test('that are sums and averages are what the server computes', async () => {
    const parts = [
      [1, '1.25', 2.5],
      [2, '-3.3333', 0.1],
      [2, '1000000000000.0001', 1e20],
    ] as const;
    await connection.query('CREATE OR REPLACE TABLE t (i int, d decimal(20,4), f double)');
    await connection.query('INSERT INTO t VALUES ?', [parts.map((part) => [...part])]);
    const whole = await fields('SELECT SUM(i), SUM(d), SUM(f), AVG(i), AVG(d), AVG(f), COUNT(*) FROM t');
    for (const [index, column] of ['i', 'd', 'f'].entries()) {
      const sums: unknown[] = [];
      let typeOid = 0;
      for (const limit of [0, 1, 2]) {
        const { rows, typeOids } = await fields(
          `SELECT SUM(x) FROM (SELECT ${column} AS x FROM t LIMIT ${limit}, 1) y`,
        );
        typeOid = typeOids[0]!;
        sums.push(mysqlValues.comparable(typeOid)!.decode(rows[0]![0]!, 0));
      }
      const sum = sums.reduce(mysqlValues.adder(typeOid)!);
      assert.equal(typeOid, whole.typeOids[index]);
      assert.equal(
        mysqlValues.encode({ typeOid, value: sum }, 0).toString(),
        whole.rows[0]![index]!.toString(),
        `sum of ${column}`,
      );
      const averager = mysqlValues.averager(typeOid)!;
      assert.equal(averager.typeOid, whole.typeOids[index + 3]);
      assert.equal(
        mysqlValues.encode({ typeOid: averager.typeOid, value: averager.average(sum, 3n) }, 0).toString(),
        whole.rows[0]![index + 3]!.toString(),
        `avg of ${column}`,
      );
    }
  });

  test('that are doubles are written as the server writes them', async () => {
    const doubles = [
      0,
      -0.1,
      1e14,
      1e15,
      123456789012345.6,
      1234567890123456.5,
      1234567890123450,
      -4503599627370496,
      1e-5,
      1e-7,
      1.5e-10,
      1e-15,
      1.25e-16,
      1e20,
      -1.5e300,
      0.1 + 0.2,
      1 / 3,
      5e-324,
    ];
    await connection.query('CREATE OR REPLACE TABLE t (n int, f double)');
    await connection.query('INSERT INTO t VALUES ?', [doubles.map((value, index) => [index, value])]);
    const { rows } = await fields('SELECT f FROM t ORDER BY n');
    assert.deepEqual(
      doubles.map((value) => mysqlValues.encode({ typeOid: MYSQL_TYPE.double, value }, 0).toString()),
      rows.map(([text]) => text!.toString()),
    );
  });

  test('are the same in the binary protocol', () => {
    const bytes = (...values: number[]) => Buffer.from(values);
    const cases: [number, Buffer, string][] = [
      [MYSQL_TYPE.tiny, bytes(0xff), '-1'],
      [MYSQL_TYPE.tiny | UNSIGNED, bytes(0xff), '255'],
      [MYSQL_TYPE.long, bytes(1, 0, 0, 0x80), '-2147483647'],
      [MYSQL_TYPE.longlong | UNSIGNED, Buffer.alloc(8, 0xff), '18446744073709551615'],
      [MYSQL_TYPE.newdecimal, Buffer.from('1.50'), '1.5'],
      [MYSQL_TYPE.date, bytes(4, 0xe8, 7, 2, 29), '2024-02-29'],
      [MYSQL_TYPE.datetime, bytes(0xe8, 7, 2, 29, 1, 2, 3), '2024-02-29 01:02:03'],
      [MYSQL_TYPE.datetime, bytes(11, 0xe8, 7, 2, 29, 1, 2, 3, 1, 0, 0, 0), '2024-02-29 01:02:03.000001'],
      [MYSQL_TYPE.datetime, bytes(0), '0000-00-00 00:00:00'],
      [MYSQL_TYPE.time, bytes(8, 1, 1, 0, 0, 0, 2, 3, 4), '-26:03:04'],
      [MYSQL_TYPE.time, bytes(0), '00:00:00'],
      [MYSQL_TYPE.year, bytes(0xe8, 7), '2024'],
    ];
    for (const [typeOid, binary, text] of cases) {
      const type = mysqlValues.comparable(typeOid)!;
      const [a, b] = [type.decode(binary, 1), type.decode(Buffer.from(text), 0)];
      assert.equal(type.keyOf(a), type.keyOf(b), text);
      assert.equal(type.compare(a, b), 0, text);
    }
    const { longlong, double } = MYSQL_TYPE;
    assert.equal(mysqlValues.encode({ typeOid: longlong, value: -2n }, 1).readBigInt64LE(), -2n);
    assert.equal(mysqlValues.encode({ typeOid: double, value: 1.5 }, 1).readDoubleLE(), 1.5);
  });

  test('that cannot be merged right are refused', () => {
    assert.throws(() => mysqlValues.comparable(MYSQL_TYPE.float)!.decode(Buffer.from('1.5'), 0), {
      code: 'unsupported',
    });
    assert.equal(mysqlValues.comparable(MYSQL_TYPE.json), undefined);
    assert.equal(mysqlValues.comparable(MYSQL_TYPE.geometry), undefined);
    assert.equal(mysqlValues.adder(MYSQL_TYPE.varString), undefined);
    assert.throws(() => mysqlValues.adder(MYSQL_TYPE.longlong)!(2n ** 63n - 1n, 1n), { sqlstate: '22003' });
  });
});
