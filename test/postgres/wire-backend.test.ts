import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OperatingError } from '../../src/lib/errors.js';
import type { Backend, BackendTarget } from '../../src/pool/backend.js';
import { ServerFailure } from '../../src/pool/backend.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { connectBackend } from '../../src/postgres/backend.js';
import { decodeDataRow } from '../../src/postgres/backend-messages.js';
import { COPY_DONE, encodeCopyData, encodeCopyFail } from '../../src/postgres/frontend-messages.js';
import { type PostgresServer, startPostgres } from '../cluster.js';
import {
  bind,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  parse,
  request,
} from './wire-requests.js';
import { forward, forwardSlowly } from './wire-sink.js';

const servers: PostgresServer[] = [];
const open: Backend[] = [];
const ids = new StatementIds();

async function connect(facts: Partial<BackendTarget> = {}): Promise<Backend> {
  const target = {
    shard: 'a',
    url: servers[0]!.url(),
    user: 'postgres',
    password: undefined,
    database: 'postgres',
    ...facts,
  };
  const backend = await connectBackend(target, new Map(), AbortSignal.timeout(5_000));
  open.push(backend);
  return backend;
}

describe('a backend', () => {
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    servers.push(...(await startPostgres((end) => ends.push(end))));
  });
  after(async () => {
    for (const backend of open) backend.terminate();
    for (const end of ends) await end();
  });

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

  test('makes a named statement once under its process-wide name and serves other clients with it', async () => {
    const backend = await connect();
    const first = parse(ids, 'mine', 'SELECT $1::int + 1');
    const one = await forward(backend, request.sync(first, bind(first, ['1']), execute()), { rename: true });
    assert.equal(one.codes, '12DC');
    const other = parse(ids, 'yours', 'SELECT $1::int + 1');
    assert.equal(other.prepared.id, first.prepared.id);
    const two = await forward(backend, request.sync(other, bind(other, ['41']), execute()), { rename: true });
    assert.equal(two.codes, '12DC', 'ParseComplete is answered though nothing was parsed');
    assert.deepEqual(two.rows, [['42']]);
    assert.deepEqual(await backend.rows('SELECT name FROM pg_prepared_statements'), [
      [`rf_${first.prepared.id}`],
    ]);
  });

  test('parses a statement that is missing on it before it is bound, and hides that', async () => {
    const [one, two] = [await connect(), await connect()];
    const step = parse(ids, 's', 'SELECT $1::text');
    assert.equal((await forward(one, request.sync(step), { rename: true })).codes, '1');
    const relayed = await forward(
      two,
      request.sync(describeStatement(step), bind(step, ['x']), describePortal(), execute()),
      { rename: true },
    );
    assert.equal(relayed.codes, 'tT2TDC');
    assert.deepEqual(relayed.rows, [['x']]);
  });

  test('parses the unnamed statement again when another has taken its place', async () => {
    const backend = await connect();
    const mine = parse(ids, '', 'SELECT $1::text || 1');
    const yours = parse(ids, '', 'SELECT $1::text || 2');
    await forward(backend, request.sync(mine), { rename: true });
    await forward(backend, request.sync(yours), { rename: true });
    const relayed = await forward(backend, request.sync(bind(mine, ['a']), execute()), { rename: true });
    assert.equal(relayed.codes, '2DC');
    assert.deepEqual(relayed.rows, [['a1']]);
    await backend.run('SELECT 1');
    const again = await forward(backend, request.sync(bind(mine, ['b']), execute()), { rename: true });
    assert.deepEqual(again.rows, [['b1']], 'a simple query takes the unnamed statement away');
  });

  test('answers Close of a shared statement itself and keeps the statement', async () => {
    const backend = await connect();
    const step = parse(ids, 'c', 'SELECT 3');
    const relayed = await forward(backend, request.sync(step, bind(step), execute(), closeStatement('c')), {
      rename: true,
    });
    assert.equal(relayed.codes, '12DC3');
    assert.equal(backend.preparedStatements, 1);
  });

  test('closes the statements unused for longest when there are too many', async () => {
    const backend = await connect({ preparedStatements: 3 });
    const steps = [1, 2, 3, 4, 5].map((n) => parse(ids, `s${n}`, `SELECT ${n} AS n`));
    for (const step of steps)
      await forward(backend, request.sync(step, bind(step), execute()), { rename: true });
    await forward(backend, request.sync(bind(steps[4]!), execute()), { rename: true });
    const names = (
      await backend.rows('SELECT name FROM pg_prepared_statements ORDER BY prepare_time')
    ).flat();
    assert.deepEqual(
      names,
      steps.slice(2).map((step) => `rf_${step.prepared.id}`),
    );
    const relayed = await forward(backend, request.sync(bind(steps[0]!), execute()), { rename: true });
    assert.deepEqual(relayed.rows, [['1']]);
  });

  test('parses a text anew under other settings that change its meaning', async () => {
    const backend = await connect();
    const step = parse(ids, 'd', "SELECT '01/02/2020'::date - '2020-01-01'::date");
    await backend.run("SET datestyle = 'ISO, MDY'");
    assert.deepEqual(
      (await forward(backend, request.sync(step, bind(step), execute()), { rename: true })).rows,
      [['1']],
    );
    await backend.run("SET datestyle = 'ISO, DMY'");
    assert.deepEqual(
      (await forward(backend, request.sync(step, bind(step), execute()), { rename: true })).rows,
      [['31']],
    );
    await backend.run("SET datestyle = 'ISO, MDY'");
    assert.deepEqual((await forward(backend, request.sync(bind(step), execute()), { rename: true })).rows, [
      ['1'],
    ]);
  });

  test('skips the rest of a pipeline after an error, its own answers too', async () => {
    const backend = await connect();
    const good = parse(ids, 'g', 'SELECT 7');
    await forward(backend, request.sync(good), { rename: true });
    const bad = parse(ids, 'b', 'SELEKT');
    const relayed = await forward(
      backend,
      request.sync(bad, good, bind(good), execute(), closeStatement('g')),
      { rename: true },
    );
    assert.equal(relayed.codes, 'E');
    assert.equal(relayed.error?.sqlstate, '42601');
    assert.equal(relayed.status, 'idle');
    const again = await forward(backend, request.sync(bind(good), execute(), bad, bind(good), execute()), {
      rename: true,
    });
    assert.equal(again.codes, '2DCE');
    assert.deepEqual((await forward(backend, request.sync(bind(good), execute()), { rename: true })).rows, [
      ['7'],
    ]);
  });

  test('does not believe in a statement whose Parse failed or was skipped', async () => {
    const backend = await connect();
    const late = parse(ids, 'late', 'SELECT count(*) FROM late_table');
    assert.equal((await forward(backend, request.sync(late), { rename: true })).codes, 'E');
    const skipped = parse(ids, 'skipped', 'SELECT 8');
    assert.equal(
      (await forward(backend, request.sync(late, skipped, bind(skipped), execute()), { rename: true })).codes,
      'E',
    );
    assert.equal(
      (await forward(backend, request.sync(skipped, bind(skipped), execute()), { rename: true })).codes,
      '12DC',
    );
    await backend.run('CREATE TABLE late_table ()');
    assert.equal(
      (await forward(backend, request.sync(late, bind(late), execute()), { rename: true })).codes,
      '12DC',
    );
  });

  test('ends a flushed request at its last answer, and what follows an error there at the Sync', async () => {
    const backend = await connect();
    const step = parse(ids, '', 'SELECT 1');
    const flushed = await forward(backend, request.flush(step, bind(step), execute()), { rename: true });
    assert.deepEqual([flushed.codes, flushed.status], ['12DC', 'open']);
    const done = await forward(backend, request.sync(), { rename: true });
    assert.deepEqual([done.codes, done.status], ['', 'idle']);
    const bad = parse(ids, '', 'SELECT nope');
    const failed = await forward(backend, request.flush(bad, bind(bad)), { rename: true });
    assert.deepEqual([failed.codes, failed.status], ['E', 'failed']);
    const skipped = await forward(backend, request.sync(step, bind(step), execute()), { rename: true });
    assert.deepEqual([skipped.codes, skipped.status], ['', 'idle']);
    assert.equal(
      (await forward(backend, request.sync(step, bind(step), execute()), { rename: true })).codes,
      '12DC',
    );
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

  test('suspends and continues a portal', async () => {
    const backend = await connect();
    await backend.run('BEGIN');
    const step = parse(ids, '', 'SELECT generate_series(1, 3)');
    const first = await forward(backend, request.sync(step, bind(step, [], 'p'), execute('p', 2)), {
      rename: true,
    });
    assert.equal(first.codes, '12DDs');
    assert.equal((await forward(backend, request.sync(execute('p', 2)), { rename: true })).codes, 'DC');
    await backend.run('ROLLBACK');
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

  test('describes a statement and keeps it for later', async () => {
    const backend = await connect();
    const step = parse(ids, 'x', 'SELECT $1::int8 AS big, 2 AS two');
    const description = await backend.describe(step.prepared);
    assert.deepEqual(description.parameterTypes, [20]);
    assert.deepEqual(
      description.columns?.map((column) => [column.name, column.typeOid]),
      [
        ['big', 20],
        ['two', 23],
      ],
    );
    await assert.rejects(backend.describe(parse(ids, 'y', 'SELECT broken').prepared), ServerFailure);
    assert.equal((await backend.describe(parse(ids, 'z', 'DISCARD PLANS').prepared)).columns, undefined);
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

  test('forgets everything at a reset', async () => {
    const backend = await connect();
    const step = parse(ids, 'r', 'SELECT 5');
    await forward(backend, request.sync(step), { rename: true });
    backend.settings = 'SET x';
    await backend.reset();
    assert.equal(backend.preparedStatements, 0);
    assert.equal(backend.settings, '');
    assert.deepEqual((await forward(backend, request.sync(bind(step), execute()), { rename: true })).rows, [
      ['5'],
    ]);
  });

  test('parses again after somebody deallocated its statements', async () => {
    const backend = await connect();
    const step = parse(ids, 'k', 'SELECT 6');
    for (const sql of [`DEALLOCATE rf_${step.prepared.id}`, 'DEALLOCATE ALL', 'DISCARD ALL']) {
      await forward(backend, request.sync(step), { rename: true });
      await backend.run(sql);
      assert.deepEqual(
        (await forward(backend, request.sync(bind(step), execute()), { rename: true })).rows,
        [['6']],
        sql,
      );
    }
  });

  test('recovers from a statement whose table has changed its columns', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE changing (a int)');
    const step = parse(ids, 'ch', 'SELECT * FROM changing');
    await forward(backend, request.sync(step, bind(step), execute()), { rename: true });
    await backend.run('ALTER TABLE changing ADD b int');
    assert.equal(
      (await forward(backend, request.sync(bind(step), execute()), { rename: true })).error?.sqlstate,
      '0A000',
    );
    assert.equal((await forward(backend, request.sync(bind(step), execute()), { rename: true })).codes, '2C');
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
