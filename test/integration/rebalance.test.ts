import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '../../src/lib/log.js';
import { Migrations } from '../../src/migration/migrations.js';
import type { Phase } from '../../src/migration/record.js';
import { FileStore } from '../../src/topology/file-store.js';
import { openSnapshot } from '../../src/topology/opening.js';
import { tokenOf } from '../../src/topology/token.js';
import { Topology } from '../../src/topology/topology.js';
import { lastFirst } from '../cluster.js';
import { connectTo, WINGS, type WingContract } from '../contracts/wings.js';

const NAMES = ['a', 'b', 'c'] as const;
const ROWS = 600;

const atEnd = lastFirst(after);

/** Three shards with `items`, whose rows are at their owners, and what moves them. */
async function openStage(wing: WingContract) {
  const { engine } = wing;
  const servers = await engine.start(atEnd, NAMES.length);
  const folder = await mkdtemp(join(tmpdir(), 'ringferry-rebalance-'));
  const store = await FileStore.open(folder);
  atEnd(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const urls = Object.fromEntries(NAMES.map((name, i) => [name, servers[i]!.url(engine.database)]));
  const shards = Object.fromEntries(NAMES.map((name) => [name, { url: urls[name]! }]));
  const topology = new Topology(
    await openSnapshot(store, { name: 'shop', home: 'a', ring: { vnodes: 3 }, shards }),
  );
  const ownerOf = (id: unknown) => topology.current.ring.owner(tokenOf(String(id)));
  for (const name of NAMES) {
    const own = Array.from({ length: ROWS }, (_, id) => id).filter((id) => ownerOf(id) === name);
    await engine.run(
      urls[name]!,
      'CREATE TABLE items (id bigint PRIMARY KEY, note varchar(20))',
      'CREATE TABLE colours (name varchar(20) NOT NULL PRIMARY KEY)',
      `INSERT INTO items VALUES ${own.map((id) => `(${id}, 'first')`).join(', ')}`,
    );
  }
  const backend = await connectTo(wing, servers[0]!, atEnd);
  const keyspace = await wing.readKeyspace((sql) => backend.rows(sql), engine.database);
  const migrations = new Migrations({
    topology,
    store,
    keyspace: () => keyspace,
    vnodes: 16,
    engine: wing.createEngine(createLog('silent')),
    shardUrl: (shard) => urls[shard],
    config: { parallel: 2, drainTimeoutMs: 2_000, mirrorTimeoutMs: 2_000, maxLagBytes: 1 << 24 },
    log: createLog('silent'),
  });
  atEnd(() => migrations.stop());
  const idsOn = async (name: string) =>
    (await engine.run(urls[name]!, 'SELECT id FROM items')).map((row) => row['id']);

  return {
    migrations,
    idsOn,
    ownerOf,

    /** What is written at the owners while there is a way back must be on it. */
    async note(text: string): Promise<void> {
      for (const name of NAMES) {
        const ids = (await idsOn(name)).filter((id) => ownerOf(id) === name);
        await engine.run(
          urls[name]!,
          `UPDATE items SET note = '${text}' WHERE id IN (${[-1, ...ids].join(', ')})`,
        );
      }
    },

    async reach(id: string, phase: Phase): Promise<void> {
      for (let i = 0; i < 600; i++) {
        const state = migrations.get(id)!;
        if (state.record.phase === phase) return;
        assert.notEqual(state.record.phase, 'failed', state.record.failure?.message);
        await sleep(100);
      }
      assert.fail(`${migrations.get(id)!.record.phase}: ${migrations.get(id)!.waitingFor}`);
    },

    async mustBeAtTheirOwners(note: string): Promise<void> {
      const found: string[] = [];
      for (const name of NAMES) {
        for (const id of await idsOn(name)) {
          assert.equal(ownerOf(id), name, `row ${id} on ${name}`);
          found.push(String(id));
        }
        const others = await engine.run(urls[name]!, `SELECT * FROM items WHERE note <> '${note}'`);
        assert.deepEqual(others, [], name);
        assert.deepEqual(await engine.traces(urls[name]!), [], name);
      }
      assert.equal(new Set(found).size, ROWS);
      assert.equal(found.length, ROWS);
    },
  };
}

// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages: [WingContract, Awaited<ReturnType<typeof openStage>>][] = [];
for (const wing of WINGS) stages.push([wing, await openStage(wing)]);

for (const [wing, { migrations, note, reach, mustBeAtTheirOwners, idsOn }] of stages) {
  describe(`several sources and several targets: ${wing.name}`, () => {
    test('a rebalance in which shards give rows to each other keeps every row, once rolled back and once finished', {
      timeout: 120_000,
    }, async () => {
      const first = await migrations.rebalance();
      const pairs = first.record.moves.map(({ source, target }) => `${source}${target}`);
      assert.ok(
        pairs.some((pair) => pairs.includes(`${pair[1]}${pair[0]}`)),
        `both ways: ${pairs}`,
      );
      await reach(first.record.id, 'switched');
      await note('second');
      await migrations.request(first.record.id, 'rollback');
      await reach(first.record.id, 'aborted');
      await mustBeAtTheirOwners('second');
      const second = await migrations.rebalance({ finish: 'now' });
      await reach(second.record.id, 'done');
      await mustBeAtTheirOwners('second');
    });

    test('a shard that goes gives its rows to all others, once rolled back and once finished', {
      timeout: 120_000,
    }, async () => {
      const first = await migrations.removeShard('c');
      const targets = new Set(first.record.moves.map(({ source, target }) => `${source}${target}`));
      assert.deepEqual([...targets].sort(), ['ca', 'cb']);
      await reach(first.record.id, 'switched');
      await note('third');
      await migrations.request(first.record.id, 'rollback');
      await reach(first.record.id, 'aborted');
      await mustBeAtTheirOwners('third');
      assert.ok((await idsOn('c')).length > ROWS / 10, 'it has its rows again');
      const second = await migrations.removeShard('c', { finish: 'now' });
      await reach(second.record.id, 'done');
      await mustBeAtTheirOwners('third');
      assert.deepEqual(await idsOn('c'), []);
    });
  });
}
