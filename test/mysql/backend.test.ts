import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../../src/lib/errors.js';
import { COM, has, STATUS } from '../../src/mysql/capabilities.js';
import { encodePacket } from '../../src/mysql/packets.js';
import { decodeColumn, decodeEof, decodeOk, decodeTextRow } from '../../src/mysql/result-messages.js';
import type { Backend } from '../../src/pool/backend.js';
import { ServerFailure } from '../../src/pool/backend.js';
import { connect, endAll, startServer } from './backend-connections.js';
import { forward, prepared, request } from './backend-requests.js';

before(() => startServer());
after(endAll);

describe('a backend', () => {
  test('knows after login what the server said about itself', async () => {
    const backend = await connect();
    assert.match(backend.parameters.get('version')!, /^1\d\.\d+\.\d+-MariaDB/);
    assert.equal(backend.parameters.get('autocommit'), '1');
    assert.deepEqual(await backend.rows('SELECT CONNECTION_ID(), DATABASE()'), [
      [String(backend.processId), 'shop'],
    ]);
    assert.equal(backend.transaction, 'idle');
  });

  test('returns rows as text', async () => {
    const backend = await connect();
    assert.deepEqual(await backend.rows("SELECT 1, NULL, 'ä', ''"), [['1', null, 'ä', '']]);
  });

  test('speaks the character set and has the flags that the startup names', async () => {
    const sql = 'SELECT @@character_set_client, @@character_set_results, @@collation_connection';
    const plain = await connect();
    assert.deepEqual(await plain.rows(sql), [['utf8mb4', 'utf8mb4', 'utf8mb4_general_ci']]);
    const latin = await connect({}, new Map([['character_set', 'latin1']]));
    assert.deepEqual(await latin.rows(sql), [['latin1', 'latin1', 'latin1_swedish_ci']]);
    const binary = await connect({}, new Map([['collation_id', '46']]));
    assert.deepEqual(await binary.rows(sql), [['utf8mb4', 'utf8mb4', 'utf8mb4_bin']]);
    await plain.run('CREATE TABLE flags (id int PRIMARY KEY)');
    await plain.run('INSERT INTO flags VALUES (1)');
    const found = await connect({}, new Map([['found_rows', '1']]));
    const update = request.query('UPDATE flags SET id = 1');
    assert.match((await forward(plain, update)).tags[0]!, /^OK 0 0 0/);
    assert.match((await forward(found, update)).tags[0]!, /^OK 1 0 0/);
  });

  test('rejects with the server’s own error and can be used again', async () => {
    const backend = await connect();
    await assert.rejects(backend.rows('SELECT * FROM nothing_there'), (error: unknown) => {
      assert.ok(error instanceof ServerFailure);
      assert.equal(error.serverError.sqlstate, '42S02');
      assert.equal(error.serverError.errno, 1146);
      return true;
    });
    assert.deepEqual(await backend.rows('SELECT 2'), [['2']]);
  });

  test('relays several statements with the server’s own packets and a tag for each', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE relayed (id int AUTO_INCREMENT PRIMARY KEY, v text)');
    const sql = "SELECT 1; INSERT INTO relayed (v) VALUES ('a'), ('b'); SELECT id FROM relayed WHERE 1 = 0";
    const { payloads, tags, status } = await forward(backend, request.query(sql));
    assert.deepEqual(tags, ['SELECT 1', 'OK 2 1 0 Records: 2  Duplicates: 0  Warnings: 0', 'SELECT 0']);
    assert.equal(status, 'idle');
    assert.equal(payloads.length, 10);
    assert.equal(decodeColumn(payloads[1]!).name, '1');
    assert.deepEqual(decodeTextRow(payloads[3]!, 1), [Buffer.from('1')]);
    assert.ok(has(decodeEof(payloads[4]!).status, STATUS.MORE_RESULTS_EXISTS));
    assert.equal(decodeOk(payloads[5]!).lastInsertId, 1n);
    assert.ok(!has(decodeEof(payloads[9]!).status, STATUS.MORE_RESULTS_EXISTS));
  });

  test('relays the results of a procedure and the error in the middle of several statements', async () => {
    const backend = await connect();
    await backend.run('CREATE PROCEDURE two() BEGIN SELECT 1; SELECT 2, 3; END');
    assert.deepEqual((await forward(backend, request.query('CALL two()'))).tags, [
      'SELECT 1',
      'SELECT 1',
      'OK 0 0 0',
    ]);
    const failed = await forward(backend, request.query('SELECT 1; SELECT nonsense; SELECT 2'));
    assert.deepEqual(
      [failed.tags, failed.error?.errno, failed.payloads.at(-1)![0]],
      [['SELECT 1'], 1054, 0xff],
    );
    const statement = prepared('1', 'CALL two()');
    const executed = await forward(backend, request.execute(statement, '1'));
    assert.deepEqual(executed.tags, ['SELECT 1', 'SELECT 1', 'OK 0 0 0']);
  });

  test('tells what the status flags say of autocommit and escapes', async () => {
    const backend = await connect();
    const off = await forward(backend, request.query('SET autocommit = 0'));
    assert.deepEqual(off.parameters, [['autocommit', '0']]);
    assert.equal(backend.parameters.get('autocommit'), '0');
    const mode = await forward(backend, request.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'"));
    assert.deepEqual(mode.parameters, [['no_backslash_escapes', '1']]);
  });

  test('puts BEGIN before a text, and runs nothing when BEGIN fails', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE begun (id int PRIMARY KEY)');
    const one = await forward(backend, request.query('INSERT INTO begun VALUES (1)'), { before: ['BEGIN'] });
    assert.deepEqual([one.tags, one.payloads.length, one.status], [['OK 1 0 0'], 1, 'open']);
    await backend.run('ROLLBACK');
    const statement = prepared('3', 'INSERT INTO begun VALUES (2)');
    for (const given of [request.query('INSERT INTO begun VALUES (2)'), request.execute(statement, '3')]) {
      for (const before of [
        ['XA START'],
        ['BEGIN', "XA START 'x'"],
        ['SET nonsense = 1 -- x', 'BEGIN'],
        ['SET nonsense = 1 # x'],
      ]) {
        const failed = await forward(backend, given, { before });
        assert.ok(failed.error !== undefined);
        assert.deepEqual([failed.tags, failed.payloads.length], [[], 1]);
        if (failed.status === 'open') await backend.run('ROLLBACK');
      }
    }
    assert.deepEqual(await backend.rows('SELECT * FROM begun'), []);
  });

  test('answers a text without a statement as the server does, also behind a BEGIN', async () => {
    const backend = await connect();
    const plain = await forward(backend, request.query(''));
    const begun = await forward(backend, request.query(''), { before: ['BEGIN'] });
    for (const answer of [plain, begun]) {
      assert.deepEqual([answer.error?.errno, answer.payloads.length], [1065, 1]);
      assert.deepEqual(answer.payloads, plain.payloads);
    }
    const comment = await forward(backend, request.query('-- nothing'), { before: ['SELECT 1'] });
    assert.deepEqual([comment.tags, comment.payloads.length], [['OK 0 0 0'], 1]);
    assert.deepEqual([plain.status, begun.status], ['idle', 'open']);
  });

  test('knows after an error whether the transaction is still open', async () => {
    const [one, other] = [await connect(), await connect()];
    await one.run('CREATE TABLE locked (id int PRIMARY KEY, v int)');
    await one.run('INSERT INTO locked VALUES (1, 0), (2, 0), (3, 0)');
    await one.run('BEGIN');
    await assert.rejects(one.run('INSERT INTO locked VALUES (1, 0)'));
    assert.equal(one.transaction, 'open');
    assert.deepEqual(await one.rows('SELECT ROW_COUNT()'), [['-1']]);
    await assert.rejects(one.run('INSERT INTO locked VALUES (1, 0)'));
    assert.equal((await one.rows('SHOW WARNINGS'))[0]?.[1], '1062');
    await one.run('ROLLBACK');
    assert.equal(one.transaction, 'idle');
    await deadlock(one, other, ['BEGIN', 'BEGIN']);
    assert.equal(other.transaction, 'idle');
    await one.run('ROLLBACK');
  });

  test('tells an XA transaction that a deadlock has rolled back from none', async () => {
    const [one, other] = [await connect(), await connect()];
    await one.run('CREATE TABLE IF NOT EXISTS locked (id int PRIMARY KEY, v int)');
    await one.run('INSERT IGNORE INTO locked VALUES (1, 0), (2, 0), (3, 0)');
    await deadlock(one, other, ["XA START 'one'", "XA START 'other'"]);
    assert.equal(other.transaction, 'failed');
    await assert.rejects(other.rows('SELECT * FROM locked'), /ROLLBACK ONLY/);
    assert.equal(other.transaction, 'failed');
    await other.run("XA ROLLBACK 'other'");
    assert.equal(other.transaction, 'idle');
    await one.run("XA END 'one'");
    assert.equal(one.transaction, 'open');
    await one.run("XA ROLLBACK 'one'");
    assert.equal(one.transaction, 'idle');
  });

  test('sees a transaction that a procedure opened before it failed', async () => {
    const backend = await connect();
    await backend.run('CREATE PROCEDURE opens() BEGIN START TRANSACTION; SELECT nonsense; END');
    const failed = await forward(backend, request.query('CALL opens()'));
    assert.deepEqual([failed.error?.errno, failed.status], [1054, 'open']);
  });

  test('refuses what it cannot say, and goes on', async () => {
    const backend = await connect();
    const frame = encodePacket(Buffer.of(COM.FIELD_LIST, 0));
    const refused = await forward(backend, {
      steps: [{ type: 'function-call', frame }],
      end: 'query',
      byteLength: 0,
    });
    assert.deepEqual([refused.error?.errno, refused.status], [1047, 'idle']);
    assert.deepEqual(await backend.rows('SELECT 1'), [['1']]);
  });

  test('says the log position of what it has committed', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE positioned (id int PRIMARY KEY)');
    await backend.run('INSERT INTO positioned VALUES (1)');
    const position = await backend.position();
    assert.match(position, /^1-1-\d+$/);
    await backend.run('INSERT INTO positioned VALUES (2)');
    assert.ok(Number((await backend.position()).split('-')[2]) > Number(position.split('-')[2]));
    const reader = await connect();
    assert.equal(await reader.position(), await backend.position());
  });

  test('stops what runs on it and can be used again', async () => {
    const backend = await connect();
    const watcher = await connect();
    const sleeping = forward(backend, request.query('SELECT SLEEP(60) FROM (SELECT 1) t'));
    const isSleeping = `SELECT COUNT(*) FROM information_schema.processlist WHERE id = ${backend.processId} AND info LIKE '%SLEEP(60)%'`;
    while ((await watcher.rows(isSleeping))[0]?.[0] !== '1');
    await backend.cancel();
    assert.equal((await sleeping).error?.errno, 1317);
    assert.deepEqual(await backend.rows('SELECT 3'), [['3']]);
  });

  test('is after a reset as it was after connect', async () => {
    const backend = await connect();
    await backend.run("SET @a = 1, sql_mode = 'ANSI_QUOTES', NAMES latin1, autocommit = 0");
    await backend.run('CREATE TEMPORARY TABLE temporary_one (id int)');
    await backend.run('USE mysql');
    const statement = prepared('9', 'SELECT ?');
    await forward(backend, request.prepare(statement));
    backend.settings = 'something';
    await backend.reset();
    assert.deepEqual([backend.settings, backend.preparedStatements, backend.transaction], ['', 0, 'idle']);
    assert.equal(backend.parameters.get('autocommit'), '1');
    const fresh = await connect();
    const sql =
      'SELECT @a, @@sql_mode, @@autocommit, @@character_set_client, @@character_set_results, @@character_set_connection, @@collation_connection, DATABASE()';
    assert.deepEqual(await backend.rows(sql), await fresh.rows(sql));
    await assert.rejects(backend.rows('SELECT * FROM temporary_one'), /temporary_one/);
  });

  test('is out of every transaction after a reset', async () => {
    const [backend, other] = [await connect(), await connect()];
    await other.run('CREATE TABLE half_done (id int PRIMARY KEY)');
    for (const begin of ['BEGIN', "XA START 'half'"]) {
      await backend.run(begin);
      await backend.run('INSERT INTO half_done VALUES (1)');
      await backend.reset();
      assert.equal(backend.transaction, 'idle');
      assert.deepEqual(await other.rows('SELECT * FROM half_done'), []);
      await other.run('INSERT INTO half_done VALUES (1)');
      assert.deepEqual(await backend.rows('SELECT * FROM half_done'), [['1']]);
      await other.run('DELETE FROM half_done');
    }
  });

  test('does not take a reset for done when a database stays chosen', async () => {
    const backend = await connect({ database: '' });
    await backend.reset();
    await backend.run('USE shop');
    await assert.rejects(backend.reset(), OperatingError);
  });

  test('a reset of the client’s own is answered with an OK', async () => {
    const backend = await connect();
    await backend.run('BEGIN');
    const relayed = await forward(backend, request.reset(), { rename: false });
    assert.deepEqual([relayed.tags, relayed.payloads.length, relayed.status], [['OK 0 0 0'], 1, 'idle']);
  });
});

/** `other` has less to undo and is the one that the server rolls back. */
async function deadlock(one: Backend, other: Backend, begins: readonly [string, string]): Promise<void> {
  await one.run(begins[0]);
  await other.run(begins[1]);
  await one.run('UPDATE locked SET v = v + 1 WHERE id IN (1, 3)');
  await other.run('UPDATE locked SET v = v + 1 WHERE id = 2');
  const waiting = one.run('UPDATE locked SET v = v + 1 WHERE id = 2');
  const watcher = await connect();
  const isWaiting = 'SELECT COUNT(*) FROM information_schema.innodb_lock_waits';
  // The view is renewed only when nobody has read it for a tenth of a second.
  while ((await watcher.rows(isWaiting))[0]?.[0] === '0') await sleep(150);
  await assert.rejects(other.run('UPDATE locked SET v = v + 1 WHERE id = 1'), /[Dd]eadlock/);
  await waiting;
}
