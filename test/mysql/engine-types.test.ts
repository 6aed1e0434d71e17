import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { StreamSpec } from '../../src/migration/engine.js';
import { caughtUp, startMigration, startPair, tasksFor } from './engine-fixture.js';
import { sql, texts, WHOLE } from './shard-fixture.js';

/** Values of each type: the first column of each pair is the type, the others literals. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  'bit(1)': ["b'0'", "b'1'"],
  'bit(10)': ["b'1111100000'", "b'1'"],
  'bit(64)': ['18446744073709551615', '0'],
  tinyint: ['-128', '127'],
  'tinyint unsigned': ['255', '0'],
  smallint: ['-32768', '32767'],
  'smallint unsigned': ['65535'],
  mediumint: ['-8388608', '8388607', '-1'],
  'mediumint unsigned': ['16777215'],
  int: ['-2147483648', '2147483647'],
  'int unsigned zerofill': ['4294967295', '7'],
  bigint: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
  'bigint unsigned': ['18446744073709551615', '9223372036854775808'],
  'decimal(65,30)': [
    '-99999999999999999999999999999999999.999999999999999999999999999999',
    '0.000000000000000000000000000001',
    '-0.5',
    '123456789.123456789',
  ],
  'decimal(10,0)': ['-1', '1234567890'],
  'decimal(5,5)': ['-0.00001', '0.99999'],
  'decimal(20,2) unsigned': ['0', '999999999999999999.99'],
  float: ['0.1', '-3.4028234e38', '1.17549435e-38', '16777217', '-0e0'],
  'float(10,3)': ['1234.5678'],
  double: ['0.1', '1.7976931348623157e308', '5e-324', '-0e0', '123456789.123456789'],
  'double(20,4)': ['12345678901.23456'],
  date: ["'0000-00-00'", "'9999-12-31'", "'2024-02-00'", "'1000-01-01'", "'0001-01-01'"],
  time: ["'-838:59:59'", "'838:59:59'", "'-00:00:01'", "'00:00:00'"],
  'time(1)': ["'-00:00:00.1'", "'-01:00:00.9'"],
  'time(2)': ["'-12:34:56.78'", "'00:00:00.01'"],
  'time(3)': ["'-00:00:00.001'"],
  'time(6)': ["'-838:59:59.999999'", "'12:34:56.789012'", "'-00:00:00.000001'", "'-10:00:00'"],
  datetime: ["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'2024-02-31 01:02:03'"],
  'datetime(3)': ["'2024-01-01 12:34:56.789'", "'0001-01-01 00:00:00.001'"],
  'datetime(6)': ["'2024-01-01 12:34:56.000001'"],
  'timestamp null': ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"],
  'timestamp(5) null': ["'2024-06-30 23:59:59.99999'"],
  year: ['0', '1901', '2155', '2000'],
  'char(10)': ["'pad'", "''", "'ünïcödé'", "'  x '"],
  'char(10) character set latin1': ["'é€'", "X'81'"],
  'varchar(20)': ["'trailing  '", "'null'", "'😀'", "'quo\\'te\\\\'", "'a\\0b\\nc'"],
  'varchar(20) character set latin1': ["X'00ff80'", "'É'"],
  'varchar(20) character set ucs2': ["'é'", "''"],
  'varchar(20) character set utf16': ["'😀'"],
  'varchar(20) character set utf32': ["'😀x'"],
  'varchar(20) character set sjis': ["X'835c'", "'\\\\'"],
  'varchar(20) character set gbk': ["X'd55c'"],
  'varchar(300)': ["repeat('x', 256)", "''"],
  'varchar(300) compressed': ["repeat('abc', 90)", "'short'", "''"],
  'binary(4)': ["X'00'", "X'ff00ff00'", "X'20202020'", "''"],
  'binary(255)': ["X'0102'"],
  'varbinary(20)': ["X'00ff5c27'", "''", "X'2000'"],
  tinytext: ["'é'", "''"],
  text: ["repeat('ü', 10000)"],
  'text character set latin1': ["'é'"],
  'text compressed': ["repeat('ü', 10000)"],
  mediumtext: ["repeat('m', 70000)"],
  longtext: ["'l'"],
  tinyblob: ["X'00'", "''"],
  blob: ["repeat(X'00ff', 1000)"],
  mediumblob: ["repeat(X'00ff', 40000)"],
  longblob: ["X'5c'"],
  json: [`'{"b": 1, "a": 12345678901234567890.10, "a": "\\\\u0041"}'`, "'null'", "' [1] '"],
  "enum('a','it''s','ü','x,y')": ["'it''s'", "'ü'", "'x,y'"],
  "set('a','b','ü')": ["'a,ü'", "''"],
  [`set(${Array.from({ length: 64 }, (_, index) => `'s${index}'`).join(',')})`]: [
    "'s0,s31,s32,s63'",
    "'s63'",
  ],
  [`enum(${Array.from({ length: 300 }, (_, index) => `'e${index}'`).join(',')})`]: ["'e299'", "'e255'"],
  geometry: [
    "ST_GeomFromText('POINT(0.1 -2e10)', 4326)",
    "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')",
  ],
  point: ["ST_GeomFromText('POINT(1 2)', 3857)"],
  polygon: ["ST_GeomFromText('POLYGON((0 0,1 1,2 0,0 0))')"],
  multipolygon: ["ST_GeomFromText('MULTIPOLYGON(((0 0,1 1,2 0,0 0)),((5 5,6 6,7 5,5 5)))')"],
  uuid: [
    "'123e4567-e89b-12d3-a456-426655440000'",
    "'f0000000-0000-1000-8000-000000000000'",
    "'00000000-0000-0000-0000-000000000000'",
  ],
  inet6: ["'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:10.0.0.1'", "'::'", "'ff00::'"],
  inet4: ["'10.0.0.1'", "'0.0.0.0'", "'255.0.0.0'"],
};

const columns = Object.keys(VALUES).map((type, index) => ({ name: `c${index}`, type }));
const rowCount = Math.max(...Object.values(VALUES).map((values) => values.length));
const pair = await startPair(atEnd);

function valuesAt(row: number): string {
  return columns.map(({ type }) => VALUES[type]![row] ?? 'NULL').join(', ');
}

const MODE = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES', time_zone = '+00:00'";

test('every type is the same on the target, bit by bit: copied, inserted, updated, as part of the key', async () => {
  const { source, target } = await pair.databases('types');
  const ddl = [
    MODE,
    // Rows of many wide columns do not fit a page otherwise.
    'SET SESSION innodb_strict_mode = OFF',
    `CREATE TABLE everything (id int PRIMARY KEY, ${columns.map(({ name, type }) => `${name} ${type}`).join(', ')},
      doubled int AS (id * 2) STORED, plus1 int AS (id + 1) VIRTUAL, hidden int INVISIBLE DEFAULT 5,
      changed timestamp NULL ON UPDATE CURRENT_TIMESTAMP, \`Odd "name\`\`, really\` text DEFAULT 'odd') ROW_FORMAT = DYNAMIC`,
  ];
  await sql(source.url, ...ddl);
  await sql(target.url, ...ddl);
  const list = columns.map(({ name }) => name).join(', ');
  const insertAt = (base: number): string[] => [
    MODE,
    ...Array.from(
      { length: rowCount },
      (_, row) =>
        `INSERT INTO everything (id, ${list}, changed) VALUES (${base + row}, ${valuesAt(row)}, '2001-01-01 00:00:00')`,
    ),
  ];
  await sql(source.url, ...insertAt(0));
  const spec: StreamSpec = {
    migration: 'types',
    direction: 'forward',
    from: source,
    to: target,
    tasks: await tasksFor(source, { everything: 'id:integer' }, WHOLE),
  };
  const stream = await startMigration(pair, spec);
  await sql(
    source.url,
    // The same values again, this time through the log; and rows that change column by column.
    ...insertAt(1000),
    ...columns.map(
      ({ name, type }) =>
        `UPDATE everything SET ${name} = ${VALUES[type]![0]}, changed = changed WHERE id = ${rowCount - 1}`,
    ),
    'UPDATE everything SET c0 = NULL, c5 = NULL, hidden = 7 WHERE id = 1001',
  );
  await caughtUp(pair, spec, stream);
  for (const { name, type } of columns) {
    // Bytes where there are bytes; the rest as exact as the server can say it.
    const exact = /^(float|double)/.test(type)
      ? `hex(CAST(${name} + 0e0 AS CHAR))`
      : /^bit/.test(type)
        ? `${name} + 0`
        : `hex(${name})`;
    const query = `SELECT id, ${exact} FROM everything ORDER BY id`;
    assert.deepEqual(await texts(target.url, query), await texts(source.url, query), type);
  }
  const others =
    'SELECT id, doubled, plus1, hidden, changed, `Odd "name``, really` FROM everything ORDER BY id';
  const rows = await texts(target.url, others);
  assert.deepEqual(rows, await texts(source.url, others));
  assert.equal(rows.length, rowCount * 2);
  await stream.stop();
});

test('an ENUM that holds none of its values stays what it is: copied, inserted, updated', async () => {
  const { source, target } = await pair.databases('enums');
  const ddl = "CREATE TABLE states (id int PRIMARY KEY, state enum('','a'))";
  await sql(source.url, ddl);
  await sql(target.url, ddl);
  const lenient = "SET SESSION sql_mode = ''";
  await sql(source.url, lenient, "INSERT INTO states VALUES (1, 'none'), (2, 'a'), (3, ''), (4, NULL)");
  const spec: StreamSpec = {
    migration: 'enums',
    direction: 'forward',
    from: source,
    to: target,
    tasks: await tasksFor(source, { states: 'id:integer' }, WHOLE),
  };
  const stream = await startMigration(pair, spec);
  await sql(
    source.url,
    lenient,
    "INSERT INTO states VALUES (5, 'none')",
    "UPDATE states SET state = 'none' WHERE id = 2",
  );
  await caughtUp(pair, spec, stream);
  const query = 'SELECT id, state + 0 FROM states ORDER BY id';
  assert.deepEqual(await texts(target.url, query), ['1|0', '2|0', '3|1', '4|NULL', '5|0']);
  await stream.stop();
});
