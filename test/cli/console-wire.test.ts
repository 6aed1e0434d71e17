import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import postgres from 'postgres';
import { type FakeServer, startFakeServer } from './fake-server.js';

const run = promisify(execFile);
const PROGRAM = 'psql';
let server: FakeServer;

before(async () => {
  server = await startFakeServer();
});
after(() => server.close());

const noPsql = spawnSync(PROGRAM, ['--version']).error === undefined ? false : 'psql is not installed';

async function psql(...words: string[]): Promise<string> {
  const { stdout } = await run(
    PROGRAM,
    ['-X', '-h', '127.0.0.1', '-p', String(server.port), '-U', 'ops', ...words],
    { env: { ...process.env, PGSSLMODE: 'prefer' } },
  );
  return stdout;
}

describe('the control port over the wire', () => {
  it('serves psql, several commands and all', { skip: noPsql }, async () => {
    assert.equal(await psql('ringferry', '-At', '-c', 'SHOW VERSION'), 'Ringferry 9.9.9\n');
    assert.equal(
      await psql('pgbouncer', '-At', '-c', 'SHOW VERSION; PAUSE shop'),
      'Ringferry 9.9.9\nPAUSE\n',
    );
    assert.match(await psql('ringferry', '-c', 'SHOW POOLS'), /cl_active[\s\S]*\(1 row\)/);
    assert.match(await psql('ringferry', '-x', '-c', 'SHOW RING shop'), /share_percent/);
  });

  it('tells psql what is wrong and what to write', { skip: noPsql }, async () => {
    await assert.rejects(
      psql('ringferry', '-c', 'SHOW POOL'),
      /ERROR: {2}the command "SHOW POOL" is not known\nHINT: {2}Write SHOW POOLS/,
    );
    await assert.rejects(psql('shop', '-c', 'SHOW POOLS'), /control port.*shop/s);
  });

  it('serves node-postgres, simple and extended', async () => {
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'x', database: 'ringferry' });
    await client.connect();
    try {
      assert.equal((await client.query('SHOW LISTS')).rows[0].items, 2);
      assert.equal((await client.query({ text: 'SHOW LISTS', name: 'lists', values: [] })).rows.length, 14);
      assert.equal(
        (await client.query({ text: 'SHOW SHARDS', queryMode: 'extended' } as pg.QueryConfig)).rows[0].home,
        true,
      );
      await assert.rejects(client.query('SHOW MIGRATION $1', ['m1']), /no parameters/);
      assert.equal((await client.query('SHOW VERSION')).rows[0].version, 'Ringferry 9.9.9');
    } finally {
      await client.end();
    }
  });

  it('serves postgres.js', async () => {
    const sql = postgres({
      host: '127.0.0.1',
      port: server.port,
      user: 'x',
      database: 'pgbouncer',
      max: 1,
      fetch_types: false,
    });
    try {
      const rows = await sql`SHOW POOLS`;
      assert.equal(rows[0]!['cl_waiting'], 1);
      assert.equal((await sql.unsafe('SHOW STATS')).length, 2);
    } finally {
      await sql.end();
    }
  });

  it('answers a long list whole', async () => {
    server.control.templateStates = Array.from({ length: 3000 }, (_, index) => ({
      database: 'shop',
      template: `SELECT ${index} ${'x'.repeat(1000)}`,
      verb: 'SELECT',
      route: 'home',
      calls: 1,
      totalMs: 1,
      errors: 0,
    }));
    const clients = Array.from({ length: 2000 }, (_, id) => ({
      ...server.control.clients()[0]!,
      id,
      applicationName: 'y'.repeat(500),
    }));
    server.control.clients = () => clients;
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'x', database: 'ringferry' });
    await client.connect();
    try {
      assert.equal((await client.query('SHOW CLIENTS')).rows.length, 2000);
    } finally {
      await client.end();
    }
  });
});

describe('a control port with a password', () => {
  it('lets in who knows it, under any name, and nobody else', async () => {
    const guarded = await startFakeServer({ password: 'opensesame' });
    try {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: guarded.port,
        user: 'anyone',
        database: 'ringferry',
        password: 'opensesame',
      });
      await client.connect();
      await client.end();
      const wrong = new pg.Client({
        host: '127.0.0.1',
        port: guarded.port,
        user: 'anyone',
        database: 'ringferry',
        password: 'guess',
      });
      await assert.rejects(wrong.connect(), { code: '28P01' });
    } finally {
      await guarded.close();
    }
  });
});
