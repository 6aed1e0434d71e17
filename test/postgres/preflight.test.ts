import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { preflight } from '../../src/postgres/preflight.js';
import { startPostgres } from '../cluster.js';
import { HALF, keyspaceOf, sql, startMigration, startPair, tasksOf, texts, WHOLE } from './engine-fixture.js';

const pair = await startPair(atEnd);
const { engine } = pair;

const messages = (blockers: readonly { shard: string; message: string }[]): string[] =>
  blockers.map(({ shard, message }) => `${shard}: ${message}`);

test('two healthy shards have nothing against it', async () => {
  const { source, target } = await pair.databases('healthy');
  await sql(
    source.url,
    'CREATE TABLE t (id int PRIMARY KEY, v text)',
    'INSERT INTO t SELECT generate_series(1, 100)',
  );
  assert.deepEqual(
    await engine.preflight([source], [target], await keyspaceOf(source, { t: 'id:integer' }), 'healthy'),
    [],
  );
});

test('a server that cannot be reached is named', async () => {
  const { source } = await pair.databases('reached');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const gone: ShardAddress = { shard: 'gone', url: 'postgres://postgres@127.0.0.1:22999/none' };
  const blockers = await engine.preflight(
    [source],
    [gone],
    await keyspaceOf(source, { t: 'id:integer' }),
    'reached',
  );
  assert.match(messages(blockers)[0]!, /^gone: shard gone: cannot connect: .*ECONNREFUSED/);
});

test('tables that cannot be moved are named, each with its remedy', async () => {
  const { source, target } = await pair.databases('tables');
  await sql(
    source.url,
    'CREATE TABLE keyless (id int)',
    'CREATE UNLOGGED TABLE quick (id int PRIMARY KEY)',
    'CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)',
    'CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent)',
    'CREATE TABLE computed (id int PRIMARY KEY, key int GENERATED ALWAYS AS (id % 10) STORED)',
    'CREATE TABLE home_only (id int PRIMARY KEY); CREATE TABLE refers (id int PRIMARY KEY REFERENCES home_only)',
  );
  const keyspace = await keyspaceOf(source, {
    keyless: 'id:integer',
    quick: 'id:integer',
    parts: 'id:integer',
    parent: 'id:integer',
    computed: 'key:integer',
    refers: 'id:integer',
  });
  const blockers = await engine.preflight([source], [target], keyspace, 'tables');
  const found = messages(blockers).join('\n');
  for (const expected of [
    /table public\.keyless has no primary key/,
    /table public\.quick is unlogged/,
    /table public\.parts is partitioned/,
    /table public\.parent takes part in inheritance/,
    /table public\.computed has a generated shard key key/,
    /foreign key refers_id_fkey of public\.refers refers to public\.home_only, which is at home only/,
  ]) {
    assert.match(found, expected);
  }
  assert.ok(blockers.every((blocker) => blocker.remedy.length > 10));
  assert.equal(blockers.length, 6, found);
});

test('a target whose table differs, or holds rows where rows are to come', async () => {
  const { source, target } = await pair.databases('occupied');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY, v text)', 'INSERT INTO t VALUES (1)');
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  const streams = (ranges = WHOLE): StreamSpec[] => [
    {
      migration: 'occupied',
      direction: 'forward',
      from: source,
      to: target,
      tasks: tasksOf(keyspace, ranges),
    },
  ];
  await sql(target.url, 'CREATE TABLE t (id int PRIMARY KEY, v varchar(5))');
  assert.match(
    messages(await preflight([source], [target], keyspace, 'occupied', streams()))[0]!,
    /d: table public\.t is not as on shard a: column v is character varying\(5\), not text/,
  );
  await sql(
    target.url,
    'DROP TABLE t',
    'CREATE TABLE t (id int PRIMARY KEY, v text)',
    'INSERT INTO t SELECT generate_series(100, 200)',
  );
  assert.match(
    messages(await preflight([source], [target], keyspace, 'occupied', streams()))[0]!,
    /d: table public\.t holds rows in the ranges that are to move here/,
  );
});

test('a unique value that two sources hold is found before the applier meets it', async () => {
  const { source, target } = await pair.databases('unique1');
  await sql(pair.servers[0].url('postgres'), 'CREATE DATABASE unique2');
  const other: ShardAddress = { shard: 'b', url: pair.servers[0].url('unique2') };
  const ddl = 'CREATE TABLE users (id int PRIMARY KEY, mail text UNIQUE, nick text UNIQUE)';
  await sql(
    source.url,
    ddl,
    `INSERT INTO users SELECT i, 'a' || i || '@x', NULL FROM generate_series(1, 3000) i`,
  );
  await sql(
    other.url,
    ddl,
    `INSERT INTO users SELECT i, 'b' || i || '@x', NULL FROM generate_series(5001, 8000) i`,
  );
  const keyspace = await keyspaceOf(source, { users: 'id:integer' });
  assert.deepEqual(await engine.preflight([source, other], [target], keyspace, 'unique'), []);
  await sql(other.url, `UPDATE users SET mail = 'a77@x' WHERE id = 6000`);
  assert.match(
    messages(await engine.preflight([source, other], [target], keyspace, 'unique')).join(),
    /d: unique index users_mail_key of public\.users on \(mail\): the value \(a77@x\) is on a and on b/,
  );
  const stays = { low: 0n, high: 0n };
  const streams = [source, other].map(
    (from): StreamSpec => ({
      migration: 'unique',
      direction: 'forward',
      from,
      to: target,
      tasks: tasksOf(keyspace, [stays]),
    }),
  );
  assert.deepEqual(
    await preflight([source, other], [target], keyspace, 'unique', streams),
    [],
    'neither row moves',
  );
});

test('a dead migration that still holds log is reported with the way to free it', async () => {
  const { source, target } = await pair.databases('dead');
  await sql(
    source.url,
    'CREATE TABLE t (id int PRIMARY KEY)',
    `SELECT pg_create_logical_replication_slot('ringferry_old_a_d', 'pgoutput')`,
  );
  const blockers = await engine.preflight(
    [source],
    [target],
    await keyspaceOf(source, { t: 'id:integer' }),
    'dead',
  );
  assert.match(messages(blockers)[0]!, /slot ringferry_old_a_d of another migration/);
  assert.match(blockers[0]!.remedy, /pg_drop_replication_slot\('ringferry_old_a_d'\)/);
  await sql(source.url, `SELECT pg_drop_replication_slot('ringferry_old_a_d')`);
});

test('a server without logical log, slots and rights says all of it at once', async (t) => {
  const [poor] = await startPostgres((end) => t.after(end), {
    settings: { wal_level: 'replica', max_replication_slots: '0', max_wal_senders: '0' },
  });
  await sql(
    poor!.url('postgres'),
    'CREATE ROLE app LOGIN',
    `CREATE DATABASE shop ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    'ALTER DATABASE shop OWNER TO app',
  );
  const { source: healthy } = await pair.databases('poor');
  await sql(healthy.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const url = poor!.url('shop').replace('postgres@', 'app@');
  const blockers = await engine.preflight(
    [healthy],
    [{ shard: 'poor', url }],
    await keyspaceOf(healthy, { t: 'id:integer' }),
    'poor',
  );
  const found = messages(blockers).join('\n');
  for (const expected of [
    /encoding is LATIN1/,
    /wal_level is replica/,
    /max_replication_slots/,
    /max_wal_senders/,
    /may not use replication/,
    /may not use replication origins/,
    /may not set session_replication_role/,
  ]) {
    assert.match(found, expected);
  }
});

test('an owner with exactly the rights that the remedies name can do everything', async () => {
  const { source, target } = await pair.databases('rights');
  const grants = [
    `DO $$ BEGIN CREATE ROLE mover LOGIN REPLICATION; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    'GRANT SET ON PARAMETER session_replication_role TO mover',
    'GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text), pg_replication_origin_drop(text), pg_replication_origin_session_setup(text) TO mover',
    'GRANT CREATE ON SCHEMA public TO mover',
  ];
  await sql(
    source.url,
    ...grants,
    'GRANT CREATE ON DATABASE rights TO mover',
    'CREATE TABLE t (id int PRIMARY KEY, v text)',
    'ALTER TABLE t OWNER TO mover',
    'INSERT INTO t SELECT generate_series(1, 100)',
  );
  await sql(target.url, ...grants, 'GRANT CREATE ON DATABASE rights TO mover');
  const [from, to] = [source, target].map(({ shard, url }) => ({
    shard,
    url: url.replace('postgres@', 'mover@'),
  }));
  const keyspace = await keyspaceOf(from!, { t: 'id:integer' });
  const spec: StreamSpec = {
    migration: 'rights',
    direction: 'forward',
    from: from!,
    to: to!,
    tasks: tasksOf(keyspace, HALF),
  };
  assert.deepEqual(await engine.preflight([from!], [to!], keyspace, 'rights'), []);
  const stream = await startMigration(engine, spec, keyspace);
  await sql(from!.url, `UPDATE t SET v = 'x'`);
  await stream.waitFor(await engine.writeMarker(from!, 'rights'));
  assert.deepEqual(await texts(to!.url, `SELECT DISTINCT v FROM t`), ['x']);
  await engine.prepareFence(from!, 'rights', spec.tasks);
  await (await engine.raiseFence(from!, 'rights', spec.tasks, 1_000)).lower();
  await engine.advanceSequences([from!], to!, spec.tasks);
  await stream.stop();
  assert.ok((await engine.deleteRows(to!, 'rights', spec.tasks, AbortSignal.timeout(10_000))) > 20);
  for (const address of [from!, to!]) await engine.removeTraces(address, 'rights', []);
  assert.deepEqual(
    await texts(source.url, `SELECT slot_name FROM pg_replication_slots WHERE database = 'rights'`),
    [],
  );
});
