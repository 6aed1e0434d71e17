import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import { flavorOf } from '../../src/mysql/flavor.js';
import type { Backend } from '../../src/pool/backend.js';
import { connect, endAll } from './backend-connections.js';
import { forward, int, prepared, request, text } from './backend-requests.js';
import { mysql56Folder, startMysql56 } from './mysql56-server.js';

describe('the flavor', () => {
  for (const [version, isMariadb, clean, hasResetConnection] of [
    ['5.5.5-10.11.14-MariaDB-0+deb12u2-log', true, '10.11.14-MariaDB-0+deb12u2-log', true],
    ['11.8.2-MariaDB', true, '11.8.2-MariaDB', true],
    ['5.5.68-MariaDB', true, '5.5.68-MariaDB', false],
    ['10.2.3-MariaDB', true, '10.2.3-MariaDB', false],
    ['8.0.36-0ubuntu0.22.04.1', false, '8.0.36-0ubuntu0.22.04.1', true],
    ['5.7.3', false, '5.7.3', true],
    ['5.7.2', false, '5.7.2', false],
    ['5.6.24-log', false, '5.6.24-log', false],
    ['who knows', false, 'who knows', false],
  ] as const) {
    test(`is read from ${version}`, () => {
      const flavor = flavorOf(version);
      assert.deepEqual(
        [flavor.isMariadb, flavor.version, flavor.hasResetConnection],
        [isMariadb, clean, hasResetConnection],
      );
    });
  }
});

describe('a genuine MySQL 5.6', { skip: mysql56Folder() === undefined }, () => {
  const ends: (() => Promise<void>)[] = [];
  let url: string;
  let backend: Backend;

  before(async () => {
    url = await startMysql56(
      (end) => ends.push(end),
      [
        '--log-bin=binlog',
        '--server-id=1',
        '--gtid-mode=ON',
        '--enforce-gtid-consistency',
        '--log-slave-updates',
        '--binlog-format=ROW',
      ],
    );
    backend = await connect({ url, database: '' });
    await backend.run('CREATE DATABASE shop CHARACTER SET utf8mb4');
  });
  after(async () => {
    await endAll();
    for (const end of ends) await end();
  });

  test('lets us in, with a password, with a database, and says who it is', async () => {
    await backend.run("CREATE USER app IDENTIFIED BY 'straße'");
    await backend.run('GRANT ALL ON *.* TO app');
    const app = await connect({ url, user: 'app', password: 'straße' });
    assert.match(app.parameters.get('version')!, /^5\.6\.24/);
    assert.deepEqual(
      await app.rows('SELECT DATABASE(), @@character_set_client, @@collation_connection, CONNECTION_ID()'),
      [['shop', 'utf8mb4', 'utf8mb4_general_ci', String(app.processId)]],
    );
    await assert.rejects(connect({ url, user: 'app', password: 'strasse' }), OperatingError);
  });

  test('answers texts, prepared statements and errors, and keeps us informed of the transaction', async () => {
    await backend.run('USE shop');
    await backend.run('CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v varchar(20))');
    const inserted = await forward(
      backend,
      request.query("INSERT INTO t (v) VALUES ('a'), ('b'); SELECT 1"),
      {
        before: ['BEGIN'],
      },
    );
    assert.deepEqual(
      [inserted.tags, inserted.status],
      [['OK 2 1 0 Records: 2  Duplicates: 0  Warnings: 0', 'SELECT 1'], 'open'],
    );
    const failed = await forward(backend, request.query('INSERT INTO t VALUES (1, NULL)'));
    assert.deepEqual([failed.error?.errno, failed.status], [1062, 'open']);
    assert.deepEqual(await backend.rows('SELECT ROW_COUNT()'), [['-1']]);
    await backend.run('COMMIT');
    const statement = prepared('1', 'SELECT id, ? FROM t WHERE id = ?');
    await forward(backend, request.prepare(statement));
    const executed = await forward(backend, request.execute(statement, '1', text('ß'), int(2)));
    assert.deepEqual([executed.tags, executed.status], [['SELECT 1'], 'idle']);
  });

  test('tells an XA transaction that has failed from none', async () => {
    await backend.run("XA START 'x'");
    assert.equal(backend.transaction, 'open');
    await backend.run("XA END 'x'");
    await backend.run("XA COMMIT 'x' ONE PHASE");
    assert.equal(backend.transaction, 'idle');
  });

  test('answers a text without a statement behind one of ours', async () => {
    const empty = await forward(backend, request.query(''), { before: ['DO 1'] });
    assert.deepEqual([empty.error?.errno, empty.payloads.length], [1065, 1]);
  });

  test('says its position as a set of GTIDs', async () => {
    assert.match(await backend.position(), /^[0-9a-f-]{36}:1-\d+$/);
  });

  test('stops what runs', async () => {
    const sleeping = forward(backend, request.query('SELECT SLEEP(60) FROM t'));
    const watcher = await connect({ url });
    const isThere = `SELECT COUNT(*) FROM information_schema.processlist WHERE id = ${backend.processId} AND info LIKE '%SLEEP(60)%'`;
    while ((await watcher.rows(isThere))[0]?.[0] !== '1');
    await backend.cancel();
    assert.equal((await sleeping).error?.errno, 1317);
  });

  test('cannot be reset, and says so instead of keeping another client’s session', async () => {
    await assert.rejects(backend.reset(), /cannot reset/);
  });
});
