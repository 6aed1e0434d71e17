import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { StreamSpec } from '../../src/migration/engine.js';
import {
  caughtUp,
  HALF,
  keyspaceOf,
  sql,
  startMigration,
  startPair,
  tasksOf,
  texts,
} from './engine-fixture.js';

const pair = await startPair(atEnd);

async function migrationOf(name: string, ddl: string[], tables: Record<string, string>, ranges = HALF) {
  const { source, target } = await pair.databases(name);
  await sql(source.url, ...ddl);
  const keyspace = await keyspaceOf(source, tables);
  const spec: StreamSpec = {
    migration: name,
    direction: 'forward',
    from: source,
    to: target,
    tasks: tasksOf(keyspace, ranges),
  };
  return { source, target, keyspace, spec };
}

test('a copy and the stream behind it give the target exactly the moving rows', async () => {
  const { source, target, keyspace, spec } = await migrationOf(
    'basics',
    [
      'CREATE TABLE customers (id int PRIMARY KEY, name text)',
      `INSERT INTO customers SELECT i, 'n' || i FROM generate_series(1, 1000) i`,
    ],
    { customers: 'id:integer' },
  );
  const stream = await startMigration(pair.engine, spec, keyspace);
  await sql(
    source.url,
    `INSERT INTO customers SELECT i, 'later ' || i FROM generate_series(1001, 1100) i`,
    `UPDATE customers SET name = name || '!' WHERE id % 3 = 0`,
    'DELETE FROM customers WHERE id % 7 = 0',
  );
  await caughtUp(pair.engine, spec, stream);
  const { comparedRows, differences } = await pair.engine.verify(
    stream,
    spec,
    () => {},
    AbortSignal.timeout(20_000),
  );
  assert.deepEqual(differences, []);
  const onTarget = await texts(target.url, 'SELECT count(*) FROM customers');
  assert.equal(String(comparedRows), onTarget[0]);
  assert.ok(comparedRows > 300 && comparedRows < 650, `${comparedRows}`);
  await stream.stop();
  await stream.ended;
});
