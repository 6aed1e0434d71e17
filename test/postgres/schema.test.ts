import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after as atEnd, test } from 'node:test';
import { promisify } from 'node:util';
import { installedBinaries } from '../../src/demo/postgres-binaries.js';
import type { ShardAddress } from '../../src/migration/engine.js';
import { EngineSession } from '../../src/postgres/engine-session.js';
import type { DatabaseSchema } from '../../src/postgres/schema-object.js';
import { readSchema } from '../../src/postgres/schema-read.js';
import { keyspaceOf, sql, startPair, texts } from './engine-fixture.js';

const pair = await startPair(atEnd);
const { engine } = pair;

async function schemaOf(address: ShardAddress) {
  const session = await EngineSession.connect(address);
  try {
    return await readSchema(session);
  } finally {
    await session.close();
  }
}

/** All tables of a database sharded (by their first key column) or, without a primary key, left at home. */
async function allSharded(source: ShardAddress, except: readonly string[] = []) {
  const home = await keyspaceOf(source, {});
  const placed = [...home.tables.values()].filter(
    (table) => table.primaryKey.length > 0 && !except.includes(table.name),
  );
  return keyspaceOf(
    source,
    Object.fromEntries(
      placed.map((table) => [`${table.schema}.${table.name}`, `${table.primaryKey[0]}:integer`]),
    ),
  );
}

const EVERYTHING = [
  'CREATE SCHEMA shop; CREATE SCHEMA "Odd schema"',
  `CREATE TYPE shop.mood AS ENUM ('sad', 'it''s ok')`,
  `CREATE TYPE "Odd schema"."Odd type" AS (x int, label varchar(10) COLLATE "C")`,
  `CREATE DOMAIN shop.positive AS int DEFAULT 1 NOT NULL CONSTRAINT above_zero CHECK (VALUE > 0)`,
  'CREATE TYPE shop.floats AS RANGE (subtype = float8, subtype_diff = float8mi)',
  `CREATE COLLATION shop.plain (locale = 'C')`,
  'CREATE SEQUENCE shop.numbers AS int INCREMENT BY 5 MINVALUE 5 MAXVALUE 1000 START 10 CACHE 3 CYCLE',
  `CREATE FUNCTION shop.half(x int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT x / 2'`,
  `CREATE TABLE shop.customers (
     id int GENERATED ALWAYS AS IDENTITY (START WITH 7 INCREMENT BY 2) PRIMARY KEY,
     "E-mail" text COLLATE shop.plain NOT NULL DEFAULT 'no''ne' UNIQUE DEFERRABLE INITIALLY DEFERRED,
     mood shop.mood DEFAULT 'sad', boxed "Odd schema"."Odd type", level shop.positive, span shop.floats, moods shop.mood[],
     halved int GENERATED ALWAYS AS (shop.half(id)) STORED, legacy serial, number int DEFAULT nextval('shop.numbers'),
     body text, CONSTRAINT "Level!" CHECK (level < 100) NOT VALID) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)`,
  'ALTER TABLE shop.customers ALTER body SET STORAGE EXTERNAL, ALTER body SET STATISTICS 500, ALTER body SET (n_distinct = -0.5)',
  `COMMENT ON TABLE shop.customers IS 'who buys'; COMMENT ON COLUMN shop.customers."E-mail" IS E'back\\\\slash'; COMMENT ON CONSTRAINT "Level!" ON shop.customers IS 'low'`,
  `CREATE TABLE shop.orders (id int PRIMARY KEY, customer int REFERENCES shop.customers ON DELETE CASCADE DEFERRABLE, parent int REFERENCES shop.orders, price numeric(10,2), during tstzrange,
     EXCLUDE USING gist (during WITH &&) WHERE (price > 0))`,
  'CREATE TABLE shop.countries (code char(2) PRIMARY KEY, name text)',
  'CREATE TABLE shop.audit (id int PRIMARY KEY, what text)',
  'CREATE INDEX by_mood ON shop.customers (lower("E-mail") text_pattern_ops DESC, mood) INCLUDE (level) WHERE level > 3',
  'CREATE UNIQUE INDEX one_price ON shop.orders (customer, price NULLS FIRST)',
  'CREATE STATISTICS shop.together ON customer, price FROM shop.orders',
  'CREATE FUNCTION shop.of_customer(c shop.customers) RETURNS SETOF shop.orders LANGUAGE sql STABLE BEGIN ATOMIC SELECT * FROM shop.orders WHERE customer = c.id; END',
  `CREATE PROCEDURE shop.act(INOUT n int DEFAULT 3) LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '1MB' AS $$ BEGIN n := n + 1; PERFORM 'a\\b'; END $$`,
  `CREATE AGGREGATE shop.gathered(anycompatible) (SFUNC = array_append, STYPE = anycompatiblearray, INITCOND = '{}')`,
  `CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.body := now(); RETURN NEW; END'`,
  'CREATE TRIGGER touched BEFORE UPDATE OF mood, level ON shop.customers FOR EACH ROW WHEN (OLD.mood IS DISTINCT FROM NEW.mood) EXECUTE FUNCTION shop.touch()',
  'CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shop.orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.touch()',
  'ALTER TABLE shop.customers DISABLE TRIGGER touched',
  'CREATE VIEW shop.rich WITH (security_barrier = true) AS SELECT c.*, o.price FROM shop.customers c JOIN shop.orders o ON o.customer = c.id WHERE o.price > 10',
  'CREATE VIEW shop.richer AS SELECT id, max(price) AS price FROM shop.rich GROUP BY id',
  'CREATE MATERIALIZED VIEW shop.counted AS SELECT count(*) AS n FROM shop.orders; CREATE UNIQUE INDEX ON shop.counted (n)',
  'CREATE VIEW shop.audited AS SELECT * FROM shop.audit',
  'CREATE RULE no_delete AS ON DELETE TO shop.countries DO INSTEAD NOTHING',
  'ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON shop.orders FOR UPDATE TO reader USING (price > 0) WITH CHECK (price < 100)',
  'GRANT SELECT, INSERT ON shop.orders TO reader WITH GRANT OPTION; GRANT UPDATE ON shop.countries TO PUBLIC; REVOKE ALL ON FUNCTION shop.half(int) FROM PUBLIC; GRANT USAGE ON SCHEMA shop TO reader',
  'ALTER TABLE shop.orders REPLICA IDENTITY USING INDEX orders_pkey',
];

test('a schema with a bit of everything is the same on the target, object by object', async () => {
  const { source, target } = await pair.databases('everything');
  await sql(source.url, `DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$`);
  await sql(target.url, `DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$`);
  await sql(source.url, ...EVERYTHING);
  const keyspace = await keyspaceOf(source, {
    'shop.customers': 'id:integer',
    'shop.orders': 'customer:integer',
    'shop.countries': 'reference',
  });
  await engine.copySchema(source, target, keyspace);
  const [expected, found] = [await schemaOf(source), await schemaOf(target)];
  const everywhere = new Set(expected.objects.map((object) => object.id).filter((id) => !/audit/.test(id)));
  assert.deepEqual(describe(found), describe(expected, everywhere));
  assert.ok(expected.objects.length > 45, `${expected.objects.length} objects`);
  assert.deepEqual(await texts(target.url, `SELECT relname FROM pg_class WHERE relname LIKE 'audit%'`), []);
  // It works, too: a row goes in, with identity, defaults, generated column and checks.
  await sql(target.url, `INSERT INTO shop.customers (level) VALUES (8)`);
  assert.deepEqual(
    await texts(target.url, 'SELECT id, halved, legacy, number, "E-mail" FROM shop.customers'),
    [`7|3|1|10|no'ne`],
  );
});

test('copying a schema to where it is already changes nothing and is no error', async () => {
  const { source, target } = await pair.databases('again');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT now())', 'CREATE INDEX ON t (v)');
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  await engine.copySchema(source, target, keyspace);
  const before = await schemaOf(target);
  await engine.copySchema(source, target, keyspace);
  assert.deepEqual(await schemaOf(target), before);
});

test('a table that differs on the target is reported with the first difference, and nothing is made', async () => {
  const { source, target } = await pair.databases('drift');
  await sql(
    source.url,
    'CREATE TABLE t (id int PRIMARY KEY, price numeric(10,2) NOT NULL)',
    'CREATE TABLE u (id int PRIMARY KEY)',
    'CREATE TABLE w (id int PRIMARY KEY)',
  );
  await sql(
    target.url,
    'CREATE TABLE t (id int PRIMARY KEY, price numeric(10,3) NOT NULL)',
    'CREATE TABLE w (id int PRIMARY KEY, CHECK (id > 5))',
  );
  const keyspace = await keyspaceOf(source, { t: 'id:integer', u: 'id:integer', w: 'id:integer' });
  await assert.rejects(engine.copySchema(source, target, keyspace), (error: Error) => {
    assert.match(
      error.message,
      /table public\.t: has "price" numeric\(10,3\) NOT NULL, should have "price" numeric\(10,2\) NOT NULL/,
    );
    assert.match(error.message, /constraint w_id_check of public\.w is too many/);
    return true;
  });
  assert.deepEqual(
    await texts(target.url, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`),
    ['t', 'w'],
  );
});

test('what cannot be copied is refused with its name: partitions, inheritance, unlogged tables', async () => {
  const { source, target } = await pair.databases('refused');
  await sql(
    source.url,
    'CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)',
    'CREATE UNLOGGED TABLE quick (id int PRIMARY KEY)',
    'CREATE TABLE parent (id int PRIMARY KEY)',
    'CREATE TABLE child (more int) INHERITS (parent)',
  );
  for (const [table, reason] of [
    ['quick', 'unlogged'],
    ['parent', 'inheritance'],
    ['parts', 'partitioned'],
  ] as const) {
    const keyspace = await keyspaceOf(source, { [table]: 'id:integer' });
    await assert.rejects(engine.copySchema(source, target, keyspace), {
      code: 'unsupported',
      message: new RegExp(`table public\\.${table}: it .*${reason}`),
    });
  }
});

test('a foreign key to a table at home is left out, a function that does not compile there is no reason to fail', async () => {
  const { source, target } = await pair.databases('loose');
  await sql(
    source.url,
    'CREATE TABLE home_only (id int PRIMARY KEY)',
    'CREATE TABLE t (id int PRIMARY KEY, h int REFERENCES home_only)',
    "CREATE FUNCTION f() RETURNS SETOF home_only LANGUAGE sql AS 'SELECT * FROM home_only'",
    'CREATE VIEW v AS SELECT * FROM t JOIN home_only USING (id)',
  );
  await engine.copySchema(source, target, await keyspaceOf(source, { t: 'id:integer' }));
  assert.deepEqual(
    await texts(
      target.url,
      `SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n'`,
    ),
    ['t_pkey'],
  );
  assert.ok(
    pair.log.some((line) =>
      /foreign-key t_h_fkey of public\.t is left out: it needs table public\.home_only/.test(line),
    ),
    pair.log.join('\n'),
  );
});

for (const [name, homeOnly, expectedObjects] of [
  ['sakila', ['payment'], 140],
  ['chinook', [], 45],
] as const) {
  test(`${name}: every table, type, view, function and trigger is the same on the target`, async () => {
    const { source, target } = await pair.databases(name);
    await sql(source.url, readFileSync(new URL(`data/${name}.sql`, import.meta.url), 'utf8'));
    await engine.copySchema(source, target, await allSharded(source, homeOnly));
    const [expected, found] = [await schemaOf(source), await schemaOf(target)];
    const copied = new Set(found.objects.map((object) => object.id));
    const missing = expected.objects.map((object) => object.id).filter((id) => !copied.has(id));
    // payment is inherited from and has rules, so it stays at home, and with it what needs it.
    const allowed =
      name === 'sakila' ? /payment|^view public\.sales_by|^function public\.rewards_report/ : /^$/;
    assert.deepEqual(
      missing.filter((id) => !allowed.test(id)),
      [],
    );
    assert.deepEqual(describe(found), describe(expected, copied));
    assert.ok(copied.size >= expectedObjects, `${copied.size} objects`);
  });
}

const pgDump = join(installedBinaries(15)?.folder ?? '', 'pg_dump');

test('a second opinion: pg_dump writes the same for both', { skip: !existsSync(pgDump) }, async (t) => {
  const { source, target } = await pair.databases('dumped');
  if (!(await texts(source.url, 'SHOW server_version'))[0]!.startsWith('15'))
    return t.skip('pg_dump is of version 15');
  for (const { url } of [source, target])
    await sql(url, `DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$`);
  await sql(source.url, ...EVERYTHING.filter((statement) => !/audit/.test(statement)));
  const placed = {
    'shop.customers': 'id:integer',
    'shop.orders': 'customer:integer',
    'shop.countries': 'reference',
  };
  await engine.copySchema(source, target, await keyspaceOf(source, placed));
  const [expected, found] = await Promise.all(
    [source, target].map(({ url }) => promisify(execFile)(pgDump, ['--schema-only', '-d', url])),
  );
  const lines = (dump: { stdout: string }): string[] =>
    dump.stdout.split('\n').filter((line) => !/^(--|\\(un)?restrict|$)/.test(line));
  assert.deepEqual(lines(found!), lines(expected!));
});

/** One line an object, in a definite order. */
function describe(schema: DatabaseSchema, only?: ReadonlySet<string>): string[] {
  const objects = schema.objects.filter((object) => only === undefined || only.has(object.id));
  return objects.map((object) => JSON.stringify([object.id, object.create, object.after])).sort();
}
