import assert from 'node:assert/strict';
import { after as atEnd, describe, test } from 'node:test';
import type { ShardAddress } from '../../src/migration/engine.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { repairRows } from '../../src/mysql/repair.js';
import { copySchema } from '../../src/mysql/schema.js';
import { type DatabaseSchema, readSchema } from '../../src/mysql/schema-read.js';
import { verifyRows } from '../../src/mysql/verify.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { caughtUp, startMigration, startPair, tasksFor } from './engine-fixture.js';
import { keyspaceOf, numbersTo, sql, texts, WHOLE } from './shard-fixture.js';

const EVERYTHING = [
  `CREATE TABLE \`odd name\` (
     \`the id\` bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'AUTO_INCREMENT=5 is \\'quoted\\'', n int DEFAULT (1 + 1),
     e enum('a','it''s') CHARACTER SET latin1 COLLATE latin1_german1_ci DEFAULT 'a', zero datetime DEFAULT '0000-00-00 00:00:00',
     ts timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), hidden int INVISIBLE DEFAULT 3,
     doubled bigint AS (hidden * 2) STORED, up int AS (n + 1) VIRTUAL, g point NOT NULL SRID 4326, body text COLLATE utf8mb4_0900_as_cs,
     PRIMARY KEY (\`the id\`), UNIQUE KEY by_n (n DESC, e), KEY part (body(10)), KEY folded ((lower(e))), KEY unseen (ts) INVISIBLE,
     SPATIAL KEY (g), FULLTEXT KEY ft (body), CONSTRAINT above CHECK (n > 0), CONSTRAINT lax CHECK (n > 5) NOT ENFORCED)
     AUTO_INCREMENT=77 ROW_FORMAT=DYNAMIC COMMENT='who says ) ENGINE= here' COLLATE=utf8mb4_unicode_ci`,
  'CREATE TABLE b (id int PRIMARY KEY, a int, KEY (a)) PARTITION BY HASH (id) PARTITIONS 3',
  'CREATE TABLE d (id int PRIMARY KEY, c int)',
  'CREATE TABLE c (id int PRIMARY KEY, d int, FOREIGN KEY (d) REFERENCES d (id))',
  'ALTER TABLE d ADD CONSTRAINT circle FOREIGN KEY (c) REFERENCES c (id) ON DELETE SET NULL',
  'SET sql_generate_invisible_primary_key = ON',
  'CREATE TABLE keyless (k int NOT NULL)',
  'CREATE TABLE audit (id int PRIMARY KEY)',
  'CREATE FUNCTION half(x int) RETURNS int DETERMINISTIC RETURN x DIV 2',
  `SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'`,
  `CREATE PROCEDURE act(INOUT n int) SQL SECURITY INVOKER COMMENT 'acts' BEGIN SELECT "n" || 'x' INTO n FROM "odd name"; END`,
  'SET sql_mode = DEFAULT',
  'CREATE VIEW z_first AS SELECT half(id) AS h, id FROM b WITH CHECK OPTION',
  'CREATE VIEW a_later AS SELECT h FROM z_first',
  'CREATE VIEW audited AS SELECT * FROM audit',
];

describe('a genuine MySQL of today', { skip: noGenuineMysql ?? false }, async () => {
  if (noGenuineMysql !== undefined) return;
  const pair = await startPair(atEnd, {}, startGenuineMysql);

  async function schemaOf(address: ShardAddress): Promise<DatabaseSchema> {
    const session = await EngineSession.connect(address);
    try {
      return await readSchema(session);
    } finally {
      await session.close();
    }
  }

  test('a schema with a bit of everything is the same on the target, object by object', async () => {
    const { source, target } = await pair.databases('everything');
    await sql(source.url, "SET sql_mode = ''", ...EVERYTHING);
    const keyspace = await keyspaceOf(source, {
      'odd name': 'the id:integer',
      b: 'id:integer',
      c: 'id:integer',
      d: 'reference',
      keyless: 'k:integer',
    });
    const lines: string[] = [];
    const copy = (): Promise<void> =>
      copySchema(source, target, keyspace, (level, message) => void lines.push(`${level}: ${message}`));
    await copy();
    const placed = (await schemaOf(source)).objects.filter(({ name }) => !/audit/.test(name));
    assert.deepEqual((await schemaOf(target)).objects, placed);
    assert.equal(placed.length, 9);
    assert.deepEqual(lines, [
      `info: schema of shard d: view audited is left out: Table 'everything.audit' doesn't exist`,
    ]);
    await sql(target.url, "INSERT INTO `odd name` (n, g) VALUES (4, ST_GeomFromText('POINT(1 2)', 4326))");
    const row = 'SELECT `the id`, n, e, doubled, up, zero FROM `odd name`';
    assert.deepEqual(await texts(target.url, row), ['1|4|a|6|5|0000-00-00 00:00:00']);
    await copy();
    await sql(target.url, "SET sql_mode = ''", 'ALTER TABLE `odd name` ALTER INDEX unseen VISIBLE');
    await assert.rejects(copy(), /table odd name: has KEY `unseen` \(`ts`\), should have .*INVISIBLE/);
  });

  /** Keys of each kind; 0900 collations do not pad, and take letters of any case and accent as equal. */
  const KEYED: readonly (readonly [column: string, type: string, value: string])[] = [
    ['bigint unsigned', 'integer', '18446744073709551615 - seq'],
    ['decimal(15,3)', 'numeric', 'seq / 8'],
    ['varchar(20) COLLATE utf8mb4_0900_bin', 'text', "concat('Ünï ', seq)"],
    ['varchar(20) COLLATE utf8mb4_bin', 'bpchar', "concat('a ', seq)"],
    ['varchar(20) COLLATE utf8mb4_0900_ai_ci', 'text-ci', "concat('Key ', seq)"],
    ['char(12) CHARACTER SET latin1', 'text-ci', "concat('K', seq)"],
    ['date', 'date', "'2000-01-01' + INTERVAL seq DAY"],
    ['datetime(6)', 'timestamp', "'2000-01-01' + INTERVAL seq MICROSECOND"],
    ['binary(8)', 'bytes', "concat('b', seq)"],
    ['varbinary(8)', 'bytes', 'char(seq, 0, 255)'],
  ];
  for (const [index, [column, type, value]] of KEYED.entries())
    test(`rows keyed by ${column} are selected alike by both, verified and mended`, async () => {
      const name = `keyed${index}`;
      const { source, target } = await pair.databases(name);
      const ddl = `CREATE TABLE t (k ${column} PRIMARY KEY, bits bit(9), v text, place point, spare varchar(9) COLLATE utf8mb4_0900_as_cs)`;
      for (const { url } of [source, target]) await sql(url, ddl);
      const insert = (from: number): string =>
        `INSERT INTO t SELECT ${value}, seq, repeat('é', seq), POINT(seq, 1), 'x ' FROM ${numbersTo(40)} WHERE seq > ${from} AND seq <= ${from + 20}`;
      await sql(source.url, insert(0));
      const tasks = await tasksFor(source, { t: `k:${type}` }, [{ low: WHOLE[0]!.low, high: 0n }]);
      const spec = { migration: name, direction: 'forward', from: source, to: target, tasks } as const;
      const stream = await startMigration(pair, spec);
      await sql(source.url, insert(20), "UPDATE t SET v = 'later' WHERE bits % 3 = 0");
      await caughtUp(pair, spec, stream);
      const verify = async (): Promise<string[]> => {
        const { differences, comparedRows } = await verifyRows(
          stream,
          spec,
          () => {},
          AbortSignal.timeout(60_000),
        );
        assert.ok(comparedRows > 5 && comparedRows < 35, String(comparedRows));
        return differences.map(({ kind }) => kind).sort();
      };
      assert.deepEqual(await verify(), []);
      await sql(
        target.url,
        'DELETE FROM t ORDER BY bits LIMIT 1',
        "UPDATE t SET spare = 'X ' ORDER BY bits LIMIT 1",
        'UPDATE t SET bits = bits ^ 256 ORDER BY bits DESC LIMIT 1',
      );
      const { differences } = await verifyRows(stream, spec, () => {}, AbortSignal.timeout(60_000));
      assert.deepEqual(differences.map(({ kind }) => kind).sort(), ['different', 'different', 'missing']);
      await repairRows(spec, stream, differences);
      assert.deepEqual(await verify(), []);
      await stream.stop();
    });

  test('rows are addressed by a primary key that the server made, and nobody sees', async () => {
    const { source, target } = await pair.databases('unseen');
    const ddl = ['SET sql_generate_invisible_primary_key = ON', 'CREATE TABLE t (k int NOT NULL, v text)'];
    for (const { url } of [source, target]) await sql(url, ...ddl);
    const insert = `INSERT INTO t SELECT seq, 'n' FROM ${numbersTo(20)}`;
    await sql(source.url, insert);
    const tasks = await tasksFor(source, { t: 'k:integer' }, WHOLE);
    const spec = { migration: 'unseen', direction: 'forward', from: source, to: target, tasks } as const;
    const stream = await startMigration(pair, spec);
    await sql(
      source.url,
      insert,
      "UPDATE t SET v = 'later' WHERE k < 5",
      'DELETE FROM t WHERE k = 7 LIMIT 1',
    );
    await caughtUp(pair, spec, stream);
    const rows = 'SELECT my_row_id, t.* FROM t ORDER BY my_row_id';
    assert.deepEqual(await texts(target.url, rows), await texts(source.url, rows));
    assert.equal((await texts(target.url, rows)).length, 39);
    await stream.stop();
  });
});
