import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { formatFloat } from '../../src/postgres/float-text.js';
import { postgresValues } from '../../src/postgres/values.js';
import { lastFirst, startPostgres } from '../cluster.js';

const RAW = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;

/** Values by type; the database sorts, adds and divides them, and so do we. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  int2: ['0', '-1', '32767', '-32768', '7'],
  int4: ['0', '-1', '2147483647', '10', '9'],
  int8: ['0', '-9223372036854775808', '9223372036854775807', '3'],
  numeric: [
    '0',
    '-0.00',
    '1.5',
    '1.50',
    '-12.345',
    '99999999999999999999.00001',
    '0.0000001',
    '10000',
    '9999',
    '12345678.9',
    'NaN',
  ],
  float8: [
    '0',
    '-0',
    '1.5',
    '-1e300',
    '1e-7',
    '0.1',
    'NaN',
    'Infinity',
    '-Infinity',
    '123456789012345680',
    '100000',
  ],
  float4: ['0.1', '16777216', '-3.5', '1e20'],
  bool: ['t', 'f'],
  text: ['', 'a', 'B', 'b', 'ä', '😀', '\uffee'],
  bpchar: ['', 'a', 'b'],
  uuid: ['ffffffff-0000-4000-8000-000000000000', '00000000-0000-4000-8000-00000000000f'],
  date: ['2024-01-01', '0044-03-15 BC', '99999-12-31', '-infinity', 'infinity', '1999-12-31'],
  timestamp: [
    '2024-01-01 10:00:00',
    '2024-01-01 10:00:00.5',
    '4713-01-01 00:00:00 BC',
    'infinity',
    '294276-12-31 23:59:59.999999',
  ],
  timestamptz: ['2024-01-01 10:00:00+05:30', '2024-01-01 04:30:00.000001+00', '1850-01-01 00:00:00+00'],
  time: ['10:00:00', '09:59:59.999999', '24:00:00'],
  bytea: ['\\x', '\\x00', '\\xff', '\\x0aff'],
  oid: ['4294967295', '1'],
};

describe('values', () => {
  const atEnd = lastFirst(after);
  let client: pg.Client;

  before(async () => {
    const [server] = await startPostgres(atEnd, { version: 15 });
    client = new pg.Client({ connectionString: server!.url() });
    client.on('error', () => {});
    await client.connect();
    atEnd(() => client.end());
    // A zone whose offset once had seconds.
    await client.query("SET timezone = 'Europe/Amsterdam'");
  });

  const ask = async (text: string, values: unknown[]) => {
    const result = await client.query({ text, values, rowMode: 'array', types: RAW } as pg.QueryArrayConfig);
    return { rows: result.rows as (string | null)[][], oids: result.fields.map((field) => field.dataTypeID) };
  };
  const bytes = (field: string | null | undefined) => Buffer.from(field ?? '');
  /** The type's binary form, in hex (this driver spoils binary results). */
  const sent = (type: string, value: string) =>
    `encode(${type}${/numeric|uuid|date|time/.test(type) ? '_' : ''}send(${value}), 'hex')`;

  for (const [type, texts] of Object.entries(VALUES)) {
    test(`of type ${type} have the database’s order, in text and in binary`, async () => {
      const collate = ['text', 'bpchar'].includes(type) ? ' COLLATE "C"' : '';
      const { rows, oids } = await ask(
        `SELECT v, ${sent(type, 'v')} FROM (SELECT x::${type} AS v FROM unnest($1::text[]) x) y ORDER BY v${collate}`,
        [texts],
      );
      const comparable = postgresValues.comparable(oids[0]!)!;
      for (const format of [0, 1]) {
        const decoded = rows.map((row) =>
          comparable.decode(format === 0 ? bytes(row[0]) : Buffer.from(row[1]!, 'hex'), format),
        );
        for (let index = 1; index < decoded.length; index++) {
          const order = comparable.compare(decoded[index - 1], decoded[index]);
          assert.ok(order <= 0, `${rows[index - 1]} before ${rows[index]}`);
          assert.equal(
            order === 0,
            comparable.keyOf(decoded[index - 1]) === comparable.keyOf(decoded[index]),
            'equal values have equal keys',
          );
        }
      }
    });
  }

  const sums: [string, string[]][] = [
    ['numeric', ['1', '2', '2']],
    ['numeric', ['0.1', '0.25', '1e10']],
    ['numeric', ['-1', '0', '0']],
    ['numeric', ['9999.9999', '10000', '3']],
    ['numeric', ['0.00000000001', '7', '11']],
    ['numeric', ['123456789012345678901234567890', '1', '3']],
    ['int4', ['1', '1', '2']],
    ['int8', ['-7', '2', '1']],
    ['int8', ['9223372036854775807', '9223372036854775807', '1']],
    ['float8', ['0.1', '0.25', '5']],
  ];
  for (const [type, texts] of sums) {
    test(`sum and avg of ${type} ${texts} are written as the database writes them`, async () => {
      const whole = await ask(
        `SELECT sum(v), avg(v) FROM (SELECT x::${type} AS v FROM unnest($1::text[]) x) y`,
        [texts],
      );
      const parts = await Promise.all(
        texts.map((text) =>
          ask(`SELECT sum(v), count(v) FROM (SELECT x::${type} AS v FROM unnest($1::text[]) x) y`, [[text]]),
        ),
      );
      const sumOid = parts[0]!.oids[0]!;
      const comparable = postgresValues.comparable(sumOid)!;
      const add = postgresValues.adder(sumOid)!;
      const sum = parts
        .map(({ rows }) => comparable.decode(bytes(rows[0]![0]), 0))
        .reduce((a, b) => add(a, b));
      const averager = postgresValues.averager(sumOid)!;
      assert.equal(postgresValues.encode({ typeOid: sumOid, value: sum }, 0).toString(), whole.rows[0]![0]);
      assert.equal(averager.typeOid, whole.oids[1]);
      const average = { typeOid: averager.typeOid, value: averager.average(sum, BigInt(texts.length)) };
      assert.equal(postgresValues.encode(average, 0).toString(), whole.rows[0]![1]);
      const binary = await ask(
        `SELECT ${sent(type === 'float8' ? 'float8' : 'numeric', 'avg(v)')} FROM (SELECT x::${type} AS v FROM unnest($1::text[]) x) y`,
        [texts],
      );
      assert.equal(postgresValues.encode(average, 1).toString('hex'), binary.rows[0]![0]);
      for (const cast of ['int4', 'int8', 'numeric', 'float8', 'text'] as const) {
        const expected = await ask(
          `SELECT ($1::text::${type === 'float8' ? 'float8' : 'numeric'})::${cast}`,
          [whole.rows[0]![1]],
        ).catch((error: { code: string }) => error.code);
        const actual = () => postgresValues.encode(postgresValues.cast(average, cast), 0).toString();
        if (typeof expected === 'string') assert.throws(actual, { sqlstate: expected });
        else assert.equal(actual(), expected.rows[0]![0], `${whole.rows[0]![1]} as ${cast}`);
      }
    });
  }

  test('of floating point are printed as the database prints them', async () => {
    const doubles = [
      0,
      -0,
      1,
      1.5,
      0.1,
      1e14,
      1e15,
      123456789012345.6,
      1234567890123456,
      1e-4,
      1e-5,
      1.7976931348623157e308,
      5e-324,
      -1e21,
      1 / 3,
      100,
      1e22,
    ];
    const { rows } = await ask(
      'SELECT v::float8::text, v::float8::real::text FROM unnest($1::text[]) WITH ORDINALITY AS x (v, n) WHERE abs(v::float8) < 1e38 AND (v::float8 = 0 OR abs(v::float8) > 1e-37) ORDER BY n',
      [doubles.map((value) => (Object.is(value, -0) ? '-0' : String(value)))],
    );
    const small = doubles.filter(
      (value) => Math.abs(value) < 1e38 && (value === 0 || Math.abs(value) > 1e-37),
    );
    assert.deepEqual(
      small.map((value) => [formatFloat(value), formatFloat(Math.fround(value), true)]),
      rows,
    );
    const big = await ask('SELECT unnest($1::float8[])::text', [['1.7976931348623157e308', '5e-324']]);
    assert.deepEqual([formatFloat(1.7976931348623157e308), formatFloat(5e-324)], big.rows.flat());
  });

  test('in another DateStyle are refused, with what to set', () => {
    assert.throws(() => postgresValues.comparable(1082)!.decode(Buffer.from('01/02/2024'), 0), {
      sqlstate: '0A000',
      hint: /DateStyle/,
    });
  });
});
