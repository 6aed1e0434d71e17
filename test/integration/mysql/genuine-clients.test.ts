import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import mysql, { type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { MYSQL_TESTS } from '../../engines.js';
import { noGenuineMysql } from '../../genuine-mysql.js';
import { fileOf, piecesOf } from './load-files.js';
import { CONNECTOR_SCHEMA, CONNECTOR_TABLES, testMariadbConnector } from './mariadb-connector-suite.js';
import { SEQUELIZE_TABLES, testSequelize } from './sequelize-suite.js';
import { startThreeShards, type ThreeShards } from './shards.js';

const SCHEMA = [
  'SET GLOBAL local_infile = ON',
  CONNECTOR_SCHEMA,
  'CREATE TABLE loaded (id int PRIMARY KEY, v varchar(2000))',
  'CREATE TABLE words (id int AUTO_INCREMENT, owner int, v varchar(20), n int, PRIMARY KEY (owner, v), KEY (id))',
];
const TABLES = {
  ...CONNECTOR_TABLES,
  ...SEQUELIZE_TABLES,
  loaded: { key: 'id' },
  words: { key: 'owner' },
};
const ROWS = 3000;

const atEnd = lastFirst(after);
const shards =
  noGenuineMysql === undefined
    ? await startThreeShards(atEnd, SCHEMA, TABLES, {
        engine: MYSQL_TESTS,
        facts: { local_infile: true },
        config: { workers: 2 },
      })
    : undefined;

if (shards !== undefined) {
  testSequelize('a genuine MySQL, at two workers', shards, atEnd);
  testMariadbConnector('a genuine MySQL, at two workers', shards, atEnd);
  testMysql2(shards);
}

function testMysql2({ url, onEach }: ThreeShards): void {
  const file = Buffer.from(
    Array.from({ length: ROWS }, (_, id) => `${id},${'é'.repeat(id % 90)}\n`).join(''),
  );
  const sql = "LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded CHARACTER SET utf8mb4 FIELDS TERMINATED BY ','";

  describe('mysql2 against three shards of a genuine MySQL, at two workers', () => {
    for (const compress of [false, true])
      test(`loads a file into a sharded table and reads it back${compress ? ', compressed' : ''}`, async () => {
        const connection = await mysql.createConnection({ uri: url, compress });
        try {
          await connection.query('DELETE FROM loaded');
          const [loaded] = await connection.query<ResultSetHeader>({
            sql,
            infileStreamFactory: () => fileOf(piecesOf(file, 10_000)),
          });
          assert.equal(loaded.affectedRows, ROWS);
          assert.equal(loaded.info, `Records: ${ROWS}  Deleted: 0  Skipped: 0  Warnings: 0`);
          const counts = await onEach('SELECT count(*) FROM loaded');
          assert.ok(
            counts.every((count) => count > ROWS / 10),
            `spread ${counts}`,
          );
          for (const rows of [
            (await connection.query<RowDataPacket[]>('SELECT id, v FROM loaded ORDER BY id'))[0],
            (await connection.execute<RowDataPacket[]>('SELECT id, v FROM loaded ORDER BY id'))[0],
          ])
            assert.equal(rows.map((row) => `${row['id']},${row['v']}\n`).join(''), file.toString());
          const { stream } = (connection as unknown as { readonly connection: { readonly stream: Socket } })
            .connection;
          assert.equal(
            stream.bytesRead < file.length / 2,
            compress,
            `${stream.bytesRead} bytes for two readings`,
          );
          const long = 'x'.repeat(2000);
          await connection.execute('INSERT INTO loaded VALUES (?, ?), (?, ?)', [9001, long, 9002, long]);
          const [sums] = await connection.query('SELECT sum(length(v)) AS n FROM loaded WHERE id > 9000');
          assert.deepEqual(sums, [{ n: '4000' }]);
        } finally {
          await connection.end();
        }
      });

    test('upserts by row alias at both workers at once give no number twice', async () => {
      const connections = await Promise.all(
        Array.from({ length: 4 }, () => mysql.createConnection({ uri: url })),
      );
      const upsert = `INSERT INTO words (owner, v, n) VALUES (?, ?, 1), (?, ?, 1) AS new
        ON DUPLICATE KEY UPDATE n = words.n + new.n, owner = new.owner`;
      try {
        await Promise.all(
          connections.map(async (connection, client) => {
            const word = `of client ${client}`;
            for (let n = 0; n < 24; n++)
              await connection.execute(upsert, [n % 12, word, (n % 12) + 1000, word]);
          }),
        );
        const [rows] = await connections[0]!.query<RowDataPacket[]>('SELECT id, n FROM words');
        assert.equal(new Set(rows.map((row) => row['id'])).size, 96);
        assert.ok(
          rows.every((row) => row['n'] === 2),
          'each is written twice',
        );
      } finally {
        for (const connection of connections) await connection.end();
      }
    });
  });
}
