import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../src/lib/clock.js';
import type { MigrationRecord } from '../../src/migration/record.js';
import { type FakeIoOptions, ringferry as runHere } from './fake-io.js';
import { type FakeServer, startFakeServer } from './fake-server.js';

let server: FakeServer;

beforeEach(async () => {
  server = await startFakeServer();
});
afterEach(() => server.close());

const ringferry = (words: string[], options: FakeIoOptions = {}) =>
  runHere([...words, '--admin', `127.0.0.1:${server.port}`], options);

/** Lets the first migration go through these changes, each after the watch can have seen the one before. */
async function play(...changes: readonly Partial<MigrationRecord>[]): Promise<void> {
  while (server.control.running.length === 0) await systemClock.sleep(10);
  for (const change of changes) {
    await systemClock.sleep(350);
    server.control.advance('m1', change, { lagBytes: 2048, rowsApplied: 7 });
  }
}

const COPY = { source: 'a', table: 'public.orders', rows: 0, bytes: 0, estimatedRows: 1000, isDone: false };

describe('ringferry migrate add-shard', () => {
  it('watches until the migration is switched, in plain lines where nobody looks, and ends with 0', async () => {
    const watched = ringferry([
      'migrate',
      'add-shard',
      'd',
      '--url',
      'postgres://app:p w@h/shop?sslmode=require',
      '--parallel',
      '2',
    ]);
    await play(
      { phase: 'backfilling', copies: [{ ...COPY, rows: 400 }] },
      { phase: 'mirroring', copies: [{ ...COPY, rows: 1000 }] },
      { phase: 'switched', holdMs: 7.123 },
    );
    const { status, out } = await watched;
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(server.control.acts[0]!.slice(6)), {
      database: 'shop',
      kind: 'add-shard',
      shard: 'd',
      url: 'postgres://app:p w@h/shop?sslmode=require',
      options: { parallel: 2 },
    });
    assert.match(out, /^Migration m1: add-shard d, 25 % of the keys of shop move\.\nplanned …\n✔ planned/);
    assert.match(out, /✔ backfilling +[\d.]+ s {2}600 rows, [\d,]+ rows\/s\n/);
    assert.match(out, /held for 7\.12 ms/);
    assert.match(out, /The way back is open \(ringferry migrate rollback m1\)/);
    assert.ok(!out.includes('\x1b'), 'no control sequences in plain lines');
  });

  it('draws a bar with rate and time left on a terminal', async () => {
    const watched = ringferry(['migrate', 'add-shard', 'd'], { isTerminal: true });
    await play(
      { phase: 'backfilling', copies: [{ ...COPY, rows: 100 }] },
      { copies: [{ ...COPY, rows: 400 }] },
      { copies: [{ ...COPY, rows: 600 }] },
      { phase: 'switched' },
    );
    const { out } = await watched;
    assert.match(
      out,
      /\r\x1b\[2K {2}backfilling {3}━{10}─{14} 40 % {2}400 of 1,000 rows {2}[\d,]+ rows\/s {2}[\d.]+ s left/,
    );
  });

  it('ends with 1 when the migration fails, with the reason and the way on', async () => {
    const watched = ringferry(['migrate', 'add-shard', 'd']);
    await play({
      phase: 'failed',
      failure: { phase: 'preparing', message: 'shard a: wal_level is replica' },
    });
    const { status, err } = await watched;
    assert.equal(status, 1);
    assert.match(
      err,
      /failed while preparing: shard a: wal_level is replica\n {2}Mend the cause, then go on: ringferry migrate resume m1, or leave everything as it was: ringferry migrate abort m1/,
    );
  });

  it('ends with 1 when somebody aborts it', async () => {
    const watched = ringferry(['migrate', 'add-shard', 'd']);
    await play({ phase: 'aborting' }, { phase: 'aborted' });
    const { status, err } = await watched;
    assert.equal(status, 1);
    assert.match(err, /did not happen/);
  });

  it('stops at ready with --cutover manual', async () => {
    const watched = ringferry(['migrate', 'add-shard', 'd', '--cutover', 'manual']);
    await play({ phase: 'ready' });
    const { status, out } = await watched;
    assert.equal(status, 0);
    assert.match(out, /Ready: ringferry migrate cutover m1/);
  });

  it('goes on to done with --finish now', async () => {
    const watched = ringferry(['migrate', 'add-shard', 'd', '--finish', 'now']);
    await play({ phase: 'switched' }, { phase: 'done' });
    assert.match((await watched).out, /Done: the way back is given up/);
  });

  it('returns at once with --detach', async () => {
    const { status, out } = await ringferry(['migrate', 'add-shard', 'd', '--detach']);
    assert.equal(status, 0);
    assert.match(out, /m1 has begun\.\nWatch it: ringferry migrate status m1 --watch/);
  });

  it('only says what would move with --dry-run, and ends with 1 when something forbids it', async () => {
    const good = await ringferry(['migrate', 'add-shard', 'd', '--dry-run']);
    assert.equal(good.status, 0);
    assert.match(good.out, /a +d +1 +25\n[\s\S]*public\.orders +1000[\s\S]*dry run/);
    const bad = await ringferry(['migrate', 'add-shard', 'd', '--url', 'postgres://bad/shop', '--dry-run']);
    assert.equal(bad.status, 1);
    assert.match(bad.out, /forbidden by shard d: wal_level is replica\n {4}set wal_level = logical/);
    assert.deepEqual(server.control.acts, []);
  });

  it('tells every change as a line of JSON with --json', async () => {
    const watched = ringferry(['migrate', 'add-shard', 'd', '--json']);
    await play({ phase: 'backfilling' }, { phase: 'switched' });
    const phases = (await watched).out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).phase);
    assert.deepEqual(phases, ['planned', 'backfilling', 'switched']);
  });

  it('survives a lost connection: the migration goes on in the server', async () => {
    const watched = ringferry(['migrate', 'add-shard', 'd']);
    await play({ phase: 'backfilling' });
    await systemClock.sleep(300);
    server.cut();
    await play({ phase: 'switched' });
    const { status, out } = await watched;
    assert.equal(status, 0, out);
    assert.match(out, /the connection was lost; the migration goes on/);
  });
});

describe('ringferry migrate remove-shard and rebalance', () => {
  it('start what they say', async () => {
    await ringferry(['migrate', 'remove-shard', 'b', '--detach', '--database', 'shop']);
    await ringferry(['migrate', 'rebalance', '--detach', '--finish', 'after=10m']);
    const asked = server.control.acts.map((act) => JSON.parse(act.slice(6)));
    assert.deepEqual(
      asked.map(({ kind, shard, options }) => [kind, shard, options]),
      [
        ['remove-shard', 'b', {}],
        ['rebalance', undefined, { finish: { afterMs: 600_000 } }],
      ],
    );
  });
});

describe('a migration that runs', () => {
  beforeEach(async () => {
    await server.control.startMigration({
      database: 'shop',
      kind: 'add-shard',
      shard: 'd',
      url: undefined,
      options: {},
    });
    server.control.acts.length = 0;
  });

  for (const [action, end] of [
    ['cutover', 'switched'],
    ['rollback', 'aborted'],
    ['finish', 'done'],
    ['abort', 'aborted'],
  ] as const) {
    it(`is steered and watched until it is ${end}: ${action}`, async () => {
      const watched = ringferry(['migrate', action, 'm1']);
      await play({ phase: end });
      const { status, out } = await watched;
      assert.equal(status, 0);
      assert.deepEqual(server.control.acts, [`${action} m1`]);
      assert.match(out, new RegExp(`${action} of m1: ${end}\\.\\n$`));
    });
  }

  it('needs no id while it is the only one', async () => {
    assert.equal((await ringferry(['migrate', 'pause'])).status, 0);
    assert.deepEqual(server.control.acts, ['pause m1']);
    await server.control.startMigration({
      database: 'shop',
      kind: 'rebalance',
      shard: undefined,
      url: undefined,
      options: {},
    });
    assert.match(
      (await ringferry(['migrate', 'pause'])).err,
      /say which migration is meant\n {2}Running are m1, m2/,
    );
  });

  it('is verified: differences make the status 1', async () => {
    server.control.advance('m1', {
      verification: { comparedRows: 1200, differences: 0, repaired: 0, finishedAt: '' },
    });
    const good = await ringferry(['migrate', 'verify', 'm1']);
    assert.equal(good.status, 0);
    assert.match(good.out, /1,200 rows compared, 0 differences, 0 repaired/);
    server.control.advance('m1', {
      verification: { comparedRows: 1200, differences: 3, repaired: 3, finishedAt: '' },
    });
    assert.equal((await ringferry(['migrate', 'verify', 'm1'])).status, 1);
  });

  it('is listed, told and watched by status', async () => {
    assert.match((await ringferry(['migrate', 'status'])).out, /m1 +shop +add-shard +d +planned/);
    assert.match(
      (await ringferry(['migrate', 'status', 'm1'])).out,
      /move a to d +1 ranges, 25 % of the keys/,
    );
    assert.equal(JSON.parse((await ringferry(['migrate', 'status', '--json'])).out).rows[0].id, 'm1');
    const watched = ringferry(['migrate', 'status', '--watch']);
    await play({ phase: 'switched' });
    assert.match((await watched).out, /m1: switched\n$/);
    assert.match((await ringferry(['migrate', 'status', 'nope'])).err, /no migration nope/);
  });
});
