import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { OperatingError } from '../../src/lib/errors.js';
import { FileStore } from '../../src/topology/file-store.js';
import { firstSnapshot, openSnapshot } from '../../src/topology/opening.js';
import type { Snapshot } from '../../src/topology/snapshot.js';
import { codeArguments, sourceUrl } from '../child-program.js';

const CONFIG = {
  name: 'shop',
  home: 'a',
  ring: { vnodes: 4 },
  shards: { a: { url: 'postgres://x:secret@h/a' }, b: { url: 'postgres://x:secret@h/b' } },
};

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ringferry-store-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function openStore(t: TestContext, path: string): Promise<FileStore> {
  const store = await FileStore.open(path);
  t.after(() => store.close().catch(() => {}));
  return store;
}

function refusal(message: RegExp) {
  return (thrown: unknown): boolean => {
    const error = thrown as OperatingError;
    assert.equal(error.code, 'configuration', String(thrown));
    assert.match(error.message, message);
    assert.ok((error.hint ?? '').length > 10, 'it says what to do');
    return true;
  };
}

test('a first start makes the ring from the config, and the next start finds it though the config says other vnodes', async (t) => {
  const path = await folder(t);
  const first = await FileStore.open(path);
  const made = await openSnapshot(first, CONFIG);
  assert.equal(made.epoch, 1);
  await first.close();
  const found = await openSnapshot(await openStore(t, path), { ...CONFIG, ring: { vnodes: 9 } });
  assert.deepEqual(found.ring.points, made.ring.points);
  assert.equal(found.shards[0]!.url, CONFIG.shards.a.url);
});

test('everything of a snapshot survives: ring, moves, shards added by URL', async (t) => {
  const path = await folder(t);
  const store = await FileStore.open(path);
  const first = await openSnapshot(store, CONFIG);
  const next: Snapshot = {
    ...first,
    epoch: 2,
    shards: [...first.shards, { name: 'c', url: 'postgres://h/c', isServing: false, origin: 'store' }],
    moves: [
      {
        migration: 'm1',
        source: 'a',
        target: 'c',
        ranges: [{ low: -(2n ** 63n), high: 2n ** 63n - 1n }],
        state: 'mirrored',
      },
    ],
  };
  await store.compareAndSwap('shop', 1, next);
  await store.close();
  const found = await openSnapshot(await openStore(t, path), CONFIG);
  assert.deepEqual({ ...found, ring: found.ring.points }, { ...next, ring: next.ring.points });
});

test('URLs that the config knows are not written to the store, and its files are private', async (t) => {
  const path = await folder(t);
  await openSnapshot(await openStore(t, path), CONFIG);
  const file = join(path, 'db-shop', 'topology.json');
  assert.doesNotMatch(await readFile(file, 'utf8'), /secret/);
  assert.equal((await stat(file)).mode & 0o077, 0);
});

test('a swap that expects another epoch is refused and changes nothing', async (t) => {
  const store = await openStore(t, await folder(t));
  const first = await openSnapshot(store, CONFIG);
  await assert.rejects(store.compareAndSwap('shop', 7, { ...first, epoch: 8 }), /at epoch 1, not 7/);
  const swaps = await Promise.allSettled(
    [1, 2, 3].map(() => store.compareAndSwap('shop', 1, { ...first, epoch: 2 })),
  );
  assert.deepEqual(swaps.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected']);
  assert.equal((await store.load('shop'))?.epoch, 2);
});

test('a damaged topology is refused with the name of its file, never guessed', async (t) => {
  const path = await folder(t);
  const store = await openStore(t, path);
  await openSnapshot(store, CONFIG);
  const file = join(path, 'db-shop', 'topology.json');
  const text = await readFile(file, 'utf8');
  const owner = text.indexOf('"a"', text.indexOf('points'));
  const damages = [
    '',
    '{',
    text.slice(0, -20),
    `${text.slice(0, owner)}"b"${text.slice(owner + 3)}`,
    text.replace('"format": 1', '"format": 2'),
  ];
  for (const damaged of damages) {
    await writeFile(file, damaged);
    await assert.rejects(store.load('shop'), refusal(/db-shop\/topology\.json cannot be read/));
  }
});

test('a topology that is missing though migrations ran is refused, not begun anew', async (t) => {
  const path = await folder(t);
  const store = await openStore(t, path);
  await openSnapshot(store, CONFIG);
  await store.saveMigration('shop', { id: 'm1' });
  await rm(join(path, 'db-shop', 'topology.json'));
  await assert.rejects(openSnapshot(store, CONFIG), refusal(/it is missing, though migrations/));
});

test('a config without a shard that holds rows is refused, one with another home too, and a new URL is taken', async (t) => {
  const store = await openStore(t, await folder(t));
  await openSnapshot(store, CONFIG);
  await assert.rejects(
    openSnapshot(store, { ...CONFIG, shards: { a: CONFIG.shards.a } }),
    refusal(/shard "b" .* missing in the config/),
  );
  await assert.rejects(openSnapshot(store, { ...CONFIG, home: 'b' }), refusal(/home .* are on "a"/));
  const moved = await openSnapshot(store, {
    ...CONFIG,
    shards: { ...CONFIG.shards, b: { url: 'postgres://elsewhere/b' } },
  });
  assert.equal(moved.shards.find(({ name }) => name === 'b')?.url, 'postgres://elsewhere/b');
});

test('a shard that the config names and the ring does not know is not part of the topology yet', async (t) => {
  const store = await openStore(t, await folder(t));
  await openSnapshot(store, CONFIG);
  const found = await openSnapshot(store, {
    ...CONFIG,
    shards: { ...CONFIG.shards, c: { url: 'postgres://h/c' } },
  });
  assert.deepEqual(
    found.shards.map(({ name }) => name),
    ['a', 'b'],
  );
});

test('what a crash left half-written is not read', async (t) => {
  const path = await folder(t);
  const store = await openStore(t, path);
  await openSnapshot(store, CONFIG);
  await store.saveMigration('shop', { id: 'm1', phase: 'ready' });
  await writeFile(join(path, 'db-shop', 'topology.json.unfinished'), '{"half');
  await writeFile(join(path, 'db-shop', 'migrations', 'm2.json.unfinished'), '{"half');
  assert.equal((await store.load('shop'))?.epoch, 1);
  assert.deepEqual(await store.migrations('shop'), [{ id: 'm1', phase: 'ready' }]);
  assert.deepEqual(await readdir(join(path, 'db-shop', 'migrations')), ['m1.json']);
});

test('databases with strange names have folders of their own', async (t) => {
  const path = await folder(t);
  const store = await openStore(t, path);
  for (const name of ['..', '.', '*', 'a/b', 'Ä', 'shop']) await openSnapshot(store, { ...CONFIG, name });
  for (const name of ['..', '.', '*', 'a/b', 'Ä', 'shop'])
    assert.equal((await store.load(name))?.database, name);
  assert.equal((await readdir(path)).filter((name) => name.startsWith('db-')).length, 6);
});

test('a migration whose id could leave the folder is refused', async (t) => {
  const store = await openStore(t, await folder(t));
  assert.throws(() => store.saveMigration('shop', { id: '../x' }), RangeError);
});

test('a folder in use is refused by name, also to the same process, and is free after close', async (t) => {
  const path = await folder(t);
  const store = await FileStore.open(path);
  await assert.rejects(FileStore.open(path), refusal(new RegExp(`process ${process.pid} is using it`)));
  await store.close();
  await (await FileStore.open(path)).close();
});

test('the lock of a process that was killed is taken over', async (t) => {
  const path = await folder(t);
  const script = `import { FileStore } from '${sourceUrl('src/topology/file-store')}';
    FileStore.open(process.argv[1]).then(() => { console.log('open'); setInterval(() => {}, 1000); });`;
  const child = spawn(process.execPath, [...codeArguments(script), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await assert.rejects(FileStore.open(path), refusal(new RegExp(`process ${child.pid} is using it`)));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  await (await FileStore.open(path)).close();
});

test('a lock whose process number now belongs to another process is taken over', async (t) => {
  const path = await folder(t);
  const store = await FileStore.open(path);
  const lock = JSON.parse(await readFile(join(path, 'lock'), 'utf8')) as object;
  await store.close();
  await writeFile(join(path, 'lock'), JSON.stringify({ ...lock, processStart: 'another boot/1' }));
  await (await FileStore.open(path)).close();
});

test('the lock of another host is respected while it is fresh', async (t) => {
  const path = await folder(t);
  const lock = { pid: 1, host: 'elsewhere', processStart: '', nonce: 'x' };
  await writeFile(join(path, 'lock'), JSON.stringify(lock));
  await assert.rejects(FileStore.open(path), refusal(/on host elsewhere is using it/));
});

test('of many processes that take over a stale lock at once, one gets it', async (t) => {
  const path = await folder(t);
  const lock = {
    pid: 2 ** 22 + 1,
    host: (await import('node:os')).hostname(),
    processStart: 'gone',
    nonce: 'x',
  };
  await writeFile(join(path, 'lock'), JSON.stringify(lock));
  const opened = await Promise.allSettled(Array.from({ length: 8 }, () => FileStore.open(path)));
  const stores = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  assert.equal(stores.length, 1);
  await stores[0]!.close();
  assert.deepEqual(
    (await readdir(path)).filter((name) => name.startsWith('lock')),
    [],
  );
});

test('a first snapshot is the same on every machine', () => {
  assert.equal(firstSnapshot(CONFIG).ring.points[0]!.token, firstSnapshot(CONFIG).ring.points[0]!.token);
  assert.equal(firstSnapshot(CONFIG).ring.points.length, 8);
});
