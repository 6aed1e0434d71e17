import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { encodeCancelRequest } from '../../src/postgres/frontend-messages.js';
import { lastFirst } from '../cluster.js';
import { POSTGRES_TESTS, type TestServer } from '../engines.js';
import { eventually } from './eventually.js';
import { makeProxyProcess } from './harness.js';
import { mustHaveNoTraces, OpenShop, Operator, SHOP, startShopShards } from './shop.js';

const WORKERS = 2;
const atEnd = lastFirst(after);
const shards = await startShopShards(atEnd, ['d'], POSTGRES_TESTS);
const { a, b, c, d } = shards as Record<'a' | 'b' | 'c' | 'd', TestServer>;
const proxy = await makeProxyProcess(atEnd, {
  shards: { a, b, c },
  ...SHOP,
  pool: { size: 7 },
  config: { workers: WORKERS, limits: { max_clients: 40 } },
});
await proxy.start();
const operator = new Operator(proxy.ports.admin);
const url = proxy.url('postgres', 'postgres');
const shop = await OpenShop.open(url, shards, 300);
atEnd(() => shop.traffic.stop().catch(() => {}));
await shop.traffic.stop();

async function openClients(count: number): Promise<pg.Client[]> {
  const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: url }));
  for (const client of clients) client.on('error', () => {});
  await Promise.all(clients.map((client) => client.connect()));
  return clients;
}

const endAll = (clients: readonly pg.Client[]) =>
  Promise.all(clients.map((client) => client.end().catch(() => {})));

/** The workers' process ids; the primary is a proxy, too, and has no clients. */
async function workers(): Promise<number[]> {
  const rows = await operator.run('SHOW PROXIES');
  return rows.map((row) => Number(row['pid'])).filter((id) => id !== proxy.processId);
}

/** As libpq does: on a connection of its own, which any worker may get. */
async function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  const socket = connect(proxy.ports.postgres, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.write(encodeCancelRequest(processID, secret));
    socket.resume();
  });
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

const isLost = (error: string) => POSTGRES_TESTS.lostConnection.test(error);

test('clients are spread over the workers, and SHOW tells of all of them together', async () => {
  assert.equal((await workers()).length, WORKERS);
  const statementsOf = async () =>
    (await operator.run('SHOW STATS'))
      .filter((row) => row['database'] === 'postgres')
      .reduce((sum, row) => sum + Number(row['total_query_count']), 0);
  const before = await statementsOf();
  const clients = await openClients(8);
  await Promise.all(
    clients.map(async (client) => {
      for (let turn = 0; turn < 5; turn++) await client.query('SELECT count(*) FROM customers');
    }),
  );
  assert.equal((await statementsOf()) - before, 40);
  const rows = await operator.run('SHOW CLIENTS');
  assert.equal(rows.length, 8);
  assert.equal(new Set(rows.map((row) => row['ptr'])).size, 8);
  const counts = (await operator.run('SHOW PROXIES')).map((row) => Number(row['clients']));
  assert.deepEqual(
    counts.filter((count) => count > 0),
    [4, 4],
  );
  const template = (await operator.run('SHOW TEMPLATES')).filter((row) =>
    /count\(\*\) FROM customers/.test(String(row['template'])),
  );
  assert.equal(template.length, 1, 'the same template in two workers is one row');
  const scrape = await (await fetch(`http://127.0.0.1:${proxy.ports.http}/metrics`)).text();
  assert.match(scrape, /ringferry_clients_count\{database="postgres",phase="idle"\} 8\n/);
  await endAll(clients);
});

test('a cancel from any connection finds the worker that has the statement', async () => {
  const clients = await openClients(4);
  for (const client of clients) {
    let isOver = false;
    const sleeping = assert.rejects(client.query('SELECT pg_sleep(30)'), { code: '57014' });
    void sleeping.then(() => {
      isOver = true;
    });
    while (!isOver) await cancel(client);
    await sleeping;
  }
  await endAll(clients);
});

test('limits.max_clients holds for all workers together', async () => {
  const clients = await openClients(40);
  await assert.rejects(openClients(1), { code: '53300' });
  await endAll(clients);
  await eventually(async () => endAll(await openClients(1)));
});

test('PAUSE and RESUME reach all workers', async () => {
  const clients = await openClients(4);
  await operator.run('PAUSE');
  let answered = 0;
  const waiting = clients.map(async (client) => {
    await client.query('SELECT count(*) FROM customers');
    answered++;
  });
  await eventually(async () => {
    const rows = await operator.run('SHOW CLIENTS');
    assert.equal(rows.filter((row) => row['state'] === 'waiting').length, 4);
  });
  assert.equal(answered, 0);
  await operator.run('RESUME');
  await Promise.all(waiting);
  await endAll(clients);
});

test('a column that one worker adds is known to the other before the client hears that it is there', async () => {
  const clients = await openClients(4);
  for (let turn = 0; turn < 4; turn++) {
    await clients[turn]!.query(`CREATE TABLE made_${turn} (id int PRIMARY KEY, note text)`);
    for (const client of clients) await client.query(`SELECT id, note FROM made_${turn}`);
    await clients[turn]!.query(`DROP TABLE made_${turn}`);
  }
  await endAll(clients);
});

test('a worker killed under traffic is replaced: only its own clients notice, and nothing is lost', {
  timeout: 120_000,
}, async () => {
  const again = OpenShop.reopen(url, shop);
  const bystanders = await openClients(6);
  await sleep(300);
  const [victim] = await workers();
  process.kill(victim!, 'SIGKILL');
  const answers = await Promise.allSettled(bystanders.map((client) => client.query('SELECT 1')));
  assert.ok(
    answers.some(({ status }) => status === 'fulfilled'),
    'the other worker answers',
  );
  await eventually(async () => {
    const now = await workers();
    // With a text: without one Node looks for it in the source, which takes it minutes here.
    assert.ok(now.length === WORKERS && !now.includes(victim!), `workers ${now}`);
  });
  await again.untilAuditable();
  await again.traffic.stop();
  assert.deepEqual(
    again.traffic.errors.filter((error) => !isLost(error)),
    [],
  );
  assert.deepEqual(again.traffic.wrongAnswers, []);
  await endAll(bystanders);
  // Prepared transactions of the dead one are resolved without waiting for a restart.
  await eventually(async () => {
    for (const shard of [a, b, c])
      assert.deepEqual(
        await POSTGRES_TESTS.run(shard.url('postgres'), 'SELECT gid FROM pg_prepared_xacts'),
        [],
      );
  });
  await again.mustBeWhole();
});

test('a rolling restart refuses no connection', { timeout: 120_000 }, async () => {
  const before = await workers();
  let isOver = false;
  let rounds = 0;
  const refused: string[] = [];
  const comeAndGo = async () => {
    while (!isOver) {
      const client = new pg.Client({ connectionString: url });
      // What ended it between two calls; the next call only says that it cannot be used any more.
      let ended: Error | undefined;
      client.on('error', (error) => {
        ended ??= error;
      });
      try {
        await client.connect();
        await client.query('SELECT count(*) FROM customers');
        rounds++;
      } catch (thrown) {
        const error = ended ?? (thrown as Error);
        const text = `${(error as { code?: string }).code} ${error.message}`;
        // An old worker may end a client that has just come; it may never be refused.
        if (!isLost(text) || /ECONNREFUSED/.test(text)) refused.push(text);
      } finally {
        await client.end().catch(() => {});
      }
    }
  };
  const comers = Array.from({ length: 4 }, comeAndGo);
  proxy.signal('SIGUSR2');
  await eventually(async () => {
    const now = await workers();
    assert.ok(now.length === WORKERS && now.every((id) => !before.includes(id)), `${before} ${now}`);
  }, 60_000);
  isOver = true;
  await Promise.all(comers);
  assert.deepEqual(refused, []);
  assert.ok(rounds > 10, `${rounds} rounds`);
  assert.deepEqual(before.filter(isAlive), []);
});

test('a frozen worker is ended and replaced, and a migration that began while it stood still goes through', {
  timeout: 180_000,
}, async () => {
  const [victim] = await workers();
  process.kill(victim!, 'SIGSTOP');
  const id = await operator.start(`ADD SHARD d '${d.url('postgres')}' finish=now`);
  await operator.until(id, ['done'], 120_000);
  assert.equal(isAlive(victim!), false);
  const back = await operator.start('REMOVE SHARD d finish=now');
  await operator.until(back, ['done'], 120_000);
  await mustHaveNoTraces(shards);
});

test('a primary killed in a migration takes its workers with it; the next one goes on', {
  timeout: 180_000,
}, async () => {
  const again = OpenShop.reopen(url, shop);
  const id = await operator.start(`ADD SHARD d '${d.url('postgres')}' cutover=manual`);
  await operator.until(id, ['ready']);
  const orphans = await workers();
  // Also one that stands still at that moment and would wake later.
  process.kill(orphans[0]!, 'SIGSTOP');
  await proxy.end('SIGKILL');
  await proxy.start();
  await eventually(async () => assert.deepEqual(orphans.filter(isAlive), []));
  await operator.until(id, ['ready']);
  await operator.run(`MIGRATE ABORT ${id}`);
  await operator.until(id, ['aborted']);
  await again.traffic.stop();
  assert.deepEqual(
    again.traffic.errors.filter((error) => !isLost(error)),
    [],
  );
  assert.deepEqual(again.traffic.wrongAnswers, []);
  await again.mustBeWhole();
  await mustHaveNoTraces(shards);
});
