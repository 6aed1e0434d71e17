import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { ShardAddress } from '../../src/migration/engine.js';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { advanceSequences } from '../../src/mysql/sequences.js';
import { client, keyspaceOf, sql, startShards, tasksOf, texts, WHOLE } from './shard-fixture.js';

const shards = await startShards(atEnd, 3);
const sessions = new EngineSessions();

const nextId = async ({ url }: ShardAddress, table: string): Promise<bigint> =>
  BigInt(
    (
      await texts(
        url,
        `SELECT auto_increment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '${table}'`,
      )
    )[0]!,
  );

test('the target gives no id that any source has given, though its row may be gone', async () => {
  const [a, b, target] = (await shards.databases('ids')) as [ShardAddress, ShardAddress, ShardAddress];
  for (const { url } of [a, b, target])
    await sql(
      url,
      'CREATE SEQUENCE numbers',
      'CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v int)',
      'CREATE TABLE small (id tinyint AUTO_INCREMENT PRIMARY KEY)',
      'CREATE TABLE drawn (id bigint DEFAULT NEXTVAL(numbers) PRIMARY KEY, v int)',
      'CREATE TABLE plain (id int PRIMARY KEY)',
    );
  await sql(a.url, 'INSERT INTO t VALUES (500, 1)', 'INSERT INTO drawn (v) SELECT 1 FROM seq_1_to_30');
  await sql(b.url, 'INSERT INTO t VALUES (900, 1)', 'DELETE FROM t', 'INSERT INTO small VALUES (100)');
  const tasks = tasksOf(
    await keyspaceOf(a, { t: 'id:integer', small: 'id:integer', drawn: 'id:integer', plain: 'reference' }),
    WHOLE,
  );
  await advanceSequences(sessions, [a, b], target, tasks);
  const next = await nextId(target, 't');
  assert.ok(next >= 901n, String(next));
  assert.equal(await nextId(target, 'small'), 101n);
  assert.deepEqual(await texts(target.url, 'SELECT NEXTVAL(numbers) >= 31'), ['1']);
  // Set ahead: some more ids need no DDL, and nothing is ever set back.
  await sql(a.url, 'INSERT INTO t VALUES (1000, 1)');
  await advanceSequences(sessions, [a, b], target, tasks);
  assert.equal(await nextId(target, 't'), next);
  await sql(target.url, 'INSERT INTO t VALUES (100000, 1)');
  await advanceSequences(sessions, [a, b], target, tasks);
  assert.equal(await nextId(target, 't'), 100001n);
});

test('a transaction that uses the target is waited for only when the target is behind', async (t) => {
  const [a, , target] = (await shards.databases('busy')) as [ShardAddress, ShardAddress, ShardAddress];
  for (const { url } of [a, target]) await sql(url, 'CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY)');
  const tasks = tasksOf(await keyspaceOf(a, { t: 'id:integer' }), WHOLE);
  await sql(a.url, 'INSERT INTO t VALUES (10)');
  await advanceSequences(sessions, [a], target, tasks);
  const open = await client(target, t);
  await open.query('BEGIN');
  await open.query('SELECT * FROM t');
  await sql(a.url, 'INSERT INTO t VALUES (200)');
  await advanceSequences(sessions, [a], target, tasks);
  await sql(a.url, 'INSERT INTO t VALUES (50000)');
  let isDone = false;
  const advancing = advanceSequences(sessions, [a], target, tasks).then(() => {
    isDone = true;
  });
  const other = await client(target, t);
  for (let id = 1; id < 10; id++) await other.query(`INSERT INTO t VALUES (${id})`);
  assert.equal(isDone, false);
  await open.query('COMMIT');
  await advancing;
  assert.ok((await nextId(target, 't')) > 50_000n);
});
