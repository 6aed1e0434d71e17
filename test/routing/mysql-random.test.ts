import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { lastFirst } from '../cluster.js';
import {
  type Answer,
  type MysqlShardedDatabase,
  openMysqlShardedDatabase,
} from './mysql-sharded-database.js';
import { MYSQL_MANNER, QueryMaker, Random } from './random-query.js';

const COUNT = Number(process.env['RINGFERRY_RANDOM_QUERIES'] ?? 300);
const SEED = Number(process.env['RINGFERRY_SEED'] ?? 1);

const SCHEMA = [
  'CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(20) COLLATE utf8mb4_general_ci, city varchar(20) COLLATE utf8mb4_unicode_ci, age int)',
  'CREATE TABLE orders (customer_id int, id bigint, status varchar(20) COLLATE latin1_swedish_ci, PRIMARY KEY (customer_id, id)) CHARACTER SET latin1',
  'CREATE TABLE items (customer_id bigint, order_id bigint, line int, product varchar(20) COLLATE utf8mb4_uca1400_nopad_as_cs, quantity decimal(8, 2), PRIMARY KEY (customer_id, order_id, line))',
  'CREATE TABLE countries (code char(2) PRIMARY KEY, title varchar(20) COLLATE utf8mb4_unicode_ci)',
];
const TABLES = {
  customers: { key: 'id' },
  orders: { key: 'customer_id' },
  items: { key: 'customer_id' },
  countries: { reference: true },
} as const;

describe('MySQL: random queries', () => {
  const atEnd = lastFirst(after);
  let database: MysqlShardedDatabase;

  before(async () => {
    database = await openMysqlShardedDatabase(atEnd);
    await database.everywhere(...SCHEMA);
    await database.readSchema(TABLES);
    for (const sql of rows()) {
      await database.execute(sql);
      await database.ask(database.whole, sql);
    }
    const owned = database.snapshot.ring.ranges().filter(({ owner }) => owner === 'a');
    const ranges = owned.slice(0, 8).map(({ range }) => range);
    assert.ok((await database.copyRanges('a', 'b', ranges, 'copying')) > 3);
  });

  test(`are answered alike or refused (${COUNT} from seed ${SEED})`, async () => {
    const counts = { alike: 0, refused: 0, invalid: 0 };
    for (let index = 0; index < COUNT; index++) {
      const sql = new QueryMaker(new Random(SEED * 1_000_003 + index), MYSQL_MANNER).query();
      counts[await compare(database, sql)]++;
    }
    assert.ok(counts.alike > COUNT / 5, `too few were compared to mean anything: ${JSON.stringify(counts)}`);
  });
});

function rows(): string[] {
  const towns = ['Oslo', 'oslo', 'OSLO ', 'Århus', 'Bergen', 'bergen ', 'Zürich', 'zurich', '', ' '];
  const text = (index: number) => (index % 7 === 0 ? 'NULL' : `'${towns[index % towns.length]}'`);
  const statements: string[] = [];
  for (let id = 1; id <= 14; id++) {
    statements.push(
      `INSERT INTO customers VALUES (${id}, ${text(id * 3)}, ${text(id)}, ${id % 5 === 0 ? 'NULL' : 18 + (id % 4)})`,
    );
    for (let order = 1; order <= id % 4; order++)
      statements.push(
        `INSERT INTO orders VALUES (${id}, ${order}, ${text(id + order)})`,
        `INSERT INTO items VALUES (${id}, ${order}, 1, ${text(id)}, ${order}.5), (${id}, ${order}, 2, ${text(order)}, NULL)`,
      );
  }
  statements.push("INSERT INTO countries VALUES ('NO', 'Norge'), ('SE', 'norge '), ('DK', NULL)");
  return statements;
}

async function compare(
  database: MysqlShardedDatabase,
  sql: string,
): Promise<'alike' | 'refused' | 'invalid'> {
  let actual: Answer;
  try {
    actual = await database.execute(sql);
  } catch (error) {
    if (error instanceof OperatingError) {
      assert.ok(error.hint !== undefined, `no hint: ${sql}`);
      return 'refused';
    }
    assert.equal(typeof (error as { errno?: unknown }).errno, 'number', `${sql}: ${String(error)}`);
    await assert.rejects(
      database.ask(database.whole, sql),
      `only shards find fault with: ${sql} (${String(error)})`,
    );
    return 'invalid';
  }
  let expected: Answer;
  try {
    expected = await database.ask(database.whole, sql);
  } catch (error) {
    // The server looks for the columns of HAVING among what is selected; over several shards an expression of GROUP BY will do.
    assert.match(String(error), /Unknown column .* in 'HAVING'/, sql);
    return 'invalid';
  }
  assert.deepEqual(shown(actual, sql), shown(expected, sql), sql);
  assert.deepEqual([actual.names, actual.types], [expected.names, expected.types], sql);
  return 'alike';
}

/** Which of the texts that are equal stands for a group is open; these differ in case, accents and trailing blanks only. */
function shown({ rows }: Answer, sql: string): string[] {
  const plain = (text: string) =>
    text
      .normalize('NFD')
      .replace(/[\u0300-\u036f]/g, '')
      .trimEnd()
      .toLowerCase();
  const texts = rows.map((row) =>
    JSON.stringify(row.map((field) => (field === null ? null : plain(field.toString())))),
  );
  return sql.includes(' ORDER BY ') ? texts : texts.sort();
}
