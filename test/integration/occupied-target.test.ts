import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const [a, b] = await startPostgres(atEnd, { count: 2 });

test('a shard whose tables hold rows that would move there is refused, and the rows stay', async () => {
  for (const server of [a!, b!])
    await runSql(server.url(), 'CREATE TABLE people (id int PRIMARY KEY, name text)');
  await runSql(b!.url(), "INSERT INTO people SELECT i, 'precious' FROM generate_series(1, 1000) i");
  const ringferry = await startRingferry(atEnd, { shards: { a: a! }, tables: { people: { key: 'id' } } });
  const admin = new pg.Client({
    connectionString: `postgres://admin@127.0.0.1:${ringferry.ports.admin}/ringferry`,
  });
  await admin.connect();
  atEnd(() => admin.end());
  await assert.rejects(
    admin.query(`ADD SHARD b '${b!.url()}'`),
    /people holds rows in the ranges that are to move here/,
  );
  assert.deepEqual(await runSql(b!.url(), 'SELECT count(*)::int AS n FROM people'), [{ n: 1000 }]);
});
