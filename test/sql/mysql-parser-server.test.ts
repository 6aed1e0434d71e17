import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import { OperatingError } from '../../src/lib/errors.js';
import { deparseMysql } from '../../src/sql/mysql-deparse.js';
import { mysqlParser } from '../../src/sql/mysql-parser.js';
import type { After } from '../cluster.js';
import { startMariadb } from '../mariadb.js';
import { mysql56Folder, startMysql56 } from '../mysql/mysql56-server.js';
import { QUERIES } from './mysql-queries.js';
import { randomExpression, randomOf } from './mysql-random.js';

/*
 * The servers as the oracle: a view's definition says how the server itself understood a text. The text that is written for
 * a tree must make the same view as the text that the tree was read from.
 */

const TABLES = `
  CREATE DATABASE parsed; USE parsed;
  CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c VARCHAR(20) CHARACTER SET utf8mb4, d DATETIME, j TEXT, KEY k (a)) ENGINE=InnoDB;
  CREATE TABLE u (id INT PRIMARY KEY, a INT, x VARCHAR(20)) ENGINE=InnoDB;
  INSERT INTO t VALUES (1, 1, 2, 'one', '2020-01-01 10:00:00', '{"x":1}'), (2, 1, 3, 'Two', '2021-02-03 00:00:01', '{"x":2}'),
    (3, NULL, 4, NULL, NULL, NULL), (4, 7, -1, 'it''s', '1999-12-31', '[]'), (5, 0, 0, '', '2024-02-29', '"s"');
  INSERT INTO u VALUES (1, 1, 'one'), (2, 7, 'x'), (9, NULL, 'nine');
`;

async function connect(uri: string, atEnd: After): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({ uri, multipleStatements: true, dateStrings: true });
  atEnd(() => connection.end());
  await connection.query(TABLES);
  return connection;
}

/** How the server understood a query; undefined when it does not take it as a view. */
async function viewOf(connection: mysql.Connection, sql: string): Promise<string | undefined> {
  try {
    await connection.query(`CREATE OR REPLACE VIEW v AS ${sql}`);
  } catch (error) {
    if ((error as { errno?: number }).errno === undefined) throw error;
    return undefined;
  }
  const [rows] = await connection.query<mysql.RowDataPacket[]>('SHOW CREATE VIEW v');
  // Names are compared where they are seen: in the columns of the answer.
  return String(rows[0]!['Create View']).replace(/ AS `[^`]*`/g, '');
}

function written(sql: string): string {
  const [statement] = mysqlParser.parse(sql);
  const text = deparseMysql(statement!.stmt!);
  assert.ok(text !== undefined, `not written again: ${sql}`);
  return text.sql;
}

/** Compares random expressions without parentheses; what is refused, by us or by the server, is left out. */
async function comparePrecedence(
  connection: mysql.Connection,
  seed: number,
  rounds: number,
): Promise<number> {
  let compared = 0;
  const random = randomOf(seed);
  for (let round = 0; round < rounds; round++) {
    const sql = `SELECT ${randomExpression(random)} AS r FROM t`;
    let text: string;
    try {
      text = written(sql);
    } catch (error) {
      if (error instanceof OperatingError) continue;
      throw error;
    }
    const own = await viewOf(connection, sql);
    if (own === undefined) continue;
    compared++;
    assert.equal(await viewOf(connection, text), own, `${sql}\n${text}`);
  }
  return compared;
}

const ROUNDS = Number(process.env['RINGFERRY_EXPRESSIONS'] ?? 500);
const endings: (() => Promise<unknown>)[] = [];
const atEnd: After = (end) => endings.push(end);

after(async () => {
  for (const end of endings.reverse()) await end();
});

describe('MySQL parser beside a real MariaDB', () => {
  let connection: mysql.Connection;

  before(async () => {
    const [server] = await startMariadb(atEnd);
    connection = await connect(server!.url(), atEnd);
    await connection.query('ALTER TABLE t MODIFY j JSON, ADD FULLTEXT KEY f (c)');
  });

  test('reads precedence as the server does, in random expressions without parentheses', async () => {
    assert.ok((await comparePrecedence(connection, 20_260_101, ROUNDS)) > ROUNDS / 5);
  });

  test('writes queries that mean the same to the server and give the same rows and column names', async () => {
    for (const sql of QUERIES) {
      const text = written(sql);
      // A view keeps parentheses around the sides of UNION, needed or not.
      const hasSides = /\) (UNION|EXCEPT)|(UNION|EXCEPT)( ALL)? \(/.test(sql);
      const own = hasSides ? undefined : await viewOf(connection, sql);
      if (own !== undefined) assert.equal(await viewOf(connection, text), own, `${sql}\n${text}`);
      const [rows, fields] = await connection.query({ sql, rowsAsArray: true });
      const [again, fieldsAgain] = await connection.query({ sql: text, rowsAsArray: true });
      assert.deepEqual(again, rows, text);
      assert.deepEqual(
        fieldsAgain?.map(({ name }) => name),
        fields?.map(({ name }) => name),
        text,
      );
    }
  });
});

describe('MySQL parser beside a real MySQL 5.6', { skip: mysql56Folder() === undefined }, () => {
  test('reads precedence as the server does, in random expressions without parentheses', async () => {
    const connection = await connect((await startMysql56(atEnd)).replace('//', '//root@'), atEnd);
    assert.ok((await comparePrecedence(connection, 20_260_102, ROUNDS)) > ROUNDS / 5);
  });
});
