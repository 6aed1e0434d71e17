import assert from 'node:assert/strict';
import { after as atEnd, test } from 'node:test';
import type { AppliedStream, ShardAddress, StreamSpec } from '../../src/migration/engine.js';
import { selectionTest } from '../../src/migration/selection.js';
import { actAsApplier } from '../../src/mysql/apply-target.js';
import { EngineSession } from '../../src/mysql/engine-session.js';
import { ensureLedger } from '../../src/mysql/ledger.js';
import { repairRows } from '../../src/mysql/repair.js';
import { deleteSelected } from '../../src/mysql/rows.js';
import { AT_ONCE } from '../../src/mysql/short-locks.js';
import { removeTraces } from '../../src/mysql/traces.js';
import { verifyRows } from '../../src/mysql/verify.js';
import { HALF, keyspaceOf, sql, startShards, tasksOf, texts, WHOLE } from './shard-fixture.js';

const shards = await startShards(atEnd, 2);

/** A stream that brings what `pending` says when somebody waits for it. */
function streamOf(target: ShardAddress, pending: string[] = []): AppliedStream {
  return {
    applied: '',
    lagBytes: 0,
    transactionsApplied: 0,
    rowsApplied: 0,
    waitFor: async () => {
      const statements = pending.splice(0);
      if (statements.length > 0) await sql(target.url, ...statements);
    },
    ended: new Promise(() => {}),
    stop: async () => {},
  };
}

async function specOf(
  name: string,
  tables: Readonly<Record<string, string>>,
  both: readonly string[],
  ranges = WHOLE,
): Promise<StreamSpec> {
  const [from, to] = (await shards.databases(name)) as [ShardAddress, ShardAddress];
  for (const { url } of [from, to]) await sql(url, ...both);
  return {
    migration: name,
    direction: 'forward',
    from,
    to,
    tasks: tasksOf(await keyspaceOf(from, tables), ranges),
  };
}

const verify = (spec: StreamSpec, pending: string[] = []) =>
  verifyRows(streamOf(spec.to, pending), spec, () => {}, AbortSignal.timeout(60_000));

const EVERY_TYPE = `CREATE TABLE every_type (
  id bigint unsigned, name varchar(30) CHARACTER SET latin1 COLLATE latin1_swedish_ci, day date, raw varbinary(8), kind enum('a','b'),
  t text, l longblob, f float, d double, n decimal(30,10) zerofill, j json, b bit(9), s set('x','y'), ts timestamp(6) NULL, dt datetime(3), tm time(2), y year,
  u uuid, i6 inet6, g point, doubled bigint unsigned AS (id * 2) STORED,
  PRIMARY KEY (id, name, day, raw, kind))`;
const ROWS = `INSERT INTO every_type (id, name, day, raw, kind, t, l, f, d, n, j, b, s, ts, dt, tm, y, u, i6, g)
  SELECT seq DIV 50, CONCAT('Ünï', seq), '2024-01-01' + INTERVAL seq DAY, UNHEX(HEX(seq)), IF(seq % 2, 'a', 'b'),
    IF(seq % 3, NULL, REPEAT('ü', seq % 400)), REPEAT(CHAR(seq % 256), 1000), seq / 7, SQRT(seq), seq / 3, '{"a": 1}', seq % 512, 'x,y', '2024-06-01 12:00:00.123456', '2024-06-01 12:00:00.123', '-12:00:00.5', 2024,
    UUID_v4, '::1', POINT(seq, 1) FROM (SELECT seq, CONCAT('a0eebc99-9c0b-4ef8-bb6d-', LPAD(seq, 12, '0')) AS UUID_v4 FROM seq_1_to_45000) AS numbers`;

test('equal tables of every type of column are equal, chunk by chunk, by a key of five columns', async () => {
  const spec = await specOf('types', { every_type: 'id:integer' }, [EVERY_TYPE, ROWS]);
  assert.deepEqual(await verify(spec), { comparedRows: 45_000, differences: [] });
});

test('nothing compared says zero rows', async () => {
  const spec = await specOf('nothing', { t: 'id:integer' }, ['CREATE TABLE t (id int PRIMARY KEY)']);
  assert.deepEqual(await verify(spec), { comparedRows: 0, differences: [] });
});

test('each kind of difference is found in each type of column, and repaired', async () => {
  const spec = await specOf('found', { every_type: 'id:integer' }, [
    EVERY_TYPE,
    ROWS.replace('seq_1_to_45000', 'seq_1_to_300'),
  ]);
  const changes = [
    `t = '' WHERE t IS NULL ORDER BY day LIMIT 1`,
    `t = UPPER(t) WHERE t IS NOT NULL ORDER BY day DESC LIMIT 1`,
    `t = CONCAT(t, ' ') WHERE t IS NOT NULL ORDER BY day DESC LIMIT 2`,
    `l = CONCAT(l, X'00') ORDER BY day LIMIT 1`,
    `f = 1.0000001 WHERE day = '2024-02-01'`,
    `d = d + 1e-12 WHERE day = '2024-02-02'`,
    `n = n + 0.0000000001 WHERE day = '2024-02-03'`,
    `b = 511 WHERE day = '2024-02-04'`,
    `s = 'x' WHERE day = '2024-02-05'`,
    `ts = '2024-06-01 12:00:00.123457' WHERE day = '2024-02-06'`,
    `tm = '-12:00:00.51' WHERE day = '2024-02-07'`,
    `j = '{"a":1}' WHERE day = '2024-02-08'`,
    `g = POINT(0, 0) WHERE day = '2024-02-09'`,
    `name = LOWER(name) WHERE day = '2024-02-10'`,
  ];
  for (const change of changes) {
    await sql(spec.to.url, `UPDATE every_type SET ${change}`);
    const { differences } = await verify(spec);
    assert.ok(differences.length > 0, change);
    await repairRows(spec, streamOf(spec.to), differences);
    assert.deepEqual(await verify(spec), { comparedRows: 300, differences: [] }, change);
  }
  await sql(
    spec.to.url,
    `DELETE FROM every_type WHERE day = '2024-03-01'`,
    `INSERT INTO every_type (id, name, day, raw, kind) VALUES (1000, 'Öx', '2030-01-01', X'00ff', 'b')`,
  );
  const { differences } = await verify(spec);
  assert.deepEqual(differences.map(({ table, kind, key }) => [table, kind, JSON.parse(key)]).sort(), [
    ['found.every_type', 'extra', ['1000', 'Öx', '2030-01-01', '00FF', '2']],
    ['found.every_type', 'missing', ['1', 'Ünï60', '2024-03-01', '3C', '2']],
  ]);
  await repairRows(spec, streamOf(spec.to), differences);
  assert.deepEqual((await verify(spec)).differences, []);
  assert.equal(
    (await texts(spec.to.url, `SELECT changes FROM ringferry_ledger WHERE migration = 'found'`)).length,
    1,
  );
});

test('what the stream brings in the meantime is no difference; what it does not bring is', async () => {
  const spec = await specOf('late', { t: 'id:integer' }, [
    'CREATE TABLE t (id int PRIMARY KEY, v text)',
    `INSERT INTO t SELECT seq, 'n' FROM seq_1_to_100`,
  ]);
  const ahead = [
    `UPDATE t SET v = 'new' WHERE id = 5`,
    'DELETE FROM t WHERE id = 6',
    `INSERT INTO t VALUES (101, 'x')`,
  ];
  await sql(spec.from.url, ...ahead);
  assert.deepEqual(await verify(spec, [...ahead]), { comparedRows: 100, differences: [] });
  await sql(spec.from.url, `UPDATE t SET v = 'newer' WHERE id = 7`);
  assert.deepEqual((await verify(spec)).differences, [{ table: 'late.t', key: '["7"]', kind: 'different' }]);
});

test('only selected rows are compared', async () => {
  const spec = await specOf(
    'half',
    { t: 'id:integer', r: 'reference' },
    [
      'CREATE TABLE t (id int PRIMARY KEY, v text)',
      'CREATE TABLE r (id int PRIMARY KEY)',
      `INSERT INTO t SELECT seq, 'n' FROM seq_1_to_1000`,
      'INSERT INTO r VALUES (1), (2)',
    ],
    HALF,
  );
  const isMoving = selectionTest(spec.tasks.find((task) => task.selection.type === 'ranges')!);
  const moving = Array.from({ length: 1000 }, (_, index) => index + 1).filter((key) => isMoving(String(key)));
  await sql(spec.to.url, `DELETE FROM t WHERE id NOT IN (${moving.join(', ')})`);
  assert.deepEqual(await verify(spec), { comparedRows: moving.length + 2, differences: [] });
});

test('an aborted comparison ends with the reason', async () => {
  const spec = await specOf('aborted', { t: 'id:integer' }, [
    'CREATE TABLE t (id int PRIMARY KEY)',
    'INSERT INTO t VALUES (1)',
  ]);
  const controller = new AbortController();
  const ending = {
    ...streamOf(spec.to),
    waitFor: async () => {
      controller.abort(new Error('enough'));
      throw new Error('the stream has ended');
    },
  };
  await assert.rejects(
    verifyRows(ending, spec, () => {}, controller.signal),
    /^Error: enough$/,
  );
});

test('exactly the selected rows are deleted, in many small transactions, each signed by its migration', async () => {
  const spec = await specOf(
    'deleting',
    { t: 'b:text-ci' },
    [
      'CREATE TABLE t (a int, b varchar(20) COLLATE utf8mb4_general_ci, parent int, PRIMARY KEY (b, a), KEY (a), FOREIGN KEY (parent) REFERENCES t (a))',
      `INSERT INTO t SELECT seq, CONCAT('Key ', seq DIV 3), NULL FROM seq_1_to_9000`,
      'UPDATE t SET parent = 1',
    ],
    HALF,
  );
  const isMoving = selectionTest(spec.tasks[0]!);
  const staying = (await texts(spec.from.url, 'SELECT a, b FROM t ORDER BY a')).filter(
    (row) => !isMoving(row.split('|')[1]!),
  );
  const session = await EngineSession.connect(spec.from);
  await actAsApplier(session);
  await ensureLedger(session);
  assert.equal(await deleteSelected(session, spec.tasks, undefined, 'deleting'), 9000 - staying.length);
  assert.deepEqual(await texts(spec.from.url, 'SELECT a, b FROM t ORDER BY a'), staying);
  const [changes] = await texts(spec.from.url, 'SELECT changes FROM ringferry_ledger');
  assert.ok(Number(changes) >= 4, changes);
  assert.equal(await deleteSelected(session, spec.tasks, undefined, 'deleting'), 0);
  await assert.rejects(deleteSelected(session, spec.tasks, AbortSignal.abort(new Error('stop'))), /stop/);
  for (let time = 0; time < 2; time++) await removeTraces(session, 'deleting', [], AT_ONCE);
  assert.deepEqual(await texts(spec.from.url, 'SHOW TABLES'), ['t']);
  await session.close();
});
