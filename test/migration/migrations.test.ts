import assert from 'node:assert/strict';
import test from 'node:test';
import { withCopies, withdrawn, withMirror } from '../../src/migration/publication.js';
import { servingShards } from '../../src/topology/snapshot.js';
import { tokenOf } from '../../src/topology/token.js';
import { Refused } from '../simulation/database.js';
import { SimSession } from '../simulation/session.js';
import { COUNTRIES, ITEMS, keyspaceOf } from '../simulation/tables.js';
import { ADD_D, Stage } from './stage.js';

test('a dry run says what would move and changes nothing', async () => {
  const stage = await Stage.open();
  const plan = await stage.settle(stage.proxy.migrations.plan(ADD_D));
  assert.deepEqual(plan.blockers, []);
  assert.deepEqual(
    plan.record.moves.map(({ source, target }) => `${source}→${target}`),
    ['a→d', 'b→d', 'c→d'],
  );
  assert.ok(plan.fraction > 0.05 && plan.fraction < 0.6, String(plan.fraction));
  assert.deepEqual(plan.record.copies.map(({ source, table }) => `${source} ${table}`).sort(), [
    'a public.countries',
    'a public.items',
    'a public.lines',
    'b public.items',
    'b public.lines',
    'c public.items',
    'c public.lines',
  ]);
  assert.deepEqual(stage.leftovers(), []);
  assert.equal(stage.server.stored.epoch, 1);
  assert.deepEqual(stage.proxy.migrations.list(), []);
});

test('what preflight finds is refused with its remedy, and nothing is begun', async () => {
  const blocker = { shard: 'b', message: 'wal_level is replica', remedy: 'Set wal_level = logical.' };
  const stage = await Stage.open({
    weaken: { engine: (engine) => Object.assign(engine, { preflight: async () => [blocker] }) },
  });
  await assert.rejects(stage.begin(), {
    code: 'migration',
    message: /b: wal_level is replica/,
    hint: /Set wal_level = logical/,
  });
  assert.deepEqual(stage.proxy.migrations.list(), []);
});

test('one migration at a time: a second is refused with what to do, and one after the first is welcome', async () => {
  const stage = await Stage.open();
  const first = stage.proxy.migrations.begin(ADD_D);
  await assert.rejects(stage.begin(), /just being started/);
  await stage.settle(first);
  await assert.rejects(
    stage.begin({ kind: 'rebalance', shard: undefined, url: undefined, options: {} }),
    /one migration of a database runs at a time/,
  );
  await stage.reach('switched');
  await assert.rejects(stage.begin(), { hint: /migrate finish m1.*migrate rollback m1/ });
  await stage.ask('finish');
  await stage.reach('done');
  await stage.begin({ kind: 'remove-shard', shard: 'b', url: undefined, options: {} });
});

test('wishes that make no sense are refused before any database is asked', async () => {
  const stage = await Stage.open();
  const refuse = (
    kind: 'add-shard' | 'remove-shard' | 'rebalance',
    shard: string | undefined,
    url: string | undefined,
    message: RegExp,
  ) => assert.rejects(stage.begin({ kind, shard, url, options: {} }), message);
  await refuse('add-shard', 'b', 'postgres://x/y', /already part of/);
  await refuse('add-shard', '', 'postgres://x/y', /not a shard's name/);
  await refuse('add-shard', 'a/b', 'postgres://x/y', /not a shard's name/);
  await refuse('add-shard', 'd', undefined, /URL of shard "d" is not known/);
  await refuse('add-shard', 'd', 'postgres://me:word@b/shop', /is that of shard "b"/);
  await refuse('remove-shard', 'a', undefined, /is the home/);
  await refuse('remove-shard', 'x', undefined, /there is no shard "x"/);
  await refuse('rebalance', undefined, undefined, /nothing to move/);
  assert.deepEqual(stage.proxy.migrations.list(), []);
});

test('while its rows are copied an added shard is known, owns nothing and is not scattered to', async () => {
  const stage = await Stage.open();
  await stage.begin();
  await stage.until(() => stage.server.visited.includes('cleared'));
  const { current } = stage.proxy.topology;
  assert.deepEqual(
    current.shards.map(({ name }) => name),
    ['a', 'b', 'c', 'd'],
  );
  assert.deepEqual(servingShards(current), ['a', 'b', 'c']);
  assert.ok(current.moves.every(({ state }) => state === 'copying'));
  assert.equal(
    stage.server.databases.get('d')!.rows(ITEMS).size,
    0,
    'it is published before the first row is copied',
  );
});

test('a manual cutover waits at ready until it is asked for', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  await stage.pass(60_000);
  assert.equal(stage.state.record.phase, 'ready');
  assert.equal(stage.state.waitingFor, 'cutover');
  await stage.ask('cutover');
  await stage.reach('switched');
  assert.ok(stage.state.record.holdMs !== undefined);
});

test('after the cutover the sources refuse writes of the moved rows, also when the process was killed', async () => {
  const stage = await Stage.open({ crashAt: { point: 'released', nth: 1 } });
  await stage.begin();
  await stage.reach('switched');
  assert.equal(stage.server.crashes, 1);
  const { before, after } = stage.state.record.ring;
  assert.notDeepEqual(before, after);
  const key = [...stage.server.databases.get('d')!.rows(ITEMS).keys()][0]!;
  const stale = ['a', 'b', 'c'].find((name) => stage.server.databases.get(name)!.rows(ITEMS).has(key))!;
  const transaction = stage.server.databases.get(stale)!.begin();
  assert.throws(() => transaction.write(ITEMS, key, 'from a proxy that slept'), Refused);
});

test('finish after a time ends the migration by itself', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { finish: { afterMs: 30_000 } } });
  await stage.reach('switched');
  await stage.pass(25_000);
  assert.equal(stage.state.record.phase, 'switched');
  await stage.reach('done');
  assert.deepEqual(stage.leftovers(), []);
});

test('a removed shard keeps its reference tables up to date until the finish, then leaves the topology without rows', async () => {
  const stage = await Stage.open();
  await stage.begin({ kind: 'remove-shard', shard: 'b', url: undefined, options: {} });
  await stage.reach('switched');
  await stage.settle(
    new SimSession(stage.server, stage.proxy).write([{ table: COUNTRIES, key: 'country0', value: 'new' }], 0),
  );
  assert.equal(stage.server.databases.get('b')!.rows(COUNTRIES).get('country0'), 'new');
  await stage.ask('finish');
  await stage.reach('done');
  assert.deepEqual(
    stage.server.stored.shards.map(({ name }) => name),
    ['a', 'c'],
  );
  assert.equal(stage.server.databases.get('b')!.rows(ITEMS).size, 0);
  assert.deepEqual(stage.leftovers(), []);
});

test('requests that do not fit the phase are refused and say which do', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  await assert.rejects(stage.ask('rollback'), { code: 'migration', hint: /cutover, abort/ });
  await assert.rejects(stage.ask('finish'), /it cannot finish now/);
  await stage.ask('cutover');
  await stage.reach('switched');
  await assert.rejects(stage.ask('abort'), { hint: /finish, rollback/ });
  await assert.rejects(
    stage.settle(stage.proxy.migrations.request('m99', 'abort')),
    /there is no migration m99/,
  );
});

test('a paused migration takes no new step but keeps its streams, and goes on when it is resumed', async () => {
  const stage = await Stage.open();
  await stage.begin();
  await stage.until(() => stage.server.visited.includes('cleared'));
  await stage.settle(stage.proxy.migrations.pause('m1'));
  await stage.pass(60_000);
  assert.ok(
    !['ready', 'cutting-over', 'switched'].includes(stage.state.record.phase),
    stage.state.record.phase,
  );
  await stage.settle(stage.proxy.migrations.resume('m1'));
  await stage.reach('switched');
});

test('stop ends the loop and leaves what is durable; the next process goes on', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  await stage.pass(1_000);
  const before = stage.server.disk.migrations.get('m1');
  await stage.settle(stage.proxy.migrations.stop());
  const open = stage.server.visited.length;
  await stage.pass(30_000);
  assert.equal(stage.server.visited.length, open, 'nothing is done any more');
  assert.equal(stage.server.disk.migrations.get('m1'), before);
  stage.server.crash();
  await stage.until(() => stage.server.proxy !== undefined);
  await stage.reach('ready');
  await stage.ask('cutover');
  await stage.reach('switched');
});

test('who watches hears every phase in order', async () => {
  const stage = await Stage.open();
  const phases: string[] = [];
  const stop = stage.proxy.migrations.watch(({ record }) => {
    if (phases.at(-1) !== record.phase) phases.push(record.phase);
  });
  await stage.begin({ ...ADD_D, options: { finish: 'now' } });
  await stage.until(() => phases.at(-1) === 'done');
  stop();
  assert.deepEqual(phases, [
    'planned',
    'preparing',
    'backfilling',
    'catching-up',
    'verifying',
    'mirroring',
    'ready',
    'cutting-over',
    'switched',
    'cleaning',
    'done',
  ]);
});

test('a table that is made during the migration is copied too: the migration begins anew with it', async () => {
  const stage = await Stage.open();
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  stage.server.keyspace = keyspaceOf({
    items: 'sharded',
    lines: 'sharded',
    notes: 'sharded',
    countries: 'reference',
  });
  const key = Array.from({ length: 100 }, (_, i) => `note${i}`).find(
    (candidate) => ownerAfter(stage, candidate) === 'd',
  )!;
  await stage.settle(
    new SimSession(stage.server, stage.proxy).write([{ table: 'public.notes', key, value: 'v' }], 0),
  );
  await stage.ask('cutover');
  await stage.reach('switched');
  assert.equal(stage.state.record.stepsBack, 1);
  assert.equal(stage.server.databases.get('d')!.rows('public.notes').get(key), 'v');
  await stage.ask('finish');
  await stage.reach('done');
  assert.deepEqual(stage.leftovers(), []);
});

function ownerAfter(stage: Stage, key: string): string {
  const points = stage.state.record.ring.after.map(([token, owner]) => ({ token: BigInt(token), owner }));
  return (points.find(({ token }) => token >= tokenOf(key)) ?? points[0]!).owner;
}

test('an abort does not wait for ever for the shard that was to be added', async () => {
  let isDown = false;
  const lost = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const stage = await Stage.open({
    weaken: {
      engine: (engine) => {
        const { clearTarget, removeTraces } = engine;
        return Object.assign(engine, {
          clearTarget: (...args: Parameters<typeof clearTarget>) =>
            isDown ? Promise.reject(lost) : clearTarget.apply(engine, args),
          removeTraces: (...args: Parameters<typeof removeTraces>) =>
            isDown && args[0].shard === 'd' ? Promise.reject(lost) : removeTraces.apply(engine, args),
        });
      },
    },
  });
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  await stage.reach('ready');
  isDown = true;
  await stage.ask('abort');
  await stage.reach('aborted');
  assert.deepEqual(
    stage.leftovers().filter((left) => !left.startsWith('d:')),
    [],
  );
  assert.ok(stage.server.warnings.some((line) => line.includes('is left as it is')));
});

test('a record that cannot be stored after the switch does not take the switch back', async () => {
  const stage = await Stage.open();
  const { store, topology } = stage.proxy;
  const save = store.saveMigration.bind(store);
  let refusals = 5;
  store.saveMigration = (database, document) => {
    const isSwitched = topology.current.moves.some(({ state }) => state === 'switched');
    return isSwitched && refusals-- > 0
      ? Promise.reject(new Error('no space left on device'))
      : save(database, document);
  };
  await stage.begin();
  await stage.reach('switched');
  await stage.pass(10_000);
  assert.ok(refusals <= 0);
  assert.equal(stage.state.record.phase, 'switched');
  assert.deepEqual(
    stage.proxy.topology.current.moves.map(({ state }) => state),
    ['switched', 'switched', 'switched'],
  );
  await stage.ask('rollback');
  await stage.reach('aborted');
  assert.deepEqual(stage.leftovers(), []);
});

test('a plan that could not be stored does not come back beside the next one', async () => {
  const stage = await Stage.open();
  const { store } = stage.proxy;
  const save = store.saveMigration.bind(store);
  let isFull = true;
  store.saveMigration = async (database, document) => {
    await save(database, document);
    if (isFull) throw new Error('connection lost after it was stored');
  };
  await assert.rejects(stage.begin(), /connection lost/);
  isFull = false;
  await stage.begin({ ...ADD_D, options: { cutover: 'manual' } });
  stage.server.crash();
  await stage.until(() => stage.server.proxy !== undefined);
  assert.deepEqual(
    stage.proxy.migrations.list().map(({ record }) => record.phase === 'aborted'),
    [true, false],
  );
  await stage.reach('ready');
});

test('publications that would change the owner beside a cutover are refused', async () => {
  const stage = await Stage.open();
  await stage.begin();
  await stage.reach('switched');
  const { record } = stage.state;
  const { current } = stage.proxy.topology;
  assert.throws(() => withCopies(current, record, undefined), RangeError);
  assert.throws(() => withMirror(current, record), RangeError);
  assert.throws(() => withdrawn(current, record), RangeError);
});
