import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { markLog } from '../../src/mysql/change-source.js';
import { lowerFence, prepareFence, raiseFence, removeFence } from '../../src/mysql/fence.js';
import { ensureLedger } from '../../src/mysql/ledger.js';
import { AT_ONCE } from '../../src/mysql/short-locks.js';
import { aTrigger, KITS, numberOf, refused } from './fence-fixture.js';
import { client, HALF, keyspaceOf, numbersTo, sql, tasksOf, texts } from './shard-fixture.js';

for (const kit of KITS) {
  test(`${kit.title}: a table whose trigger was dropped, or is for other rows, is not taken for fenced`, async () => {
    const database = await kit.fenced('dropped');
    const { source, tasks } = database;
    const narrower = tasks.map((task) => ({
      ...task,
      selection: { type: 'ranges' as const, ranges: HALF.slice(1) },
    }));
    await assert.rejects(
      raiseFence(kit.sessions, source, 'dropped', narrower, 1_000),
      /table dropped.customers has no fence/,
    );
    await sql(source.url, `DROP TRIGGER ${await aTrigger(source)}`);
    await assert.rejects(kit.raise(database, 'dropped'), /table dropped.customers has no fence/);
    await kit.sessions.use(source, (session) => prepareFence(session, 'dropped', tasks, AT_ONCE));
    await (await kit.raise(database, 'dropped')).lower();
  });

  test(`${kit.title}: a fence stands after its process is gone and the server was killed, until a later one lowers it`, async (t) => {
    const database = await kit.fenced('crash');
    const { source, moving } = database;
    const fence = await kit.raise(database, 'crash');
    await fence.keep();
    await fence.release();
    await kit.shards.servers[0]!.crash();
    await kit.shards.servers[0]!.start();
    const writer = await client(source, t);
    await assert.rejects(writer.query(`UPDATE customers SET name = 'x' WHERE id = ${moving[0]}`), refused);
    await lowerFence(kit.sessions, source, 'crash');
    await writer.query(`UPDATE customers SET name = 'x' WHERE id = ${moving[0]}`);
    await lowerFence(kit.sessions, source, 'never');
  });

  test(`${kit.title}: keeping fails when somebody lowered the fence meanwhile`, async () => {
    const database = await kit.fenced('keeping');
    const fence = await kit.raise(database, 'keeping');
    await lowerFence(kit.sessions, database.source, 'keeping');
    await assert.rejects(fence.keep(), /the fence is not up any more/);
    await fence.lower();
  });

  test(`${kit.title}: three fences of one database stand side by side; one on reference rows refuses all of them`, async (t) => {
    const [source] = await kit.shards.databases('three');
    await sql(
      source!.url,
      'CREATE TABLE customers (id int PRIMARY KEY, name text)',
      'CREATE TABLE countries (code char(2) PRIMARY KEY, name text)',
      `INSERT INTO customers SELECT seq, 'n' FROM ${numbersTo(20)}`,
    );
    const tasks = tasksOf(
      await keyspaceOf(source!, { customers: 'id:integer', countries: 'reference' }),
      HALF,
    );
    const [reference, ranges] = [
      tasks.filter((task) => task.selection.type === 'all'),
      tasks.filter((task) => task.selection.type !== 'all'),
    ];
    for (const [name, fencedTasks] of [
      ['m', ranges],
      ['mr', ranges],
      ['mf', reference],
    ] as const)
      await kit.sessions.use(source!, (session) => prepareFence(session, name, fencedTasks, AT_ONCE));
    const writer = await client(source!, t);
    const fence = await raiseFence(kit.sessions, source!, 'mf', reference, 1_000);
    await assert.rejects(writer.query(`INSERT INTO countries VALUES ('fr', 'France')`), { errno: 1644 });
    await writer.query(`UPDATE customers SET name = 'x'`);
    const back = await raiseFence(kit.sessions, source!, 'mr', ranges, 1_000);
    await fence.lower();
    await writer.query(`INSERT INTO countries VALUES ('fr', 'France')`);
    await assert.rejects(writer.query(`UPDATE customers SET name = 'y'`), refused);
    await back.lower();
    await writer.query(`UPDATE customers SET name = 'y'`);
    for (const name of ['m', 'mr', 'mf'])
      await kit.sessions.use(source!, (session) => removeFence(session, name, AT_ONCE));
  });

  test(`${kit.title}: keeping fails when the connection is lost that keeps TRUNCATE out`, async () => {
    const database = await kit.fenced('guarded');
    const fence = await kit.raise(database, 'guarded');
    for (const id of await texts(
      database.source.url,
      `SELECT id FROM information_schema.processlist WHERE db = 'guarded' AND command = 'Sleep'`,
    ))
      await sql(database.source.url, `KILL ${id}`).catch(() => {});
    await untilRejects(() => fence.keep(), /the fence's own connection was lost/);
    await lowerFence(kit.sessions, database.source, 'guarded');
  });

  test(`${kit.title}: a writer under LOCK TABLES is waited for, and refused then`, async (t) => {
    const database = await kit.fenced('locked');
    const { source, moving } = database;
    const writer = await client(source, t);
    await writer.query('LOCK TABLES customers WRITE');
    await assert.rejects(kit.raise(database, 'locked', 150), /did not end within 150 ms/);
    await writer.query(`UPDATE customers SET name = 'x' WHERE id = ${moving[0]}`);
    await writer.query('UNLOCK TABLES');
    const fence = await kit.raise(database, 'locked');
    let isLocked = false;
    const locking = writer.query('LOCK TABLES customers WRITE').then(() => {
      isLocked = true;
    });
    await fence.keep();
    assert.equal(isLocked, false);
    await fence.release();
    await locking;
    await assert.rejects(writer.query(`UPDATE customers SET name = 'y' WHERE id = ${moving[0]}`), refused);
    await writer.query('UNLOCK TABLES');
    await lowerFence(kit.sessions, source, 'locked');
  });

  test(`${kit.title}: whoever may write the table is fenced, though it may not read our tables`, async (t) => {
    const database = await kit.fenced('clerk');
    const { source, moving } = database;
    await sql(source.url, 'CREATE USER clerk', 'GRANT SELECT, INSERT, UPDATE ON clerk.customers TO clerk');
    const writer = await client({ ...source, url: source.url.replace('root@', 'clerk@') }, t);
    await writer.query(`UPDATE customers SET name = 'x' WHERE id = ${moving[0]}`);
    const fence = await kit.raise(database, 'clerk');
    await assert.rejects(writer.query(`UPDATE customers SET name = 'y' WHERE id = ${moving[0]}`), refused);
    await fence.lower();
  });

  test(`${kit.title}: every write that was acknowledged, in one phase or two, is in the log before a marker behind the fence`, async (t) => {
    const database = await kit.fenced('marker');
    const { source, moving } = database;
    await kit.sessions.use(source, ensureLedger);
    let isOver = false;
    const acknowledged: number[] = [];
    const write = async (number: number): Promise<void> => {
      const writer = await client(source, t);
      const row = moving[number]!;
      for (let round = 0; !isOver; round++) {
        const xid = `'w${number}','${round}'`;
        const statements =
          number % 2 === 0
            ? [`UPDATE customers SET name = '${round}' WHERE id = ${row}`]
            : [
                `XA START ${xid}`,
                `UPDATE customers SET name = '${round}' WHERE id = ${row}`,
                `XA END ${xid}`,
                `XA PREPARE ${xid}`,
                `XA COMMIT ${xid}`,
              ];
        try {
          for (const statement of statements) await writer.query(statement);
        } catch (error) {
          assert.equal((error as { errno?: number }).errno, refused.errno, String(error));
          if (number % 2 === 1)
            for (const end of [`XA END ${xid}`, `XA ROLLBACK ${xid}`]) await writer.query(end);
          await sleep(1);
          continue;
        }
        acknowledged.push(await kit.committed(writer));
      }
    };
    const writers = Array.from({ length: 8 }, (_, number) => write(number));
    for (const writer of writers) writer.catch(() => {});
    for (let round = 0; round < 30; round++) {
      await sleep(30);
      const fence = await kit.raise(database, 'marker');
      const position = numberOf(await kit.sessions.use(source, (session) => markLog(session, 'marker')));
      const before = acknowledged.length;
      // Whoever was acknowledged so far and until the fence is lowered.
      await sleep(20);
      const late = acknowledged.filter((gtid) => gtid > position);
      assert.deepEqual(late, [], `round ${round}`);
      assert.ok(acknowledged.length - before <= writers.length);
      acknowledged.length = 0;
      await fence.lower();
    }
    isOver = true;
    await Promise.all(writers);
  });

  test(`${kit.title}: our own sessions pass the fence`, async (t) => {
    const database = await kit.fenced('own');
    const fence = await kit.raise(database, 'own');
    const applier = await client(database.source, t);
    await applier.query('SET @ringferry_applier = 1');
    await applier.query(`UPDATE customers SET name = 'applied' WHERE id = ${database.moving[0]}`);
    await fence.lower();
  });

  test(`${kit.title}: removing a fence removes every trigger, flag and table, and twice is harmless`, async () => {
    const { source } = await kit.fenced('removed');
    for (let time = 0; time < 2; time++)
      await kit.sessions.use(source, (session) => removeFence(session, 'removed', AT_ONCE));
    assert.deepEqual(await texts(source.url, 'SHOW TRIGGERS'), []);
    assert.deepEqual(await texts(source.url, 'SHOW TABLES'), ['customers']);
  });

  test(`${kit.title}: preparing waits for a transaction that used the table, and lets others through meanwhile`, async (t) => {
    const { source, tasks, staying } = await kit.fenced('preparing');
    const [open, other] = [await client(source, t), await client(source, t)];
    await open.query('BEGIN');
    await open.query(`UPDATE customers SET name = 'x' WHERE id = ${staying[0]}`);
    const preparing = kit.sessions.use(source, (session) =>
      prepareFence(session, 'preparing2', tasks, AT_ONCE),
    );
    for (let time = 0; time < 20; time++) {
      await other.query(`UPDATE customers SET name = 'y' WHERE id = ${staying[1]}`);
      await sleep(10);
    }
    await open.query('COMMIT');
    await preparing;
  });
}

/** A client learns only after a while that the server has closed its connection. */
async function untilRejects(act: () => Promise<unknown>, message: RegExp): Promise<void> {
  for (;;) {
    const error = await act().then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    if (error !== undefined && message.test(error.message)) return;
    await sleep(20);
  }
}
