import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { type Ringferry, startRingferry } from './harness.js';

const ending = lastFirst(after);
const [server] = await startPostgres(ending, { auth: 'scram-sha-256' });
await runSql(
  server!.url(),
  "CREATE ROLE ann LOGIN PASSWORD 'of ann'",
  "CREATE ROLE bob LOGIN PASSWORD 'of bob'",
  "CREATE ROLE eve LOGIN PASSWORD 'of eve'",
  'ALTER ROLE bob SET DateStyle = german',
);
const users = [
  { name: 'ann', password: 'of ann' },
  { name: 'bob', password: 'of bob' },
  { name: 'eve', password: 'not what the server knows' },
];

const bare = server!.url().replace('postgres@', '');
const named = bare.replace('://', '://postgres@');
const start = (mode: string, shard: string) =>
  startRingferry(ending, { shards: { a: shard }, users, pool: { mode } });
const doors = [
  { mode: 'session', own: await start('session', bare), named: await start('session', named) },
  { mode: 'transaction', own: await start('transaction', bare), named: await start('transaction', named) },
];

/** The user and the DateStyle of a client, as its statements see them. */
async function whoIs({ ports }: Ringferry, user: string, password: string): Promise<string> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: ports.postgres,
    database: 'postgres',
    user,
    password,
  });
  await client.connect();
  try {
    const { rows } = await client.query("SELECT current_user || ' ' || current_setting('DateStyle') AS who");
    return rows[0].who;
  } finally {
    await client.end();
  }
}

for (const { mode, own, named } of doors) {
  test(`a shard whose URL names no user is logged in to as the client, with its password, in ${mode} mode`, async () => {
    for (let turn = 0; turn < 2; turn++) {
      assert.match(await whoIs(own, 'ann', 'of ann'), /^ann ISO/);
      assert.match(await whoIs(own, 'bob', 'of bob'), /^bob German/);
    }
    await assert.rejects(whoIs(own, 'eve', 'not what the server knows'), /password authentication failed/);
  });

  test(`a shard whose URL names one is logged in to as that one, in ${mode} mode`, async () => {
    assert.match(await whoIs(named, 'ann', 'of ann'), /^postgres ISO/);
    assert.match(await whoIs(named, 'bob', 'of bob'), /^postgres ISO/);
  });
}
