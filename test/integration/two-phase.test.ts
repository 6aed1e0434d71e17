import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ShopClients } from '../../src/demo/engine.js';
import { gidPrefix } from '../../src/proxy/two-phase.js';
import { FileStore } from '../../src/topology/file-store.js';
import { type After, lastFirst } from '../cluster.js';
import { MARIADB_TESTS, MYSQL_TESTS, POSTGRES_TESTS, type TestEngine } from '../engines.js';
import { noGenuineMysql } from '../genuine-mysql.js';
import { eventually } from './eventually.js';
import { makeProxyProcess, type RingferryOptions, startRingferry } from './harness.js';

const ACCOUNTS = 24;
const TOTAL = ACCOUNTS * 100;

/** A refusal that comes with the update, or where the engine has it only with the commit. */
const REFUSE_THE_RICH: Readonly<Record<string, readonly string[]>> = {
  postgres: [
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.amount > 150 THEN RAISE 'too rich'; END IF; RETURN NULL; END $$",
    'CREATE CONSTRAINT TRIGGER rich AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()',
  ],
  mysql: [
    "CREATE TRIGGER rich BEFORE UPDATE ON accounts FOR EACH ROW IF NEW.amount > 150 THEN SIGNAL SQLSTATE '45000' SET message_text = 'too rich'; END IF",
  ],
};

const atEnd = lastFirst(after);
// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const banks: [TestEngine, Bank][] = [];
const engines = [POSTGRES_TESTS, MARIADB_TESTS, ...(noGenuineMysql === undefined ? [MYSQL_TESTS] : [])];
for (const engine of engines) banks.push([engine, await openBank(atEnd, engine)]);

for (const [engine, bank] of banks) {
  describe(`commits over several shards of ${engine.name}`, () => {
    test('a commit that was decided before a crash is finished, one that was not is undone, and strangers are left alone', async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'ringferry-2pc-'));
      t.after(() => rm(folder, { recursive: true, force: true }));
      const path = join(folder, 'state');
      const store = await FileStore.open(path);
      const { owner } = store.decisions;
      const decided = `${gidPrefix(owner, engine.database)}decided_1`;
      const undecided = `${gidPrefix(owner, engine.database)}undecided_2`;
      const anothers = `${gidPrefix('0123456789ab', engine.database)}undecided_3`;
      await store.decisions.record(decided);
      await store.close();
      const [a, b] = bank.urls as [string, string];
      await engine.leavePrepared(a, decided, 'INSERT INTO accounts VALUES (1001, 1)');
      await engine.leavePrepared(b, decided, 'INSERT INTO accounts VALUES (1002, 1)');
      await engine.leavePrepared(a, undecided, 'INSERT INTO accounts VALUES (1003, 1)');
      await engine.leavePrepared(b, anothers, 'INSERT INTO accounts VALUES (1004, 1)');
      const ringferry = await startRingferry(lastFirst(t.after.bind(t)), {
        ...bank.options,
        config: { store: { kind: 'file', path } },
      });
      assert.deepEqual(await bank.prepared(), [anothers]);
      await engine.rollbackPrepared(b, anothers);
      const rows = await Promise.all(
        bank.urls.map((url) => engine.run(url, 'SELECT id FROM accounts WHERE id > 1000')),
      );
      assert.deepEqual(
        rows
          .flat()
          .map((row) => row['id'])
          .sort(),
        [1001, 1002],
      );
      for (const url of bank.urls) await engine.run(url, 'DELETE FROM accounts WHERE id > 1000');
      await ringferry.stop();
      const again = await FileStore.open(path);
      assert.deepEqual(await again.decisions.list(), [], 'the decision is forgotten when all have committed');
      await again.close();
    });

    test('a transfer between shards is all or nothing when one of them refuses', async (t) => {
      const later = lastFirst(t.after.bind(t));
      const ringferry = await startRingferry(later, bank.options);
      const clients = engine.demo.clients(ringferry.url(), { size: 1, name: 'teller' });
      later(() => clients.end());
      const [onA, onB] = await bank.oneOfEach();
      await engine.run(bank.urls[1]!, ...REFUSE_THE_RICH[engine.demo.protocol]!);
      const teller = await clients.connect();
      await teller.begin();
      await teller.run('UPDATE accounts SET amount = amount - 60 WHERE id = $1', [onA]);
      // Where it is the statement that is refused, the transaction goes on without it; the application gives up.
      const paid = await teller
        .run('UPDATE accounts SET amount = amount + 60 WHERE id = $1', [onB])
        .catch((error: Error) => error);
      if (paid instanceof Error) {
        assert.match(paid.message, /too rich/);
        await teller.run('ROLLBACK');
      } else await assert.rejects(teller.commit(), /too rich/);
      teller.release(false);
      assert.deepEqual(await bank.totals(clients), { total: TOTAL, least: 100 });
      assert.deepEqual(await bank.prepared(), []);
      for (const drop of engine === POSTGRES_TESTS
        ? ['DROP TRIGGER rich ON accounts']
        : ['DROP TRIGGER rich'])
        await engine.run(bank.urls[1]!, drop);
    });

    test('kill -9 of the proxy in the middle of transfers: each is whole or not there, and nothing stays prepared', {
      timeout: 120_000,
    }, async (t) => {
      const later = lastFirst(t.after.bind(t));
      const proxy = await makeProxyProcess(later, bank.options);
      const [database, user] = [engine.database, engine === POSTGRES_TESTS ? 'postgres' : 'root'];
      let done = 0;
      let lastFailure: unknown;
      for (let round = 0; round < 3; round++) {
        await proxy.start();
        const clients = engine.demo.clients(proxy.url(database, user, engine.demo.protocol), {
          size: 8,
          name: 'tellers',
          onLost: () => {},
        });
        assert.equal((await bank.totals(clients)).total, TOTAL, `round ${round}`);
        assert.deepEqual(await bank.prepared(), []);
        let isOpen = true;
        const tellers = Array.from({ length: 6 }, async (_, nth) => {
          while (isOpen)
            await transfer(clients, nth * 4).then(
              () => done++,
              (error: unknown) => {
                lastFailure = error;
                return sleep(20);
              },
            );
        });
        const before = done;
        await eventually(async () => assert.ok(done > before + 20 + 7 * round, String(lastFailure)));
        await proxy.end('SIGKILL');
        isOpen = false;
        await Promise.all(tellers);
        await clients.end();
      }
      await proxy.start();
      const clients = engine.demo.clients(proxy.url(database, user, engine.demo.protocol), {
        size: 1,
        name: 'auditor',
      });
      later(() => clients.end());
      assert.equal((await bank.totals(clients)).total, TOTAL);
      assert.deepEqual(await bank.prepared(), []);
    });
  });
}

/** Moves money through four accounts, so that most transfers meet both shards. */
async function transfer(clients: ShopClients, first: number): Promise<void> {
  const teller = await clients.connect();
  let isDoubtful = true;
  try {
    await teller.begin();
    for (const [nth, amount] of [-3, 1, 1, 1].entries())
      await teller.run('UPDATE accounts SET amount = amount + $1 WHERE id = $2', [amount, first + nth + 1]);
    await teller.commit();
    isDoubtful = false;
  } finally {
    teller.release(isDoubtful);
  }
}

interface Bank {
  readonly options: RingferryOptions;
  readonly urls: readonly string[];
  /** Names of the transactions that are prepared on any server. */
  prepared(): Promise<string[]>;
  /** An account of each shard. */
  oneOfEach(): Promise<number[]>;
  totals(clients: ShopClients): Promise<{ total: number; least: number }>;
}

async function openBank(atEnd: After, engine: TestEngine): Promise<Bank> {
  const [a, b] = await engine.start(atEnd, 2);
  const urls = [a!, b!].map((server) => server.url(engine.database));
  for (const url of urls)
    await engine.run(url, 'CREATE TABLE accounts (id int PRIMARY KEY, amount int NOT NULL)');
  const options = {
    engine: engine.demo.protocol,
    shards: { a: a!, b: b! },
    tables: { accounts: { key: 'id' } },
  };
  const ringferry = await startRingferry(atEnd, options);
  const rows = Array.from({ length: ACCOUNTS }, (_, id) => `(${id + 1}, 100)`);
  await engine.run(ringferry.url(), `INSERT INTO accounts VALUES ${rows.join(', ')}`);
  await ringferry.stop();
  return {
    options,
    urls,
    prepared: async () => (await Promise.all(urls.map((url) => engine.prepared(url)))).flat(),
    oneOfEach: async () => {
      const rows = await Promise.all(
        urls.map((url) => engine.run(url, 'SELECT min(id) AS id FROM accounts')),
      );
      return rows.map(([row]) => Number(row!['id']));
    },
    totals: async (clients) => {
      const { rows } = await clients.run('SELECT sum(amount) AS total, min(amount) AS least FROM accounts');
      return { total: Number(rows[0]!['total']), least: Number(rows[0]!['least']) };
    },
  };
}
