import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { SelectStmt } from '@pgsql/types';
import { hiddenWritesSql } from '../../src/mysql/hidden-writes.js';
import { dependenciesOf } from '../../src/routing/dependencies.js';
import { mysqlParser } from '../../src/sql/mysql-parser.js';
import { lastFirst } from '../cluster.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { verdictOf } from '../hidden-writes.js';
import { runMysql, startMariadb } from '../mariadb.js';

/** What a server says of reads whose text shows no write: `no` only where none can be behind it. */
const SERVERS = {
  MariaDB: { start: startMariadb, skip: false as const },
  MySQL: { start: startGenuineMysql, skip: noGenuineMysql ?? (false as const) },
};

function questionsOf(sql: string): readonly string[] {
  const { SelectStmt } = mysqlParser.parse(sql)[0]!.stmt as { SelectStmt: SelectStmt };
  return hiddenWritesSql(dependenciesOf(SelectStmt));
}

test('a read that names no table needs no question', () => {
  assert.deepEqual(questionsOf('SELECT 1 + 1, upper(?)'), []);
});

for (const [engine, { start, skip }] of Object.entries(SERVERS))
  describe(`reads of ${engine}`, { skip }, async () => {
    if (skip !== false) return;
    const [server] = await start(lastFirst(after));
    await runMysql(
      server!.url(),
      'CREATE DATABASE shop',
      'CREATE DATABASE other',
      'USE shop',
      'CREATE TABLE things (id int PRIMARY KEY, v int)',
      'CREATE TABLE bumps (n int)',
      "CREATE TABLE `it's` (id int)",
      'CREATE FUNCTION bump(n int) RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO bumps VALUES (n); RETURN n; END',
      'CREATE VIEW bumping AS SELECT id, bump(v) AS v FROM things',
      'CREATE VIEW plain AS SELECT id FROM things',
      'CREATE VIEW other.things AS SELECT id FROM shop.bumping',
      'CREATE TABLE other.bumping (id int)',
    );

    test('only tables write nothing', async () => {
      const answers: Record<string, string> = {
        'SELECT v FROM things WHERE id = ?': 'no',
        'SELECT v FROM shop.things JOIN bumps ON n = id WHERE id IN (SELECT id FROM other.bumping)': 'no',
        "SELECT id FROM `it's`": 'no',
        'SELECT TABLE_NAME FROM information_schema.TABLES': 'no',
        'WITH mine AS (SELECT * FROM things) SELECT * FROM mine': 'no',
        'SELECT v FROM bumping WHERE id = ?': 'yes',
        'SELECT 1 FROM things WHERE EXISTS (SELECT 1 FROM bumping)': 'yes',
        'SELECT id FROM plain': 'yes',
        'SELECT id FROM other.things': 'yes',
        'SELECT id FROM nowhere': 'yes',
        'SELECT id FROM `back\\slash`': 'yes',
        'SELECT s.v FROM (WITH bumping AS (SELECT 1 AS v) SELECT v FROM bumping) s, bumping': 'yes',
      };
      const told: Record<string, string> = {};
      for (const sql of Object.keys(answers))
        told[sql] = await verdictOf(questionsOf(sql), (question) => runMysql(server!.url('shop'), question));
      assert.deepEqual(told, answers);
    });
  });
