import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Blocker, ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { EngineSessions } from '../../src/mysql/engine-sessions.js';
import { lowerFence, prepareFence, raiseFence, removeFence } from '../../src/mysql/fence.js';
import { preflight } from '../../src/mysql/preflight.js';
import { copySchema } from '../../src/mysql/schema.js';
import { AT_ONCE } from '../../src/mysql/short-locks.js';
import { startMariadb } from '../mariadb.js';
import { assertFound } from './findings.js';
import { client, HALF, keyspaceOf, sql, startShards, tasksOf, texts, WHOLE } from './shard-fixture.js';

const shards = await startShards(atEnd, 3, { 'binlog-ignore-db': 'ignored' });

async function databases(
  name: string,
): Promise<{ source: ShardAddress; other: ShardAddress; target: ShardAddress }> {
  const [source, other, target] = await shards.databases(name);
  return { source: source!, other: other!, target: target! };
}

test('healthy shards have nothing against it', async () => {
  const { source, other, target } = await databases('healthy');
  for (const { url } of [source, other, target])
    await sql(url, 'CREATE TABLE t (id int PRIMARY KEY, v text, doubled int AS (id * 2) VIRTUAL)');
  await sql(source.url, 'INSERT INTO t (id) SELECT seq FROM seq_1_to_100');
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  assert.deepEqual(await preflight([source, other], [target], keyspace, 'healthy'), []);
});

test('a database that is kept out of the log', async () => {
  const { source, target } = await databases('ignored');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const blockers = await preflight(
    [source],
    [target],
    await keyspaceOf(source, { t: 'id:integer' }),
    'ignored',
  );
  assertFound(blockers, [
    /^a: the database ignored is kept out of the binary log/,
    /^c: the database ignored is kept out of the binary log/,
  ]);
});

test('a server that cannot be reached is named', async () => {
  const { source } = await databases('reached');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const gone: ShardAddress = { shard: 'gone', url: 'mysql://root@127.0.0.1:22999/reached' };
  const blockers = await preflight(
    [source],
    [gone],
    await keyspaceOf(source, { t: 'id:integer' }),
    'reached',
  );
  assertFound(blockers, [/^gone: shard gone: cannot connect: .*ECONNREFUSED/]);
});

test('tables that cannot be moved are named, each with its remedy', async () => {
  const { source, target } = await databases('tables');
  await sql(
    source.url,
    'CREATE TABLE keyless (id int NOT NULL)',
    'CREATE TABLE quick (id int PRIMARY KEY) ENGINE = Aria',
    'CREATE TABLE versioned (id int PRIMARY KEY) WITH SYSTEM VERSIONING',
    'CREATE TABLE computed (id int PRIMARY KEY, k int AS (id % 10) STORED)',
    'CREATE TABLE loose (id int PRIMARY KEY, k int)',
    'CREATE TABLE home_only (id int PRIMARY KEY)',
    'CREATE TABLE refers (id int PRIMARY KEY REFERENCES home_only (id))',
    'CREATE TABLE home_child (id int PRIMARY KEY, FOREIGN KEY (id) REFERENCES refers (id))',
    'CREATE TABLE cascades (id int PRIMARY KEY, up int, CONSTRAINT falling FOREIGN KEY (up) REFERENCES refers (id) ON DELETE SET NULL)',
    'CREATE TABLE by_key (other int, id int, PRIMARY KEY (id, other), CONSTRAINT fine FOREIGN KEY (id) REFERENCES refers (id))',
    'CREATE TABLE everywhere (id int PRIMARY KEY, CONSTRAINT spread FOREIGN KEY (id) REFERENCES refers (id))',
    'CREATE TABLE greek (name varchar(20) CHARACTER SET greek PRIMARY KEY)',
    'CREATE TABLE watched (id int PRIMARY KEY)',
    'CREATE TRIGGER watching AFTER INSERT ON watched FOR EACH ROW SET @seen = NEW.id',
    'CREATE TABLE named (name varchar(20) PRIMARY KEY)',
    `INSERT INTO named VALUES ('Ann'), ('a ~ b'), ('Zoë')`,
  );
  const keyspace = await keyspaceOf(source, {
    keyless: 'id:integer',
    quick: 'id:integer',
    computed: 'k:integer',
    loose: 'k:integer',
    refers: 'id:integer',
    cascades: 'id:integer',
    by_key: 'id:integer',
    everywhere: 'reference',
    greek: 'name:text',
    watched: 'id:integer',
    named: 'name:text-ci',
  });
  const tables = new Map(keyspace.tables);
  const gone = { ...tables.get('tables.loose')!, name: 'gone' };
  const versioned = { ...tables.get('tables.loose')!, name: 'versioned' };
  tables.set('tables.gone', gone).set('tables.versioned', versioned);
  const blockers = await preflight([source], [target], { ...keyspace, tables }, 'tables');
  assertFound(blockers, [
    /table tables\.keyless has no primary key/,
    /table tables\.quick is stored by Aria/,
    /table tables\.versioned is not an ordinary table but SYSTEM VERSIONED/,
    /table tables\.versioned has no column k, its shard key/,
    /table tables\.computed has a generated shard key k/,
    /table tables\.loose has a shard key k that may be NULL/,
    /table tables\.named has the shard key "Zoë"/,
    /table tables\.gone does not exist/,
    /trigger watching of tables\.watched/,
    /foreign key \S+ of tables\.refers refers to tables\.home_only, which is at home only/,
    /foreign key \S+ of tables\.home_child, which is at home only, refers to rows of tables\.refers/,
    /table tables\.greek has a shard key name in the character set greek/,
    /foreign key spread of tables\.everywhere, which is on every shard, refers to rows of tables\.refers/,
    /foreign key falling of tables\.cascades does not refer to tables\.refers by the shard keys of both/,
    /foreign key falling of tables\.cascades changes rows by SET NULL/,
  ]);
});

test('a target whose table differs, has a trigger, or holds rows where rows are to come', async () => {
  const { source, target } = await databases('occupied');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY, v text)', 'INSERT INTO t VALUES (1, NULL)');
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  const check = (ranges = WHOLE): Promise<Blocker[]> => {
    const spec: StreamSpec = {
      migration: 'occupied',
      direction: 'forward',
      from: source,
      to: target,
      tasks: tasksOf(keyspace, ranges),
    };
    return preflight([source], [target], keyspace, 'occupied', [spec]);
  };
  await sql(target.url, 'CREATE TABLE t (id int PRIMARY KEY, v varchar(5))');
  assertFound(await check(), [
    /^c: table occupied\.t is not as on shard a: column v is varchar\(5\), not text/,
  ]);
  await sql(target.url, 'DROP TABLE t', 'CREATE TABLE t (id int, v text, PRIMARY KEY (id, v(5)))');
  assertFound(await check(), [/its primary key is \(id, v\), not \(id\)/]);
  await sql(
    target.url,
    'DROP TABLE t',
    'CREATE TABLE t (id int PRIMARY KEY, v text)',
    'CREATE TRIGGER tr BEFORE DELETE ON t FOR EACH ROW SET @x = 1',
    'INSERT INTO t (id) SELECT seq FROM seq_100_to_200',
  );
  assertFound(await check(), [
    /^c: trigger tr of occupied\.t/,
    /^c: table occupied\.t holds rows in the ranges/,
  ]);
  await sql(target.url, 'DROP TRIGGER tr', 'DELETE FROM t');
  assert.deepEqual(await check(), []);
});

test('a row that does not fit into the target’s max_allowed_packet as hex', async (t) => {
  const { source, target } = await databases('packets');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY, v longblob, w json)');
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  const check = (): Promise<Blocker[]> => preflight([source], [target], keyspace, 'packets');
  const [row] = await texts(target.url, 'SELECT @@GLOBAL.max_allowed_packet');
  t.after(() => sql(target.url, `SET GLOBAL max_allowed_packet = ${row}`));
  await sql(target.url, 'SET GLOBAL max_allowed_packet = 4194304');
  await sql(
    source.url,
    `INSERT INTO t VALUES (1, repeat('v', 1048500), NULL), (2, repeat('v', 1048500), json_quote(repeat('w', 80)))`,
  );
  assertFound(await check(), [
    /^c: max_allowed_packet is 4194304, and a row of packets\.t on shard a with 1048582 bytes/,
  ]);
  await sql(source.url, 'DELETE FROM t WHERE id = 2');
  assert.deepEqual(await check(), []);
});

test('a unique value that two sources hold is found before the applier meets it, as the collation compares', async () => {
  const { source, other, target } = await databases('uniques');
  const ddl =
    'CREATE TABLE users (id int PRIMARY KEY, mail varchar(40) UNIQUE, nick varchar(20) UNIQUE, exact varchar(20) COLLATE utf8mb4_bin, raw varbinary(8), UNIQUE KEY both_of (exact, raw))';
  await sql(
    source.url,
    ddl,
    `INSERT INTO users SELECT seq, CONCAT('a', seq, '@x'), NULL, CONCAT('E', seq), 'r' FROM seq_1_to_3000`,
  );
  await sql(
    other.url,
    ddl,
    `INSERT INTO users SELECT seq, CONCAT('b', seq, '@x'), NULL, CONCAT('e', seq - 5000), 'r' FROM seq_5001_to_8000`,
  );
  const keyspace = await keyspaceOf(source, { users: 'id:integer' });
  const check = (streams: StreamSpec[] = []) =>
    preflight([source, other], [target], keyspace, 'uniques', streams);
  assert.deepEqual(await check(), []);
  await sql(other.url, `UPDATE users SET mail = 'Á77@X ' WHERE id = 6000`);
  assertFound(await check(), [
    /^c: unique index mail of uniques\.users on \(mail\): the value \S+ is on a and on b/,
  ]);
  await sql(other.url, `UPDATE users SET mail = NULL, exact = 'E5' WHERE id = 6000`);
  assertFound(await check(), [
    /unique index both_of of uniques\.users on \(exact, raw\): the value E5, r is on a and on b/,
  ]);
  const streams = [source, other].map(
    (from): StreamSpec => ({
      migration: 'uniques',
      direction: 'forward',
      from,
      to: target,
      tasks: tasksOf(keyspace, [{ low: 0n, high: 0n }]),
    }),
  );
  assert.deepEqual(await check(streams), [], 'neither row moves');
});

test('a transaction that stays prepared is named with the way to end it', async (t) => {
  const { source, target } = await databases('prepared');
  await sql(source.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const writer = await client(source, t);
  for (const statement of [
    `XA START 'old','b'`,
    'INSERT INTO t VALUES (1)',
    `XA END 'old','b'`,
    `XA PREPARE 'old','b'`,
  ])
    await writer.query(statement);
  const blockers = await preflight(
    [source],
    [target],
    await keyspaceOf(source, { t: 'id:integer' }),
    'prepared',
  );
  assertFound(blockers, [/^a: the transaction .* has been prepared and is not decided/]);
  writer.destroy();
  const rollback = /XA ROLLBACK [^;]+/.exec(blockers[0]!.remedy)![0];
  for (;;) {
    try {
      await sql(source.url, rollback);
      return;
    } catch {
      // Until the server has seen that the session is gone, the transaction is still its own.
      await sleep(20);
    }
  }
});

test('a server without row log, other settings and a user without rights say all of it at once', async (t) => {
  const [, poor] = await startMariadb((end) => t.after(end), {
    count: 2,
    settings: {
      'binlog-format': 'MIXED',
      'binlog-row-image': 'MINIMAL',
      'binlog-row-metadata': 'MINIMAL',
      'innodb-flush-log-at-trx-commit': '0',
      'lower-case-table-names': '1',
      'sql-mode': 'ANSI_QUOTES',
      'default-time-zone': '+05:00',
      'max-allowed-packet': '2M',
    },
  });
  await sql(
    poor!.url(),
    'CREATE DATABASE others COLLATE latin1_bin',
    'CREATE USER app',
    'GRANT SELECT ON `o%`.* TO app',
  );
  const [, healthy] = await shards.databases('poor');
  await sql(healthy!.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  const blockers = await preflight(
    [healthy!],
    [{ shard: 'poor', url: poor!.url('others', 'app') }],
    await keyspaceOf(healthy!, { t: 'id:integer' }),
    'poor',
  );
  assertFound(blockers, [
    /binlog_format is MIXED/,
    /binlog_row_image is MINIMAL/,
    /binlog_row_metadata is MINIMAL/,
    /innodb_flush_log_at_trx_commit is 0/,
    /max_allowed_packet is 2097152/,
    /may not read the binary log/,
    /may not see how long the binary log is/,
    /may not hold commits/,
    /may not see which transactions are prepared/,
    /lacks INSERT, UPDATE, DELETE, CREATE, .* in the database/,
    /may not create triggers while the binary log is on/,
    /server_id is 2, as on shard b/,
    /sql_mode is ANSI_QUOTES, and on shard b /,
    /time_zone is \+05:00/,
    /the time zone of the server is \+05:00/,
    /lower_case_table_names is 1/,
    /the name of the database is others, and on shard b poor/,
    /the default collation of the database is latin1_bin/,
  ]);
});

test('a user with exactly the rights that the remedies name can copy a schema and fence', async () => {
  const { source, target } = await databases('rights');
  await sql(
    source.url,
    'CREATE TABLE t (id int PRIMARY KEY)',
    'CREATE VIEW v AS SELECT id FROM t',
    'INSERT INTO t VALUES (1)',
  );
  const keyspace = await keyspaceOf(source, { t: 'id:integer' });
  const [asMover, toMover] = [source, target].map(({ shard, url }) => ({
    shard,
    url: url.replace('root@', 'mover@'),
  })) as [ShardAddress, ShardAddress];
  for (const { url } of [source, target])
    await sql(url, 'CREATE USER mover', 'GRANT ALL PRIVILEGES ON rights.* TO mover');
  const blockers = await preflight([asMover], [toMover], keyspace, 'rights');
  assert.equal(blockers.length, 10);
  for (const { shard, remedy } of blockers)
    await sql(shard === 'a' ? source.url : target.url, remedy.split(';')[0]!);
  assert.deepEqual(await preflight([asMover], [toMover], keyspace, 'rights'), []);
  await copySchema(asMover, toMover, keyspace, (_level, message) =>
    assert.match(message, /^.*view v.*SUPER|SET USER/),
  );
  const sessions = new EngineSessions();
  const tasks = tasksOf(keyspace, HALF);
  await sessions.use(asMover, (session) => prepareFence(session, 'rights', tasks, AT_ONCE));
  await (await raiseFence(sessions, asMover, 'rights', tasks, 1_000)).release();
  await lowerFence(sessions, asMover, 'rights');
  await sessions.use(asMover, (session) => removeFence(session, 'rights', AT_ONCE));
});
