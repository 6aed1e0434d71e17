import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { lastFirst } from '../cluster.js';
import {
  type Answer,
  type MysqlShardedDatabase,
  openMysqlShardedDatabase,
} from './mysql-sharded-database.js';

/** Collations of every kind: one weight for each character, several, of several levels; with trailing blanks and without. */
const COLLATIONS = [
  'utf8mb4_general_ci',
  'utf8mb4_unicode_ci',
  'utf8mb4_unicode_nopad_ci',
  'utf8mb4_unicode_520_ci',
  'utf8mb4_uca1400_ai_ci',
  'utf8mb4_uca1400_as_ci',
  'utf8mb4_uca1400_as_cs',
  'utf8mb4_uca1400_nopad_as_cs',
  'utf8mb4_swedish_ci',
  'utf8mb4_german2_ci',
  'utf8mb4_thai_520_w2',
  'utf8mb4_bin',
  'utf8mb4_nopad_bin',
  'latin1_swedish_ci',
  'latin1_german2_ci',
  'latin1_bin',
  'utf16_general_ci',
];

/** Texts that one collation or another takes as equal, or sorts otherwise than by bytes. */
const TEXTS = [
  '',
  ' ',
  '  ',
  '\t',
  ' \t',
  'a',
  'A',
  'a ',
  'a  ',
  'a\t',
  'a \t',
  'a  b',
  'ab',
  'AB ',
  'a\u00a0',
  'a\n',
  'a-b',
  'b',
  'ä',
  'Ä',
  'ae',
  'å',
  'aa',
  'z',
  'Z',
  'ß',
  'ss',
  'SS ',
  's',
  'é',
  'e',
  'ø',
  'ö',
  'o',
  '1',
  '10',
  '2',
  '_',
  'ÿ',
  'þ',
];
/** Beyond what latin1 knows. */
const WIDE = [
  '😀',
  '😁',
  '中',
  '文',
  'ｱ',
  'ア',
  'ﬀ',
  'ff',
  'e\u0301',
  '\u200b',
  'ก',
  'เก',
  'ł',
  'l',
  'İ',
  'i',
  'Ω',
  'ω ',
];

const column = (collation: string) => `t_${collation}`;
let database: MysqlShardedDatabase;

describe('texts of several shards compare as the database compares them', () => {
  const atEnd = lastFirst(after);
  before(async () => {
    database = await openMysqlShardedDatabase(atEnd);
    await database.everywhere(
      `CREATE TABLE texts (id bigint PRIMARY KEY, n int, ${COLLATIONS.map((name) => `${column(name)} varchar(20) CHARACTER SET ${name.split('_')[0]} COLLATE ${name}`).join(', ')},
         long_text text, e enum('z', 'a', 'M'), u uuid)`,
    );
    await database.readSchema({ texts: { key: 'id' } });
    let id = 0;
    for (const text of [...TEXTS, ...TEXTS, ...WIDE, ...WIDE, null, null, null]) {
      id++;
      const literal = text === null ? 'NULL' : database.whole.escape(text);
      const isWide = text !== null && WIDE.includes(text);
      const values = COLLATIONS.map((name) => (isWide && name.startsWith('latin1') ? "'?'" : literal));
      const sql = `INSERT INTO texts VALUES (${id}, ${id % 3}, ${values.join(', ')}, ${literal}, ${(id % 3) + 1}, '00000000-0000-0000-0000-${String(id).padStart(12, '0')}')`;
      await database.execute(sql);
      await database.ask(database.whole, sql);
    }
  });

  for (const name of COLLATIONS) {
    const text = column(name);

    test(`ORDER BY ${name}`, async () => {
      await sameRows(`SELECT id, ${text} FROM texts ORDER BY ${text}, id`);
      await sameRows(`SELECT id FROM texts ORDER BY ${text} DESC, id DESC LIMIT 30 OFFSET 5`);
      await sameRows(`SELECT * FROM texts ORDER BY n, ${text}, id LIMIT 50`);
      await sameRows(`SELECT ${text} AS x, id FROM texts ORDER BY x, id LIMIT 40`);
      // The server does not sort what these collations compute as it compares it: it counts trailing blanks then.
      if (name === 'latin1_bin') return;
      await sameRows(`SELECT id FROM texts ORDER BY CONCAT(${text}, 'x', ${text}), id`);
      await sameRows(`SELECT id FROM texts ORDER BY UPPER(${text}) DESC, id`);
    });

    test(`GROUP BY, DISTINCT, min and max of ${name}`, async () => {
      await sameGroups(
        `SELECT count(*), sum(id), ${text} FROM texts GROUP BY ${text} ORDER BY ${text}`,
        name,
      );
      await sameGroups(
        `SELECT n, count(*), min(id), ${text} FROM texts GROUP BY ${text}, n ORDER BY ${text} DESC, n`,
        name,
      );
      await sameGroups(`SELECT DISTINCT ${text} FROM texts ORDER BY ${text}`, name);
      await sameGroups(`SELECT DISTINCT n, ${text} FROM texts ORDER BY n, ${text} LIMIT 20 OFFSET 3`, name);
      await sameGroups(`SELECT DISTINCT 'x', CONCAT(${text}, 'b') AS y FROM texts ORDER BY y`, name);
      await sameGroups(`SELECT max(${text}) FROM texts`, name);
      await sameGroups(`SELECT min(${text}) FROM texts WHERE ${text} <> ''`, name);
      await sameGroups(`SELECT n, max(${text}) AS m FROM texts GROUP BY n ORDER BY m, n`, name);
      await sameGroups(`SELECT count(*), LOWER(${text}) AS l FROM texts GROUP BY l ORDER BY l DESC`, name);
    });
  }

  test('a collation of the moment decides', async () => {
    await sameRows('SELECT id FROM texts ORDER BY long_text COLLATE utf8mb4_swedish_ci, id');
    await sameRows('SELECT id FROM texts ORDER BY t_utf8mb4_bin COLLATE utf8mb4_unicode_ci DESC, id');
    await sameGroups(
      'SELECT count(*), long_text COLLATE utf8mb4_unicode_ci AS x FROM texts GROUP BY x ORDER BY x',
      'utf8mb4_unicode_ci',
    );
  });

  test('an expression that may be text or not', async () => {
    await sameRows('SELECT id FROM texts ORDER BY IFNULL(n, 5), id');
    await sameRows('SELECT id FROM texts ORDER BY IF(n = 1, t_utf8mb4_bin, long_text), id');
    await sameRows(
      "SELECT id FROM texts ORDER BY CASE WHEN n = 1 THEN 'b' WHEN n = 2 THEN 'B ' ELSE 'a' END, id",
    );
    await sameRows('SELECT id FROM texts ORDER BY CASE WHEN n = 1 THEN 10 ELSE 9 END, id');
  });

  test('a group beside its numbers', async () => {
    await sameGroups(
      'SELECT avg(id), t_utf8mb4_general_ci FROM texts GROUP BY t_utf8mb4_general_ci ORDER BY count(*) DESC, t_utf8mb4_general_ci LIMIT 5',
      'utf8mb4_general_ci',
    );
  });

  for (const sql of [
    'SELECT id FROM texts ORDER BY e',
    'SELECT id FROM texts ORDER BY u',
    'SELECT min(e) FROM texts',
    'SELECT id FROM texts ORDER BY IFNULL(u, u)',
  ])
    test(`what is shown as text, but compared otherwise, is refused: ${sql}`, async () => {
      await assert.rejects(
        database.execute(sql),
        (error: unknown) => error instanceof OperatingError && error.code === 'unsupported',
      );
    });
});

async function answers(sql: string): Promise<{ expected: Answer; actual: Answer }> {
  const expected = await database.ask(database.whole, sql);
  const actual = await database.execute(sql);
  assert.deepEqual(actual.names, expected.names, sql);
  assert.deepEqual(actual.types, expected.types, sql);
  return { expected, actual };
}

const shown = ({ rows }: Answer) => rows.map((row) => row.map((field) => field?.toString() ?? null));

async function sameRows(sql: string): Promise<void> {
  const { expected, actual } = await answers(sql);
  assert.deepEqual(shown(actual), shown(expected), sql);
}

/** The last column's text is that of any row of its group: it equals the other by the collation, and all else is the same. */
async function sameGroups(sql: string, collation: string): Promise<void> {
  const { expected, actual } = await answers(sql);
  const [own, other] = [shown(actual), shown(expected)];
  assert.deepEqual(
    own.map((row) => row.slice(0, -1)),
    other.map((row) => row.slice(0, -1)),
    sql,
  );
  const pairs = own.map((row, index) => [row.at(-1) ?? null, other[index]?.at(-1) ?? null]);
  const differing = pairs.filter(([a, b]) => a !== b);
  if (differing.length === 0) return;
  const charset = collation.split('_')[0];
  const terms = differing.map((pair) =>
    pair
      .map((text) => `CONVERT(${database.whole.escape(text)} USING ${charset}) COLLATE ${collation}`)
      .join(' <=> '),
  );
  const { rows } = await database.ask(database.whole, `SELECT ${terms.join(', ')}`);
  assert.deepEqual(
    rows[0]!.map((field, index) => [differing[index], field?.toString()]),
    differing.map((pair) => [pair, '1']),
    sql,
  );
}
