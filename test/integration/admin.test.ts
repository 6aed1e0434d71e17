import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS, type TestEngine, type TestServer } from '../engines.js';
import { CLI, makeProxyProcess } from './harness.js';
import { Operator } from './shop.js';

/** Runs the command line as an operator does. */
function ringferry(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  const [program, ...first] = CLI;
  return new Promise((resolve) =>
    execFile(program, [...first, ...words], (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), out, err }),
    ),
  );
}

const atEnd = lastFirst(after);

async function openStage(engine: TestEngine) {
  const servers = await engine.start(atEnd, 4);
  const [a, b, c, d] = servers as [TestServer, TestServer, TestServer, TestServer];
  for (const server of [a, b, c])
    await engine.run(
      server.url(engine.database),
      'CREATE TABLE people (id int PRIMARY KEY, name varchar(30))',
      'CREATE TABLE kinds (code int PRIMARY KEY)',
    );
  const { protocol } = engine.demo;
  const proxy = await makeProxyProcess(atEnd, {
    engine: protocol,
    shards: { a, b, c },
    tables: { people: { key: 'id' }, kinds: { reference: true } },
  });
  await proxy.start();
  const user = protocol === 'postgres' ? 'postgres' : 'root';
  const clients = engine.demo.clients(proxy.url(engine.database, user, protocol), { size: 1, name: 'app' });
  atEnd(() => clients.end());
  // Taken out of its pool, which closes what is idle while the other stage is opened.
  const client = await clients.connect();
  atEnd(async () => client.release(false));
  for (let id = 1; id <= 9; id++) await client.run('INSERT INTO people VALUES ($1, $2)', [id, `name ${id}`]);
  for (let id = 1; id <= 9; id++) await client.run('SELECT name FROM people WHERE id = $1', [id]);
  await client.run('SELECT count(*) FROM people');
  return { engine, a, b, c, d, proxy, user };
}

// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages = [await openStage(POSTGRES_TESTS), await openStage(MARIADB_TESTS)];

for (const { engine, a, b, c, d, proxy, user } of stages) {
  const { protocol } = engine.demo;
  const schema = protocol === 'postgres' ? 'public' : engine.database;
  const operator = new Operator(proxy.ports.admin);
  const config = ['-c', proxy.configPath] as const;

  describe(`an operator of a ${engine.name} database`, () => {
    test('sees clients, servers, pools and shards', async () => {
      const [pool] = await operator.run('SHOW POOLS');
      assert.deepEqual([pool!['database'], pool!['pool_mode']], [engine.database, 'transaction']);
      const told = await operator.run('SHOW CLIENTS');
      assert.deepEqual(
        told.map((row) => [row['user'], row['database'], row['state']]),
        [[user, engine.database, 'idle']],
      );
      const shards = await operator.run('SHOW SHARDS');
      assert.deepEqual(
        shards.map((row) => [row['shard'], row['port'], row['dbname'], row['home'], row['reachable']]),
        [
          ['a', a.port, engine.database, true, true],
          ['b', b.port, engine.database, false, true],
          ['c', c.port, engine.database, false, true],
        ],
      );
      const lent = await operator.run('SHOW SERVERS');
      assert.deepEqual([...new Set(lent.map((row) => row['shard']))].sort(), ['a', 'b', 'c']);
      const processes =
        protocol === 'postgres'
          ? 'SELECT pid AS id FROM pg_stat_activity'
          : 'SELECT id FROM information_schema.processlist';
      for (const [name, server] of Object.entries({ a, b, c })) {
        const ids = (await engine.run(server.url(engine.database), processes)).map((row) =>
          Number(row['id']),
        );
        for (const row of lent.filter((one) => one['shard'] === name))
          assert.ok(ids.includes(Number(row['remote_pid'])), `${row['remote_pid']} of ${ids}`);
      }
    });

    test('sees tables, ring and templates', async () => {
      const tables = await operator.run('SHOW TABLES');
      assert.deepEqual(
        tables.map((row) => [row['table'], row['placement'], row['key'], row['primary_key']]),
        [
          [`${schema}.kinds`, 'reference', null, 'code'],
          [`${schema}.people`, 'sharded', 'id', 'id'],
        ],
      );
      const shares = new Map<string, number>();
      for (const { owner, share_percent: share } of await operator.run('SHOW RING'))
        shares.set(String(owner), (shares.get(String(owner)) ?? 0) + Number(share));
      assert.deepEqual([...shares.keys()].sort(), ['a', 'b', 'c']);
      assert.ok(Math.abs([...shares.values()].reduce((sum, share) => sum + share, 0) - 100) < 0.1);
      const templates = await operator.run('SHOW TEMPLATES');
      const byRoute = new Map(
        templates.map((row) => [`${row['verb']} ${row['route']}`, Number(row['calls'])]),
      );
      assert.deepEqual(
        [byRoute.get('SELECT by key'), byRoute.get('SELECT scatter')],
        [9, 1],
        JSON.stringify(templates),
      );
    });

    test('sees drift of a shard, and that it is gone', async () => {
      assert.deepEqual(await operator.run('SHOW DRIFT'), []);
      await engine.run(b.url(engine.database), 'ALTER TABLE people ADD COLUMN odd int');
      const drift = await operator.run('SHOW DRIFT');
      assert.deepEqual(
        drift.map((row) => [row['table'], row['shard']]),
        [[`${schema}.people`, 'b']],
      );
      assert.match(String(drift[0]!['difference']), /\bodd\b/);
      await engine.run(b.url(engine.database), 'ALTER TABLE people DROP COLUMN odd');
      assert.deepEqual(await operator.run('SHOW DRIFT'), []);
    });

    test('is told where statements go: by the control port, by the command line, and with no server running as well', async () => {
      const owner = async (id: number) => {
        for (const [name, server] of Object.entries({ a, b, c }))
          if (
            (await engine.run(server.url(engine.database), `SELECT id FROM people WHERE id = ${id}`)).length >
            0
          )
            return name;
        return assert.fail(`row ${id} is nowhere`);
      };
      for (const id of [1, 2, 3, 4, 5]) {
        const [row] = await operator.run(`EXPLAIN ROUTE SELECT * FROM people WHERE id = ${id}`);
        assert.deepEqual(
          [row!['kind'], row!['shards'], row!['key']],
          ['single-shard', await owner(id), String(id)],
        );
      }
      const [refused] = await operator.run(
        'EXPLAIN ROUTE SELECT 1 FROM people p JOIN people q ON p.id = q.name',
      );
      assert.equal(refused!['kind'], 'not supported');
      const sql = 'SELECT * FROM people WHERE id = 3';
      const online = await ringferry('explain', sql, ...config);
      assert.deepEqual([online.status, online.err], [0, '']);
      assert.match(online.out, new RegExp(`single-shard.*key 3 on ${await owner(3)}\\b`, 's'));
      await proxy.end('SIGTERM');
      const offline = await ringferry('explain', sql, ...config);
      assert.deepEqual(offline, online);
    });

    test('is told by check what is wrong, and how the statements of a file route', async () => {
      const fine = await ringferry('check', ...config);
      assert.equal(fine.status, 0, fine.err);
      assert.match(fine.out, /no mistakes[\s\S]*shards a, b, c \(home a\), 1 sharded and 1 reference tables/);
      const file = join(dirname(proxy.configPath), 'statements.sql');
      const quoted = protocol === 'postgres' ? `"name"` : '`name`';
      await writeFile(
        file,
        `SELECT ${quoted} FROM people WHERE id = 3;\nSELECT count(*) FROM people; -- all; of them\nINSERT INTO people VALUES (1, 'it''s; ok');\nSELECT 1 FROM people p JOIN people q ON p.id = q.name;\n`,
      );
      const { status, out } = await ringferry('check', '--sql', file, ...config);
      assert.equal(status, 1);
      assert.match(out, /4 statements: 2 single-shard, 1 scatter, 1 not supported/);
    });

    test('may ask what a migration would do, and reads the metrics', { timeout: 60_000 }, async () => {
      await proxy.start();
      const run = ['migrate', 'add-shard', 'd', '--url', d.url(engine.database), '--dry-run', ...config];
      const dry = await ringferry(...run);
      assert.equal(dry.status, 0, dry.out + dry.err);
      assert.match(dry.out, /Nothing forbids it/);
      assert.equal(await engine.hasTable(d.url(engine.database), 'people'), false);
      await engine.run(
        d.url(engine.database),
        'CREATE TABLE people (id int PRIMARY KEY, name varchar(30))',
        `INSERT INTO people VALUES ${Array.from({ length: 50 }, (_, id) => `(${id}, 'precious')`).join(', ')}`,
      );
      const forbidden = await ringferry(...run);
      assert.notEqual(forbidden.status, 0);
      assert.match(forbidden.out + forbidden.err, /people holds rows in the ranges that are to move here/);
      await assert.rejects(operator.run(`ADD SHARD d '${d.url(engine.database)}'`), /people holds rows/);
      assert.deepEqual(
        (await engine.run(d.url(engine.database), 'SELECT count(*) AS n FROM people')).map((row) =>
          Number(row['n']),
        ),
        [50],
      );
      const one = engine.demo.clients(proxy.url(engine.database, user, protocol), { size: 1, name: 'app' });
      for (let id = 1; id <= 5; id++) await one.run('SELECT name FROM people WHERE id = $1', [id]);
      const metrics = await (await fetch(`http://127.0.0.1:${proxy.ports.http}/metrics`)).text();
      await one.end();
      const value = (name: string) =>
        Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(metrics)?.[1]);
      assert.ok(value('ringferry_statements_total') >= 5);
      assert.ok(
        value('ringferry_plan_cache_hits_total') >= 4,
        `${value('ringferry_plan_cache_hits_total')} hits`,
      );
      assert.equal(value('ringferry_errors_total'), 0);
    });
  });
}
