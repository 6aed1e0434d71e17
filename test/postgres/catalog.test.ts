import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import type { TableConfig } from '../../src/config/config.js';
import type { OperatingError } from '../../src/lib/errors.js';
import { readKeyspace } from '../../src/postgres/catalog.js';
import { lastFirst, startPostgres } from '../cluster.js';

const RAW = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;

const SCHEMA = `
  CREATE SCHEMA app;
  CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(30) NOT NULL, code char(3) COLLATE "C", made timestamptz DEFAULT now(), number serial,
    other int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (id * 2) STORED, plain numeric(5,2) DEFAULT 0::numeric(5,2), note text DEFAULT 'now()'::text);
  CREATE TABLE app.customers (x int);
  CREATE TABLE app.tags (tag varchar(12));
  CREATE TABLE parts (k text, x int) PARTITION BY LIST (x);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1) PARTITION BY LIST (k);
  CREATE TABLE parts_1_a PARTITION OF parts_1 FOR VALUES IN ('a');
  CREATE TABLE odd (price numeric(10,2), doc jsonb, loose text COLLATE "C", moment timestamp(3));
  CREATE VIEW direct AS SELECT * FROM customers;
  CREATE VIEW indirect AS SELECT id FROM direct WHERE EXISTS (SELECT 1 FROM odd);
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE FUNCTION reads_tables() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customers';
  CREATE FUNCTION pure(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION lower(int) RETURNS int LANGUAGE sql AS 'SELECT 1'`;

describe('catalog', () => {
  const atEnd = lastFirst(after);
  let client: pg.Client;
  const read = (tables: Record<string, TableConfig>) =>
    readKeyspace(
      async (text) =>
        (await client.query({ text, rowMode: 'array', types: RAW } as pg.QueryArrayConfig)).rows as (
          | string
          | null
        )[][],
      'shop',
      'a',
      tables,
    );

  before(async () => {
    const [server] = await startPostgres(atEnd, { version: 15 });
    client = new pg.Client({ connectionString: server!.url() });
    client.on('error', () => {});
    await client.connect();
    atEnd(() => client.end());
    await client.query(SCHEMA);
    await client
      .query(`CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
      .then(
        () => client.query('ALTER TABLE odd ALTER COLUMN loose TYPE text COLLATE loose'),
        () => {},
      );
  });

  test('tells tables, keys, columns and what fills them', async () => {
    const keyspace = await read({
      customers: { key: 'id' },
      'app.tags': { key: 'tag' },
      odd: { reference: true },
    });
    const customers = keyspace.tables.get('public.customers')!;
    assert.deepEqual(customers.key, { column: 'id', type: 'integer' });
    assert.deepEqual(customers.primaryKey, ['id']);
    const column = (name: string) => customers.columns.find((candidate) => candidate.name === name)!;
    assert.deepEqual(
      customers.columns.map(({ name }) => name),
      ['id', 'name', 'code', 'made', 'number', 'other', 'twice', 'plain', 'note'],
    );
    assert.deepEqual(
      customers.columns.filter(({ isSequenceFilled }) => isSequenceFilled).map(({ name }) => name),
      ['number', 'other'],
    );
    assert.equal(column('twice').isGenerated, true);
    assert.equal(column('code').hasByteOrder, true);
    assert.deepEqual(
      [column('made').isDefaultVolatile, column('plain').isDefaultVolatile, column('note').isDefaultVolatile],
      [true, undefined, undefined],
    );
    assert.deepEqual(keyspace.tables.get('app.tags')!.key, { column: 'tag', type: 'text', maxLength: 12 });
    assert.equal(keyspace.tables.get('app.customers')!.placement, 'home');
    assert.equal(keyspace.tables.get('public.odd')!.placement, 'reference');
    assert.deepEqual(keyspace.searchPath, ['public']);
  });

  test('lets partitions live where their table does', async () => {
    const keyspace = await read({ parts: { key: 'k' } });
    for (const name of ['parts', 'parts_1', 'parts_1_a'])
      assert.equal(keyspace.tables.get(`public.${name}`)!.placement, 'sharded', name);
  });

  test('sees through views', async () => {
    const keyspace = await read({});
    assert.deepEqual(keyspace.tables.get('public.indirect')!.reads, [
      'public.customers',
      'public.direct',
      'public.odd',
    ]);
  });

  test('knows functions that read nothing from those that may', async () => {
    const { builtinFunctions, volatileFunctions, aggregateFunctions, enums, objects } = await read({
      customers: { key: 'id' },
    });
    assert.deepEqual(
      ['count', 'pure', 'upper', 'reads_tables', 'lower'].map((name) => builtinFunctions.has(name)),
      [true, true, true, false, false],
    );
    assert.deepEqual(
      ['random', 'gen_random_uuid', 'upper'].map((name) => volatileFunctions!.has(name)),
      [true, true, false],
    );
    assert.deepEqual(
      ['count', 'string_agg', 'upper'].map((name) => aggregateFunctions!.has(name)),
      [true, true, false],
    );
    assert.ok([...enums!.values()].some((labels) => labels.join() === 'sad,ok'));
    assert.equal(objects!.get('public.customers_pkey'), 'sharded');
    assert.equal(objects!.get('public.customers_number_seq'), 'sharded');
  });

  test('lists configured tables that are yet to be made', async () => {
    const { missing } = await read({ later: { key: 'id' }, 'app.codes': { reference: true } });
    assert.deepEqual(
      [...missing!],
      [
        ['public.later', { placement: 'sharded', key: 'id' }],
        ['app.codes', { placement: 'reference', key: undefined }],
      ],
    );
  });

  const mistakes: [string, Record<string, TableConfig>, RegExp][] = [
    ['a column that is not there', { customers: { key: 'ident' } }, /no column "ident"/],
    ['a type that cannot be a key', { odd: { key: 'doc' } }, /type jsonb/],
    ['a type that rounds', { odd: { key: 'price' } }, /rounds/],
    ['a moment that rounds', { odd: { key: 'moment' } }, /rounds/],
    ['a view', { direct: { key: 'id' } }, /not a table/],
  ];
  for (const [what, tables, message] of mistakes) {
    test(`says that ${what} cannot be a shard key, and what to do`, async () => {
      await assert.rejects(
        read(tables),
        (error: OperatingError) =>
          error.code === 'configuration' && message.test(error.message) && error.hint !== undefined,
      );
    });
  }

  test('refuses a key whose collation takes different texts as one', async (t) => {
    const { rows } = await client.query("SELECT 1 FROM pg_collation WHERE collname = 'loose'");
    if (rows.length === 0) return t.skip('this server has no ICU');
    await assert.rejects(read({ odd: { key: 'loose' } }), (error: OperatingError) =>
      /nondeterministic/.test(error.message),
    );
  });
});
