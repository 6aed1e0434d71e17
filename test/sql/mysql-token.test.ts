import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import mysql from 'mysql2/promise';
import { ownedExclusion, quoteName, rangeTestSql, tokenSql } from '../../src/sql/mysql-token.js';
import type { KeyType } from '../../src/topology/keyspace.js';
import { type Range, rangeHolds } from '../../src/topology/ring.js';
import { TOKEN_MAX, TOKEN_MIN, tokenOf } from '../../src/topology/token.js';
import { lastFirst } from '../cluster.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { startMariadb } from '../mariadb.js';
import { RANGE_SETS, TOKENS_AT_BOUNDS } from './token-ranges.js';

/** Column type, values as SQL, and the canonical text of each. */
type Stored = readonly [KeyType, column: string, values: Readonly<Record<string, string>>];

const STORED: readonly Stored[] = [
  [
    'integer',
    'bigint',
    {
      '0': '0',
      '-9223372036854775808': '-9223372036854775808',
      '9223372036854775807': '9223372036854775807',
    },
  ],
  ['integer', 'bigint unsigned', { '18446744073709551615': '18446744073709551615', '0': '0' }],
  ['integer', 'int(8) zerofill', { '7': '7', '0': '0' }],
  ['integer', 'tinyint', { '-128': '-128', "'5'": '5' }],
  ['bpchar', 'varchar(40) COLLATE utf8mb4_bin', { "'A b  '": 'A b', "'  x'": '  x', "''": '' }],
  ['bpchar', 'char(12) COLLATE utf8mb4_bin', { "'a'": 'a', "''": '' }],
  [
    'numeric',
    'decimal(30,6)',
    { '100': '100', '1.50': '1.5', '-0.0': '0', '-12.34': '-12.34', '0.000001': '0.000001' },
  ],
  ['numeric', 'decimal(20,0)', { '100': '100', '-7': '-7' }],
  ['numeric', 'decimal(20,3) zerofill', { '100': '100', '1.5': '1.5' }],
  ['date', 'date', { "'2000-01-01'": '0', "'1999-12-31'": '-1', "'2024-02-29'": '8825' }],
  [
    'timestamp',
    'datetime(6)',
    {
      "'1970-01-01'": '0',
      "'1969-12-31 23:59:59.100000'": '-900000',
      "'9999-12-31 23:59:59.999999'": '253402300799999999',
    },
  ],
  ['timestamptz', 'timestamp(6)', { "'2024-07-01 19:00:00.123456'": '1719828000123456' }],
  ['bytes', 'varbinary(20)', { "x'00FFad'": '00ffad', "''": '' }],
  ['bytes', 'binary(4)', { "x'01'": '01000000' }],
];

const TEXTS = { "'A b '": 'A b ', "'Ünï ☃ 😀'": 'Ünï ☃ 😀', "''": '' };

interface Kind {
  readonly name: string;
  readonly start: typeof startMariadb;
  readonly stored: readonly Stored[];
  /** Clients may have any of these; the token must not change with them. */
  readonly sessions: readonly string[];
}

const SESSIONS = [
  "SET time_zone = '+09:00'",
  "SET time_zone = '+09:00', sql_mode = 'ANSI,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES,NO_UNSIGNED_SUBTRACTION', character_set_connection = utf16, div_precision_increment = 0",
];

const KINDS: readonly Kind[] = [
  {
    name: 'MariaDB',
    start: startMariadb,
    stored: [
      ['text', 'varchar(40) COLLATE utf8mb4_nopad_bin', TEXTS],
      ['text', 'varchar(40) CHARACTER SET latin1 COLLATE latin1_nopad_bin', { "'Ünï'": 'Ünï' }],
      ['uuid', 'uuid', { "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'": 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' }],
    ],
    sessions: [
      ...SESSIONS,
      "SET time_zone = '+09:00', sql_mode = 'ORACLE,EMPTY_STRING_IS_NULL,STRICT_ALL_TABLES', character_set_connection = latin1, character_set_results = NULL",
    ],
  },
  {
    name: 'MySQL',
    start: startGenuineMysql,
    stored: [
      ['text', 'varchar(40) COLLATE utf8mb4_0900_bin', TEXTS],
      ['text-ci', 'varchar(40) COLLATE utf8mb4_0900_ai_ci', { "'A b  '": 'a b', "''": '' }],
    ],
    sessions: [
      ...SESSIONS,
      "SET time_zone = '+09:00', character_set_connection = latin1, character_set_results = NULL",
    ],
  },
];

for (const { name, start, stored, sessions } of KINDS)
  describe(`token on ${name}`, { skip: name === 'MySQL' && noGenuineMysql }, () => {
    const atEnd = lastFirst(after);
    let connection: mysql.Connection;

    before(async () => {
      const [server] = await start(atEnd);
      connection = await mysql.createConnection({
        uri: server!.url(),
        supportBigNumbers: true,
        bigNumberStrings: true,
      });
      atEnd(() => connection.end());
      await connection.query('CREATE DATABASE tokens');
      await connection.query('USE tokens');
    });

    for (const [keyType, columnType, values] of [...STORED, ...stored]) {
      test(`of a ${columnType} is that of its canonical text, in every session`, async () => {
        for (const session of sessions) {
          await connection.query(
            "SET sql_mode = DEFAULT, character_set_connection = utf8mb4, time_zone = '+09:00'",
          );
          for (const [value, canonical] of Object.entries(values)) {
            await connection.query('DROP TABLE IF EXISTS t');
            await connection.query(`CREATE TABLE t (\`k\`\`\` ${columnType} NULL)`);
            await connection.query(`INSERT INTO t VALUES (${value})`);
            await connection.query(session);
            const [rows] = await connection.query<mysql.RowDataPacket[]>(
              `SELECT ${tokenSql(keyType, quoteName('k`'))} AS token FROM t`,
            );
            await connection.query('SET sql_mode = DEFAULT, character_set_connection = utf8mb4');
            assert.equal(
              String(rows[0]!['token']),
              String(tokenOf(canonical)),
              `${columnType} ${value}: ${session}`,
            );
          }
        }
      });
    }

    test('is tested against ranges as JavaScript does, at their very bounds too', async () => {
      const sets: (readonly Range[])[] = [
        ...RANGE_SETS,
        // So many that the server searches by halves, with neighbours that a double could not tell apart.
        Array.from({ length: 200 }, (_, index) => {
          const low = TOKEN_MAX - 800n + BigInt(index) * 4n;
          return { low, high: low + 1n };
        }),
      ];
      const tokens = [...TOKENS_AT_BOUNDS];
      for (let near = 2n; near < 810n; near++) tokens.push(TOKEN_MAX - near);
      await connection.query('CREATE TABLE tokens (t bigint)');
      await connection.query(`INSERT INTO tokens VALUES ${tokens.map((token) => `(${token})`).join(', ')}`);
      for (const ranges of sets) {
        const [rows] = await connection.query<mysql.RowDataPacket[]>(
          `SELECT CAST(t AS CHAR) AS t, ${rangeTestSql('t', ranges)} AS inside FROM tokens`,
        );
        assert.equal(rows.length, tokens.length);
        for (const row of rows)
          assert.equal(
            Number(row['inside']) === 1,
            ranges.some((range) => rangeHolds(range, BigInt(row['t']))),
            `${row['t']} in ${JSON.stringify(ranges, (_key, value) => String(value))}`,
          );
      }
    });

    test('of a missing key is in no range, so that its row is not left out', async () => {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(
        `SELECT ${ownedExclusion('integer', 'k', [{ low: TOKEN_MIN, high: TOKEN_MAX }])} AS owned FROM (SELECT NULL AS k) x`,
      );
      assert.equal(Number(rows[0]!['owned']), 1);
    });
  });
