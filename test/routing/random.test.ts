import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { lastFirst } from '../cluster.js';
import { POSTGRES_MANNER, QueryMaker, Random } from './random-query.js';
import { openShardedDatabase, type ShardedDatabase } from './sharded-database.js';
import { fillShop, SHOP_SCHEMA, SHOP_TABLES } from './shop.js';

const COUNT = Number(process.env['RINGFERRY_RANDOM_QUERIES'] ?? 600);
const SEED = Number(process.env['RINGFERRY_SEED'] ?? 1);

describe('random queries', () => {
  const atEnd = lastFirst(after);
  let database: ShardedDatabase;

  before(async () => {
    database = await openShardedDatabase(atEnd);
    atEnd(async () => {
      for (const client of [database.whole, ...database.shards.values()]) await client.end();
    });
    await database.everywhere(SHOP_SCHEMA.replaceAll(' text', ' text COLLATE "C"'));
    await database.readSchema(SHOP_TABLES);
    await fillShop(database, 14);
    const owned = database.snapshot.ring.ranges().filter(({ owner }) => owner === 'a');
    await database.copyRanges(
      'a',
      'b',
      owned.slice(0, 8).map(({ range }) => range),
      'copying',
    );
  });

  test(`are answered alike or refused (${COUNT} from seed ${SEED})`, async () => {
    const counts = { alike: 0, refused: 0, invalid: 0 };
    for (let index = 0; index < COUNT; index++) {
      const sql = new QueryMaker(new Random(SEED * 1_000_003 + index), POSTGRES_MANNER).query();
      counts[await compare(database, sql)]++;
    }
    assert.ok(counts.alike > COUNT / 5, `too few were compared to mean anything: ${JSON.stringify(counts)}`);
  });
});

async function compare(database: ShardedDatabase, sql: string): Promise<'alike' | 'refused' | 'invalid'> {
  let actual: Awaited<ReturnType<ShardedDatabase['execute']>>;
  try {
    const { placement } = database.router.plan(sql).plan;
    if (placement.type === 'refused') {
      assert.ok(placement.error.hint !== undefined, `no hint: ${sql}`);
      return 'refused';
    }
    actual = await database.execute(sql);
  } catch (error) {
    if (error instanceof OperatingError) return 'refused';
    if ((error as { code?: string }).code?.length === 5) return 'invalid';
    throw error;
  }
  const expected = await database.ask(database.whole, sql);
  const sorted = (rows: readonly unknown[]) =>
    sql.includes(' ORDER BY ')
      ? rows.map((row) => JSON.stringify(row))
      : rows.map((row) => JSON.stringify(row)).sort();
  assert.deepEqual(sorted(actual.rows), sorted(expected.rows), sql);
  assert.deepEqual([actual.names, actual.types], [expected.names, expected.types], sql);
  return 'alike';
}
