import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createLog } from '../../src/lib/log.js';
import type {
  AppliedStream,
  CopyTask,
  MigrationEngine,
  ShardAddress,
  StreamSpec,
} from '../../src/migration/engine.js';
import type { Keyspace } from '../../src/topology/keyspace.js';
import { type Range, rangeHolds } from '../../src/topology/ring.js';
import { TOKEN_MIN, tokenOf } from '../../src/topology/token.js';
import { type After, lastFirst } from '../cluster.js';
import type { TestEngine, TestServer } from '../engines.js';
import { connectTo, WINGS, type WingContract } from './wings.js';

const ROWS = 2_000;
const MIGRATION = 'contract1';
/** Half of all keys. */
const HALF: readonly Range[] = [{ low: TOKEN_MIN, high: -1n }];
const moves = (id: number) => HALF.some((range) => rangeHolds(range, tokenOf(String(id))));
const IDS = Array.from({ length: ROWS }, (_, index) => index + 1);
const MOVING = IDS.filter(moves);
const STAYING = IDS.filter((id) => !moves(id));
const soon = () => AbortSignal.timeout(60_000);

/** Two servers of one wing, with a sharded and a reference table on the first. */
interface Stage {
  readonly engine: MigrationEngine;
  readonly keyspace: Keyspace;
  readonly source: ShardAddress;
  readonly target: ShardAddress;
  readonly tasks: readonly CopyTask[];
  readonly forward: StreamSpec;
  readonly reverse: StreamSpec;
  on(address: ShardAddress, ...statements: string[]): Promise<Record<string, unknown>[]>;
  /** The items at a shard: id and label. */
  items(address: ShardAddress): Promise<Map<number, string>>;
  traces(address: ShardAddress): Promise<string[]>;
}

async function setTheStage(wing: WingContract, end: After): Promise<Stage> {
  const { engine: tests }: { engine: TestEngine } = wing;
  const [first, second] = (await tests.start(end, 2)) as [TestServer, TestServer];
  const source = { shard: 'a', url: first.url(tests.database) };
  const target = { shard: 'b', url: second.url(tests.database) };
  const rows = IDS.map((id) => `(${id}, 'item ${id}')`).join(', ');
  await tests.run(
    source.url,
    'CREATE TABLE items (id int NOT NULL PRIMARY KEY, label varchar(100))',
    'CREATE TABLE colours (name varchar(20) NOT NULL PRIMARY KEY)',
    `INSERT INTO items VALUES ${rows}`,
    `INSERT INTO colours VALUES ('red'), ('blue')`,
  );
  const backend = await connectTo(wing, first, end);
  const keyspace = await wing.readKeyspace((sql) => backend.rows(sql), tests.database);
  const engine = wing.createEngine(createLog('silent'));
  const tables = [...keyspace.tables.values()];
  const tasks: CopyTask[] = [
    { table: tables.find(({ name }) => name === 'items')!, selection: { type: 'ranges', ranges: HALF } },
    { table: tables.find(({ name }) => name === 'colours')!, selection: { type: 'all' } },
  ];
  const on = (address: ShardAddress, ...statements: string[]) => tests.run(address.url, ...statements);
  return {
    engine,
    keyspace,
    source,
    target,
    tasks,
    forward: { migration: MIGRATION, direction: 'forward', from: source, to: target, tasks },
    reverse: { migration: MIGRATION, direction: 'reverse', from: target, to: source, tasks },
    on,
    items: async (address) =>
      new Map(
        (await on(address, 'SELECT id, label FROM items')).map((row) => [
          Number(row['id']),
          String(row['label']),
        ]),
      ),
    traces: (address) => tests.traces(address.url),
  };
}

async function caughtUp({ engine }: Stage, spec: StreamSpec, stream: AppliedStream): Promise<void> {
  await stream.waitFor(await engine.writeMarker(spec.from, MIGRATION));
}

for (const wing of WINGS) {
  describe(`the migration engine of ${wing.name}`, async () => {
    const stage = await setTheStage(wing, lastFirst(after));
    const { engine, source, target, tasks, forward, reverse, keyspace } = stage;
    let stream: AppliedStream;
    let back: AppliedStream;

    test('finds no reason not to start, and finds one where there is one', async () => {
      assert.deepEqual(await engine.preflight([source], [target], keyspace, MIGRATION, [forward]), []);
      await stage.on(source, 'CREATE TABLE keyless (id int NOT NULL)');
      const keyless = { ...tasks[0]!.table, name: 'keyless', primaryKey: [] };
      const tables = new Map([...keyspace.tables, [`${keyless.schema}.keyless`, keyless]]);
      const blockers = await engine.preflight([source], [target], { ...keyspace, tables }, MIGRATION);
      assert.equal(blockers.length, 1);
      assert.match(blockers[0]!.message, /keyless/);
      assert.ok(blockers[0]!.remedy.length > 10);
      await stage.on(source, 'DROP TABLE keyless');
    });

    test('copies what the snapshot shows, and streams what it does not', async () => {
      await engine.copySchema(source, target, keyspace);
      await engine.prepareSource(source, MIGRATION, tasks);
      await engine.prepareTarget(target, MIGRATION);
      const snapshot = await engine.openSnapshot(source, MIGRATION, [target.shard]);
      const [updated, deleted] = [MOVING[0]!, MOVING[1]!];
      await stage.on(
        source,
        `UPDATE items SET label = 'changed' WHERE id = ${updated}`,
        `DELETE FROM items WHERE id = ${deleted}`,
        `INSERT INTO colours VALUES ('green')`,
      );
      const copied: number[] = [];
      for (const task of tasks) copied.push(await snapshot.copy(task, target, () => {}, soon()));
      await snapshot.close();
      assert.deepEqual(copied, [MOVING.length, 2]);
      assert.equal(
        (await stage.items(target)).get(deleted),
        `item ${deleted}`,
        'the copy is of the snapshot',
      );
      stream = await engine.openStream(forward, AbortSignal.timeout(600_000));
      await caughtUp(stage, forward, stream);
      const items = await stage.items(target);
      assert.equal(items.get(updated), 'changed');
      assert.equal(items.has(deleted), false);
      assert.equal(items.size, MOVING.length - 1);
      assert.equal((await stage.on(target, 'SELECT * FROM colours')).length, 3);
    });

    test('leaves rows of other keys where they are', async () => {
      await stage.on(source, `UPDATE items SET label = 'stays' WHERE id = ${STAYING[0]}`);
      await caughtUp(stage, forward, stream);
      assert.equal((await stage.items(target)).has(STAYING[0]!), false);
    });

    test('verifies every row, finds an injected difference and mends it', async () => {
      const compare = () => engine.verify(stream, forward, () => {}, soon());
      const equal = await compare();
      assert.deepEqual(equal.differences, []);
      assert.equal(equal.comparedRows, MOVING.length - 1 + 3);
      const [wrong, missing] = [MOVING[5]!, MOVING[6]!];
      await stage.on(
        target,
        `UPDATE items SET label = 'wrong' WHERE id = ${wrong}`,
        `DELETE FROM items WHERE id = ${missing}`,
      );
      const { differences } = await compare();
      assert.deepEqual(
        differences.map(({ kind, key }) => [kind, /\d+/.exec(key)?.[0]]).sort(),
        [
          ['different', String(wrong)],
          ['missing', String(missing)],
        ].sort(),
      );
      await engine.repair(forward, differences);
      assert.deepEqual((await compare()).differences, []);
      assert.equal((await stage.items(target)).get(wrong), `item ${wrong}`);
    });

    test('fences moving rows in the database itself, and no others', async () => {
      await engine.prepareFence(source, MIGRATION, tasks);
      await stage.on(source, `UPDATE items SET label = 'before' WHERE id = ${MOVING[7]}`);
      const fence = await engine.raiseFence(source, MIGRATION, tasks, 5_000);
      const write = (id: number) => stage.on(source, `UPDATE items SET label = 'during' WHERE id = ${id}`);
      await assert.rejects(write(MOVING[7]!), /moving|40001/);
      await write(STAYING[1]!);
      await fence.lower();
      await write(MOVING[7]!);
      await caughtUp(stage, forward, stream);
      assert.equal((await stage.items(target)).get(MOVING[7]!), 'during');
    });

    test('streams back, without what came from there', async () => {
      await engine.prepareReverse(reverse);
      const applied = stream.rowsApplied;
      back = await engine.openStream(reverse, AbortSignal.timeout(600_000));
      await stage.on(source, `UPDATE items SET label = 'forth' WHERE id = ${MOVING[8]}`);
      await caughtUp(stage, forward, stream);
      await stage.on(target, `UPDATE items SET label = 'back' WHERE id = ${MOVING[9]}`);
      await caughtUp(stage, reverse, back);
      await caughtUp(stage, forward, stream);
      assert.equal((await stage.items(source)).get(MOVING[9]!), 'back');
      assert.equal((await stage.items(target)).get(MOVING[8]!), 'forth');
      assert.equal(back.rowsApplied, 1, 'what came forth does not go back');
      assert.equal(stream.rowsApplied, applied + 1, 'what came back does not go forth again');
    });

    test('goes on where it was after a stop, each change once', async () => {
      await stream.stop();
      await stage.on(source, `UPDATE items SET label = concat(label, '!') WHERE id = ${MOVING[10]}`);
      stream = await engine.openStream(forward, AbortSignal.timeout(600_000));
      await caughtUp(stage, forward, stream);
      assert.equal(stream.rowsApplied, 1);
      assert.equal((await stage.items(target)).get(MOVING[10]!), `item ${MOVING[10]}!`);
    });

    test('deletes what has moved, and leaves no trace of itself', async () => {
      await stream.stop();
      await back.stop();
      const removed = await engine.deleteRows(source, MIGRATION, [tasks[0]!], soon());
      assert.equal(removed, MOVING.length - 1);
      assert.deepEqual(
        [...(await stage.items(source)).keys()].sort((a, b) => a - b),
        STAYING,
      );
      for (const address of [source, target])
        for (const name of [MIGRATION, `${MIGRATION}r`, `${MIGRATION}f`])
          await engine.removeTraces(address, name, []);
      assert.deepEqual(await stage.traces(source), []);
      assert.deepEqual(await stage.traces(target), []);
    });
  });
}
