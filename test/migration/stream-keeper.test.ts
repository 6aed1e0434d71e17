import assert from 'node:assert/strict';
import test from 'node:test';
import type { AppliedStream } from '../../src/migration/engine.js';
import { StreamKeeper } from '../../src/migration/stream-keeper.js';
import type { World } from '../../src/migration/world.js';
import { VirtualTime } from '../simulation/virtual-time.js';
import { SPEC } from './stream-spec.js';

class ScriptedStream implements AppliedStream {
  applied = '0';
  lagBytes = 5;
  transactionsApplied = 0;
  rowsApplied = 0;
  isStopped = false;
  readonly ended: Promise<void>;
  end!: () => void;
  break!: (error: Error) => void;
  readonly waiting: { position: string; resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor() {
    this.ended = new Promise((resolve, reject) => {
      this.end = resolve;
      this.break = reject;
    });
  }

  waitFor(position: string): Promise<void> {
    return new Promise((resolve, reject) => this.waiting.push({ position, resolve, reject }));
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.end();
  }
}

function stage(isEndless = false) {
  const time = new VirtualTime(1);
  const streams: ScriptedStream[] = [];
  const openErrors: Error[] = [];
  const broken: Error[] = [];
  const world = {
    clock: time,
    log: { warn: () => {} },
    engine: {
      isPassing: () => false,
      openStream: async () => {
        const error = openErrors.shift();
        if (error !== undefined) throw error;
        const stream = new ScriptedStream();
        streams.push(stream);
        return stream;
      },
    },
  } as unknown as World;
  const keeper = new StreamKeeper(world, SPEC, isEndless, (error) => broken.push(error));
  keeper.start();
  const pass = (ms = 50) => time.run(() => false, ms);
  return { keeper, streams, openErrors, broken, pass };
}

const LOST = Object.assign(new Error('connection terminated'), { code: 'ECONNRESET' });

test('a stream whose connection is lost is opened again, and who waited goes on waiting on the new one', async () => {
  const { keeper, streams, pass } = stage();
  await pass();
  let isThere = false;
  void keeper.waitFor('7').then(() => {
    isThere = true;
  });
  streams[0]!.waiting[0]!.reject(LOST);
  streams[0]!.break(LOST);
  await pass(500);
  assert.equal(streams.length, 2);
  assert.equal(isThere, false);
  assert.equal(streams[1]!.waiting[0]!.position, '7');
  streams[1]!.waiting[0]!.resolve();
  await pass();
  assert.equal(isThere, true);
});

test('rows applied are counted over reopenings', async () => {
  const { keeper, streams, pass } = stage();
  await pass();
  streams[0]!.rowsApplied = 10;
  streams[0]!.break(LOST);
  await pass(500);
  streams[1]!.rowsApplied = 5;
  assert.equal(keeper.rowsApplied, 15);
  assert.equal(keeper.opened, 2);
});

test('lost connections are endured for ever, but an error that keeps coming is told once and rejects who waits', async () => {
  const { keeper, streams, broken, openErrors, pass } = stage();
  await pass();
  for (let i = 0; i < 20; i++) openErrors.push(LOST);
  streams[0]!.break(LOST);
  await pass(300_000);
  assert.equal(broken.length, 0);
  assert.equal(streams.length, 2);
  const waiting = keeper.waitFor('1');
  waiting.catch(() => {});
  for (let i = 0; i < 3; i++) {
    streams.at(-1)!.break(new Error('duplicate key value violates unique constraint'));
    await pass(60_000);
  }
  assert.equal(broken.length, 1);
  await assert.rejects(waiting, /duplicate key/);
  await assert.rejects(keeper.waitFor('2'), /duplicate key/);
});

test('the way back is never given up by itself', async () => {
  const { streams, broken, pass } = stage(true);
  await pass();
  for (let i = 0; i < 10; i++) {
    streams.at(-1)!.break(new Error('duplicate key value violates unique constraint'));
    await pass(60_000);
  }
  assert.equal(broken.length, 0);
  assert.equal(streams.length, 11);
});

test('stop ends the running stream, rejects who waits, and opens no other', async () => {
  const { keeper, streams, pass } = stage();
  await pass();
  const waiting = keeper.waitFor('1');
  waiting.catch(() => {});
  await keeper.stop();
  await keeper.stop();
  assert.equal(streams[0]!.isStopped, true);
  await assert.rejects(waiting, /was stopped/);
  await pass(60_000);
  assert.equal(streams.length, 1);
  await assert.rejects(keeper.waitFor('2'), /was stopped/);
});
