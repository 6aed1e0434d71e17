import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import mysql, { type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS } from '../engines.js';
import { runMysql } from '../mariadb.js';
import { eventually } from './eventually.js';
import { startThreeShards } from './mysql/shards.js';

const atEnd = lastFirst(after);
const { url, servers, onEach } = await startThreeShards(
  atEnd,
  [
    'CREATE TABLE accounts (id int PRIMARY KEY, amount int NOT NULL, CONSTRAINT poor CHECK (amount >= 0))',
    'CREATE TABLE notes (id int PRIMARY KEY, text varchar(40))',
  ],
  { accounts: { key: 'id' } },
);
const shardUrls = servers.map((server) => server.url(MARIADB_TESTS.database));
await runMysql(
  url,
  `INSERT INTO accounts VALUES ${Array.from({ length: 60 }, (_, id) => `(${id + 1}, 100)`).join(', ')}`,
);
/** Two accounts of each shard. */
const owned = await Promise.all(
  shardUrls.map(async (shard) =>
    (await runMysql(shard, 'SELECT id FROM accounts ORDER BY id LIMIT 2')).map((row) => Number(row['id'])),
  ),
);
const [[a1, a2], [b1, b2], [c1]] = owned as [[number, number], [number, number], [number]];
const connections: mysql.Connection[] = [];

async function connect(): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({ uri: url, supportBigNumbers: true });
  connection.on('error', () => {});
  connections.push(connection);
  return connection;
}

const add = (connection: mysql.Connection, id: number, amount: number) =>
  connection.query<ResultSetHeader>(`UPDATE accounts SET amount = amount + ${amount} WHERE id = ${id}`);

/** Amounts as another client sees them. */
async function amounts(...ids: number[]): Promise<number[]> {
  const rows = await runMysql(url, `SELECT id, amount FROM accounts WHERE id IN (${ids.join(', ')})`);
  return ids.map((id) => Number(rows.find((row) => row['id'] === id)?.['amount']));
}

const nothingOpen = () =>
  eventually(async () => {
    assert.deepEqual(await onEach('SELECT count(*) FROM information_schema.innodb_trx'), [0, 0, 0]);
    for (const shard of shardUrls) assert.deepEqual(await runMysql(shard, 'XA RECOVER'), []);
  });

describe('transactions over three shards', () => {
  afterEach(async () => {
    await Promise.all(connections.splice(0).map((connection) => connection.end().catch(() => {})));
    await nothingOpen();
    await runMysql(url, 'UPDATE accounts SET amount = 100');
  });

  test('a deadlock is told with 1213 and ends the transaction on every shard', async () => {
    const [one, other] = [await connect(), await connect()];
    for (const connection of [one, other]) await connection.beginTransaction();
    await add(one, b1, 1);
    await add(one, a1, 1);
    await add(other, c1, 1);
    await add(other, a2, 1);
    const waits = add(one, a2, 1);
    const closes = add(other, a1, 1);
    const outcomes = await Promise.allSettled([waits, closes]);
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.equal(failures.length, 1);
    assert.equal(failures[0]!.reason.errno, 1213);
    assert.equal(failures[0]!.reason.sqlState, '40001');
    const isOneLost = outcomes[0]!.status === 'rejected';
    const [loser, winner] = isOneLost ? [one, other] : [other, one];
    await winner.commit();
    const expected = isOneLost ? [101, 101, 100, 101] : [101, 101, 101, 100];
    assert.deepEqual(await amounts(a1, a2, b1, c1), expected, 'the loser kept nothing on any shard');
    // Its transaction is over: what follows stands by itself, as on a server.
    await add(loser, b2, 5);
    assert.deepEqual(await amounts(b2), [105]);
    await loser.query('COMMIT');
  });

  test('a lock wait timeout undoes its statement only, and the transaction goes on', async () => {
    const [holder, waiter] = [await connect(), await connect()];
    await holder.beginTransaction();
    await add(holder, b1, 7);
    await waiter.query('SET SESSION innodb_lock_wait_timeout = 1');
    await waiter.beginTransaction();
    await add(waiter, a1, 1);
    await assert.rejects(add(waiter, b1, 1), { errno: 1205 });
    await add(waiter, c1, 1);
    await waiter.commit();
    await holder.rollback();
    assert.deepEqual(await amounts(a1, b1, c1), [101, 100, 101]);
  });

  test('a statement over all shards that fails on one is undone on all, and the transaction goes on', async () => {
    const client = await connect();
    await client.beginTransaction();
    await add(client, a1, 10);
    await add(client, b1, -70);
    await assert.rejects(client.query('UPDATE accounts SET amount = amount - 50'), { errno: 4025 });
    await assert.rejects(
      client.query(`INSERT INTO accounts VALUES (1001, 1), (1002, 1), (1003, 1), (1004, 1), (${c1}, 1)`),
      { errno: 1062 },
    );
    const [inside] = await client.query<RowDataPacket[]>(
      'SELECT count(*) AS n, sum(amount) AS total FROM accounts',
    );
    assert.deepEqual(inside, [{ n: 60, total: '5940' }]);
    await add(client, c1, 1);
    await client.commit();
    assert.deepEqual(await amounts(a1, b1, c1, a2), [110, 30, 101, 100]);
  });

  test('outside a transaction such a statement leaves nothing either', async () => {
    const client = await connect();
    await add(client, b1, -80);
    await assert.rejects(client.query('UPDATE accounts SET amount = amount - 50'), { errno: 4025 });
    assert.deepEqual(await amounts(a1, b1, c1), [100, 20, 100]);
  });

  test('with autocommit off every statement is of one transaction until COMMIT, and SET autocommit = 1 commits', async () => {
    const client = await connect();
    await client.query('SET autocommit = 0');
    await add(client, a1, 1);
    await add(client, b1, 1);
    assert.deepEqual(await amounts(a1, b1), [100, 100]);
    await client.query('ROLLBACK');
    await add(client, a1, 2);
    await add(client, c1, 2);
    assert.deepEqual(await amounts(a1, b1, c1), [100, 100, 100]);
    await client.query('COMMIT');
    assert.deepEqual(await amounts(a1, b1, c1), [102, 100, 102]);
    await add(client, b1, 3);
    assert.deepEqual(await amounts(b1), [100]);
    // The shards have it on; the right answer is in every packet's status flags.
    await assert.rejects(client.query('SELECT @@autocommit'), { errno: 1235 });
    await client.query('SET autocommit = 1');
    const [[setting]] = await client.query<RowDataPacket[]>('SELECT @@session.autocommit AS it');
    assert.equal(setting!['it'], 1);
    assert.deepEqual(await amounts(b1), [103]);
    await add(client, b1, 1);
    assert.deepEqual(await amounts(b1), [104]);
  });

  test('a client that leaves with autocommit off has its work undone', async () => {
    const client = await connect();
    await client.query('SET autocommit = 0');
    await add(client, a1, 1);
    await add(client, b1, 1);
    await client.end();
    await nothingOpen();
    assert.deepEqual(await amounts(a1, b1), [100, 100]);
  });

  test('START TRANSACTION inside a transaction commits it first', async () => {
    const client = await connect();
    await client.beginTransaction();
    await add(client, a1, 1);
    await add(client, b1, 1);
    await client.query('START TRANSACTION');
    await add(client, c1, 1);
    await client.rollback();
    assert.deepEqual(await amounts(a1, b1, c1), [101, 101, 100]);
  });

  test('DDL inside a transaction commits it first', async () => {
    const client = await connect();
    await client.beginTransaction();
    await add(client, a1, 1);
    await add(client, b1, 1);
    await client.query('CREATE TABLE later (id int PRIMARY KEY)');
    await client.rollback();
    assert.deepEqual(await amounts(a1, b1), [101, 101]);
    await client.beginTransaction();
    await add(client, c1, 1);
    await client.query('ALTER TABLE accounts ADD COLUMN extra int');
    await client.rollback();
    await client.query('ALTER TABLE accounts DROP COLUMN extra');
    assert.deepEqual(await amounts(c1), [101]);
  });

  test('a connection to a shard that is lost inside a transaction: COMMIT does not say OK, and nothing was kept', async () => {
    const client = await connect();
    await client.beginTransaction();
    await add(client, a1, 1);
    await add(client, b1, 1);
    await killConnections(1);
    await assert.rejects(client.query('COMMIT'));
    assert.deepEqual(await amounts(a1, b1), [100, 100]);
  });

  test('a statement that meets the lost connection fails the transaction, and so does what follows until its end', async () => {
    const client = await connect();
    await client.beginTransaction();
    await add(client, a1, 1);
    await add(client, b1, 1);
    await killConnections(1);
    await assert.rejects(add(client, b1, 1));
    await add(client, c1, 1).catch(() => {});
    await client.query('COMMIT').catch(() => {});
    assert.deepEqual(await amounts(a1, b1, c1), [100, 100, 100]);
  });

  test('savepoints reach over shards, also those that joined after them', async () => {
    const client = await connect();
    await client.beginTransaction();
    await add(client, a1, 1);
    await client.query('SAVEPOINT first');
    await add(client, a1, 1);
    await add(client, b1, 1);
    await client.query('ROLLBACK TO SAVEPOINT first');
    await add(client, c1, 1);
    await client.query('RELEASE SAVEPOINT first');
    await assert.rejects(client.query('ROLLBACK TO SAVEPOINT first'), { errno: 1305 });
    await assert.rejects(client.query('ROLLBACK TO SAVEPOINT never'), { errno: 1305 });
    await client.commit();
    assert.deepEqual(await amounts(a1, b1, c1), [101, 100, 101]);
    await client.query('SAVEPOINT first');
    await assert.rejects(client.query('RELEASE SAVEPOINT first'), { errno: 1305 });
  });

  test('COMMIT AND CHAIN begins the next transaction at once', async () => {
    const client = await connect();
    await client.beginTransaction();
    await add(client, a1, 1);
    await add(client, b1, 1);
    await client.query('COMMIT AND CHAIN');
    await add(client, c1, 1);
    await client.rollback();
    assert.deepEqual(await amounts(a1, b1, c1), [101, 101, 100]);
  });

  test('READ ONLY refuses writes on every shard, with the server’s own error', async () => {
    const client = await connect();
    await client.query('START TRANSACTION READ ONLY');
    for (const id of [a1, b1, c1]) await assert.rejects(add(client, id, 1), { errno: 1792 });
    await client.query('COMMIT');
  });

  test('a transfer is seen by others whole or not at all, row by row, and the total is kept through aborts', async () => {
    const ids = [a1, b1, c1, a2, b2];
    let turn = 7;
    const random = (below: number) => (turn = (turn * 48_271) % 2_147_483_647) % below;
    const workers = Array.from({ length: 6 }, async () => {
      const client = await connect();
      for (let n = 0; n < 25; n++) {
        const [from, to] = [ids[random(5)]!, ids[random(5)]!];
        try {
          await client.beginTransaction();
          // In one order, so that locks of several shards never wait in a circle.
          for (const id of ids.filter((id) => id === from || id === to))
            await add(client, id, from === to ? 0 : id === from ? -30 : 30);
          if (random(4) === 0) await client.rollback();
          else await client.commit();
        } catch (error) {
          assert.ok([4025, 1213].includes((error as { errno: number }).errno), String(error));
          await client.rollback();
        }
      }
    });
    await Promise.all(workers);
    const all = await amounts(...ids);
    assert.equal(
      all.reduce((sum, amount) => sum + amount, 0),
      500,
    );
    assert.ok(
      all.every((amount) => amount >= 0),
      String(all),
    );
  });
});

/** Ends all connections to this shard, as an operator or a failing server would. */
async function killConnections(shard: number): Promise<void> {
  const threads = await runMysql(
    shardUrls[shard]!,
    "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> connection_id()",
  );
  assert.ok(threads.length > 0, 'nothing to kill');
  await runMysql(shardUrls[shard]!, ...threads.map((row) => `KILL CONNECTION ${row['id']}`));
}
