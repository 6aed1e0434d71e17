import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Node } from '@pgsql/types';
import { OperatingError } from '../../src/lib/errors.js';
import { deparseMysql, meaning } from '../../src/sql/mysql-deparse.js';
import { DEFAULT_MODE } from '../../src/sql/mysql-mode.js';
import { createMysqlParser, mysqlParser } from '../../src/sql/mysql-parser.js';
import { templateOf } from '../../src/sql/mysql-template.js';
import { statementOf } from '../../src/sql/mysql-tree.js';
import { unwrap, walk } from '../../src/sql/postgres-tree.js';
import { QUERIES } from './mysql-queries.js';

function parse(sql: string): Node {
  const statements = mysqlParser.parse(sql);
  assert.equal(statements.length, 1, sql);
  return statements[0]!.stmt!;
}

function isRefused(sql: string): boolean {
  try {
    mysqlParser.parse(sql);
    return false;
  } catch (error) {
    if (error instanceof OperatingError) return true;
    throw error;
  }
}

const CHANGES = [
  "INSERT INTO t (a, b) VALUES (1, 'x'), (?, DEFAULT)",
  'INSERT IGNORE t VALUES (1), (2)',
  "INSERT INTO db.t SET a = 1, b = 'x'",
  'INSERT INTO t () VALUES ()',
  'INSERT INTO t (a) SELECT b FROM u WHERE c = ? ON DUPLICATE KEY UPDATE a = VALUES(a) + 1, b = 2',
  'INSERT INTO t (a, b) VALUES (1, ?), (2, ?) AS new ON DUPLICATE KEY UPDATE b = t.b + new.b, c = VALUES(c)',
  'INSERT INTO t (a, b) VALUES (1, 2) AS `n w` (x, `from`) ON DUPLICATE KEY UPDATE b = x + `n w`.`from`',
  'INSERT INTO t SET a = 1 AS new',
  'INSERT INTO t (a) VALUES ROW(1), ROW(DEFAULT) LIMIT 1',
  'INSERT INTO t TABLE u',
  'REPLACE INTO t VALUES (1, 2)',
  'INSERT INTO t (a) VALUES (1) RETURNING id, a + 1',
  'UPDATE t SET a = a + 1, t.b = ? WHERE id = 5 ORDER BY a DESC LIMIT 3',
  'UPDATE LOW_PRIORITY IGNORE t AS x SET a = DEFAULT WHERE x.id IN (1, 2)',
  'DELETE FROM t WHERE id = 5 ORDER BY a LIMIT 1',
  'DELETE QUICK FROM t WHERE id = 5 RETURNING id',
  'WITH x AS (SELECT 1) DELETE FROM t WHERE id IN (SELECT * FROM x)',
];

describe('parser', () => {
  test('places every constant where its literal begins, in bytes', () => {
    const sql = "SELECT 'é', `ü`, -5, 2.5 FROM t WHERE a = 'ß' AND b IN (7, x'41') LIMIT 3, 4";
    const bytes = Buffer.from(sql);
    const literals = templateOf(sql).literals;
    const found: string[] = [];
    walk(parse(sql), (kind, node) => {
      if (kind !== 'A_Const') return undefined;
      const text = bytes
        .subarray(node['location'] as number)
        .toString()
        .replace(/^-/, '');
      const literal = literals.find((candidate) => text.startsWith(candidate));
      assert.ok(literal !== undefined, text);
      found.push(literal);
      return undefined;
    });
    assert.deepEqual(found.sort(), [...literals].sort());
  });

  test('numbers parameters in the order of the text', () => {
    const numbers: unknown[] = [];
    walk(parse('SELECT ? FROM (SELECT ? AS a) x WHERE b = ? LIMIT ?'), (kind, node) => {
      if (kind === 'ParamRef') numbers.push(node['number']);
      return undefined;
    });
    assert.deepEqual(numbers.sort(), [1, 2, 3, 4]);
  });

  test('tells what MySQL means by ||, && and " in each sql_mode', () => {
    const kindOf = (sql: string, mode = DEFAULT_MODE) => {
      const statement = createMysqlParser(mode).parse(sql)[0]!.stmt!;
      const target = 'SelectStmt' in statement ? statement.SelectStmt.targetList![0]! : undefined;
      return target !== undefined && 'ResTarget' in target ? unwrap(target.ResTarget.val!)[0] : '';
    };
    assert.equal(kindOf('SELECT a || b'), 'BoolExpr');
    assert.equal(kindOf('SELECT a || b', { ...DEFAULT_MODE, pipesAsConcat: true }), 'A_Expr');
    assert.equal(kindOf('SELECT "a"'), 'A_Const');
    assert.equal(kindOf('SELECT "a"', { ...DEFAULT_MODE, ansiQuotes: true }), 'ColumnRef');
  });

  test('writes what it reads, and reads it as the same', () => {
    for (const sql of [...QUERIES, ...CHANGES]) {
      const tree = parse(sql);
      const written = deparseMysql(tree);
      assert.ok(written !== undefined, sql);
      assert.equal(meaning(parse(written.sql)), meaning(tree), sql);
      for (const { start, end } of written.parameters) assert.equal(written.sql.slice(start, end), '?');
    }
  });

  test('writes parameters under their own numbers, in the order of the text', () => {
    const tree = parse('SELECT a FROM t WHERE b = ? AND c = ?');
    const turned = JSON.parse(JSON.stringify(tree).replace('"number":1', '"number":1000000')) as Node;
    assert.deepEqual(
      deparseMysql(turned)?.parameters.map(({ number }) => number),
      [1_000_000, 2],
    );
  });

  test('writes nothing for what MySQL has no words for', () => {
    const tree = JSON.stringify(parse('SELECT a FROM t ORDER BY a LIMIT 5'));
    const nulls = tree.replace('SORTBY_NULLS_DEFAULT', 'SORTBY_NULLS_LAST');
    assert.equal(deparseMysql(JSON.parse(nulls) as Node), undefined);
    const limit = tree.replace(
      /"limitCount":.*?"location":\d+\}\}/,
      '"limitCount":{"A_Expr":{"kind":"AEXPR_OP"}}',
    );
    assert.notEqual(limit, tree);
    assert.equal(deparseMysql(JSON.parse(limit) as Node), undefined);
  });

  test('knows the kind of every statement', () => {
    const kinds: Readonly<Record<string, string>> = {
      'BEGIN WORK': 'TransactionStmt',
      'START TRANSACTION READ ONLY': 'TransactionStmt',
      'ROLLBACK TO SAVEPOINT a': 'TransactionStmt',
      'XA START 1': 'XaStmt',
      'SET NAMES utf8mb4 COLLATE utf8mb4_bin': 'SetStmt',
      'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY': 'SetStmt',
      'USE `my db`': 'UseStmt',
      "SHOW TABLES LIKE 'x'": 'ShowStmt',
      'DESC t': 'ShowStmt',
      'EXPLAIN SELECT 1': 'ExplainStmt',
      'ANALYZE FORMAT=JSON UPDATE t SET a = 1': 'ExplainStmt',
      'KILL QUERY 5': 'KillStmt',
      'CALL p(1, 2)': 'CallStmt',
      'DO SLEEP(1)': 'DoExprStmt',
      'HANDLER t OPEN': 'HandlerStmt',
      "LOAD DATA LOCAL INFILE 'x' INTO TABLE t": 'LoadDataStmt',
      "LOAD DATA CONCURRENT INFILE 'x' REPLACE INTO TABLE d.t PARTITION (p, q) CHARSET 'utf8' COLUMNS ESCAPED BY 0x5c OPTIONALLY ENCLOSED BY '' TERMINATED BY x'2c' LINES TERMINATED BY ';' STARTING BY '' IGNORE 3 ROWS (a, @b, t.c) SET d = @b + 1, e = DEFAULT":
        'LoadDataStmt',
      "LOAD XML LOCAL INFILE 'x' INTO TABLE t ROWS IDENTIFIED BY '<r>'": 'LoadDataStmt',
      'LOAD INDEX INTO CACHE t': 'ServerStmt',
      'LOCK TABLES a READ, b AS c WRITE': 'LockTablesStmt',
      'UNLOCK TABLES': 'UnlockTablesStmt',
      "PREPARE p FROM 'SELECT 1'": 'PrepareStmt',
      'EXECUTE p USING @a': 'ExecuteStmt',
      'DEALLOCATE PREPARE p': 'DeallocateStmt',
      'CREATE TEMPORARY TABLE t (a INT, KEY (a)) ENGINE=InnoDB': 'CreateStmt',
      'CREATE TABLE t (a INT) SELECT 1 AS a': 'CreateTableAsStmt',
      'CREATE TABLE t LIKE u': 'CreateStmt',
      'CREATE UNIQUE INDEX i ON t (a)': 'IndexStmt',
      'DROP INDEX i ON t': 'AlterTableStmt',
      'ALTER TABLE t DROP COLUMN a, ADD KEY (b), ALGORITHM=INPLACE': 'AlterTableStmt',
      'ALTER TABLE t RENAME TO u': 'RenameStmt',
      'ALTER TABLE t CHANGE a b INT': 'RenameStmt',
      'RENAME TABLE a TO b': 'RenameStmt',
      'DROP TABLE IF EXISTS a, db.b': 'DropStmt',
      'TRUNCATE t': 'TruncateStmt',
      "CREATE DEFINER='root'@'localhost' VIEW v AS SELECT 1": 'ViewStmt',
      'CREATE PROCEDURE p() BEGIN SELECT 1; END': 'CreateFunctionStmt',
      'CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1': 'CreateTrigStmt',
      'UPDATE a, b SET a.x = b.x': 'MultiUpdateStmt',
      'DELETE a FROM a JOIN b ON a.x = b.x': 'MultiDeleteStmt',
      'DELETE FROM a USING a, b WHERE a.x = b.x': 'MultiDeleteStmt',
      'OPTIMIZE TABLE t': 'TableMaintenanceStmt',
      'GRANT ALL ON *.* TO x': 'GrantStmt',
      'FLUSH TABLES': 'ServerStmt',
    };
    for (const [sql, kind] of Object.entries(kinds)) assert.equal(unwrap(parse(sql))[0], kind, sql);
  });

  test('says of SET what is set, where and to what', () => {
    const set = statementOf(
      parse('SET @a = 1, SESSION sql_mode = "ANSI", @@global.x := ON, y = DEFAULT, @@z = 2'),
      'SetStmt',
    );
    assert.deepEqual(
      set?.assignments.map(({ scope, name, text, isBare }) => [scope, name, text, isBare]),
      [
        ['user', 'a', '1', false],
        ['session', 'sql_mode', '"ANSI"', false],
        ['global', 'x', 'ON', false],
        ['session', 'y', 'DEFAULT', false],
        ['session', 'z', '2', true],
      ],
    );
  });

  test('names the columns that ALTER TABLE drops or changes', () => {
    const tree = parse(
      'ALTER TABLE t DROP a, MODIFY COLUMN b INT DEFAULT (1, 2), CHANGE c c INT, DROP PRIMARY KEY',
    );
    const commands = 'AlterTableStmt' in tree ? tree.AlterTableStmt.cmds! : [];
    assert.deepEqual(
      commands.map((node) =>
        'AlterTableCmd' in node ? [node.AlterTableCmd.subtype, node.AlterTableCmd.name] : [],
      ),
      [
        ['AT_DropColumn', 'a'],
        ['AT_AlterColumnType', 'b'],
        ['AT_AlterColumnType', 'c'],
        ['AT_DropConstraint', undefined],
      ],
    );
  });

  test('refuses what does not mean the same everywhere, and what it does not know', () => {
    for (const sql of [
      'SELECT a = b IS NULL',
      'SELECT a LIKE b LIKE c',
      'SELECT /*!99999 1 + */ 2',
      'SELECT /*M! 1 */',
      'SELECT 1 /*! + 1',
      "SELECT 'a",
      'SELECT `a',
      "SELECT 'a' /* c */ 'b'",
      "SELECT _utf8 /* c */ 'b'",
      'SELECT a FROM t LIMIT ROWS EXAMINED 5',
      'SELECT a FROM t PROCEDURE ANALYSE()',
      'SELECT a FROM t GROUP BY a DESC',
      'SELECT VALUES(a) FROM t',
      'SELECT a FROM t FOR SYSTEM_TIME ALL',
      'SELECT 1 2',
      'SELEC 1',
    ])
      assert.ok(isRefused(sql), sql);
  });

  test('takes no statement for a part of the one before it', () => {
    for (const sql of [
      'DROP TABLE a; DELETE FROM b',
      'SHOW TABLES; DELETE FROM b',
      'GRANT ALL ON a TO b; DELETE FROM b',
    ])
      assert.equal(mysqlParser.parse(sql).length, 2, sql);
    assert.equal(mysqlParser.parse('CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END').length, 1);
  });

  test('survives hostile texts', () => {
    const many = 100_000;
    for (const sql of [
      `SELECT ${'('.repeat(many)}1${')'.repeat(many)}`,
      `SELECT ${'NOT '.repeat(many)}1`,
      `SELECT ${'- '.repeat(many)}1`,
      `SELECT ${'1 + '.repeat(many)}1`,
      `SELECT ${'a XOR '.repeat(many)}1`,
      `SELECT ${'1 = '.repeat(many)}1`,
      `SELECT ${'CASE WHEN '.repeat(many)}`,
      `SELECT ${'1 UNION SELECT '.repeat(many)}1`,
      `SELECT 1 FROM ${'('.repeat(many)}t${')'.repeat(many)}`,
      `SELECT 1 FROM t ${'JOIN t '.repeat(many)}`,
      `SELECT 1 FROM t ${'LEFT JOIN t '.repeat(many)}`,
      `SELECT a ${'COLLATE utf8mb4_bin '.repeat(many)}`,
      `SELECT @a := ${'@a := '.repeat(many)} 1`,
      `SELECT ${'(SELECT '.repeat(many)}`,
      `SELECT ${'f('.repeat(many)}`,
      `SELECT ${'INTERVAL '.repeat(many)}`,
      `EXPLAIN ${'EXPLAIN '.repeat(many)}SELECT 1`,
    ])
      assert.ok(isRefused(sql), sql.slice(0, 60));
    assert.ok(!isRefused(`SELECT 1 FROM t WHERE ${'a = 1 OR '.repeat(20_000)}a = 2`));
    assert.ok(!isRefused(`INSERT INTO t VALUES ${'(1),'.repeat(20_000)}(2)`));
    assert.ok(!isRefused(`SELECT ${'('.repeat(90)}1${')'.repeat(90)}`));
  });
});
