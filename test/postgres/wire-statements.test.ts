import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ServerFailure } from '../../src/pool/backend.js';
import { StatementIds } from '../../src/pool/statement-ids.js';
import { connect, endAll, startServer } from './wire-connections.js';
import {
  bind,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  parse,
  request,
} from './wire-requests.js';
import { forward } from './wire-sink.js';

const ids = new StatementIds();

describe('a backend', () => {
  before(startServer);
  after(endAll);

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

  test('goes on refusing a statement whose table has changed its columns, until it is prepared anew', async () => {
    const backend = await connect();
    await backend.run('CREATE TABLE changing (a int)');
    const step = parse(ids, 'ch', 'SELECT * FROM changing');
    await forward(backend, request.sync(step, bind(step), execute()), { rename: true });
    await backend.run('ALTER TABLE changing ADD b int');
    for (let turn = 0; turn < 2; turn++) {
      const { error } = await forward(backend, request.sync(bind(step), execute()), { rename: true });
      assert.equal(error?.sqlstate, '0A000');
    }
    ids.schemaChanged();
    const anew = parse(ids, 'ch', 'SELECT * FROM changing');
    const { error, codes } = await forward(backend, request.sync(anew, bind(anew), execute()), {
      rename: true,
    });
    assert.equal(error, undefined);
    assert.equal(codes, '12C');
  });
});
