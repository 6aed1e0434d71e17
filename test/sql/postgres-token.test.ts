import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { ownedExclusion, rangeTestSql, tokenSql } from '../../src/sql/postgres-token.js';
import { canonicalKey } from '../../src/topology/key.js';
import type { KeyType } from '../../src/topology/keyspace.js';
import { rangeHolds } from '../../src/topology/ring.js';
import { TOKEN_MAX, TOKEN_MIN, tokenOf } from '../../src/topology/token.js';
import { lastFirst, startPostgres } from '../cluster.js';
import { RANGE_SETS, TOKENS_AT_BOUNDS } from './token-ranges.js';

/** Values of every key type in every spelling that is understood; the database is asked what it makes of them. */
const VECTORS: Readonly<
  Record<KeyType, { readonly types: readonly string[]; readonly texts: readonly string[] }>
> = {
  integer: {
    types: ['bigint', 'integer', 'smallint'],
    texts: ['0', '1', '-1', '42', '32767', '-32768', ' 7 ', '+5', '007'],
  },
  text: {
    types: ['text', 'varchar', 'varchar(40)'],
    texts: ['', 'a', 'A', ' padded ', "o'ring", 'Ünïcode ☃', '😀', 'tab\there', 'back\\slash', '42'],
  },
  'text-ci': { types: ['text', 'varchar'], texts: ['', 'a', 'Ann', 'ann  ', '  x Y!~ '] },
  bpchar: { types: ['char(12)', 'bpchar'], texts: ['', 'a', 'a  ', 'Ünï ☃', '  x '] },
  uuid: {
    types: ['uuid'],
    texts: [
      '00000000-0000-0000-0000-000000000000',
      'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
      '{a0eebc999c0b4ef8bb6d6bb9bd380a11}',
      'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
    ],
  },
  numeric: {
    types: ['numeric'],
    texts: [
      '0',
      '0.0',
      '-0',
      '1',
      '1.0',
      '1.50',
      '-12.3400',
      '1e3',
      '1.5e-7',
      '.5',
      '5.',
      '123456789012345678901234567890.000100',
      'NaN',
      '1E+2',
      ' 3.0 ',
    ],
  },
  date: {
    types: ['date'],
    texts: ['2000-01-01', '1999-12-31', '2024-02-29', '0001-01-01', '9999-12-31', '1970-01-01'],
  },
  timestamp: {
    types: ['timestamp'],
    texts: [
      '2000-01-01',
      '2024-02-29 23:59:59.999999',
      '1969-12-31T23:59:59.1',
      '0001-01-01 00:00',
      '9999-12-31 12:30:01.5',
    ],
  },
  timestamptz: {
    types: ['timestamptz'],
    texts: [
      '2000-01-01 00:00:00+00',
      '2024-07-01 10:00:00.123456+05:30',
      '2024-07-01T10:00:00Z',
      '1969-12-31 23:59:59.000001-03',
      '2024-01-01 00:00:00-12:34:56',
    ],
  },
  bytes: { types: ['bytea'], texts: ['\\x', '\\xDEADbeef', '\\x00ff', 'abc', 'a\\\\b', 'a\\000b\\377'] },
};

describe('token', () => {
  const atEnd = lastFirst(after);
  let client: pg.Client;

  before(async () => {
    const [server] = await startPostgres(atEnd, { version: 15 });
    client = new pg.Client({ connectionString: server!.url() });
    client.on('error', () => {});
    await client.connect();
    atEnd(() => client.end());
    await client.query("SET timezone = 'Asia/Tokyo'");
  });

  for (const [keyType, { types, texts }] of Object.entries(VECTORS) as [
    KeyType,
    (typeof VECTORS)[KeyType],
  ][]) {
    test(`of a ${keyType} is the same in JavaScript and in the database`, async () => {
      for (const type of types) {
        for (const text of texts) {
          const { rows } = await client.query(
            `SELECT ${tokenSql(keyType, 'k')} AS token FROM (SELECT $1::text::${type} AS k) x`,
            [text],
          );
          const canonical = canonicalKey(keyType, text);
          assert.notEqual(canonical, undefined, `${type} '${text}'`);
          assert.equal(String(tokenOf(canonical!)), rows[0].token, `${type} '${text}' as ${canonical}`);
        }
      }
    });
  }

  test('of the text that the database prints is that of the value it stores', async () => {
    const stored = [
      "'2024-07-01 10:00:00.5+02'::timestamptz",
      "'2024-07-01 10:00:00.123456'::timestamp",
      "'2024-02-29'::date",
      "'\\xdead00'::bytea",
      '12345678901234567.8900::numeric',
      '(-9223372036854775808)::bigint',
    ];
    const keyTypes: KeyType[] = ['timestamptz', 'timestamp', 'date', 'bytes', 'numeric', 'integer'];
    for (const [index, sql] of stored.entries()) {
      const { rows } = await client.query(
        `SELECT k::text AS text, ${tokenSql(keyTypes[index]!, 'k')} AS token FROM (SELECT ${sql} AS k) x`,
      );
      assert.equal(String(tokenOf(canonicalKey(keyTypes[index]!, rows[0].text)!)), rows[0].token, sql);
    }
  });

  test('is tested against ranges as JavaScript does, at their very bounds too', async () => {
    for (const ranges of RANGE_SETS) {
      const { rows } = await client.query(
        `SELECT t::text, ${rangeTestSql('t', ranges)} AS inside FROM unnest($1::bigint[]) t`,
        [TOKENS_AT_BOUNDS.map(String)],
      );
      for (const row of rows)
        assert.equal(
          row.inside,
          ranges.some((range) => rangeHolds(range, BigInt(row.t))),
          `${row.t} in ${JSON.stringify(ranges, (_key, value) => String(value))}`,
        );
    }
  });

  test('of a missing key is in no range, so that its row is not left out', async () => {
    const { rows } = await client.query(
      `SELECT ${ownedExclusion('integer', 'k', [{ low: TOKEN_MIN, high: TOKEN_MAX }])} AS owned FROM (SELECT NULL::bigint AS k) x`,
    );
    assert.equal(rows[0].owned, true);
  });
});
