import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { lastFirst } from '../../cluster.js';
import { noGenuineMysql, startGenuineMysql } from '../../genuine-mysql.js';
import { runMysql, startMariadb } from '../../mariadb.js';
import { eventually } from '../eventually.js';
import { type Ringferry, startRingferry } from '../harness.js';
import { counter, endAll, whileHeld } from '../lines.js';

/** Reads of many MySQL sessions in line on few backends: each gets its own answers, errors, warnings and numbers. */
const SERVERS = {
  MariaDB: { start: startMariadb, skip: false as const },
  MySQL: { start: startGenuineMysql, skip: noGenuineMysql ?? (false as const) },
};

const THING = 'SELECT v FROM things WHERE id = ?';
const NOTE = 'SELECT v FROM notes WHERE id = ?';
const COMPARE = 'SELECT count(*) FROM things WHERE v = ? AND id > 7';
const ids = Array.from({ length: 100 }, (_, index) => index + 1);

async function clientsOf(proxy: Ringferry, count: number): Promise<Connection[]> {
  const clients: Connection[] = [];
  for (let nth = 0; nth < count; nth++) {
    const client = await mysql.createConnection(proxy.url());
    client.on('error', () => {});
    clients.push(client);
  }
  return clients;
}

async function rowsOf(client: Connection, sql: string, values: unknown[] = []): Promise<unknown[]> {
  const [rows] = await client.query<RowDataPacket[]>(sql, values);
  return rows.map((row) => Object.values(row).map(Number));
}

async function readThing(client: Connection, id: number): Promise<void> {
  const [rows] = await client.execute<RowDataPacket[]>(THING, [id]);
  assert.deepEqual(rows, [{ v: id * 7 }]);
}

/** Kills what `victim` runs until it has ended: the first word may come before it runs. */
async function killed(killer: Connection, victim: Connection, ending: Promise<void>): Promise<void> {
  let isOver = false;
  const over = ending.finally(() => {
    isOver = true;
  });
  await eventually(async () => {
    if (isOver) return;
    await killer.query(`KILL QUERY ${victim.threadId}`);
    assert.equal(isOver, true, 'it still runs');
  });
  await over;
}

/** Until the template is known to be quick, and stands in line. */
async function warmUp(proxy: Ringferry, client: Connection, sql: string): Promise<void> {
  await eventually(async () => {
    const before = await counter(proxy, 'ringferry_shared_requests_total');
    for (let id = 1; id <= 5; id++) await client.execute(sql, [id]);
    assert.ok((await counter(proxy, 'ringferry_shared_requests_total')) > before, `${sql} stands in no line`);
  });
}

for (const [engine, { start, skip }] of Object.entries(SERVERS))
  describe(`lines of reads on ${engine}`, { skip }, async () => {
    if (skip !== false) return;
    const atEnd = lastFirst(after);
    const servers = await start(atEnd, { count: 3 });
    for (const server of servers)
      await runMysql(
        server.url(),
        'CREATE DATABASE shop',
        'USE shop',
        'CREATE TABLE things (id int PRIMARY KEY, v int)',
        `INSERT INTO things VALUES ${ids.map((id) => `(${id}, ${id * 7})`).join(', ')}`,
        'CREATE TABLE notes (id int PRIMARY KEY, v int)',
        `INSERT INTO notes VALUES ${ids.map((id) => `(${id}, ${id})`).join(', ')}`,
        'CREATE TABLE marks (id int PRIMARY KEY AUTO_INCREMENT, v int)',
        'CREATE TABLE bumps (n int)',
        'CREATE FUNCTION bump(n int) RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO bumps VALUES (n); RETURN n; END',
        'CREATE VIEW bumping AS SELECT id, bump(v) AS v FROM things',
      );
    const [a, b, c] = servers;
    const facts = { engine: 'mysql', database: 'shop' } as const;
    /** Two backends, so that everybody stands in the same line, or is taken out of it. A line is one process's own. */
    const narrow = await startRingferry(atEnd, {
      ...facts,
      shards: { a: a! },
      pool: { size: 2, pipeline: 16 },
      config: { workers: 1 },
    });
    const proxies: Record<string, Ringferry> = {
      'one database': narrow,
      'three shards': await startRingferry(atEnd, {
        ...facts,
        shards: { a: a!, b: b!, c: c! },
        pool: { size: 4, pipeline: 16 },
        tables: { things: { key: 'id' } },
      }),
    };

    /** Holds back everybody who reads notes. */
    async function withNotesLocked(act: (release: () => Promise<void>) => Promise<void>): Promise<void> {
      const holder = await mysql.createConnection(a!.url('shop'));
      await holder.query('LOCK TABLES notes WRITE');
      await whileHeld(holder, act);
    }

    const waitingForNotes = async () => {
      const [row] = await runMysql(
        a!.url(),
        "SELECT count(*) AS n FROM information_schema.processlist WHERE state LIKE '%metadata lock%' AND info LIKE '%notes%'",
      );
      return Number(row!['n']);
    };

    for (const [name, proxy] of Object.entries(proxies))
      test(`each of many clients of ${name} gets its own answers, errors, warnings and numbers`, async () => {
        const clients = await clientsOf(proxy, 16);
        const before = await counter(proxy, 'ringferry_shared_requests_total');
        await Promise.all(
          clients.map(async (client, index) => {
            let mark = 0;
            for (let turn = 0; turn < 72; turn++) {
              const id = ((index * 37 + turn * 11) % 100) + 1;
              switch (turn % 9) {
                case 0:
                  assert.deepEqual(await rowsOf(client, `SELECT v FROM things WHERE id = ${id}`), [[id * 7]]);
                  break;
                case 1:
                  await readThing(client, id);
                  break;
                case 2:
                  await assert.rejects(client.query(`SELECT no_such FROM things WHERE id = ${id}`), {
                    errno: 1054,
                  });
                  assert.match(JSON.stringify((await client.query('SHOW WARNINGS'))[0]), /no_such/);
                  break;
                case 3: {
                  const [result] = await client.query('INSERT INTO marks (v) VALUES (?)', [id]);
                  mark = (result as { insertId: number }).insertId;
                  break;
                }
                case 4:
                  await readThing(client, id);
                  assert.deepEqual(await rowsOf(client, 'SELECT LAST_INSERT_ID()'), [[mark]]);
                  break;
                case 5: {
                  const sql = `SELECT 'x${id}' + 0 AS n FROM things WHERE id = ${id}`;
                  assert.deepEqual(await rowsOf(client, sql), [[0]]);
                  assert.match(
                    JSON.stringify((await client.query('SHOW WARNINGS'))[0]),
                    new RegExp(`x${id}\\b`),
                  );
                  break;
                }
                case 6:
                  await readThing(client, id);
                  assert.deepEqual((await client.query('SHOW WARNINGS'))[0], []);
                  assert.deepEqual(await rowsOf(client, 'SELECT ROW_COUNT()'), [[-1]]);
                  break;
                case 7:
                  await client.query('BEGIN');
                  await readThing(client, id);
                  await client.query('COMMIT');
                  break;
                default:
                  assert.deepEqual(
                    await rowsOf(client, `SELECT id FROM things WHERE id = ${id} OR v = -1 AND id = ${id}`),
                    [[id]],
                  );
                  assert.deepEqual(await rowsOf(client, 'SELECT FOUND_ROWS()'), [[1]]);
              }
            }
          }),
        );
        await eventually(async () => {
          const shared = (await counter(proxy, 'ringferry_shared_requests_total')) - before;
          assert.ok(shared > 0, 'nobody stood in line');
        });
        await endAll(clients);
      });

    test('a read whose answer has warnings runs alone from then on', async () => {
      const [client] = await clientsOf(narrow, 1);
      const compare = (text: string) => client!.execute(COMPARE, [text]);
      await warmUp(narrow, client!, COMPARE);
      const again = await counter(narrow, 'ringferry_shared_requests_again_total');
      for (const text of ['many', 'few', 'none']) {
        await compare(text);
        assert.match(JSON.stringify((await client!.query('SHOW WARNINGS'))[0]), new RegExp(text));
      }
      assert.equal((await counter(narrow, 'ringferry_shared_requests_again_total')) - again, 1);
      await endAll([client!]);
    });

    test('a line is dissolved when its head waits: the others are answered elsewhere', async () => {
      const clients = await clientsOf(narrow, 12);
      const [first, ...others] = clients as [Connection, ...Connection[]];
      const again = await counter(narrow, 'ringferry_shared_requests_again_total');
      // On a busy machine statements may be thought slow, or nobody stands behind: until it has happened once.
      await eventually(async () => {
        await warmUp(narrow, first, THING);
        await warmUp(narrow, first, NOTE);
        await withNotesLocked(async (release) => {
          const held = first.execute(NOTE, [7]);
          await Promise.all(others.map((client, index) => readThing(client, index + 1)));
          await eventually(async () => assert.equal(await waitingForNotes(), 1));
          await release();
          assert.deepEqual((await held)[0], [{ v: 7 }]);
        });
        const now = await counter(narrow, 'ringferry_shared_requests_again_total');
        assert.ok(now > again, 'no line was dissolved');
      }, 30_000);
      await endAll(clients);
    });

    test('a read of a view whose function writes stands in no line, and is run once', async () => {
      const clients = await clientsOf(narrow, 12);
      const [first, ...others] = clients as [Connection, ...Connection[]];
      const bump = async (client: Connection, id: number) => {
        const [rows] = await client.execute<RowDataPacket[]>('SELECT v FROM bumping WHERE id = ?', [id]);
        assert.deepEqual(rows, [{ v: id * 7 }]);
      };
      for (const sql of [THING, NOTE]) await warmUp(narrow, first, sql);
      for (let id = 1; id <= 5; id++) await bump(first, id);
      await withNotesLocked(async (release) => {
        const held = first.execute(NOTE, [7]);
        await Promise.all(others.map((client, index) => bump(client, index + 1)));
        await eventually(async () => assert.equal(await waitingForNotes(), 1));
        await release();
        await held;
      });
      // What stood behind the head would run now.
      await eventually(async () => {
        const [active] = await runMysql(
          a!.url(),
          "SELECT count(*) AS n FROM information_schema.processlist WHERE command NOT IN ('Sleep', 'Daemon') AND info LIKE '%bumping%'",
        );
        assert.equal(Number(active!['n']), 1);
      });
      const [bumps] = await runMysql(a!.url('shop'), 'SELECT count(*) AS n FROM bumps');
      assert.equal(Number(bumps!['n']), 5 + others.length);
      await endAll(clients);
    });

    test('reads of a table that has become a view stand in no line', async () => {
      const clients = await clientsOf(narrow, 2);
      const [client, owner] = clients as [Connection, Connection];
      const READ = 'SELECT v FROM turning WHERE id = ?';
      await owner.query('CREATE TABLE turning AS SELECT * FROM things');
      await warmUp(narrow, client, READ);
      await owner.query('RENAME TABLE turning TO turned');
      await owner.query('CREATE VIEW turning AS SELECT id, bump(v) AS v FROM turned');
      const before = await counter(narrow, 'ringferry_shared_requests_total');
      for (let turn = 0; turn < 10; turn++)
        assert.deepEqual((await client.execute(READ, [3]))[0], [{ v: 21 }]);
      assert.equal(await counter(narrow, 'ringferry_shared_requests_total'), before);
      await endAll(clients);
    });

    test('a line that loses its backend is run again elsewhere, and nobody sees an error', async () => {
      const clients = await clientsOf(narrow, 12);
      const again = await counter(narrow, 'ringferry_shared_requests_again_total');
      // A backend that has not prepared the statement yet runs it alone, and then it is lost: until it stood in line.
      await eventually(async () => {
        for (const sql of [THING, NOTE]) await warmUp(narrow, clients[0]!, sql);
        await withNotesLocked(async (release) => {
          const head = clients[0]!.execute(NOTE, [7]);
          head.catch(() => undefined);
          const reads = clients.slice(1).map((client, index) => readThing(client, index + 1));
          await eventually(async () => assert.equal(await waitingForNotes(), 1));
          const stuck = await runMysql(
            a!.url(),
            "SELECT id FROM information_schema.processlist WHERE state LIKE '%metadata lock%' AND info LIKE '%notes%'",
          );
          await runMysql(a!.url(), ...stuck.map((row) => `KILL ${Object.values(row)[0]}`));
          await release();
          await Promise.all(reads);
          assert.deepEqual((await head)[0], [{ v: 7 }]);
        });
        const now = await counter(narrow, 'ringferry_shared_requests_again_total');
        assert.ok(now > again, 'nobody was run again');
      });
      await endAll(clients);
    });

    test('only the one that is killed is lost, wherever it stands', async () => {
      const clients = await clientsOf(narrow, 8);
      const [first, second, killer, ...others] = clients as [
        Connection,
        Connection,
        Connection,
        ...Connection[],
      ];
      for (const sql of [THING, NOTE]) await warmUp(narrow, first, sql);
      await withNotesLocked(async (release) => {
        const head = assert.rejects(first.execute(NOTE, [1]), { errno: 1317 });
        const behind = assert.rejects(second.execute(NOTE, [2]), { errno: 1317 });
        const reads = others.map((client, index) => readThing(client, index + 1));
        await Promise.all([killed(killer, second, behind), ...reads]);
        await readThing(second, 5);
        await killed(killer, first, head);
        await readThing(first, 6);
        await eventually(async () => assert.equal(await waitingForNotes(), 0));
        await release();
      });
      await endAll(clients);
    });

    test('a client that vanishes leaves the others their answers, and its read is cancelled', async () => {
      const clients = await clientsOf(narrow, 8);
      await warmUp(narrow, clients[0]!, NOTE);
      await withNotesLocked(async (release) => {
        clients[0]!.execute(NOTE, [1]).catch(() => undefined);
        await eventually(async () => assert.equal(await waitingForNotes(), 1));
        const reads = clients.slice(1).map((client, index) => readThing(client, index + 1));
        clients[0]!.destroy();
        await Promise.all(reads);
        await eventually(async () => assert.equal(await waitingForNotes(), 0));
        await release();
      });
      await endAll(clients.slice(1));
    });

    test('a session with autocommit off or other settings stands in no line of others', async () => {
      const clients = await clientsOf(narrow, 9);
      const zones = ['+00:00', '+09:00', '-04:00'];
      for (const [index, client] of clients.entries()) {
        await client.query(`SET time_zone = '${zones[index % 3]}'`);
        if (index === 8) await client.query('SET autocommit = 0');
      }
      await Promise.all(
        clients.map(async (client, index) => {
          for (let turn = 0; turn < 30; turn++) {
            assert.deepEqual(await rowsOf(client, 'SELECT hour(from_unixtime(1591012800))'), [
              [[12, 21, 8][index % 3]],
            ]);
            if (index === 8) await client.query(turn % 2 === 0 ? 'COMMIT' : 'ROLLBACK');
          }
        }),
      );
      await endAll(clients);
    });
  });
