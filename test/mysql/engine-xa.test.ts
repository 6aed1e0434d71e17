import assert from 'node:assert/strict';
import { after as atEnd, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { ApplyQueue } from '../../src/migration/apply-queue.js';
import type { ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { ApplyInbox } from '../../src/mysql/apply-inbox.js';
import { ApplyTable } from '../../src/mysql/apply-table.js';
import { atQuietMoment } from '../../src/mysql/change-source.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { readExistingTables } from '../../src/mysql/engine-tables.js';
import { GtidPosition } from '../../src/mysql/gtid.js';
import { noGenuineMysql, startGenuineMysql } from '../genuine-mysql.js';
import { startMariadb } from '../mariadb.js';
import { caughtUp, openStream, type Pair, startMigration, startPair, tasksFor } from './engine-fixture.js';
import { numbersTo, sql, texts, WHOLE } from './shard-fixture.js';

/** What the two say of a session that waits for the quiet moment to pass, and the whole of their log. */
const KINDS = [
  { name: 'MariaDB', start: startMariadb, state: 'Waiting for backup lock', logEnd: '@@gtid_binlog_pos' },
  { name: 'MySQL', start: startGenuineMysql, state: 'Waiting for commit lock', logEnd: '@@gtid_executed' },
].filter(({ name }) => name === 'MariaDB' || noGenuineMysql === undefined);

interface Xa {
  readonly source: ShardAddress;
  readonly target: ShardAddress;
  readonly spec: StreamSpec;
}

async function makeMigration(pair: Pair, name: string): Promise<Xa> {
  const { source, target } = await pair.databases(name);
  const ddl = 'CREATE TABLE accounts (id int PRIMARY KEY, balance int)';
  await sql(source.url, ddl, `INSERT INTO accounts SELECT seq, 100 FROM ${numbersTo(20)}`);
  await sql(target.url, ddl);
  const tasks = await tasksFor(source, { accounts: 'id:integer' }, WHOLE);
  return { source, target, spec: { migration: name, direction: 'forward', from: source, to: target, tasks } };
}

/** One connection with one XA transaction after the other. */
class Branch {
  readonly #connection: mysql.Connection;
  readonly #xid: string;

  private constructor(connection: mysql.Connection, xid: string) {
    this.#connection = connection;
    this.#xid = xid;
  }

  static async open(
    address: ShardAddress,
    xid: string,
    t: { after(end: () => void): void },
  ): Promise<Branch> {
    const connection = await mysql.createConnection({ uri: address.url });
    t.after(() => connection.destroy());
    return new Branch(connection, `'${xid}','branch',7`);
  }

  async write(...statements: string[]): Promise<void> {
    await this.#connection.query(`XA START ${this.#xid}`);
    for (const statement of statements) await this.#connection.query(statement);
    await this.#connection.query(`XA END ${this.#xid}`);
  }

  async prepare(...statements: string[]): Promise<void> {
    if (statements.length > 0) await this.write(...statements);
    await this.#connection.query(`XA PREPARE ${this.#xid}`);
  }

  async commit(): Promise<void> {
    await this.#connection.query(`XA COMMIT ${this.#xid}`);
  }

  async rollback(): Promise<void> {
    await this.#connection.query(`XA ROLLBACK ${this.#xid}`);
  }
}

async function assertSame(spec: StreamSpec): Promise<void> {
  const query = 'SELECT * FROM accounts ORDER BY id';
  assert.deepEqual(await texts(spec.to.url, query), await texts(spec.from.url, query));
}

async function balance(address: ShardAddress, id: number): Promise<string | undefined> {
  return (await texts(address.url, `SELECT balance FROM accounts WHERE id = ${id}`))[0];
}

/** How often somebody has asked for prepared transactions: once at the first quiet moment, then again and again until they are decided. */
async function timesAsked(address: ShardAddress): Promise<number> {
  return Number((await texts(address.url, `SHOW GLOBAL STATUS LIKE 'Com_xa_recover'`))[0]?.split('|')[1]);
}

for (const { name: kind, start, state, logEnd } of KINDS) {
  describe(kind, async () => {
    const pair = await startPair(atEnd, {}, start);
    const migrationOf = (name: string): Promise<Xa> => makeMigration(pair, name);

    test('a prepared transaction is applied where it is committed, not where it was prepared', async (t) => {
      const { source, target, spec } = await migrationOf('place');
      const stream = await startMigration(pair, spec);
      const one = await Branch.open(source, 'one', t);
      const two = await Branch.open(source, 'two', t);
      await one.prepare(
        'UPDATE accounts SET balance = balance - 10 WHERE id = 1',
        'DELETE FROM accounts WHERE id = 2',
      );
      await two.prepare(
        'UPDATE accounts SET balance = 0 WHERE id = 3',
        'INSERT INTO accounts VALUES (99, 1)',
      );
      await sql(source.url, 'UPDATE accounts SET balance = 5 WHERE id = 4');
      await caughtUp(pair, spec, stream);
      assert.deepEqual(await Promise.all([1, 2, 3, 4].map((id) => balance(target, id))), [
        '100',
        '100',
        '100',
        '5',
      ]);
      await two.rollback();
      await one.commit();
      await sql(
        source.url,
        'UPDATE accounts SET balance = balance - 1 WHERE id = 1',
        'INSERT INTO accounts VALUES (2, 7)',
      );
      await caughtUp(pair, spec, stream);
      assert.deepEqual(await Promise.all([1, 2, 3, 4].map((id) => balance(target, id))), [
        '89',
        '7',
        '100',
        '5',
      ]);
      await assertSame(spec);
      await stream.stop();
    });

    test('one phase is an ordinary commit', async (t) => {
      const { source, spec } = await migrationOf('onephase');
      const stream = await startMigration(pair, spec);
      const connection = await mysql.createConnection({ uri: source.url });
      t.after(() => connection.destroy());
      for (const statement of [
        `XA START 'g','b'`,
        'UPDATE accounts SET balance = 1',
        `XA END 'g','b'`,
        `XA COMMIT 'g','b' ONE PHASE`,
      ])
        await connection.query(statement);
      await caughtUp(pair, spec, stream);
      await assertSame(spec);
      await stream.stop();
    });

    test('prepared before the snapshot is waited for, committed before it: in the copy; prepared before it by others and committed after it: in the stream', async (t) => {
      const { source, target, spec } = await migrationOf('around');
      const early = await Branch.open(source, 'early', t);
      const late = await Branch.open(source, 'late', t);
      const undone = await Branch.open(source, 'undone', t);
      await early.prepare('UPDATE accounts SET balance = 11 WHERE id = 1');
      const asked = await timesAsked(source);
      const starting = startMigration(pair, spec, {
        afterSnapshot: async () => {
          await late.commit();
          await undone.rollback();
          await sql(source.url, 'UPDATE accounts SET balance = 33 WHERE id = 4');
        },
        afterCopy: async () => {
          // `early` was decided before the snapshot, `late` after it.
          assert.deepEqual(await Promise.all([1, 2, 3, 4].map((id) => balance(target, id))), [
            '11',
            '100',
            '100',
            '100',
          ]);
        },
      });
      // The snapshot waits for `early`: these two are prepared in the meantime, behind the place where reading begins.
      while ((await timesAsked(source)) < asked + 2) await sleep(10);
      await late.prepare(
        'UPDATE accounts SET balance = 22 WHERE id = 2',
        'INSERT INTO accounts VALUES (50, 50)',
      );
      await undone.prepare('DELETE FROM accounts WHERE id = 3');
      await early.commit();
      const stream = await starting;
      await caughtUp(pair, spec, stream);
      assert.deepEqual(await Promise.all([1, 2, 3, 4, 50].map((id) => balance(target, id))), [
        '11',
        '22',
        '100',
        '33',
        '50',
      ]);
      await assertSame(spec);
      await stream.stop();
    });

    test('prepared before the stream stops, decided while it is away or after it came back', async (t) => {
      const { source, target, spec } = await migrationOf('restart');
      const first = await startMigration(pair, spec);
      const away = await Branch.open(source, 'away', t);
      const after = await Branch.open(source, 'after', t);
      const gone = await Branch.open(source, 'gone', t);
      await away.prepare('UPDATE accounts SET balance = 1 WHERE id = 1');
      await after.prepare('UPDATE accounts SET balance = 2 WHERE id = 2');
      await gone.prepare('UPDATE accounts SET balance = 3 WHERE id = 3');
      await sql(source.url, 'UPDATE accounts SET balance = 4 WHERE id = 4');
      await caughtUp(pair, spec, first);
      await gone.rollback();
      await sql(source.url, 'UPDATE accounts SET balance = balance + 1 WHERE id = 4');
      await caughtUp(pair, spec, first);
      await first.stop();
      await away.commit();
      await sql(source.url, 'UPDATE accounts SET balance = balance + 1 WHERE id = 1');
      const second = await openStream(pair, spec);
      await caughtUp(pair, spec, second);
      assert.deepEqual(await Promise.all([1, 2, 3, 4].map((id) => balance(target, id))), [
        '2',
        '100',
        '100',
        '5',
      ]);
      await second.stop();
      const third = await openStream(pair, spec);
      await after.commit();
      await caughtUp(pair, spec, third);
      await assertSame(spec);
      assert.equal(await balance(target, 2), '2');
      await third.stop();
    });

    test('random prepares, commits and rollbacks under restarts of the stream leave both sides equal', async (t) => {
      const { source, spec } = await migrationOf('random');
      let stream = await startMigration(pair, spec);
      let isWriting = true;
      const writer = async (number: number): Promise<void> => {
        const connection = await mysql.createConnection({ uri: source.url });
        t.after(() => connection.destroy());
        // Without locks on gaps: the writers' rows are their own.
        await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
        for (let round = 0; isWriting; round++) {
          const xid = `'w${number}','r${round}'`;
          const [one, two] = [number * 5 + (round % 5), number * 5 + ((round * 3) % 5)];
          await connection.query(`XA START ${xid}`);
          await connection.query(`UPDATE accounts SET balance = balance - 1 WHERE id = ${one}`);
          await connection.query(`DELETE FROM accounts WHERE id = ${1000 + one}`);
          await connection.query(`UPDATE accounts SET balance = balance + 1 WHERE id = ${two}`);
          await connection.query(
            `INSERT INTO accounts VALUES (${1000 + one}, ${round}) ON DUPLICATE KEY UPDATE balance = ${round}`,
          );
          await connection.query(`XA END ${xid}`);
          if (round % 4 === 0) await connection.query(`XA COMMIT ${xid} ONE PHASE`);
          else {
            await connection.query(`XA PREPARE ${xid}`);
            await sleep(round % 7);
            await connection.query(round % 3 === 0 ? `XA ROLLBACK ${xid}` : `XA COMMIT ${xid}`);
          }
        }
      };
      const writers = [0, 1, 2, 3].map(writer);
      for (let restart = 0; restart < 8; restart++) {
        await sleep(100);
        await stream.stop();
        stream = await openStream(pair, spec);
      }
      isWriting = false;
      await Promise.all(writers);
      await caughtUp(pair, spec, stream);
      await assertSame(spec);
      assert.ok(stream.transactionsApplied > 0);
      await stream.stop();
    });

    test('at the quiet moment nothing is committed, prepared or decided', async (t) => {
      const { source } = await migrationOf('quiet');
      const [prepared, preparing] = await Promise.all([
        Branch.open(source, 'done', t),
        Branch.open(source, 'doing', t),
      ]);
      const session = await EngineSession.connect(source);
      const committing = await mysql.createConnection({ uri: source.url });
      t.after(() => committing.destroy());
      await committing.query('START TRANSACTION');
      await committing.query('UPDATE accounts SET balance = 1 WHERE id = 1');
      await preparing.write('UPDATE accounts SET balance = 2 WHERE id = 2');
      const done: string[] = [];
      const acts: Promise<unknown>[] = [];
      await atQuietMoment(
        session,
        () => {},
        async ({ position }) => {
          const act = (name: string, work: Promise<unknown>): void =>
            void acts.push(work.then(() => done.push(name)));
          act('commit', committing.query('COMMIT'));
          act('prepare', preparing.prepare());
          const waiting = `SELECT count(*) FROM information_schema.processlist WHERE state = '${state}' AND db = 'quiet'`;
          while (done.length < 2 && (await texts(source.url, waiting))[0] !== '2') await sleep(10);
          assert.deepEqual(done, []);
          assert.equal(
            (await texts(source.url, `SELECT ${logEnd}`))[0]?.replace('\n', ''),
            position.toString(),
          );
        },
      );
      await Promise.all(acts);
      await preparing.commit();
      await prepared.prepare('UPDATE accounts SET balance = 3 WHERE id = 3');
      const [, decision] = await Promise.all([
        // It waits for what is prepared: so that is decided now.
        atQuietMoment(
          session,
          () => {},
          async () => void done.push('quiet'),
        ),
        prepared.commit().then(() => done.push('decided')),
      ]);
      assert.ok(decision > 0);
      assert.deepEqual(done.slice(-2), ['decided', 'quiet']);
      await session.close();
    });

    test('prepared transactions that are too large to be kept are refused by name', async () => {
      const { source, spec } = await migrationOf('toolarge');
      const [facts] = await pair.sessions.use(source, (session) =>
        readExistingTables(session, [spec.tasks[0]!.table]),
      );
      const start = { position: GtidPosition.start, readFrom: GtidPosition.start };
      const table = new ApplyTable(spec.tasks[0]!, facts!, facts!, true);
      const inbox = new ApplyInbox(new ApplyQueue(), {
        tables: new Map([['toolarge.accounts', table]]),
        schema: 'toolarge',
        migration: 'toolarge',
        start,
        maxPreparedBytes: 1000,
      });
      const int = { type: 3, metadata: {} };
      inbox.accept({
        type: 'begin',
        gtid: { domain: 1, server: 1, sequence: 1n },
        kind: 'prepared',
        xid: 'the xid',
      });
      inbox.accept({
        type: 'table',
        id: 1,
        table: {
          schema: 'toolarge',
          name: 'accounts',
          columnNames: ['id', 'balance'],
          columns: [int, int],
          isUnsigned: [false, false],
          primaryKey: [0],
        },
      });
      const image = [Buffer.from([1, 0, 0, 0]), Buffer.from([2, 0, 0, 0])];
      assert.throws(() => {
        for (let row = 0; row < 10; row++)
          inbox.accept({ type: 'rows', table: 1, change: 'insert', images: [image] });
      }, /prepared \(XA\).*the xid/);
    });
  });
}
