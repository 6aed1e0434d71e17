import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { startPostgres } from '../cluster.js';
import {
  caughtUp,
  keyspaceOf,
  sql,
  startMigration,
  startPair,
  tasksOf,
  texts,
  WHOLE,
} from './engine-fixture.js';

const TYPES = [
  `CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"')`,
  'CREATE TYPE point3 AS (x int, label text, tags text[])',
  'CREATE TYPE nested AS (p point3, m mood)',
  `CREATE DOMAIN positive AS int CHECK (VALUE > 0)`,
  `CREATE DOMAIN positives AS positive[]`,
  `CREATE DOMAIN boxed AS point3`,
  'CREATE TYPE floats AS RANGE (subtype = float8, subtype_diff = float8mi)',
];

/** Column type → values as SQL. Every built-in type that can be stored, and what users make of them. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  bool: ['true', 'false'],
  int2: ['-32768', '32767'],
  int4: ['-2147483648', '0'],
  int8: ['-9223372036854775808', '9223372036854775807'],
  numeric: [
    `'NaN'`,
    `'Infinity'`,
    '12345678901234567890.12345678901234567890',
    '1.10',
    '-0.00000000000000000001',
  ],
  'numeric(10,3)': ['1.5', '-9999999.999'],
  float4: [`'NaN'`, `'-Infinity'`, '1.17549435e-38', '0.1', `'-0'`],
  float8: [`'NaN'`, '0.1', '1e-307', '1.7976931348623157e308', '123456789.123456789'],
  money: [`'-12345.67'`, `'0.01'`],
  text: [
    `''`,
    `E'tab\\tnewline\\nback\\\\slash\\rquote"''\\b'`,
    `'\\N'`,
    `'\\.'`,
    `U&'\\00e9 \\1F600 \\0301'`,
    `repeat('ü', 1000)`,
  ],
  'varchar(20)': [`'trailing  '`, `'null'`],
  'char(10)': [`'pad'`, `''`],
  '"char"': [`'a'`, `'\\001'::text::"char"`],
  name: [`'a name'`],
  bytea: [`'\\x'`, `'\\x00ff5c27'`, `decode(repeat('00ff', 500), 'hex')`],
  date: [`'0044-03-15 BC'`, `'infinity'`, `'9999-12-31'`, `'2024-02-29'`],
  time: [`'24:00:00'`, `'12:34:56.789012'`],
  timetz: [`'12:34:56.789012+05:30'`, `'00:00:00-15:59:59'`],
  timestamp: [`'0001-01-01 00:00:00 BC'`, `'-infinity'`, `'2024-01-01 12:34:56.123456'`],
  timestamptz: [`'2024-06-30 23:59:59.999999+14'`, `'infinity'`, `'294276-12-31 23:59:59 UTC'`],
  interval: [`'-1 year 2 mons -3 days 04:05:06.789012'`, `'178000000 years'`, `'1 day -00:00:00.000001'`],
  'interval day to second(3)': [`'1 02:03:04.5678'`],
  uuid: [`'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`],
  json: [`'{"b": 1, "a": 12345678901234567890.10, "a": "\\u0041"}'`, `'null'`, `'  [1]  '`],
  jsonb: [`'{"b": 1, "a": 12345678901234567890.10}'`, `'null'`, `'"\\u00e9"'`],
  jsonpath: [`'$.a[*] ? (@ > 2)'`],
  xml: [`'<a b="c">d &amp; e</a>'`, `'text only'`],
  'bit(5)': [`B'10101'`],
  varbit: [`B''`, `B'1011'`],
  inet: [`'10.0.0.1/8'`, `'::1'`],
  cidr: [`'10.0.0.0/8'`],
  macaddr: [`'08:00:2b:01:02:03'`],
  macaddr8: [`'08:00:2b:01:02:03:04:05'`],
  point: [`'(0.1,-2e10)'`],
  line: [`'{1,2,3}'`],
  lseg: [`'[(1,2),(3,4)]'`],
  box: [`'(3,4),(1,2)'`],
  path: [`'[(1,2),(3,4)]'`, `'((1,2),(3,4))'`],
  polygon: [`'((0,0),(1,1),(2,0))'`],
  circle: [`'<(1,2),3>'`],
  tsvector: [`'a:1A fat:2B,4C ''q u'':3'`],
  tsquery: [`'fat & (rat | !cat:A) <-> x'`],
  int4range: [`'[1,10)'`, `'empty'`, `'(,5]'`],
  tstzrange: [`'["2024-01-01 00:00:00+00",)'`],
  nummultirange: [`'{[1.1,2.2),[3,)}'`],
  floats: [`'[0.1,0.3]'`],
  oid: ['4294967295'],
  regclass: [`'pg_class'`, `'public.everything'`],
  regtype: [`'int4'`],
  pg_lsn: [`'16/B374D848'`],
  xid: [`'4294967295'`],
  xid8: [`'18446744073709551615'`],
  tid: [`'(0,1)'`],
  pg_snapshot: [`'10:20:10,14,15'`],
  'int4[]': [`'{}'`, `'{1,NULL,3}'`, `'[0:1][2:3]={{1,2},{3,4}}'`],
  'text[]': [`ARRAY['', 'a,b', '"q"', E'\\\\', NULL, 'NULL']`],
  'bytea[]': [`ARRAY['\\x00'::bytea, NULL]`],
  'timestamptz[]': [`ARRAY['2024-01-01 00:00:00+01'::timestamptz]`],
  mood: [`'it''s "fine"'`],
  'mood[]': [`ARRAY['sad', 'it''s "fine"']::mood[]`],
  point3: [`ROW(1, 'a "b", (c)', ARRAY['x,y', NULL])`, `ROW(NULL, '', NULL)`, 'ROW(NULL, NULL, NULL)'],
  'point3[]': [`ARRAY[ROW(1, 'a', NULL)::point3, NULL]`],
  nested: [`ROW(ROW(1, 'a', NULL)::point3, 'sad')`],
  positive: ['7'],
  positives: ['ARRAY[1,2]::positives'],
  boxed: [`ROW(1, 'in a domain', NULL)::point3`],
};

const columns = Object.keys(VALUES).map((type, index) => ({ name: `c${index}`, type }));
const pair = await startPair(atEnd);

function valuesAt(row: number): string {
  return columns
    .map(({ type }) => (VALUES[type]![row] === undefined ? 'NULL' : `(${VALUES[type]![row]})::${type}`))
    .join(', ');
}

const rowCount = Math.max(...Object.values(VALUES).map((values) => values.length));

test('every type is the same on the target, byte by byte: copied, inserted, updated, large or unchanged', async () => {
  const { source, target } = await pair.databases('types');
  await moveEveryType(source, target);
});

for (const [from, to] of [
  [15, 18],
  [18, 15],
] as const) {
  test(`every type survives the way from PostgreSQL ${from} to ${to}`, async (t) => {
    const addresses = await Promise.all(
      [from, to].map(async (version, index): Promise<ShardAddress> => {
        const [server] = await startPostgres((end) => t.after(end), { version });
        return { shard: index === 0 ? 'a' : 'd', url: server!.url('postgres') };
      }),
    );
    await moveEveryType(addresses[0]!, addresses[1]!);
  });
}

async function moveEveryType(source: ShardAddress, target: ShardAddress): Promise<void> {
  await sql(
    source.url,
    ...TYPES,
    `CREATE TABLE everything (id int PRIMARY KEY, ${columns.map(({ name, type }) => `${name} ${type}`).join(', ')},
      doubled int GENERATED ALWAYS AS (c2 / 2) STORED, counted int GENERATED ALWAYS AS IDENTITY, free int GENERATED BY DEFAULT AS IDENTITY,
      large text, huge jsonb, "Odd ""name"", really" text DEFAULT 'odd')`,
    ...Array.from(
      { length: rowCount },
      (_, row) =>
        `INSERT INTO everything (id, ${columns.map(({ name }) => name).join(', ')}) VALUES (${row}, ${valuesAt(row)})`,
    ),
    `INSERT INTO everything (id, large, huge) SELECT 100 + i, string_agg(md5(i::text || j::text), ''), jsonb_agg(md5(j::text)) FROM generate_series(1, 5) i, generate_series(1, 2000) j GROUP BY i`,
  );
  const keyspace = await keyspaceOf(source, { everything: 'id:integer' });
  const spec: StreamSpec = {
    migration: 'types',
    direction: 'forward',
    from: source,
    to: target,
    tasks: tasksOf(keyspace, WHOLE),
  };
  const stream = await startMigration(pair.engine, spec, keyspace);
  await sql(
    source.url,
    // The same rows again, this time through the log; and rows whose values change and whose large values do not.
    ...Array.from(
      { length: rowCount },
      (_, row) =>
        `INSERT INTO everything (id, ${columns.map(({ name }) => name).join(', ')}) VALUES (${row + 1000}, ${valuesAt(row)})`,
    ),
    ...columns.map(
      ({ name }) =>
        `UPDATE everything SET ${name} = (SELECT ${name} FROM everything WHERE id = 0) WHERE id = 101`,
    ),
    `UPDATE everything SET c2 = 5 WHERE id = 102`,
    `UPDATE everything SET large = large || 'x' WHERE id = 103`,
    `UPDATE everything SET counted = DEFAULT WHERE id = 104`,
    `UPDATE everything SET id = 205 WHERE id = 105`,
    'UPDATE everything SET c0 = NULL, large = NULL, huge = NULL WHERE id = 1001',
  );
  await caughtUp(pair.engine, spec, stream);
  const list = columns.map(({ name }) => name).join(', ');
  for (const query of [
    `SELECT id, ${list} FROM everything ORDER BY id`,
    'SELECT id, doubled, counted, free, md5(large), md5(huge::text), length(large), "Odd ""name"", really" FROM everything ORDER BY id',
  ]) {
    assert.deepEqual(await texts(target.url, query), await texts(source.url, query));
  }
  const { comparedRows, differences } = await pair.engine.verify(
    stream,
    spec,
    () => {},
    AbortSignal.timeout(30_000),
  );
  assert.deepEqual(differences, []);
  assert.equal(comparedRows, rowCount * 2 + 5);
  await stream.stop();
}
