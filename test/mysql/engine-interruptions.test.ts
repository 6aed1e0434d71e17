import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { AppliedStream, ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { actAsApplier } from '../../src/mysql/apply-target.js';
import { atQuietMoment, storeStart } from '../../src/mysql/change-source.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { ensureLedger, signTransaction } from '../../src/mysql/ledger.js';
import { openSourceSnapshot } from '../../src/mysql/source-snapshot.js';
import { assertHeardAtOnce } from '../migration/heard-at-once.js';
import { caughtUp, openStream, startMigration, startPair, tasksFor } from './engine-fixture.js';
import { sql, texts, untilLockWait, WHOLE } from './shard-fixture.js';

const pair = await startPair(atEnd);

async function migrationOf(
  name: string,
): Promise<{ source: ShardAddress; target: ShardAddress; spec: StreamSpec }> {
  const { source, target } = await pair.databases(name);
  const ddl = 'CREATE TABLE accounts (id int PRIMARY KEY, balance int)';
  await sql(source.url, ddl, 'INSERT INTO accounts SELECT seq, 100 FROM seq_1_to_20');
  await sql(target.url, ddl);
  const tasks = await tasksFor(source, { accounts: 'id:integer' }, WHOLE);
  return { source, target, spec: { migration: name, direction: 'forward', from: source, to: target, tasks } };
}

async function assertSame(spec: StreamSpec, stream: AppliedStream): Promise<void> {
  await caughtUp(pair, spec, stream);
  const query = 'SELECT * FROM accounts ORDER BY id';
  assert.deepEqual(await texts(spec.to.url, query), await texts(spec.from.url, query));
}

/** Writes that cannot be applied twice without a trace; ends when told. */
function load(address: ShardAddress): { stop(): Promise<number> } {
  let isWriting = true;
  const writing = (async () => {
    const connection = await mysql.createConnection({ uri: address.url });
    let round = 0;
    for (; isWriting; round++) {
      await connection.query('START TRANSACTION');
      await connection.query(`UPDATE accounts SET balance = balance + 1 WHERE id = ${(round % 20) + 1}`);
      await connection.query(`INSERT INTO accounts VALUES (${1000 + round}, ${round})`);
      if (round >= 50) await connection.query(`DELETE FROM accounts WHERE id = ${1000 + round - 50}`);
      await connection.query('COMMIT');
    }
    await connection.end();
    return round;
  })();
  return {
    async stop() {
      isWriting = false;
      return await writing;
    },
  };
}

async function killConnections(address: ShardAddress, where: string): Promise<number> {
  const ids = await texts(
    address.url,
    `SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND (${where})`,
  );
  for (const id of ids) await sql(address.url, `KILL ${id}`).catch(() => {});
  return ids.length;
}

test('connections killed on either side cost nothing: the stream goes on where the target stands', async () => {
  const { source, target, spec } = await migrationOf('kills');
  const stream = await startMigration(pair, spec);
  const writes = load(source);
  let killed = 0;
  for (let round = 0; round < 6; round++) {
    await sleep(200);
    killed += await (round % 2 === 0
      ? killConnections(source, `command = 'Binlog Dump'`)
      : killConnections(target, `db = 'kills'`));
  }
  const rounds = await writes.stop();
  await assertSame(spec, stream);
  assert.ok(killed >= 6 && rounds > 50);
  assert.ok(pair.log.some((line) => line.includes('begins again')));
  await stream.stop();
});

test('a target that crashes and comes back has each transaction once', async () => {
  const { source, spec } = await migrationOf('crash');
  const stream = await startMigration(pair, spec);
  const writes = load(source);
  await sleep(200);
  await pair.servers[1].crash();
  await sleep(200);
  await pair.servers[1].start();
  await writes.stop();
  await assertSame(spec, stream);
  await stream.stop();
});

test('a source that crashes and comes back is read on', async () => {
  const { source, spec } = await migrationOf('crash2');
  const stream = await startMigration(pair, spec);
  await sql(source.url, 'UPDATE accounts SET balance = 1');
  await caughtUp(pair, spec, stream);
  await pair.servers[0].crash();
  await sleep(200);
  await pair.servers[0].start();
  await sql(source.url, 'UPDATE accounts SET balance = 2');
  await assertSame(spec, stream);
  await stream.stop();
});

test('a source that falls silent without an end is asked again, and read on when it speaks', async () => {
  const { source, spec } = await migrationOf('silence');
  const stream = await startMigration(pair, spec, {}, { silenceMs: 3_000 });
  await sql(source.url, 'UPDATE accounts SET balance = 1');
  await caughtUp(pair, spec, stream);
  const seen = pair.log.length;
  pair.servers[0].freeze();
  try {
    while (!pair.log.slice(seen).some((line) => line.includes('fallen silent'))) await sleep(50);
  } finally {
    pair.servers[0].thaw();
  }
  await sql(source.url, 'UPDATE accounts SET balance = 2');
  await assertSame(spec, stream);
  await stream.stop();
});

test('a second stream of the same migration takes over from one that hangs on', async () => {
  const { source, spec } = await migrationOf('takeover');
  const first = await startMigration(pair, spec);
  await sql(source.url, 'UPDATE accounts SET balance = 1');
  await caughtUp(pair, spec, first);
  const second = await openStream(pair, spec);
  await sql(source.url, 'UPDATE accounts SET balance = 2');
  await Promise.any([caughtUp(pair, spec, first), caughtUp(pair, spec, second)]);
  await Promise.all([first.stop(), second.stop()]);
  const query = 'SELECT * FROM accounts ORDER BY id';
  assert.deepEqual(await texts(spec.to.url, query), await texts(spec.from.url, query));
});

test('log that is gone is an error that says so, not a gap', async () => {
  const { source, spec } = await migrationOf('purged');
  const stream = await startMigration(pair, spec);
  await stream.stop();
  await sql(
    source.url,
    'UPDATE accounts SET balance = 1',
    'FLUSH BINARY LOGS',
    'UPDATE accounts SET balance = 2',
    'FLUSH BINARY LOGS',
  );
  // Files that a connection still reads, or that the engine has not caught up with, are kept a little longer.
  for (let files = ['', '']; files.length > 1; ) {
    files = (await texts(source.url, 'SHOW BINARY LOGS')).map((row) => row.split('|')[0]!);
    await sql(source.url, `PURGE BINARY LOGS TO '${files.at(-1)}'`);
    await sleep(50);
  }
  await assert.rejects(
    (async () => {
      const again = await openStream(pair, spec);
      await again.ended;
    })(),
    /log cannot be read/,
  );
});

test('a copy that is made anew begins its stream anew, whatever the target has noted', async () => {
  const { source, target, spec } = await migrationOf('anew');
  const first = await startMigration(pair, spec);
  await sql(source.url, 'UPDATE accounts SET balance = 1');
  await caughtUp(pair, spec, first);
  await first.stop();
  await sql(source.url, 'UPDATE accounts SET balance = balance + 1');
  await sql(target.url, 'DELETE FROM accounts');
  const second = await startMigration(pair, spec, {
    afterCopy: () => sql(source.url, 'UPDATE accounts SET balance = balance + 1'),
  });
  await assertSame(spec, second);
  assert.equal(second.transactionsApplied, 1);
  await second.stop();
});

test('the way back leaves out what came the way there, and what the migration did itself, and brings all else', async () => {
  const { source, target, spec } = await migrationOf('back');
  const back: StreamSpec = { ...spec, direction: 'reverse', from: target, to: source };
  const forward = await startMigration(pair, spec);
  await pair.sessions.use(source, ensureLedger);
  const session = await EngineSession.connect(target);
  await storeStart(
    session,
    { ...back, to: 'a' },
    await atQuietMoment(
      session,
      () => {},
      async (moment) => moment,
    ),
  );
  // Behind the way back's beginning, but only what came from there: applied again, it would fail.
  await sql(source.url, 'INSERT INTO accounts VALUES (500, 1)', 'DELETE FROM accounts WHERE id = 1');
  await caughtUp(pair, spec, forward);
  await forward.stop();
  await actAsApplier(session);
  await session.transaction(async () => {
    await signTransaction(session, spec.migration);
    await session.run('DELETE FROM accounts WHERE id = 2');
  });
  const stream = await openStream(pair, back);
  await sql(
    target.url,
    'UPDATE accounts SET balance = 7 WHERE id = 500',
    'INSERT INTO accounts VALUES (501, 1)',
  );
  await caughtUp(pair, back, stream);
  assert.deepEqual(
    await texts(source.url, 'SELECT * FROM accounts WHERE id IN (1, 2, 500, 501) ORDER BY id'),
    ['2|100', '500|7', '501|1'],
  );
  assert.equal(stream.transactionsApplied, 2);
  // Another migration's own work is no work of ours.
  await session.transaction(async () => {
    await signTransaction(session, 'other');
    await session.run('DELETE FROM accounts WHERE id = 501');
  });
  await caughtUp(pair, back, stream);
  assert.deepEqual(await texts(source.url, 'SELECT id FROM accounts WHERE id = 501'), []);
  await stream.stop();
  await session.close();
});

test('a slow target makes the source wait, not the memory grow', async () => {
  const { source, target, spec } = await migrationOf('slow');
  await sql(source.url, 'ALTER TABLE accounts ADD note longtext');
  await sql(target.url, 'ALTER TABLE accounts ADD note longtext');
  const tasks = await tasksFor(source, { accounts: 'id:integer' }, WHOLE);
  const wide: StreamSpec = { ...spec, tasks };
  const stream = await startMigration(pair, wide);
  const lock = await mysql.createConnection({ uri: target.url });
  await lock.query('START TRANSACTION');
  await lock.query('SELECT * FROM accounts WHERE id = 1 FOR UPDATE');
  await sql(source.url, 'UPDATE accounts SET balance = 0 WHERE id = 1');
  const before = process.memoryUsage.rss();
  for (let round = 0; round < 100; round++)
    await sql(source.url, `INSERT INTO accounts VALUES (${2000 + round}, 1, repeat('x', 1000000))`);
  assert.ok(
    process.memoryUsage.rss() - before < 150e6,
    `${(process.memoryUsage.rss() - before) / 1e6} MB more`,
  );
  await lock.query('ROLLBACK');
  await lock.end();
  await caughtUp(pair, wide, stream);
  const sums = 'SELECT count(*), sum(balance), sum(length(note)) FROM accounts';
  assert.deepEqual(await texts(target.url, sums), await texts(source.url, sums));
  await stream.stop();
});

test('a stop that comes during a commit is heard without another change', async (t) => {
  const { source, target, spec } = await migrationOf('stopped');
  const stream = await startMigration(pair, spec);
  const holder = await mysql.createConnection({ uri: target.url });
  t.after(() => holder.destroy());
  await holder.query('START TRANSACTION');
  await holder.query('UPDATE accounts SET balance = 1 WHERE id = 1');
  await sql(source.url, 'UPDATE accounts SET balance = 2 WHERE id = 1');
  await untilLockWait(target);
  const stopping = stream.stop();
  await holder.query('ROLLBACK');
  await assertHeardAtOnce(stopping, () => sql(source.url, 'UPDATE accounts SET balance = 3 WHERE id = 1'));
  assert.deepEqual(await texts(target.url, 'SELECT balance FROM accounts WHERE id = 1'), ['2']);
});

test('a snapshot whose connections are lost says so', async () => {
  const { source, target, spec } = await migrationOf('lostsnap');
  const snapshot = await openSourceSnapshot(source, 'lostsnap', ['d'], () => {});
  await killConnections(source, `db = 'lostsnap'`);
  for (let round = 0; round < 5; round++)
    await assert.rejects(
      snapshot.copy(spec.tasks[0]!, target, () => {}, AbortSignal.timeout(10_000)),
      /lost/,
    );
  await snapshot.close();
});
