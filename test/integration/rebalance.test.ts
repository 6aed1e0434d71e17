import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Migrations } from '../../src/migration/migrations.js';
import type { Phase } from '../../src/migration/record.js';
import { createPostgresEngine } from '../../src/postgres/engine.js';
import { FileStore } from '../../src/topology/file-store.js';
import { openSnapshot } from '../../src/topology/opening.js';
import { tokenOf } from '../../src/topology/token.js';
import { Topology } from '../../src/topology/topology.js';
import { runSql, startPostgres } from '../cluster.js';
import { keyspaceOf, texts } from '../postgres/engine-fixture.js';

const NAMES = ['a', 'b', 'c'] as const;
const ROWS = 600;

const servers = await startPostgres(after, { count: 3 });
const folder = await mkdtemp(join(tmpdir(), 'ringferry-rebalance-'));
const store = await FileStore.open(folder);
after(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});
const urls = Object.fromEntries(NAMES.map((name, i) => [name, servers[i]!.url()]));
const shards = Object.fromEntries(NAMES.map((name) => [name, { url: urls[name]! }]));
const topology = new Topology(
  await openSnapshot(store, { name: 'shop', home: 'a', ring: { vnodes: 3 }, shards }),
);

for (const name of NAMES) {
  const own = Array.from({ length: ROWS }, (_, i) => i).filter(
    (i) => topology.current.ring.owner(tokenOf(String(i))) === name,
  );
  await runSql(
    urls[name]!,
    'CREATE TABLE items (id bigint PRIMARY KEY, note text)',
    `INSERT INTO items SELECT i, 'first' FROM unnest('{${own.join(',')}}'::bigint[]) i`,
  );
}
const keyspace = await keyspaceOf({ shard: 'a', url: urls['a']! }, { items: 'id:integer' });
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const migrations = new Migrations({
  topology,
  store,
  keyspace: () => keyspace,
  vnodes: 16,
  engine: createPostgresEngine(),
  shardUrl: (shard) => urls[shard],
  config: { parallel: 2, drainTimeoutMs: 2_000, mirrorTimeoutMs: 2_000, maxLagBytes: 1 << 24 },
  log: { ...quiet, child: () => ({ ...quiet, child: () => assert.fail('nobody asks for it') }) },
});
after(() => migrations.stop());

async function reach(id: string, phase: Phase): Promise<void> {
  for (let i = 0; i < 600; i++) {
    const state = migrations.get(id)!;
    if (state.record.phase === phase) return;
    assert.notEqual(state.record.phase, 'failed', state.record.failure?.message);
    await sleep(100);
  }
  assert.fail(`${migrations.get(id)!.record.phase}: ${migrations.get(id)!.waitingFor}`);
}

async function mustBeAtTheirOwners(): Promise<void> {
  const found: string[] = [];
  for (const name of NAMES) {
    for (const id of await texts(urls[name]!, 'SELECT id FROM items')) {
      assert.equal(topology.current.ring.owner(tokenOf(id)), name, `row ${id} on ${name}`);
      found.push(id);
    }
    assert.deepEqual(await texts(urls[name]!, 'SELECT slot_name FROM pg_replication_slots'), []);
  }
  assert.equal(new Set(found).size, ROWS);
  assert.equal(found.length, ROWS);
}

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
  // What is written at the new owners must be on the way back.
  for (const name of NAMES) {
    const ids = (await texts(urls[name]!, 'SELECT id FROM items')).filter(
      (id) => topology.current.ring.owner(tokenOf(id)) === name,
    );
    await runSql(urls[name]!, `UPDATE items SET note = 'second' WHERE id = ANY ('{${ids.join(',')}}')`);
  }
  await migrations.request(first.record.id, 'rollback');
  await reach(first.record.id, 'aborted');
  await mustBeAtTheirOwners();
  const second = await migrations.rebalance({ finish: 'now' });
  await reach(second.record.id, 'done');
  await mustBeAtTheirOwners();
  for (const name of NAMES)
    assert.deepEqual(await texts(urls[name]!, 'SELECT DISTINCT note FROM items'), ['second']);
});
