import assert from 'node:assert/strict';
import test from 'node:test';
import type { MigrationEngine } from '../../src/migration/engine.js';
import { ITEMS } from '../simulation/tables.js';
import { ADD_D, Stage } from './stage.js';

/** Calls `spoil` once, right before the first comparison. */
function spoiling(spoil: () => void, everyTime = false) {
  let isDone = false;
  return (engine: MigrationEngine): MigrationEngine => {
    const { verify } = engine;
    return Object.assign(engine, {
      verify: (...args: Parameters<typeof verify>) => {
        if (!isDone) spoil();
        isDone = !everyTime;
        return verify.apply(engine, args);
      },
    });
  };
}

function spoilRow(stage: Stage, value: string | undefined): void {
  const rows = stage.server.databases.get('d')!.rows(ITEMS);
  const key = [...rows.keys()][0];
  if (key === undefined) return;
  if (value === undefined) rows.delete(key);
  else rows.set(key, value);
}

test('a row that differs on the target is found, repaired from the source and compared again', async () => {
  for (const value of ['spoiled', undefined]) {
    const stage: Stage = await Stage.open({ weaken: { engine: spoiling(() => spoilRow(stage, value)) } });
    await stage.begin();
    await stage.reach('switched');
    const { verification } = stage.state.record;
    assert.equal(verification?.repaired, 1);
    assert.equal(verification.differences, 0);
    assert.ok(verification.comparedRows > 0);
  }
});

test('rows that keep differing fail the migration, which names them and leaves nothing behind', async () => {
  const stage: Stage = await Stage.open({
    weaken: { engine: spoiling(() => spoilRow(stage, 'spoiled'), true) },
  });
  await stage.begin();
  await stage.reach('failed');
  const { failure } = stage.state.record;
  assert.equal(failure?.phase, 'verifying');
  assert.match(failure.message, /keep differing.*public\.items \S+ different/);
  assert.deepEqual(stage.leftovers(), []);
  assert.equal(stage.server.databases.get('d')!.rows(ITEMS).size, 0);
  assert.deepEqual(
    stage.server.stored.shards.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
});

test('a comparison of nothing is not taken for equality', async () => {
  const stage = await Stage.open({
    weaken: {
      engine: (engine) =>
        Object.assign(engine, { verify: async () => ({ comparedRows: 0, differences: [] }) }),
    },
  });
  await stage.begin();
  await stage.reach('failed');
  assert.match(stage.state.record.failure!.message, /compared no row, though \d+ were copied/);
});

test('the operator can verify in between: differences are reported and not repaired', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  assert.deepEqual((await stage.settle(stage.proxy.migrations.verifyNow('m1'))).differences, []);
  spoilRow(stage, 'spoiled');
  const found = await stage.settle(stage.proxy.migrations.verifyNow('m1'));
  assert.deepEqual(
    found.differences.map(({ kind }) => kind),
    ['different'],
  );
  assert.equal(stage.state.record.verification?.differences, 1);
});

test('a migration with known differences is not cut over', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  spoilRow(stage, 'spoiled');
  await stage.settle(stage.proxy.migrations.verifyNow('m1'));
  await stage.ask('cutover');
  await stage.reach('switched');
  assert.ok(stage.server.databases.get('d')!.rows(ITEMS).size > 0);
  assert.ok(
    ![...stage.server.databases.get('d')!.rows(ITEMS).values()].includes('spoiled'),
    'it was repaired first',
  );
});

test('verifying is refused where no stream runs', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { finish: 'now' } });
  await stage.reach('done');
  await assert.rejects(stage.settle(stage.proxy.migrations.verifyNow('m1')), /there is nothing to/);
});
