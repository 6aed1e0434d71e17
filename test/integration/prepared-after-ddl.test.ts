import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { startRingferry } from './harness.js';

const ending = lastFirst(after);
const [server] = await startPostgres(ending);
const proxy = await startRingferry(ending, {
  shards: { a: server! },
  pool: { mode: 'transaction', size: 3 },
});

/** A client that is ended with the test. */
async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: proxy.url() });
  await client.connect();
  ending(() => client.end());
  return client;
}

const READ = { name: 'read', text: 'SELECT * FROM things ORDER BY id' };

test('a text prepared after DDL is a new statement on every backend, and who prepared it before is refused as on one server', async () => {
  await runSql(server!.url(), 'CREATE TABLE things (id int)', 'INSERT INTO things VALUES (1)');
  const early = await Promise.all([connect(), connect(), connect()]);
  // At once, so that each of the three backends has the statement.
  await Promise.all(
    early.map(async (client) => {
      await client.query('BEGIN');
      await client.query(READ);
      await client.query('SELECT pg_sleep(0.2)');
      await client.query('COMMIT');
    }),
  );
  await early[0]!.query('ALTER TABLE things ADD COLUMN name text');
  for (let turn = 0; turn < 6; turn++) {
    const late = await connect();
    const { rows } = await late.query(READ);
    assert.deepEqual(rows, [{ id: 1, name: null }], 'a late one sees the new column');
  }
  for (const client of early) await assert.rejects(client.query(READ), { code: '0A000' });
  for (const client of early)
    await assert.rejects(client.query(READ), { code: '0A000' }, 'and stays refused');
});

test('DDL past the proxy is noticed by the first statement that no longer fits', async () => {
  await runSql(server!.url(), 'CREATE TABLE others (id int)');
  const read = { name: 'others', text: 'SELECT * FROM others' };
  const early = await connect();
  await early.query(read);
  await runSql(server!.url(), 'ALTER TABLE others ADD COLUMN name text');
  await assert.rejects(early.query(read), { code: '0A000' });
  const late = await connect();
  assert.deepEqual(
    (await late.query(read)).fields.map(({ name }) => name),
    ['id', 'name'],
  );
});

/** What one client sees of a statement that it prepared before DDL, while another holds the backend that has it. */
async function afterDdl(
  before: readonly string[],
  statement: { readonly name: string; readonly text: string; readonly values?: readonly Buffer[] },
  ddl: string,
  isInside = false,
): Promise<{ client: pg.Client; outcome: string }> {
  await runSql(server!.url(), ...before);
  const [client, other] = [await connect(), await connect()];
  const run = () => client.query({ ...statement, values: [...(statement.values ?? [])] });
  await run();
  await runSql(server!.url(), ddl);
  await other.query('BEGIN');
  await other.query('SELECT 1');
  if (isInside) await client.query('BEGIN');
  const outcome = await run().then(
    ({ rows }) => JSON.stringify(rows),
    (error: { code: string }) => error.code,
  );
  await other.query('ROLLBACK');
  return { client, outcome };
}

test('a statement prepared before DDL is refused on a backend that does not have it, too: its client reads by the old columns', async () => {
  const before = ['CREATE TABLE shapes (a int, b int)', 'INSERT INTO shapes VALUES (1, 2)'];
  const ddl = 'ALTER TABLE shapes DROP COLUMN a, ADD COLUMN c bool DEFAULT true';
  const { outcome } = await afterDdl(before, { name: 'shape', text: 'SELECT * FROM shapes' }, ddl);
  assert.equal(outcome, '0A000');
});

test('the refusal fails an open transaction, as the server’s own does', async () => {
  const before = ['CREATE TABLE forms (a int)'];
  const ddl = 'ALTER TABLE forms ADD COLUMN b int';
  const { client, outcome } = await afterDdl(
    before,
    { name: 'form', text: 'SELECT * FROM forms' },
    ddl,
    true,
  );
  assert.equal(outcome, '0A000');
  await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
  await client.query('ROLLBACK');
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
});

test('parameters keep the types that they had when the client prepared', async () => {
  const one = Buffer.alloc(4);
  one.writeInt32BE(1);
  const insert = { name: 'keep', text: 'INSERT INTO kept VALUES ($1)', values: [one] };
  const ddl = 'ALTER TABLE kept ALTER COLUMN x TYPE float4';
  await afterDdl(['CREATE TABLE kept (x int)'], insert, ddl);
  const rows = await runSql(server!.url(), 'SELECT x FROM kept');
  assert.deepEqual(rows, [{ x: 1 }, { x: 1 }]);
});

test('a statement whose tables have not changed is made on other backends without a word', async () => {
  const before = ['CREATE TABLE same (a int)', 'INSERT INTO same VALUES (5)'];
  const { outcome } = await afterDdl(
    before,
    { name: 'same', text: 'SELECT * FROM same' },
    'CREATE TABLE unrelated (x int)',
  );
  assert.equal(outcome, '[{"a":5}]');
});
