import assert from 'node:assert/strict';
import { after as atEnd, describe, test } from 'node:test';
import type { ShardAddress } from '../../src/migration/engine.js';
import { preflight } from '../../src/mysql/preflight.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { assertFound } from './findings.js';
import { client, keyspaceOf, type Shards, sql, startShards } from './shard-fixture.js';

describe('preflight of a genuine MySQL', { skip: noGenuineMysql ?? false }, async () => {
  if (noGenuineMysql !== undefined) return;
  const shards: Shards = await startShards(atEnd, 2, { 'binlog-ignore-db': 'ignored' }, startGenuineMysql);

  async function databases(
    name: string,
    ...ddl: string[]
  ): Promise<{ source: ShardAddress; target: ShardAddress }> {
    const [source, target] = await shards.databases(name);
    await sql(source!.url, ...ddl);
    return { source: source!, target: target! };
  }

  test('a user with exactly the rights that the remedies name has nothing against it; by a role they count too', async () => {
    const { source, target } = await databases('rights', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    const keyspace = await keyspaceOf(source, { t: 'id:integer' });
    const as = (user: string) =>
      [source, target].map(({ shard, url }) => ({ shard, url: url.replace('root@', `${user}@`) })) as [
        ShardAddress,
        ShardAddress,
      ];
    const check = ([from, to]: readonly [ShardAddress, ShardAddress]) =>
      preflight([from], [to], keyspace, 'rights');
    for (const { url } of [source, target])
      await sql(
        url,
        'CREATE USER mover',
        'GRANT ALL PRIVILEGES ON rights.* TO mover',
        'CREATE ROLE moving',
        'GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO moving',
        'GRANT FLUSH_TABLES, XA_RECOVER_ADMIN ON *.* TO moving',
        'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, LOCK TABLES, TRIGGER, CREATE VIEW, SHOW VIEW, CREATE ROUTINE ON rights.* TO moving',
        'CREATE USER player DEFAULT ROLE moving',
        'GRANT SUPER ON *.* TO player',
      );
    const blockers = await check(as('mover'));
    const missing = [
      /may not read the binary log/,
      /may not see how long the binary log is/,
      /may not hold commits/,
      /may not see which transactions are prepared/,
      /may not see what the prepared transactions are called/,
      /may not create triggers while the binary log is on/,
    ];
    assertFound(blockers, [...missing, ...missing]);
    for (const { shard, remedy } of blockers)
      await sql(
        shard === source.shard ? source.url : target.url,
        remedy
          .split(';')
          .at(/SUPER/.test(remedy) ? 1 : 0)!
          .replace(/^ or /, ''),
      );
    assert.deepEqual(await check(as('mover')), []);
    assert.deepEqual(await check(as('player')), []);
  });

  test('settings by which the log would not tell everything are named, and a server without MD5', async (t) => {
    const { source, target } = await databases('settings', 'CREATE TABLE t (id int PRIMARY KEY)');
    const keyspace = await keyspaceOf(source, { t: 'id:integer' });
    const set = (values: Readonly<Record<string, string>>): Promise<void> =>
      sql(target.url, ...Object.entries(values).map(([name, value]) => `SET GLOBAL ${name} = ${value}`));
    t.after(async () => {
      await set({
        read_only: 'OFF',
        binlog_row_image: 'FULL',
        binlog_row_metadata: 'FULL',
        binlog_row_value_options: "''",
        binlog_transaction_compression: 'OFF',
        binlog_format: 'ROW',
        gtid_mode: 'ON',
      });
      await sql(target.url, "INSTALL COMPONENT 'file://component_classic_hashing'");
    });
    await sql(target.url, "UNINSTALL COMPONENT 'file://component_classic_hashing'");
    await set({
      binlog_format: 'MIXED',
      binlog_row_image: 'MINIMAL',
      binlog_row_metadata: 'MINIMAL',
      binlog_row_value_options: 'PARTIAL_JSON',
      binlog_transaction_compression: 'ON',
      gtid_mode: 'ON_PERMISSIVE',
      read_only: 'ON',
    });
    assertFound(await preflight([source], [target], keyspace, 'settings'), [
      /b: read_only is ON, not OFF/,
      /b: binlog_format is MIXED, not ROW/,
      /b: binlog_row_image is MINIMAL, not FULL/,
      /b: binlog_row_metadata is MINIMAL, not FULL/,
      /b: binlog_row_value_options is PARTIAL_JSON, not empty/,
      /b: binlog_transaction_compression is ON, not OFF/,
      /b: gtid_mode is ON_PERMISSIVE, not ON/,
      /b: the server has no function MD5/,
    ]);
  });

  test('a database that is kept out of the log', async () => {
    const { source, target } = await databases('ignored', 'CREATE TABLE t (id int PRIMARY KEY)');
    const blockers = await preflight(
      [source],
      [target],
      await keyspaceOf(source, { t: 'id:integer' }),
      'ignored',
    );
    assertFound(blockers, [
      /^a: the database ignored is kept out of the binary log/,
      /^b: the database ignored is kept out of the binary log/,
    ]);
  });

  test('a transaction that stays prepared is named with the way to end it', async (t) => {
    const { source, target } = await databases('prepared', 'CREATE TABLE t (id int PRIMARY KEY)');
    const keyspace = await keyspaceOf(source, { t: 'id:integer' });
    const writer = await client(source, t);
    for (const statement of ["XA START 'it''s','b',7", 'INSERT INTO t VALUES (1)', "XA END 'it''s','b',7"])
      await writer.query(statement);
    await writer.query("XA PREPARE 'it''s','b',7");
    const blockers = await preflight([source], [target], keyspace, 'prepared');
    assertFound(blockers, [/^a: the transaction X'69742773',X'62',7 has been prepared and is not decided/]);
    await sql(source.url, /XA ROLLBACK [^;]+/.exec(blockers[0]!.remedy)![0]);
    assert.deepEqual(await preflight([source], [target], keyspace, 'prepared'), []);
  });

  test('tables that cannot be moved are named, also for types that only MySQL has', async () => {
    const { source, target } = await databases(
      'tables',
      'CREATE TABLE documents (id int PRIMARY KEY, body json)',
      'CREATE TABLE near (id int PRIMARY KEY, place vector(3))',
      'CREATE TABLE quick (id int PRIMARY KEY) ENGINE = MyISAM',
      'CREATE TABLE named (name varchar(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY)',
      "INSERT INTO named VALUES ('Zoë')",
      'CREATE TABLE fine (id int PRIMARY KEY, n varchar(9), up int AS (id + 1) VIRTUAL INVISIBLE, KEY ((lower(n))), CHECK (id > 0))',
    );
    const keyspace = await keyspaceOf(source, {
      documents: 'id:integer',
      near: 'id:integer',
      quick: 'id:integer',
      named: 'name:text-ci',
      fine: 'id:integer',
    });
    assertFound(await preflight([source], [target], keyspace, 'tables'), [
      /table tables\.documents has column body of type json, which cannot be moved/,
      /table tables\.near has column place of type vector\(3\), which cannot be moved/,
      /table tables\.quick is stored by MyISAM/,
      /table tables\.named has the shard key "Zoë"/,
    ]);
  });

  test('unique values that meet are found, as the collation compares; those of expressions are refused', async () => {
    const { source, target } = await databases('uniques');
    const ddl = 'CREATE TABLE users (id int PRIMARY KEY, mail varchar(40) COLLATE utf8mb4_0900_ai_ci UNIQUE)';
    await sql(source.url, ddl, "INSERT INTO users VALUES (1, 'zoe'), (2, 'ann ')");
    await sql(target.url, ddl, "INSERT INTO users VALUES (3, 'ann')");
    const check = async () =>
      preflight([source], [target], await keyspaceOf(source, { users: 'id:integer' }), 'uniques');
    assert.deepEqual(await check(), [], 'NO PAD: a blank at the end counts');
    await sql(target.url, "INSERT INTO users VALUES (4, 'ZOË')");
    assertFound(await check(), [
      /unique index mail of uniques\.users on \(mail\): the value \S+ is on a and on b/,
    ]);
    for (const { url } of [source, target])
      await sql(url, 'ALTER TABLE users DROP INDEX mail, ADD UNIQUE folded ((lower(mail)))');
    assertFound(await check(), [/unique index folded of uniques\.users is on an expression/]);
  });
});
