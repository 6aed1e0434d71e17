import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import type mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../cluster.js';
import { runMysql } from '../mariadb.js';
import { eventually } from './eventually.js';
import { oneValue, startSessionWays } from './mysql-session-ways.js';

for (const { name, url, operator, connect, connectAs, pins, clean } of await startSessionWays(
  lastFirst(after),
)) {
  describe(`session state, ${name}`, () => {
    afterEach(clean);

    test('what many clients set on few backends is told to each of them, and to nobody else', async () => {
      const MODES = ['', 'STRICT_ALL_TABLES', 'IGNORE_SPACE,NO_ZERO_DATE'];
      const zones = ['+00:00', '+05:30', '-08:00', '+11:00'];
      const clients = await Promise.all(Array.from({ length: 12 }, () => connect()));
      await runMysql(url, "INSERT INTO people VALUES (1, 'Ann', '2024-01-01 00:00:00')");
      const told =
        '@@time_zone AS zone, @@lock_wait_timeout AS wait, @@collation_connection AS collation, @@sql_mode AS mode';
      const [[first]] = await clients[0]!.query<RowDataPacket[]>(`SELECT ${told}`);
      const fresh = { ...first };
      await Promise.all(
        clients.map(async (client, nth) => {
          const mine = { ...fresh };
          for (let round = 0; round < 15; round++) {
            const choice = (nth * 7 + round * 5) % 11;
            if (choice === 0)
              await client.query(`SET time_zone = '${(mine['zone'] = zones[(nth + round) % 4]!)}'`);
            if (choice === 1)
              await client.query(
                `SET SESSION lock_wait_timeout = ${(mine['wait'] = 100 + nth * 20 + round)}`,
              );
            if (choice === 2) {
              mine['collation'] = `utf8mb4_${round % 2 === 0 ? 'bin' : 'unicode_ci'}`;
              await client.query(`SET NAMES utf8mb4 COLLATE ${mine['collation']}`);
            }
            if (choice === 3) {
              mine['zone'] = zones[nth % 4]!;
              mine['wait'] = 5000 + nth;
              await client.query(`SET time_zone = '${mine['zone']}', lock_wait_timeout = ${mine['wait']}`);
            }
            if (choice === 4) {
              await client.query('SET lock_wait_timeout = DEFAULT');
              mine['wait'] = fresh['wait'];
            }
            if (choice === 5) await client.beginTransaction();
            if (choice === 6)
              await client.query(`SET sql_mode = '${(mine['mode'] = MODES[(nth + round) % 3]!)}'`);
            const [[found]] = await client.query<RowDataPacket[]>(`SELECT ${told}`);
            assert.deepEqual({ ...found }, mine, `client ${nth}, round ${round}`);
            const [[row]] = await client.query<RowDataPacket[]>(
              `SELECT ${told}, id FROM people WHERE id = 1`,
            );
            assert.deepEqual({ ...row }, { ...mine, id: 1 }, `client ${nth}, round ${round}`);
            if (choice === 5) await client.rollback();
          }
        }),
      );
      const [[later]] = await (await connect()).query<RowDataPacket[]>(`SELECT ${told}`);
      assert.deepEqual({ ...later }, fresh);
      assert.deepEqual(await pins(), []);
    });

    test('time_zone changes how timestamps are told, on whatever backend', async () => {
      const client = await connect();
      await client.query("SET time_zone = '+00:00'");
      for (let id = 1; id <= 9; id++)
        await client.query(`INSERT INTO people VALUES (${id}, 'x', '2024-01-01 12:00:00')`);
      await client.query("SET time_zone = '+02:00'");
      const others = await Promise.all(Array.from({ length: 4 }, () => connect()));
      await Promise.all(others.map((other) => other.query("SET time_zone = '-03:00'")));
      for (let id = 1; id <= 9; id++) {
        assert.equal(await oneValue(client, `SELECT at FROM people WHERE id = ${id}`), '2024-01-01 14:00:00');
        for (const other of others)
          assert.equal(
            await oneValue(other, `SELECT at FROM people WHERE id = ${id}`),
            '2024-01-01 09:00:00',
          );
      }
      assert.equal(await oneValue(client, 'SELECT min(at) FROM people'), '2024-01-01 14:00:00');
    });

    test('a SET that the server refuses changes nothing', async () => {
      const client = await connect();
      const before = await oneValue(client, 'SELECT @@time_zone');
      await assert.rejects(client.query("SET time_zone = 'Nowhere/City'"), { errno: 1298 });
      await assert.rejects(client.query('SET no_such_variable = 1'), { errno: 1193 });
      assert.equal(await oneValue(client, 'SELECT @@time_zone'), before);
    });

    test('sql_mode is carried along, or refused; a stricter or looser one never reaches another client', async () => {
      const [client, other] = [await connect(), await connect()];
      const before = String(await oneValue(client, 'SELECT @@sql_mode'));
      assert.match(before, /STRICT_TRANS_TABLES/);
      await client.query("SET sql_mode = ''");
      for (let id = 1; id <= 6; id++) {
        await client.query(`INSERT INTO people VALUES (${id}, repeat('x', 60), NULL)`);
        await assert.rejects(other.query(`INSERT INTO people VALUES (${id + 100}, repeat('x', 60), NULL)`), {
          errno: 1406,
        });
      }
      assert.equal(await oneValue(client, 'SELECT min(length(name)) FROM people'), 40);
      assert.equal(await oneValue(other, 'SELECT @@sql_mode'), before);
    });

    test('with ANSI_QUOTES and NO_BACKSLASH_ESCAPES texts and names mean what they mean, or the mode is refused', async () => {
      await runMysql(url, "INSERT INTO people VALUES (1, 'Ann', NULL)");
      for (const mode of ['ANSI_QUOTES', 'NO_BACKSLASH_ESCAPES', 'PIPES_AS_CONCAT', 'ANSI']) {
        const client = await connect();
        try {
          await client.query(`SET sql_mode = '${mode}'`);
        } catch (error) {
          assert.equal((error as { errno: number }).errno, 1235, mode);
          continue;
        }
        if (mode.startsWith('ANSI'))
          assert.equal(await oneValue(client, 'SELECT "name" FROM people WHERE "id" = 1'), 'Ann', mode);
        if (mode === 'NO_BACKSLASH_ESCAPES')
          assert.equal(await oneValue(client, "SELECT '\\' FROM people WHERE id = 1"), '\\', mode);
        if (mode === 'PIPES_AS_CONCAT' || mode === 'ANSI')
          assert.equal(await oneValue(client, "SELECT name || 'a' FROM people WHERE id = 1"), 'Anna', mode);
      }
    });

    test('names in the client’s character set go in and come out as they are', async () => {
      await runMysql(url, "INSERT INTO people VALUES (1, 'Zoë', NULL)");
      const latin = await connect({ charset: 'latin1_swedish_ci' });
      const utf8 = await connect({ charset: 'utf8mb4' });
      for (let round = 0; round < 4; round++) {
        assert.equal(await oneValue(latin, 'SELECT name FROM people WHERE id = 1'), 'Zoë');
        assert.equal(await oneValue(utf8, 'SELECT name FROM people WHERE id = 1'), 'Zoë');
        assert.equal(await oneValue(utf8, 'SELECT hex(name) FROM people WHERE id = 1'), '5A6FC3AB');
      }
    });

    test('user variables keep their session on its backend, visibly, and are gone when it ends', async () => {
      const client = await connect();
      await client.query('SET @mine = 42');
      assert.match(String((await pins())[0]), /user variable/);
      const others = await Promise.all(Array.from({ length: 6 }, () => connect()));
      for (let round = 0; round < 4; round++) {
        assert.equal(await oneValue(client, 'SELECT @mine'), 42);
        for (const other of others) assert.equal(await oneValue(other, 'SELECT 1'), 1);
      }
      await client.end();
      await eventually(async () => assert.deepEqual(await pins(), []));
      for (let n = 0; n < 6; n++) {
        const next = await connect();
        assert.equal(await oneValue(next, 'SELECT @mine'), null);
        await next.end();
      }
    });

    test('a temporary table is seen by its own session only', async () => {
      const client = await connect();
      await client.query('CREATE TEMPORARY TABLE scratch (n int)');
      await client.query('INSERT INTO scratch VALUES (1), (2)');
      assert.match(String((await pins())[0]), /temporary table/i);
      for (let n = 0; n < 6; n++)
        await assert.rejects((await connect()).query('SELECT * FROM scratch'), { errno: 1146 });
      assert.equal(await oneValue(client, 'SELECT count(*) FROM scratch'), 2);
    });

    test('GET_LOCK holds against the other clients until it is released or its client goes', async () => {
      const [one, other] = [await connect(), await connect()];
      assert.equal(await oneValue(one, "SELECT get_lock('door', 0)"), 1);
      assert.equal((await pins()).length, 1);
      assert.equal(await oneValue(other, "SELECT get_lock('door', 0)"), 0);
      assert.equal(await oneValue(one, "SELECT release_lock('door')"), 1);
      assert.equal(await oneValue(other, "SELECT get_lock('door', 0)"), 1);
      await other.end();
      const third = await connect();
      await eventually(async () => assert.equal(await oneValue(third, "SELECT get_lock('door', 0)"), 1));
    });

    test('prepared statements of many clients work on every backend, and parameters are not mixed up', async () => {
      await runMysql(
        url,
        `INSERT INTO people VALUES ${Array.from({ length: 30 }, (_, id) => `(${id}, 'name ${id}', NULL)`).join(', ')}`,
      );
      const clients = await Promise.all(Array.from({ length: 10 }, () => connect()));
      await Promise.all(
        clients.map(async (client, nth) => {
          for (let round = 0; round < 12; round++) {
            const id = (nth * 3 + round) % 30;
            const [rows] = await client.execute<RowDataPacket[]>(
              round % 3 === 0
                ? 'SELECT name, id + ? AS more FROM people WHERE id = ?'
                : `SELECT name, id + ? AS more FROM people WHERE id = ? /* ${nth % 4} */`,
              [nth, id],
            );
            assert.deepEqual(
              rows.map((row) => [row['name'], Number(row['more'])]),
              [[`name ${id}`, id + nth]],
            );
          }
        }),
      );
    });

    test('LOCK TABLES locks others out and keeps its backend, or is refused', async () => {
      const client = await connect();
      try {
        await client.query('LOCK TABLES log WRITE');
      } catch (error) {
        assert.equal((error as { errno: number }).errno, 1235, String(error));
        return;
      }
      assert.match(String((await pins())[0]), /lock tables/i);
      const other = await connect();
      let isThrough = false;
      const waiting = other.query("INSERT INTO log (what) VALUES ('waits')").then(() => {
        isThrough = true;
      });
      await client.query("INSERT INTO log (what) VALUES ('first')");
      assert.equal(isThrough, false);
      await client.query('UNLOCK TABLES');
      await waiting;
    });

    test('COM_RESET_CONNECTION and COM_CHANGE_USER forget everything', async () => {
      const client = await connect();
      const fresh = await oneValue(client, 'SELECT @@lock_wait_timeout');
      for (const forget of [() => client.reset(), () => client.changeUser({ database: 'shop' })]) {
        await client.query('SET lock_wait_timeout = 77');
        await client.query('SET @x = 1');
        await client.query('CREATE TEMPORARY TABLE scratch (n int)');
        await client.beginTransaction();
        await client.query("INSERT INTO people VALUES (1, 'undone', NULL)");
        await forget();
        assert.equal(await oneValue(client, 'SELECT @@lock_wait_timeout'), fresh);
        assert.equal(await oneValue(client, 'SELECT @x'), null);
        await assert.rejects(client.query('SELECT * FROM scratch'), { errno: 1146 });
        assert.equal(await oneValue(client, 'SELECT count(*) FROM people'), 0);
      }
    });

    test('KILL QUERY ends the statement of that client and of no other', async () => {
      const clients = await Promise.all(Array.from({ length: 3 }, () => connect()));
      await runMysql(url, "INSERT INTO people VALUES (1, 'Ann', NULL)");
      const [first, second, killer] = clients as [mysql.Connection, mysql.Connection, mysql.Connection];
      const slept = first.query('SELECT sleep(30) FROM people WHERE id = 1').then(
        () => 'ended',
        (error: { errno: number }) => error.errno,
      );
      const lives = oneValue(second, 'SELECT sleep(1) FROM people WHERE id = 1');
      await eventually(async () => {
        const running = (await operator.run('SHOW CLIENTS')).filter((row) => row['state'] === 'active');
        assert.ok(running.length >= 2, JSON.stringify(running.map((row) => row['state'])));
      });
      await killer.query(`KILL QUERY ${first.threadId}`);
      assert.equal(await slept, 1317);
      assert.equal(await lives, 0);
      await assert.rejects(killer.query('KILL QUERY 999999'), { errno: 1094 });
      const stranger = await connectAs('app');
      await assert.rejects(stranger.query(`KILL ${second.threadId}`), { errno: 1045 });
      await killer.query(`KILL ${first.threadId}`);
      await assert.rejects(first.query('SELECT 1'));
      assert.equal(await oneValue(second, 'SELECT name FROM people WHERE id = 1'), 'Ann');
    });
  });
}
