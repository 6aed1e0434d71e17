import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { PoolConfig } from '../../src/config/config.js';
import { OperatingError } from '../../src/lib/errors.js';
import { Pool } from '../../src/pool/pool.js';
import { answers } from '../../src/postgres/answers.js';
import { connectBackend } from '../../src/postgres/backend.js';
import { encodeReadyForQuery } from '../../src/postgres/backend-messages.js';
import { type ScriptedPeer, ScriptedServer } from '../fakes/scripted-server.js';
import { request as requests } from '../postgres/wire-requests.js';

const NOBODY = {
  onBytes: () => true,
  onError: () => {},
  onCommandTag: () => {},
  onCopyIn: () => {},
  onParameter: () => {},
  onEnd: () => {},
  onBroken: () => {},
  onMoved: () => {},
};

const pools: Pool[] = [];
const servers: ScriptedServer[] = [];

afterEach(async () => {
  for (const pool of pools.splice(0)) void pool.close(true);
  for (const server of servers.splice(0)) await server.stop();
});

/** Logs everybody in and answers every query. */
async function kindly(peer: ScriptedPeer): Promise<void> {
  peer.welcome();
  for (;;) {
    await peer.expect('Q');
    peer.send(answers.commandComplete('DISCARD ALL'), encodeReadyForQuery('idle'));
  }
}

async function start(
  script: (peer: ScriptedPeer) => Promise<void> | void = kindly,
  port = 0,
): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(script, port);
  servers.push(server);
  return server;
}

function poolOf(url: string, facts: Partial<PoolConfig> = {}): Pool {
  const config: PoolConfig = {
    mode: 'transaction',
    size: 2,
    pipeline: 1,
    waitTimeoutMs: 2_000,
    connectTimeoutMs: 1_000,
    idleTimeoutMs: 0,
    maxLifetimeMs: 0,
    preparedStatements: 100,
    ...facts,
  };
  const target = { shard: 'b', url, user: 'app', password: undefined, database: 'shop' };
  const pool = new Pool(connectBackend, target, new Map(), config);
  pools.push(pool);
  return pool;
}

const failsWith = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof OperatingError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

const moment = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

describe('the pool', () => {
  test('opens connections when they are wanted, up to its size, and lends them again at once', async () => {
    const server = await start();
    const pool = poolOf(server.url);
    assert.equal(pool.tryLease(), undefined);
    const [one, two] = await Promise.all([pool.lease(), pool.lease()]);
    assert.deepEqual([pool.active, pool.idle, pool.connecting, server.connections], [2, 0, 0, 2]);
    pool.release(one);
    assert.equal(pool.tryLease(), one);
    pool.release(one);
    pool.release(two);
    assert.deepEqual([pool.active, pool.idle], [0, 2]);
    assert.equal(await pool.lease(), two, 'the one used last is lent first');
    assert.equal(server.connections, 2);
  });

  test('serves who waits in the order of coming, and nobody passes them by', async () => {
    const server = await start();
    const pool = poolOf(server.url, { size: 1 });
    const only = await pool.lease();
    const order: number[] = [];
    const waits = [1, 2, 3].map(async (n) => {
      const backend = await pool.lease();
      order.push(n);
      pool.release(backend);
    });
    assert.equal(pool.waiting, 3);
    assert.ok(pool.waits.oldestWaitMs >= 0);
    pool.release(only);
    assert.equal(pool.tryLease(), undefined, 'the one given back is promised already');
    await Promise.all(waits);
    assert.deepEqual(order, [1, 2, 3]);
    assert.ok(pool.waits.maxWaitMs > 0);
  });

  test('says after the limit that none became free, of which shard, and how many are in use', async () => {
    const server = await start();
    const pool = poolOf(server.url, { size: 1, waitTimeoutMs: 50 });
    const only = await pool.lease();
    await assert.rejects(pool.lease(), (error: unknown) => {
      failsWith('pool-timeout', /no connection to shard "b" became free within 50 ms/)(error);
      assert.match((error as OperatingError).detail ?? '', /1 of 1 are in use/);
      return true;
    });
    assert.equal(pool.waits.timeoutsTotal, 1);
    assert.equal(pool.waiting, 0);
    pool.release(only);
    assert.equal(await pool.lease(), only, 'who gave up does not take one later');
  });

  test('lets go who is cancelled while waiting', async () => {
    const server = await start();
    const pool = poolOf(server.url, { size: 1 });
    const only = await pool.lease();
    const abort = new AbortController();
    const waiting = pool.lease(abort.signal);
    abort.abort(new OperatingError('cancelled', 'by request'));
    await assert.rejects(waiting, failsWith('cancelled', /by request/));
    assert.equal(pool.waiting, 0);
    await assert.rejects(pool.lease(abort.signal), failsWith('cancelled', /by request/));
    pool.release(only);
  });

  test('replaces connections that are broken, in doubt, or in a transaction', async () => {
    const server = await start(async (peer) => {
      peer.welcome();
      await peer.expect('Q');
      peer.send(answers.commandComplete('BEGIN'), encodeReadyForQuery('open'));
    });
    const pool = poolOf(server.url, { size: 1 });
    const first = await pool.lease();
    pool.release(first, { discard: true });
    assert.ok(first.isBroken);
    const second = await pool.lease();
    assert.notEqual(second, first);
    await second.run('BEGIN');
    pool.release(second);
    assert.ok(second.isBroken, 'it was in a transaction');
    const third = await pool.lease();
    const busy = third.rows('SELECT 1').catch(() => 'gone');
    pool.release(third);
    assert.ok(third.isBroken, 'it was busy');
    await busy;
    assert.deepEqual([pool.active, pool.idle], [0, 0]);
  });

  test('forgets idle connections that the server closes', async () => {
    const peers: ScriptedPeer[] = [];
    const server = await start((peer) => {
      peers.push(peer);
      return kindly(peer);
    });
    const pool = poolOf(server.url);
    pool.release(await pool.lease());
    assert.equal(pool.idle, 1);
    peers[0]!.socket.destroy();
    await moment();
    assert.equal(pool.idle, 0);
    assert.ok(!(await pool.lease()).isBroken);
  });

  test('resets what is given back dirty before anyone else gets it, and throws it away when that fails', async () => {
    let resets = 0;
    const server = await start(async (peer) => {
      peer.welcome();
      for (;;) {
        await peer.expect('Q');
        if (++resets === 2)
          peer.send(answers.error(new OperatingError('internal', 'no')), encodeReadyForQuery('idle'));
        else peer.send(answers.commandComplete('DISCARD ALL'), encodeReadyForQuery('idle'));
      }
    });
    const pool = poolOf(server.url, { size: 1 });
    const first = await pool.lease();
    first.settings = 'SET x';
    pool.release(first, { reset: true });
    assert.equal(pool.tryLease(), undefined, 'it is being reset');
    const again = await pool.lease();
    assert.equal(again, first);
    assert.equal(again.settings, '');
    pool.release(again, { reset: true });
    const other = await pool.lease();
    assert.notEqual(other, first);
    assert.equal(resets, 2);
  });

  test('tells everyone who waits at once that the shard cannot be reached, and tries no more than now and then', async () => {
    const server = await start();
    const { port, url } = server;
    await server.stop();
    const pool = poolOf(url, { size: 5, waitTimeoutMs: 10_000 });
    const startedMs = performance.now();
    const failures = await Promise.allSettled(Array.from({ length: 20 }, () => pool.lease()));
    for (const failure of failures) {
      assert.equal(failure.status, 'rejected');
      failsWith(
        'shard-connect-failed',
        /shard "b" at 127\.0\.0\.1:\d+: connect ECONNREFUSED/,
      )((failure as PromiseRejectedResult).reason);
    }
    for (let n = 0; n < 1000; n++)
      await assert.rejects(pool.lease(), failsWith('shard-connect-failed', /shard "b"/));
    assert.ok(performance.now() - startedMs < 1_500);
    assert.ok(pool.connectFailuresTotal < 20, `${pool.connectFailuresTotal} attempts`);
    await start(kindly, port);
    let backend: unknown;
    for (let n = 0; n < 100 && backend === undefined; n++) {
      backend = await pool.lease().catch(() => moment(20).then(() => undefined));
    }
    assert.ok(backend !== undefined, 'it is back when the shard is back');
  });

  test('lets those who can wait for a connection in use go on waiting when no other can be made', async () => {
    let isFull = false;
    const server = await start((peer) => {
      if (isFull)
        peer.send(answers.error(new OperatingError('too-many-clients', 'sorry, too many clients already')));
      else void kindly(peer);
    });
    const pool = poolOf(server.url, { size: 5 });
    const only = await pool.lease();
    isFull = true;
    const waiting = pool.lease();
    await moment(50);
    assert.equal(pool.waiting, 1);
    pool.release(only);
    assert.equal(await waiting, only);
  });

  test('says that a shard does not answer in time', async () => {
    const server = await start(() => {});
    const pool = poolOf(server.url, { connectTimeoutMs: 80 });
    await assert.rejects(pool.lease(), failsWith('shard-connect-failed', /no answer in time/));
    assert.equal(pool.connecting, 0);
  });

  test('closes connections that were idle or alive for too long', async () => {
    const server = await start();
    const idle = poolOf(server.url, { idleTimeoutMs: 100 });
    idle.release(await idle.lease());
    await moment(1_300);
    assert.equal(idle.idle, 0);
    const old = poolOf(server.url, { maxLifetimeMs: 60 });
    const backend = await old.lease();
    old.release(backend);
    assert.equal(old.tryLease(), backend);
    await moment(80);
    old.release(backend);
    assert.deepEqual([old.idle, backend.isBroken], [0, true]);
  });

  test('pauses when all leases have come back, and goes on when resumed', async () => {
    const server = await start();
    const pool = poolOf(server.url);
    const one = await pool.lease();
    let isPaused = false;
    const pausing = pool.pause().then(() => {
      isPaused = true;
    });
    await moment();
    assert.equal(isPaused, false);
    assert.equal(pool.tryLease(), undefined);
    const waiting = pool.lease();
    pool.release(one);
    await pausing;
    assert.deepEqual([pool.active, pool.idle, pool.waiting], [0, 0, 1]);
    pool.resume();
    assert.ok((await waiting) !== undefined);
  });

  test('replaces every connection when told to reconnect', async () => {
    const server = await start();
    const pool = poolOf(server.url);
    const [one, two] = await Promise.all([pool.lease(), pool.lease()]);
    pool.release(one);
    pool.reconnect();
    assert.ok(one.isBroken);
    assert.ok(!two.isBroken);
    pool.release(two);
    assert.ok(two.isBroken);
    await moment();
    const fresh = await pool.lease();
    pool.release(fresh);
    assert.equal(pool.tryLease(), fresh);
  });

  test('closes when all is given back, refuses new leases, and leaves nobody waiting', async () => {
    const server = await start();
    const pool = poolOf(server.url, { size: 1 });
    const one = await pool.lease();
    const waiting = assert.rejects(pool.lease(), failsWith('shutting-down', /shard "b"/));
    let isClosed = false;
    const closing = pool.close().then(() => {
      isClosed = true;
    });
    await waiting;
    await assert.rejects(pool.lease(), failsWith('shutting-down', /shard "b"/));
    await moment();
    assert.equal(isClosed, false);
    pool.release(one);
    await closing;
    assert.ok(one.isBroken);
  });

  test('keeps lanes for reads, and closes one of them when somebody waits for a backend of its own', async () => {
    const answer: (() => void)[] = [];
    const server = await start(async (peer) => {
      peer.welcome();
      for (;;) {
        await peer.expect('Q');
        await new Promise<void>((resolve) => answer.push(resolve));
        peer.send(answers.commandComplete('SELECT 0'), encodeReadyForQuery('idle'));
      }
    });
    const pool = poolOf(server.url, { pipeline: 2 });
    const request = requests.query('SELECT 1');
    const reads = (count: number) => {
      for (let n = 0; n < count; n++) {
        const lane = pool.join(request, '')!;
        lane.line.join(request, { ...NOBODY, onEnd: () => pool.lanes.left(lane) });
      }
    };
    assert.equal(pool.join(request, ''), undefined, 'there is no connection yet');
    const backends = await Promise.all([pool.lease(), pool.lease()]);
    for (const backend of backends) pool.release(backend);
    reads(3);
    assert.deepEqual([pool.active, pool.idle], [2, 0], 'a full line, and a second one');
    const waiting = pool.lease();
    const open = pool.join(request, '');
    assert.equal(open, undefined, 'the line that stays open is full, the other one ends');
    while (pool.waits.size > 0) {
      answer.shift()?.();
      await moment(1);
    }
    assert.ok((await waiting).isBusy === false);
  });

  test('closes although nobody waits any more for what a shared backend still does', async () => {
    const answer: (() => void)[] = [];
    const server = await start(async (peer) => {
      peer.welcome();
      await peer.expect('Q');
      await new Promise<void>((resolve) => answer.push(resolve));
      peer.send(answers.commandComplete('SELECT 0'), encodeReadyForQuery('idle'));
    });
    const pool = poolOf(server.url, { pipeline: 2 });
    pool.release(await pool.lease());
    const request = requests.query('SELECT 1');
    const lane = pool.join(request, '')!;
    lane.line.join(request, NOBODY);
    lane.line.giveUp(NOBODY);
    const closing = pool.close();
    while (answer.length === 0) await moment(1);
    answer[0]!();
    await closing;
    assert.equal(pool.active, 0);
  });
});
