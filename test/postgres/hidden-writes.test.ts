import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { SelectStmt } from '@pgsql/types';
import { hiddenWritesSql } from '../../src/postgres/hidden-writes.js';
import { dependenciesOf } from '../../src/routing/dependencies.js';
import { loadParser } from '../../src/sql/postgres-parser.js';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { verdictOf } from '../hidden-writes.js';

/** What a server says of reads whose text shows no write: `no` only where none can be behind it. */
const [server] = await startPostgres(lastFirst(after));
const parser = await loadParser();

async function answerTo(database: string, sql: string): Promise<string> {
  const [parsed] = parser.parse(sql);
  const { SelectStmt } = parsed!.stmt as { SelectStmt: SelectStmt };
  const questions = hiddenWritesSql(dependenciesOf(SelectStmt));
  return verdictOf(questions, (question) => runSql(server!.url(database), question));
}

async function makeDatabase(name: string, ...statements: string[]): Promise<void> {
  await runSql(server!.url(), `CREATE DATABASE ${name}`);
  await runSql(
    server!.url(name),
    'CREATE TABLE things (id int PRIMARY KEY, v int)',
    'CREATE TABLE bumps (n int)',
    "CREATE FUNCTION bump(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO bumps VALUES (n); RETURN n; END'",
    ...statements,
  );
}

test("relations and functions: only tables and the system's own functions write nothing", async () => {
  await makeDatabase(
    'relations',
    'CREATE VIEW bumping AS SELECT id, bump(v) AS v FROM things',
    'CREATE VIEW other AS SELECT id FROM things',
    'CREATE MATERIALIZED VIEW stored AS SELECT id FROM things',
    'CREATE TABLE guarded (id int)',
    'ALTER TABLE guarded ENABLE ROW LEVEL SECURITY',
    'CREATE POLICY watched ON guarded USING (bump(id) > 0)',
    'CREATE EXTENSION file_fdw',
    'CREATE SERVER files FOREIGN DATA WRAPPER file_fdw',
    "CREATE FOREIGN TABLE remote (id int) SERVER files OPTIONS (filename '/dev/null')",
    'CREATE TABLE parts (id int) PARTITION BY RANGE (id)',
    'CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10)',
    'CREATE SCHEMA elsewhere',
    'CREATE VIEW elsewhere.twice AS SELECT * FROM bumping',
    'CREATE TABLE twice (id int)',
    `CREATE TABLE "it's" (id int)`,
    "CREATE FUNCTION round(thing things) RETURNS int LANGUAGE sql AS 'SELECT bump(thing.v)'",
    "CREATE FUNCTION adding(n int, thing things) RETURNS int LANGUAGE sql AS 'SELECT bump(thing.v)'",
    'CREATE AGGREGATE avg(things) (SFUNC = adding, STYPE = int)',
    'CREATE AGGREGATE sum(text) (SFUNC = textcat, STYPE = text)',
    "CREATE FUNCTION upper(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n'",
  );
  const answers: Record<string, string> = {
    'SELECT 1 + 1': 'no',
    'SELECT v FROM things WHERE id = $1': 'no',
    'SELECT v FROM public.things JOIN stored USING (id) WHERE things.id IN (SELECT n FROM bumps)': 'no',
    'SELECT * FROM parts, part1': 'no',
    'SELECT relname FROM pg_class': 'no',
    'SELECT upper($1), lower($2), sum(v) FROM things': 'no',
    [`SELECT * FROM "it's"`]: 'no',
    'WITH mine AS (SELECT * FROM things) SELECT * FROM mine': 'no',
    'SELECT * FROM public.twice': 'no',
    'SELECT v FROM bumping WHERE id = $1': 'yes',
    'SELECT 1 FROM things WHERE EXISTS (SELECT FROM bumping)': 'yes',
    'SELECT id FROM other': 'yes',
    'SELECT id FROM guarded': 'yes',
    'SELECT id FROM remote': 'yes',
    'SELECT id FROM nowhere': 'yes',
    'SELECT id FROM twice': 'yes',
    'SELECT id FROM elsewhere.twice': 'yes',
    'SELECT round(things) FROM things': 'yes',
    'SELECT avg(things) FROM things': 'yes',
    'SELECT s.v FROM (WITH bumping AS (SELECT 1 AS v) SELECT v FROM bumping) s, bumping': 'yes',
  };
  const told: Record<string, string> = {};
  for (const sql of Object.keys(answers)) told[sql] = await answerTo('relations', sql);
  assert.deepEqual(told, answers);
  await runSql(
    server!.url('relations'),
    "CREATE FOREIGN TABLE part2 PARTITION OF parts FOR VALUES FROM (10) TO (20) SERVER files OPTIONS (filename '/dev/null')",
  );
  assert.equal(await answerTo('relations', 'SELECT * FROM parts'), 'yes');
  assert.equal(await answerTo('relations', 'SELECT * FROM things'), 'no');
});

const EXPRESSIONS: Record<string, readonly string[]> = {
  operators: [
    "CREATE FUNCTION meets(a int, b int) RETURNS boolean LANGUAGE sql AS 'SELECT bump(a) = b'",
    'CREATE OPERATOR <=|=> (FUNCTION = meets, LEFTARG = int, RIGHTARG = int)',
  ],
  casts: [
    "CREATE FUNCTION thing_of(n int) RETURNS things LANGUAGE sql AS 'SELECT bump(n), n'",
    'CREATE CAST (int AS things) WITH FUNCTION thing_of(int)',
  ],
  domains: ['CREATE DOMAIN bumped AS int CHECK (bump(VALUE) > 0)'],
};

for (const [name, statements] of Object.entries(EXPRESSIONS))
  test(`${name} of the user's own that may write make any read one that may write`, async () => {
    await makeDatabase(name);
    assert.equal(await answerTo(name, 'SELECT v FROM things'), 'no');
    await runSql(server!.url(name), ...statements);
    assert.equal(await answerTo(name, 'SELECT v FROM things'), 'yes');
  });
