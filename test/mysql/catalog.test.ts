import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import type { TableConfig } from '../../src/config/config.js';
import { readKeyspace } from '../../src/mysql/catalog.js';
import { isPlainCollation } from '../../src/routing/mysql-collations.js';
import { tokenSql } from '../../src/sql/mysql-token.js';
import { canonicalKey } from '../../src/topology/key.js';
import type { Keyspace } from '../../src/topology/keyspace.js';
import { tokenOf } from '../../src/topology/token.js';
import { lastFirst } from '../cluster.js';
import { startMariadb } from '../mariadb.js';

const SCHEMA = [
  `CREATE TABLE customers (Id bigint unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(40), code varchar(9) COLLATE utf8mb4_nopad_bin,
     raw varbinary(8) DEFAULT 'now()', amount decimal(12,3), many decimal(30,3), born date, at datetime(3), seen timestamp(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
     doubled int AS (amount * 2) PERSISTENT, tag binary(4), note text, kind enum('a','b'), ref uuid DEFAULT uuid(), spanish varchar(10) COLLATE utf8mb4_spanish_ci,
     plain char(5) COLLATE utf8mb4_nopad_bin, bin varchar(5) COLLATE utf8mb4_bin)`,
  'CREATE TABLE orders (customer_id int, id int, PRIMARY KEY (id, customer_id))',
  'CREATE TABLE countries (code varchar(2) PRIMARY KEY)',
  'CREATE VIEW named AS SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.Id',
  'CREATE VIEW over_named AS SELECT name FROM named',
  'CREATE VIEW lands AS SELECT * FROM countries',
  'CREATE SEQUENCE numbers',
];

describe('the keyspace of a MariaDB database', () => {
  const atEnd = lastFirst(after);
  let connection: mysql.Connection;

  const read = (tables: Readonly<Record<string, TableConfig>>): Promise<Keyspace> =>
    readKeyspace(
      async (sql) => {
        const [rows] = await connection.query({
          sql,
          rowsAsArray: true,
          typeCast: (field) => field.string(),
        });
        return rows as unknown as (string | null)[][];
      },
      'shop',
      'a',
      tables,
    );

  before(async () => {
    const [server] = await startMariadb(atEnd);
    connection = await mysql.createConnection({ uri: server!.url(), charset: 'utf8mb4' });
    atEnd(() => connection.end());
    await connection.query('CREATE DATABASE shop');
    await connection.query('USE shop');
    for (const sql of SCHEMA) await connection.query(sql);
  });

  test('has tables with their keys, columns and defaults', async () => {
    const keyspace = await read({
      customers: { key: 'ID' },
      orders: { key: 'customer_id' },
      countries: { reference: true },
      later: { key: 'id' },
    });
    const customers = keyspace.tables.get('shop.customers')!;
    assert.deepEqual(customers.key, {
      column: 'Id',
      type: 'integer',
      bounds: { low: 0n, high: 2n ** 64n - 1n },
    });
    assert.deepEqual([keyspace.grammar, customers.primaryKey], ['mysql-5', ['Id']]);
    const column = (name: string) => customers.columns.find((each) => each.name === name)!;
    assert.deepEqual(
      customers.columns.map((each) => [each.name, each.keyType ?? null]),
      [
        ['Id', 'integer'],
        ['name', 'text-ci'],
        ['code', 'text'],
        ['raw', 'bytes'],
        ['amount', 'numeric'],
        ['many', null],
        ['born', 'date'],
        ['at', 'timestamp'],
        ['seen', null],
        ['doubled', 'integer'],
        ['tag', 'bytes'],
        ['note', 'text-ci'],
        ['kind', null],
        ['ref', 'uuid'],
        ['spanish', null],
        ['plain', 'bpchar'],
        ['bin', 'bpchar'],
      ],
    );
    assert.equal(column('Id').isSequenceFilled, true);
    assert.equal(column('doubled').isGenerated, true);
    assert.equal(column('name').isSequenceFilled, false);
    assert.deepEqual(
      customers.columns.filter((each) => each.isDefaultVolatile).map((each) => each.name),
      ['seen', 'ref'],
    );
    assert.deepEqual(
      customers.columns.filter((each) => each.isUpdateVolatile).map((each) => each.name),
      ['seen'],
    );
    assert.deepEqual(
      customers.columns.filter((each) => each.hasByteOrder).map((each) => each.name),
      ['code', 'raw', 'tag', 'plain'],
    );
    assert.deepEqual(
      customers.columns.filter((each) => each.isLooselyEqual).map((each) => each.name),
      ['name', 'note', 'spanish', 'bin'],
    );
    assert.deepEqual(keyspace.tables.get('shop.orders')!.primaryKey, ['id', 'customer_id']);
    assert.equal(keyspace.tables.get('shop.countries')!.placement, 'reference');
    assert.deepEqual([...keyspace.missing!.entries()], [['shop.later', { placement: 'sharded', key: 'id' }]]);
    assert.deepEqual(keyspace.searchPath, ['shop']);
  });

  test('views know the tables that they read, through other views too', async () => {
    const { tables } = await read({});
    assert.deepEqual(tables.get('shop.named')!.reads, ['shop.customers', 'shop.orders']);
    assert.deepEqual(tables.get('shop.over_named')!.reads, ['shop.customers', 'shop.named', 'shop.orders']);
    assert.deepEqual(tables.get('shop.lands')!.reads, ['shop.countries']);
    assert.equal(tables.get('shop.named')!.kind, 'view');
    assert.equal(tables.get('shop.numbers')!.kind, 'other');
  });

  test('bounds say what a key column stores unchanged', async () => {
    const keyOf = async (key: string) =>
      (await read({ customers: { key } })).tables.get('shop.customers')!.key;
    assert.equal((await keyOf('name'))!.maxLength, 40);
    assert.deepEqual((await keyOf('tag'))!.bounds, { minBytes: 4, maxBytes: 4 });
    assert.deepEqual((await keyOf('raw'))!.bounds, { maxBytes: 8 });
    assert.deepEqual((await keyOf('amount'))!.bounds, { precision: 12, scale: 3 });
    assert.deepEqual((await keyOf('at'))!.bounds, { scale: 3 });
  });

  test('what cannot be a key is refused with what can', async () => {
    for (const [key, message] of [
      ['nothing', /has no column "nothing"/],
      ['many', /decimal\(30,3\)/],
      ['seen', /timestamp/],
      ['kind', /enum/],
      ['spanish', /utf8mb4_spanish_ci/],
      ['doubled', /generated/],
    ] as const)
      await assert.rejects(read({ customers: { key } }), { code: 'configuration', message }, key);
    await assert.rejects(read({ named: { key: 'id' } }), {
      code: 'configuration',
      message: /not a plain table/,
    });
    await connection.query("SET GLOBAL sql_mode = 'ANSI_QUOTES'");
    try {
      await assert.rejects(read({ customers: { key: 'Id' } }), {
        code: 'configuration',
        message: /ANSI_QUOTES/,
      });
    } finally {
      await connection.query('SET GLOBAL sql_mode = DEFAULT');
    }
  });

  test('under a plain collation, texts of printable ASCII that the server takes as equal are one key', async () => {
    const [collations] = await connection.query<mysql.RowDataPacket[]>(
      "SELECT FULL_COLLATION_NAME AS name, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE CHARACTER_SET_NAME IN ('utf8mb4', 'utf8mb3', 'latin1', 'ascii')",
    );
    const plain = collations.filter((row) => isPlainCollation(String(row['name'])));
    assert.ok(plain.length > 20, `only ${plain.length} collations`);
    const characters = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index));
    const texts = characters.flatMap((a) => characters.map((b) => a + b));
    for (const [index, { name, charset }] of plain.entries()) {
      await connection.query(
        `CREATE OR REPLACE TABLE t (k varchar(4) CHARACTER SET ${charset} COLLATE ${name}, canonical varbinary(4)) ENGINE = MEMORY`,
      );
      await connection.query('INSERT INTO t VALUES ?', [
        texts.map((text) => [text, canonicalKey('text-ci', text)!]),
      ]);
      const [mixed] = await connection.query<mysql.RowDataPacket[]>(
        'SELECT MIN(canonical), MAX(canonical) FROM t GROUP BY k HAVING COUNT(DISTINCT canonical) > 1 LIMIT 3',
      );
      assert.deepEqual(mixed, [], String(name));
      if (index % 8 !== 0) continue;
      const [tokens] = await connection.query<mysql.RowDataPacket[]>(
        `SELECT k, CAST(${tokenSql('text-ci', 'k')} AS CHAR) AS token FROM t ORDER BY RAND(3) LIMIT 400`,
      );
      for (const row of tokens)
        assert.equal(
          row['token'],
          String(tokenOf(canonicalKey('text-ci', String(row['k']))!)),
          `${name} ${row['k']}`,
        );
    }
  });
});
