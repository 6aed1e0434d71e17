import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { cancelOn } from './cancel-on.js';
import { eventually } from './eventually.js';
import { type Ringferry, startRingferry } from './harness.js';
import { counter, endAll, whileHeld } from './lines.js';

/** Reads of many sessions in line on few backends: whatever happens to one of them, the others get their own answers. */
const atEnd = lastFirst(after);
const servers = await startPostgres(atEnd, { count: 3 });
for (const server of servers)
  await runSql(
    server.url(),
    'CREATE TABLE things (id int PRIMARY KEY, v int)',
    'INSERT INTO things SELECT n, n * 7 FROM generate_series(1, 300) n',
    'CREATE TABLE notes (id int PRIMARY KEY, v int)',
    'INSERT INTO notes SELECT n, n FROM generate_series(1, 300) n',
    'CREATE TABLE bumps (n int)',
    "CREATE FUNCTION bump(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO bumps VALUES (n); RETURN n; END'",
    'CREATE VIEW bumping AS SELECT id, bump(v) AS v FROM things',
  );
const [a, b, c] = servers;

/**
 * One backend, so that everybody stands in the same line, and one more for those who are taken out of it. A line is one process's
 * own: workers would divide the clients, and have one backend each.
 */
const narrow = await startRingferry(atEnd, {
  shards: { a: a! },
  pool: { size: 2, pipeline: 16 },
  config: { workers: 1 },
});
const PROXIES: Record<string, Ringferry> = {
  'one database': await startRingferry(atEnd, { shards: { a: a! }, pool: { size: 4, pipeline: 16 } }),
  'three shards': await startRingferry(atEnd, {
    shards: { a: a!, b: b!, c: c! },
    pool: { size: 4, pipeline: 16 },
    tables: { things: { key: 'id' } },
  }),
};

async function clientsOf(proxy: Ringferry, count: number): Promise<pg.Client[]> {
  const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: proxy.url() }));
  for (const client of clients) {
    client.on('error', () => {});
    await client.connect();
  }
  return clients;
}

const THING = 'SELECT v FROM things WHERE id = $1';
const NOTE = 'SELECT v FROM notes WHERE id = $1';

async function readThing(client: pg.Client, id: number): Promise<void> {
  const { rows } = await client.query(THING, [id]);
  assert.deepEqual(rows, [{ v: id * 7 }]);
}

/** Until their templates are known to be quick and to write nothing, and stand in line. */
async function warmUp(client: pg.Client): Promise<void> {
  for (const sql of [THING, NOTE])
    await eventually(async () => {
      const before = await counter(narrow, 'ringferry_shared_requests_total');
      for (let id = 1; id <= 5; id++) await client.query(sql, [id]);
      assert.ok(
        (await counter(narrow, 'ringferry_shared_requests_total')) > before,
        `${sql} stands in no line`,
      );
    });
}

/** All of them read without pause while `act` goes on. */
async function whileReading(
  clients: readonly pg.Client[],
  act: (answers: () => number) => Promise<void>,
): Promise<void> {
  let isOver = false;
  let answers = 0;
  const reading = clients.map(async (client, index) => {
    while (!isOver) {
      await readThing(client, index + 1);
      answers++;
    }
  });
  try {
    await act(() => answers);
  } finally {
    isOver = true;
  }
  await Promise.all(reading);
}

/** Holds back everybody who reads notes, until it is released, at the latest at the end of the act. */
async function withNotesLocked(act: (release: () => Promise<void>) => Promise<void>): Promise<void> {
  const holder = new pg.Client({ connectionString: a!.url() });
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE notes IN ACCESS EXCLUSIVE MODE');
  await whileHeld(holder, act);
}

const waitsForNotes = async () => {
  const [row] = await runSql(
    a!.url(),
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%notes%'",
  );
  return Number(row!['n']);
};

for (const [name, proxy] of Object.entries(PROXIES)) {
  test(`on ${name} each of many clients gets its own answers and errors, in all forms`, async () => {
    const clients = await clientsOf(proxy, 24);
    const before = await counter(proxy, 'ringferry_shared_requests_total');
    await Promise.all(
      clients.map(async (client, index) => {
        for (let turn = 0; turn < 60; turn++) {
          const id = ((index * 37 + turn * 11) % 300) + 1;
          switch (turn % 6) {
            case 0:
              assert.deepEqual((await client.query(`SELECT v FROM things WHERE id = ${id}`)).rows, [
                { v: id * 7 },
              ]);
              break;
            case 1:
              await readThing(client, id);
              break;
            case 2: {
              const { rows } = await client.query({
                name: 'named',
                text: 'SELECT id, v FROM things WHERE id = $1',
                values: [id],
              });
              assert.deepEqual(rows, [{ id, v: id * 7 }]);
              break;
            }
            case 3:
              await assert.rejects(client.query('SELECT v / (v - v) FROM things WHERE id = $1', [id]), {
                code: '22012',
              });
              break;
            case 4:
              await client.query('BEGIN');
              await readThing(client, id);
              await client.query('COMMIT');
              break;
            default:
              await assert.rejects(client.query(`SELECT no_such_column FROM things WHERE id = ${id}`), {
                code: '42703',
              });
          }
        }
      }),
    );
    // A worker that is busy answers late, and is shown as it was.
    await eventually(async () => {
      const shared = (await counter(proxy, 'ringferry_shared_requests_total')) - before;
      assert.ok(shared > 0, 'nobody stood in line');
    });
    await endAll(clients);
  });
}

test('with pool.pipeline 1 nobody shares a backend', async () => {
  const proxy = await startRingferry(atEnd, { shards: { a: a! }, pool: { size: 2, pipeline: 1 } });
  const clients = await clientsOf(proxy, 6);
  await Promise.all(
    clients.map(async (client) => {
      for (let id = 1; id <= 30; id++) await readThing(client, id);
    }),
  );
  assert.equal(await counter(proxy, 'ringferry_shared_requests_total'), 0);
  await endAll(clients);
});

describe('a line of reads', () => {
  test('is dissolved when its head waits: the others are answered elsewhere', async () => {
    const clients = await clientsOf(narrow, 12);
    const [first, ...others] = clients as [pg.Client, ...pg.Client[]];
    const again = await counter(narrow, 'ringferry_shared_requests_again_total');
    // On a busy machine statements may be thought slow, or nobody stands behind: until it has happened once.
    await eventually(async () => {
      await warmUp(first);
      await withNotesLocked(async (release) => {
        const held = first.query(NOTE, [7]);
        await Promise.all(others.map((client, index) => readThing(client, index + 1)));
        await eventually(async () => assert.equal(await waitsForNotes(), 1));
        await release();
        assert.deepEqual((await held).rows, [{ v: 7 }]);
      });
      const now = await counter(narrow, 'ringferry_shared_requests_again_total');
      assert.ok(now > again, 'no line was dissolved');
    }, 30_000);
    await endAll(clients);
  });

  test('holds no read of a view whose function writes: each is run once', async () => {
    const clients = await clientsOf(narrow, 12);
    const [first, ...others] = clients as [pg.Client, ...pg.Client[]];
    const bump = async (client: pg.Client, id: number) => {
      const { rows } = await client.query('SELECT v FROM bumping WHERE id = $1', [id]);
      assert.deepEqual(rows, [{ v: id * 7 }]);
    };
    await warmUp(first);
    for (let id = 1; id <= 5; id++) await bump(first, id);
    await withNotesLocked(async (release) => {
      const held = first.query(NOTE, [7]);
      await Promise.all(others.map((client, index) => bump(client, index + 1)));
      await eventually(async () => assert.equal(await waitsForNotes(), 1));
      await release();
      await held;
    });
    // What stood behind the head would run now.
    await eventually(async () => {
      const [active] = await runSql(
        a!.url(),
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
      );
      assert.equal(active!['n'], 0);
    });
    const [bumps] = await runSql(a!.url(), 'SELECT count(*)::int AS n FROM bumps');
    assert.equal(bumps!['n'], 5 + others.length);
    await endAll(clients);
  });

  test('is not joined by reads of a table that has become a view', async () => {
    const clients = await clientsOf(narrow, 2);
    const [client, owner] = clients as [pg.Client, pg.Client];
    const shared = () => counter(narrow, 'ringferry_shared_requests_total');
    const read = () => client.query('SELECT v FROM turning WHERE id = $1', [3]);
    await owner.query('CREATE TABLE turning AS SELECT * FROM things');
    await eventually(async () => {
      const before = await shared();
      await read();
      assert.ok((await shared()) > before, 'it stands in no line');
    });
    await owner.query('DROP TABLE turning');
    await owner.query('CREATE VIEW turning AS SELECT * FROM bumping');
    const before = await shared();
    for (let turn = 0; turn < 10; turn++) assert.deepEqual((await read()).rows, [{ v: 21 }]);
    assert.equal(await shared(), before);
    await endAll(clients);
  });

  test('that loses its backend is run again elsewhere, and nobody sees an error', async () => {
    const clients = await clientsOf(narrow, 12);
    await warmUp(clients[0]!);
    await withNotesLocked(async (release) => {
      const reads = clients.map((client, index) =>
        index === 0
          ? client.query(NOTE, [7]).then(({ rows }) => assert.deepEqual(rows, [{ v: 7 }]))
          : readThing(client, index),
      );
      await eventually(async () => assert.equal(await waitsForNotes(), 1));
      await runSql(
        a!.url(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%notes%'",
      );
      await release();
      await Promise.all(reads);
    });
    await endAll(clients);
  });

  test('loses only the one that is cancelled, wherever it stands', async () => {
    const clients = await clientsOf(narrow, 8);
    await warmUp(clients[0]!);
    await withNotesLocked(async (release) => {
      const head = clients[0]!.query(NOTE, [1]);
      const second = clients[1]!.query(NOTE, [2]);
      const reads = clients.slice(2).map((client, index) => readThing(client, index + 1));
      await Promise.all([assert.rejects(second, { code: '57014' }), cancelOn(clients[1]!), ...reads]);
      await readThing(clients[1]!, 5);
      await Promise.all([assert.rejects(head, { code: '57014' }), cancelOn(clients[0]!)]);
      await readThing(clients[0]!, 6);
      // What nobody waits for is not left running either.
      await eventually(async () => assert.equal(await waitsForNotes(), 0));
      await release();
    });
    await endAll(clients);
  });

  test('goes on when a client in it vanishes, and what that one asked for is cancelled', async () => {
    const clients = await clientsOf(narrow, 8);
    await warmUp(clients[0]!);
    await withNotesLocked(async (release) => {
      clients[0]!.query(NOTE, [1]).catch(() => undefined);
      const reads = clients.slice(1).map((client, index) => readThing(client, index + 1));
      (clients[0] as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      await Promise.all(reads);
      await eventually(async () => assert.equal(await waitsForNotes(), 0));
      await release();
    });
    await endAll(clients.slice(1));
  });

  test('does not keep those waiting for long who need a backend of their own', async () => {
    const clients = await clientsOf(narrow, 20);
    await warmUp(clients[0]!);
    await whileReading(clients.slice(0, 18), async () => {
      for (const client of clients.slice(18)) {
        for (let turn = 0; turn < 20; turn++) {
          await client.query('BEGIN');
          await client.query('UPDATE notes SET v = v WHERE id = 1');
          await client.query('COMMIT');
        }
      }
    });
    await endAll(clients);
  });

  test('is not joined by a session with other settings', async () => {
    const clients = await clientsOf(narrow, 9);
    const zones = ['UTC', 'Asia/Tokyo', 'America/New_York'];
    const NOON = "SELECT extract(hour FROM timestamptz '2020-06-01 12:00:00+00')::int AS hour";
    for (const [index, client] of clients.entries())
      await client.query(`SET TimeZone = '${zones[index % 3]}'`);
    await Promise.all(
      clients.map(async (client, index) => {
        for (let turn = 0; turn < 30; turn++)
          assert.deepEqual((await client.query(NOON)).rows, [{ hour: [12, 21, 8][index % 3] }]);
      }),
    );
    await endAll(clients);
  });

  test('ends for PAUSE and goes on after RESUME', async () => {
    const clients = await clientsOf(narrow, 10);
    await warmUp(clients[0]!);
    const admin = `postgres://postgres@127.0.0.1:${narrow.ports.admin}/ringferry`;
    await whileReading(clients, async (answers) => {
      await runSql(admin, 'PAUSE');
      const atPause = answers();
      await runSql(admin, 'RECONNECT');
      // What was answered before may have been on its way.
      assert.ok(answers() - atPause <= clients.length, `${answers() - atPause} answers in a pause`);
      await runSql(admin, 'RESUME');
      const atResume = answers();
      await eventually(async () => assert.ok(answers() > atResume + 50, 'reads go on'));
    });
    await endAll(clients);
  });
});
