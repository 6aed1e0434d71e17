import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { parseConfig } from '../../src/config/load.js';
import { gidPrefix } from '../../src/proxy/two-phase.js';
import { startServer } from '../../src/server.js';
import { FileStore } from '../../src/topology/file-store.js';
import { freePort, lastFirst, runSql, startPostgres } from '../cluster.js';

const atEnd = lastFirst(after);
const [a, b] = (await startPostgres(atEnd, { count: 2 })) as [Server, Server];
type Server = Awaited<ReturnType<typeof startPostgres>>[0];
for (const server of [a, b])
  await runSql(server.url(), 'CREATE TABLE accounts (id int PRIMARY KEY, amount int)');
const folder = await mkdtemp(join(tmpdir(), 'ringferry-2pc-'));
atEnd(() => rm(folder, { recursive: true, force: true }));
const state = join(folder, 'state');
const port = await freePort();
const yaml = `
listen: { postgres: "127.0.0.1:${port}" }
store: { kind: file, path: ${state} }
users: [ { name: postgres, auth: trust } ]
databases:
  postgres:
    shards: { a: { url: "${a.url()}" }, b: { url: "${b.url()}" } }
    home: a
    tables: { accounts: { key: id } }
log: { level: silent }
`;
const config = () => parseConfig(yaml, join(folder, 'ringferry.yaml')).config;
const prepared = async () =>
  (await Promise.all([a, b].map((server) => runSql(server.url(), 'SELECT gid FROM pg_prepared_xacts'))))
    .flat()
    .map((row) => row['gid']);

/** What a proxy that was killed in the middle of a commit leaves on a server. */
async function leavePrepared(server: Server, gid: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  await client.query(`BEGIN; ${sql}; PREPARE TRANSACTION '${gid}'`);
  await client.end();
}

async function withServer(act: (client: pg.Client) => Promise<void>): Promise<void> {
  const server = await startServer(config());
  const client = new pg.Client({ connectionString: `postgres://postgres@127.0.0.1:${port}/postgres` });
  client.on('error', () => {});
  try {
    await client.connect();
    await act(client);
  } finally {
    await client.end();
    await server.close();
  }
}

test('a commit that was decided before a crash is finished, one that was not is undone, and strangers are left alone', async () => {
  const store = await FileStore.open(state);
  const { owner } = store.decisions;
  const decided = `${gidPrefix(owner, 'postgres')}decided_1`;
  const undecided = `${gidPrefix(owner, 'postgres')}undecided_2`;
  const anothers = `${gidPrefix('0123456789ab', 'postgres')}undecided_3`;
  await store.decisions.record(decided);
  await store.close();
  await leavePrepared(a, decided, 'INSERT INTO accounts VALUES (1001, 1)');
  await leavePrepared(b, decided, 'INSERT INTO accounts VALUES (1002, 1)');
  await leavePrepared(a, undecided, 'INSERT INTO accounts VALUES (1003, 1)');
  await leavePrepared(b, anothers, 'INSERT INTO accounts VALUES (1004, 1)');
  await withServer(async () => {
    assert.deepEqual(await prepared(), [anothers]);
    const rows = (
      await Promise.all([a, b].map((server) => runSql(server.url(), 'SELECT id FROM accounts')))
    ).flat();
    assert.deepEqual(rows.map((row) => row['id']).sort(), [1001, 1002]);
  });
  await runSql(b.url(), `ROLLBACK PREPARED '${anothers}'`, 'DELETE FROM accounts');
  await runSql(a.url(), 'DELETE FROM accounts');
  const again = await FileStore.open(state);
  assert.deepEqual(await again.decisions.list(), [], 'the decision is forgotten when all have committed');
  await again.close();
});

test('a transfer between shards is all or nothing when one of them refuses to commit', async () => {
  await withServer(async (client) => {
    await client.query(
      `INSERT INTO accounts VALUES ${Array.from({ length: 20 }, (_, id) => `(${id + 1}, 100)`).join(', ')} ON CONFLICT DO NOTHING`,
    );
    const onB = (await runSql(b.url(), 'SELECT id FROM accounts ORDER BY id'))[0]!['id'];
    const onA = (await runSql(a.url(), 'SELECT id FROM accounts ORDER BY id'))[0]!['id'];
    await runSql(b.url(), 'ALTER TABLE accounts ADD CONSTRAINT poor CHECK (amount >= 0)');
    await runSql(
      b.url(),
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.amount > 150 THEN RAISE 'too rich'; END IF; RETURN NULL; END $$",
      'CREATE CONSTRAINT TRIGGER rich AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()',
    );
    await client.query('BEGIN');
    await client.query('UPDATE accounts SET amount = amount - 60 WHERE id = $1', [onA]);
    await client.query('UPDATE accounts SET amount = amount + 60 WHERE id = $1', [onB]);
    await assert.rejects(client.query('COMMIT'), /too rich/);
    const total = await client.query('SELECT sum(amount)::int AS total, min(amount) AS least FROM accounts');
    assert.deepEqual(total.rows[0], { total: 2000, least: 100 });
    assert.deepEqual(await prepared(), []);
  });
});
