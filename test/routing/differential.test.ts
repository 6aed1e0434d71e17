import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { lastFirst } from '../cluster.js';
import { openShardedDatabase, type ShardedDatabase } from './sharded-database.js';
import { fillShop, SHOP_SCHEMA, SHOP_TABLES } from './shop.js';
import { READS } from './statements.js';

let database: ShardedDatabase;

describe('sharded against single', () => {
  const atEnd = lastFirst(after);
  before(async () => {
    database = await openShardedDatabase(atEnd);
    atEnd(async () => {
      for (const client of [database.whole, ...database.shards.values()]) await client.end();
    });
    await database.everywhere(SHOP_SCHEMA);
    await database.everywhere("SET timezone = 'UTC'");
    await database.readSchema(SHOP_TABLES);
    await fillShop(database);
  });

  for (const { sql, values } of READS) {
    test(`one database and three shards answer alike: ${sql}`, async () => {
      await sameAnswer(sql, values);
    });
  }

  test('rows that a migration has copied are counted once, from either side', async () => {
    const owned = database.snapshot.ring
      .ranges()
      .filter(({ owner }) => owner === 'b')
      .map(({ range }) => range);
    const copied = await database.copyRanges('b', 'c', owned.slice(0, 8), 'copying');
    assert.ok(copied > 10, 'something must have been copied');
    for (const { sql, values } of READS) await sameAnswer(sql, values);
  });
});

async function sameAnswer(sql: string, values: readonly (string | null)[] = []): Promise<void> {
  const expected = await database.ask(database.whole, sql, values);
  let actual: Awaited<ReturnType<ShardedDatabase['execute']>>;
  try {
    actual = await database.execute(sql, values);
  } catch (error) {
    assert.ok(error instanceof OperatingError, String(error instanceof Error ? error.stack : error));
    assert.fail(`refused: ${error.message} (${error.hint})`);
  }
  assert.deepEqual(actual.names, expected.names, sql);
  // Types of our own making have another oid in each database.
  const builtin = (types: readonly number[]) => types.map((type) => (type < 16_384 ? type : 'own'));
  assert.deepEqual(builtin(actual.types), builtin(expected.types), sql);
  const isOrdered = /order by/i.test(sql.replace(/\([^()]*\)/g, ''));
  const sorted = (rows: readonly unknown[]) =>
    isOrdered ? rows : rows.map((row) => JSON.stringify(row)).sort();
  assert.deepEqual(sorted(actual.rows), sorted(expected.rows), sql);
}
