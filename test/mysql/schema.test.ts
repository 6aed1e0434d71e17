import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after as atEnd, test } from 'node:test';
import type { ShardAddress } from '../../src/migration/engine.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { copySchema } from '../../src/mysql/schema.js';
import { objectId } from '../../src/mysql/schema-drift.js';
import { readSchema } from '../../src/mysql/schema-read.js';
import { keyspaceOf, sql, startShards, texts } from './shard-fixture.js';

const shards = await startShards(atEnd, 2);

async function schemaOf(address: ShardAddress) {
  const session = await EngineSession.connect(address);
  try {
    return await readSchema(session);
  } finally {
    await session.close();
  }
}

async function pairOf(name: string): Promise<{ source: ShardAddress; target: ShardAddress }> {
  const [source, target] = await shards.databases(name);
  return { source: source!, target: target! };
}

function collector(): { lines: string[]; log: (level: string, message: string) => void } {
  const lines: string[] = [];
  return { lines, log: (level, message) => void lines.push(`${level}: ${message}`) };
}

const EVERYTHING = [
  'CREATE SEQUENCE numbers START WITH 7 INCREMENT BY 3 MAXVALUE 1000 CYCLE',
  `CREATE TABLE \`odd name\` (
     \`the id\` bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'AUTO_INCREMENT=5 is \\'quoted\\'', n int DEFAULT NEXTVAL(numbers), e enum('a','it''s') CHARACTER SET latin1 COLLATE latin1_german1_ci DEFAULT 'a',
     zero datetime DEFAULT '0000-00-00 00:00:00', ts timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
     doubled bigint unsigned AS (hidden * 2) STORED, j json DEFAULT '{}', hidden int INVISIBLE DEFAULT 3, g point NOT NULL, body text COLLATE utf8mb4_bin,
     PRIMARY KEY (\`the id\`), UNIQUE KEY by_n (n, e), KEY part (body(10)), SPATIAL KEY (g), FULLTEXT KEY ft (body), CONSTRAINT above CHECK (n > 0))
     ENGINE=InnoDB AUTO_INCREMENT=77 ROW_FORMAT=DYNAMIC COMMENT='who says ) ENGINE= here' DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci`,
  'CREATE TABLE b (id int PRIMARY KEY, a int, KEY (a)) PARTITION BY HASH (id) PARTITIONS 3',
  'CREATE TABLE d (id int PRIMARY KEY, c int)',
  'CREATE TABLE c (id int PRIMARY KEY, d int, FOREIGN KEY (d) REFERENCES d (id))',
  'ALTER TABLE d ADD CONSTRAINT circle FOREIGN KEY (c) REFERENCES c (id) ON DELETE SET NULL',
  'CREATE TABLE audit (id int PRIMARY KEY)',
  `CREATE FUNCTION half(x int) RETURNS int DETERMINISTIC RETURN x DIV 2`,
  `SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'`,
  `CREATE PROCEDURE act(INOUT n int) SQL SECURITY INVOKER COMMENT 'acts' BEGIN SELECT "n" || 'x' INTO n FROM "odd name"; END`,
  `SET sql_mode = DEFAULT`,
  'CREATE VIEW z_first AS SELECT half(id) AS h, id FROM b WITH CHECK OPTION',
  'CREATE VIEW a_later AS SELECT h FROM z_first',
  'CREATE VIEW audited AS SELECT * FROM audit',
];

test('a schema with a bit of everything is the same on the target, object by object', async () => {
  const { source, target } = await pairOf('everything');
  await sql(source.url, ...EVERYTHING);
  const keyspace = await keyspaceOf(source, {
    'odd name': 'the id:integer',
    b: 'id:integer',
    c: 'id:integer',
    d: 'reference',
  });
  const { lines, log } = collector();
  await copySchema(source, target, keyspace, log);
  const [expected, found] = [await schemaOf(source), await schemaOf(target)];
  const placed = expected.objects.filter(({ name }) => !/audit/.test(name));
  assert.deepEqual(found.objects, placed);
  assert.equal(placed.length, 9);
  assert.deepEqual(lines, [
    `info: schema of shard b: view audited is left out: Table 'everything.audit' doesn't exist`,
  ]);
  // It works, too: a row goes in, with its id, its defaults and its generated column.
  await sql(target.url, 'INSERT INTO `odd name` (g) VALUES (POINT(1, 2))');
  assert.deepEqual(await texts(target.url, 'SELECT `the id`, n, e, doubled, zero FROM `odd name`'), [
    '1|7|a|6|0000-00-00 00:00:00',
  ]);
  await copySchema(source, target, keyspace, log);
  assert.deepEqual((await schemaOf(target)).objects, placed);
});

test('what differs on the target is reported with the first difference, and nothing is made', async () => {
  const { source, target } = await pairOf('drift');
  const view = (v: string): string => `CREATE VIEW v AS SELECT ${v} AS x`;
  await sql(
    source.url,
    'CREATE TABLE t (id int PRIMARY KEY, price decimal(10,2) NOT NULL)',
    'CREATE TABLE u (id int PRIMARY KEY)',
    'CREATE TABLE w (id int PRIMARY KEY, v int)',
    view('1'),
  );
  await sql(
    target.url,
    'CREATE TABLE t (id int PRIMARY KEY, price decimal(10,3) NOT NULL)',
    'CREATE TABLE w (id int PRIMARY KEY, v int UNIQUE)',
    view('2'),
  );
  const keyspace = await keyspaceOf(source, { t: 'id:integer', u: 'id:integer', w: 'id:integer' });
  await assert.rejects(
    copySchema(source, target, keyspace, () => {}),
    (error: Error) => {
      assert.match(
        error.message,
        /table t: has `price` decimal\(10,3\) NOT NULL, should have `price` decimal\(10,2\) NOT NULL/,
      );
      assert.match(error.message, /table w: has UNIQUE KEY `v` \(`v`\), should have \) ENGINE=InnoDB/);
      assert.match(error.message, /view v: has/);
      return true;
    },
  );
  assert.deepEqual(await texts(target.url, 'SHOW TABLES'), ['t', 'v', 'w']);
});

test('a table that the configuration names must be there', async () => {
  const { source, target } = await pairOf('absent');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  await sql(source.url, 'DROP TABLE t');
  await assert.rejects(
    copySchema(source, target, keyspace, () => {}),
    /shard a has no table absent\.t/,
  );
});

for (const [name, count] of [
  ['sakila', 29],
  ['chinook', 11],
] as const) {
  test(`${name}: every table, view, function and procedure is the same on the target`, async () => {
    const { source, target } = await pairOf(name);
    await load(source, name);
    const home = await keyspaceOf(source, {});
    const keyspace = await keyspaceOf(
      source,
      Object.fromEntries(
        [...home.tables.values()].map((table) => [table.name, `${table.primaryKey[0]}:integer`]),
      ),
    );
    const { lines, log } = collector();
    await copySchema(source, target, keyspace, log);
    const [expected, found] = [await schemaOf(source), await schemaOf(target)];
    assert.deepEqual(found.objects.map(objectId), expected.objects.map(objectId));
    assert.deepEqual(found.objects, expected.objects);
    assert.equal(found.objects.length, count);
    assert.deepEqual(lines, []);
  });
}

/** Runs a script as the server's own client does, which knows DELIMITER. */
async function load({ url }: ShardAddress, name: string): Promise<void> {
  const statements: string[] = [];
  let [delimiter, statement] = [';', ''];
  for (const line of readFileSync(new URL(`data/${name}.sql`, import.meta.url), 'utf8').split(/\r?\n/)) {
    const [, changed] = /^DELIMITER (\S+)/.exec(line) ?? [];
    if (changed !== undefined) delimiter = changed;
    else if (line.trimEnd().endsWith(delimiter)) {
      statements.push(statement + line.trimEnd().slice(0, -delimiter.length));
      statement = '';
    } else if (!line.startsWith('-- ')) statement += `${line}\n`;
  }
  await sql(url, ...statements.filter((each) => each.trim() !== ''));
}
