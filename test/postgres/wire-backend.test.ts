import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import type { BackendTarget } from '../../src/pool/backend.js';
import { ServerFailure } from '../../src/pool/backend.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { decodeDataRow } from '../../src/postgres/backend-messages.js';
import { COPY_DONE, encodeCopyData, encodeCopyFail } from '../../src/postgres/frontend-messages.js';
import { connect, endAll, servers, startServer } from './wire-connections.js';
import { bind, execute, parse, request } from './wire-requests.js';
import { forward, forwardSlowly } from './wire-sink.js';

const ids = new StatementIds();

describe('a backend', () => {
  before(startServer);
  after(endAll);

  test('knows after login what the server said about itself', async () => {
    const backend = await connect();
    assert.equal(backend.parameters.get('server_encoding'), 'UTF8');
    assert.equal(backend.parameters.get('application_name'), 'ringferry');
    assert.ok(backend.processId > 0);
    assert.equal(backend.secretKey.length, 4);
    assert.equal(backend.transaction, 'idle');
  });

  test('returns rows of a simple query as text', async () => {
    const backend = await connect();
    assert.deepEqual(await backend.rows("SELECT 1, NULL, 'ä'"), [['1', null, 'ä']]);
  });

  test('rejects with the server’s own error and can be used again', async () => {
    const backend = await connect();
    await assert.rejects(backend.rows('SELECT 1/0'), (error: unknown) => {
      assert.ok(error instanceof ServerFailure);
      assert.equal(error.serverError.sqlstate, '22012');
      return true;
    });
    assert.deepEqual(await backend.rows('SELECT 2'), [['2']]);
  });

  test('relays a simple query of several statements as it came, without ReadyForQuery', async () => {
    const backend = await connect();
    const relayed = await forward(backend, request.query('SELECT 1; SELECT 2, 3'));
    assert.equal(relayed.codes, 'TDCTDC');
    assert.deepEqual(relayed.tags, ['SELECT 1', 'SELECT 1']);
    assert.equal(relayed.status, 'idle');
  });

  test('says BEGIN in the same write, and nothing else when BEGIN fails', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE begun (id int)');
    const one = await forward(backend, request.query('INSERT INTO begun VALUES (1)'), { before: ['BEGIN'] });
    assert.deepEqual([one.codes, one.status], ['C', 'open']);
    await backend.run('ROLLBACK');
    const failed = await forward(backend, request.query('INSERT INTO begun VALUES (2)'), {
      before: ['BEGIN ISOLATION LEVEL NONSENSE'],
    });
    assert.deepEqual([failed.codes, failed.status], ['E', 'idle']);
    const step = parse(ids, 'i', 'INSERT INTO begun VALUES (3)');
    const extended = await forward(backend, request.sync(step, bind(step), execute()), {
      rename: true,
      before: ['BEGIN ISOLATION LEVEL NONSENSE'],
    });
    assert.deepEqual([extended.codes, extended.status], ['E', 'idle']);
    assert.deepEqual(await backend.rows('SELECT * FROM begun'), []);
  });

  test('runs settings before a BEGIN so that they outlive its rollback', async () => {
    const backend = await connect();
    const one = await forward(backend, request.query('SELECT 1'), {
      before: ["SET application_name = 'kept'", 'BEGIN', "SET LOCAL work_mem = '1MB'", 'SAVEPOINT "s"'],
    });
    assert.deepEqual([one.codes, one.status], ['TDC', 'open']);
    assert.deepEqual(await backend.rows('SHOW work_mem'), [['1MB']]);
    await backend.run('ROLLBACK');
    assert.deepEqual(await backend.rows('SHOW application_name'), [['kept']]);
  });

  test('does not send the request when a setting before it fails', async () => {
    const backend = await connect();
    const relayed = await forward(backend, request.query('CREATE TABLE never ()'), {
      before: ['SET nonsense = 1', 'BEGIN'],
    });
    assert.deepEqual([relayed.codes, relayed.status], ['E', 'idle']);
    assert.deepEqual(await backend.rows("SELECT to_regclass('never')"), [[null]]);
  });

  test('copies in by the simple protocol, also behind a BEGIN in the same write', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE copied (id int)');
    for (const before of [[], ['BEGIN']]) {
      const relayed = await forward(backend, request.query('COPY copied FROM STDIN'), {
        before,
        copy: [encodeCopyData(Buffer.from('1\n2\n')), COPY_DONE],
      });
      assert.deepEqual([relayed.codes, relayed.tags], ['GC', ['COPY 2']]);
    }
    await backend.run('COMMIT');
    assert.deepEqual(await backend.rows('SELECT count(*) FROM copied'), [['4']]);
  });

  test('keeps COPY data that comes before the request could be sent', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE copied_early (id int)');
    let drains = 0;
    backend.onDrain = () => drains++;
    const relayed = forward(backend, request.query('COPY copied_early FROM STDIN'), {
      before: ["SET application_name = 'early'", 'BEGIN'],
    });
    assert.equal(backend.sendCopy(encodeCopyData(Buffer.from('1\n'))), false);
    assert.equal(backend.sendCopy(COPY_DONE), false);
    assert.deepEqual((await relayed).tags, ['COPY 1']);
    assert.ok(drains > 0);
    await backend.run('COMMIT');
    const failed = forward(backend, request.query('COPY copied_early FROM STDIN'), {
      before: ['SET nonsense = 1'],
    });
    backend.sendCopy(encodeCopyData(Buffer.from('2\n')));
    backend.sendCopy(COPY_DONE);
    assert.equal((await failed).codes, 'E');
    assert.deepEqual(await backend.rows('SELECT * FROM copied_early'), [['1']]);
  });

  test('copies in by the extended protocol, whose Sync the server ignores in the middle', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE copied_too (id int)');
    const step = parse(ids, '', 'COPY copied_too FROM STDIN');
    const good = await forward(backend, request.sync(step, bind(step), execute()), {
      rename: true,
      copy: [encodeCopyData(Buffer.from('1\n')), COPY_DONE],
    });
    assert.deepEqual([good.codes, good.status], ['12GC', 'idle']);
    const stopped = await forward(backend, request.sync(step, bind(step), execute()), {
      rename: true,
      copy: [encodeCopyData(Buffer.from('1\n')), encodeCopyFail('no more')],
    });
    assert.deepEqual([stopped.codes, stopped.error?.sqlstate], ['12GE', '57014']);
    const wrong = await forward(backend, request.sync(step, bind(step), execute()), {
      rename: true,
      copy: [encodeCopyData(Buffer.from('x\n')), encodeCopyData(Buffer.alloc(200_000, '1\n'))],
    });
    assert.deepEqual([wrong.codes, wrong.error?.sqlstate], ['12GE', '22P02']);
    assert.deepEqual(await backend.rows('SELECT count(*) FROM copied_too'), [['1']]);
  });

  test('copies out', async () => {
    const backend = await connect();
    const relayed = await forward(backend, request.query('COPY (SELECT generate_series(1, 3)) TO STDOUT'));
    assert.equal(relayed.codes, 'HdddcC');
  });

  test('streams a row of 100 MB through without collecting it, and stops while the reader is slow', async () => {
    const backend = await connect();
    const before = process.memoryUsage().rss;
    const slow = await forwardSlowly(backend, request.query("SELECT repeat('x', 100 * 1024 * 1024)"));
    assert.ok(slow.bytes > 100 * 1024 * 1024);
    assert.ok(slow.pauses > 10);
    assert.ok(
      slow.mostRssBytes - before < 60 * 1024 * 1024,
      `memory grew by ${(slow.mostRssBytes - before) >> 20} MB`,
    );
    assert.deepEqual(await backend.rows('SELECT 1'), [['1']]);
  });

  test('runs its own query with parameters and formats, behind a BEGIN', async () => {
    const backend = await connect();
    const step = parse(ids, '', '', []);
    const parameters = bind(step, ['40']).parameters;
    const rows: (string | undefined)[] = [];
    const status = await new Promise((resolve, reject) =>
      backend.query(
        { sql: 'SELECT $1 + 2', parameters, parameterTypes: [23], resultFormats: [1] },
        {
          onColumns: () => {},
          onRow: (fields) => rows.push(fields[0]?.toString('hex')) > 0,
          onCommandTag: (tag) => rows.push(tag),
          onError: (error) => reject(new Error(error.message)),
          onEnd: resolve,
          onBroken: reject,
        },
        ['BEGIN'],
      ),
    );
    assert.deepEqual([rows, status], [['0000002a', 'SELECT 1'], 'open']);
    await backend.run('COMMIT');
  });

  test('cancels what runs', async () => {
    const backend = await connect();
    const sleeping = assert.rejects(
      backend.rows('SELECT pg_sleep(30)'),
      /canceling statement due to user request/,
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    await backend.cancel();
    await sleeping;
  });

  test('tells the position behind what it has committed', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE positioned ()');
    const position = await backend.position();
    assert.match(position, /^[0-9A-F]+\/[0-9A-F]+$/);
    const rows = await backend.rows(`SELECT pg_current_wal_flush_lsn() >= '${position}'`);
    assert.deepEqual(rows, [['t']]);
  });

  test('tells notifications and late notices to whoever holds it', async () => {
    const [listener, other] = [await connect(), await connect()];
    const frames: string[] = [];
    const heard = new Promise<void>((resolve) => {
      listener.onAsync = (frame) => {
        frames.push(String.fromCharCode(frame[0]!));
        resolve();
      };
    });
    await listener.run('LISTEN news');
    await other.run("NOTIFY news, 'x'");
    await heard;
    assert.deepEqual(frames, ['A']);
  });

  test('is broken at once when the server ends it, and says what the server said', async () => {
    const [victim, other] = [await connect(), await connect()];
    let closed = 0;
    victim.onClosed = () => closed++;
    const running = forward(victim, request.query('SELECT pg_sleep(30)'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await other.run(`SELECT pg_terminate_backend(${victim.processId})`);
    const relayed = await running;
    assert.match(relayed.broken?.message ?? '', /shard "a" was lost: terminating connection/);
    assert.equal((relayed.broken as OperatingError).sqlstate, '57P01');
    assert.ok(victim.isBroken);
    assert.equal(closed, 1);
    const after = await forward(victim, request.query('SELECT 1'));
    assert.ok(after.broken !== undefined);
  });

  test('relays values of every size exactly', async () => {
    const backend = await connect();
    for (const size of [0, 1, 5_000, 65_530, 65_536, 200_000, 3_000_000]) {
      const step = parse(ids, 'size', 'SELECT $1::text');
      const value = 'v'.repeat(size);
      const relayed = await forward(backend, request.sync(step, bind(step, [value]), execute()), {
        rename: true,
      });
      assert.equal(relayed.rows[0]?.[0], value);
    }
    assert.equal(decodeDataRow(Buffer.from([0x44, 0, 0, 0, 6, 0, 0])).length, 0);
  });

  test('names the shard when it cannot be reached, refuses us, or does not know the database', async () => {
    const fails = (facts: Partial<BackendTarget>, expected: RegExp, code: string) =>
      assert.rejects(connect(facts), (error: unknown) => {
        assert.ok(error instanceof OperatingError);
        assert.match(error.message, expected);
        assert.equal(error.code, code);
        return true;
      });
    await fails(
      { url: 'postgres://127.0.0.1:21001/x' },
      /cannot connect to shard "a" at 127.0.0.1:21001: connect ECONNREFUSED/,
      'shard-connect-failed',
    );
    await fails(
      { user: 'nobody' },
      /shard "a" refused the connection: role "nobody" does not exist/,
      'shard-connect-failed',
    );
    await fails({ database: 'nowhere' }, /database "nowhere" does not exist/, 'unknown-database');
    await fails(
      { url: `${servers[0]!.url()}?sslmode=require` },
      /shard "a".*does not support encryption, but sslmode is require/,
      'shard-connect-failed',
    );
    await fails({ url: `${servers[0]!.url()}?sslmode=perhaps` }, /sslmode=perhaps/, 'configuration');
  });
});
