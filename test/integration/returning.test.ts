import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS, type TestEngine, type TestServer } from '../engines.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);
const IDS = Array.from({ length: 60 }, (_, index) => (index * 37) % 60);

async function openStage(engine: TestEngine) {
  const servers = (await engine.start(atEnd, 3)) as [TestServer, TestServer, TestServer];
  const urls = servers.map((server) => server.url(engine.database));
  for (const url of urls)
    await engine.run(
      url,
      'CREATE TABLE people (id int PRIMARY KEY, name varchar(40))',
      'CREATE TABLE kinds (code int PRIMARY KEY, name varchar(40))',
    );
  const [a, b, c] = servers;
  const ringferry = await startRingferry(atEnd, {
    engine: engine.demo.protocol,
    shards: { a, b, c },
    tables: { people: { key: 'id' }, kinds: { reference: true } },
  });
  const clients = engine.demo.clients(ringferry.url(), { size: 1, name: 'app' });
  atEnd(() => clients.end());
  return { engine, urls, clients };
}

// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages = [await openStage(POSTGRES_TESTS), await openStage(MARIADB_TESTS)];

for (const { engine, urls, clients } of stages) {
  const idsOf = async (sql: string, values?: readonly unknown[]) =>
    (await clients.run(sql, values)).rows.map((row) => Number(row['id']));

  describe(`RETURNING over three shards of ${engine.name}`, () => {
    test('rows of a split INSERT … RETURNING come in the order of its VALUES', async () => {
      const values = IDS.map((id) => `(${id}, 'n${id}')`).join(', ');
      assert.deepEqual(await idsOf(`INSERT INTO people VALUES ${values} RETURNING id, name`), IDS);
      await clients.run('DELETE FROM people');
      const marks = IDS.map((_, index) => `($${index + 1}, 'x')`).join(', ');
      assert.deepEqual(await idsOf(`INSERT INTO people VALUES ${marks} RETURNING id`, IDS), IDS);
    });

    // MariaDB has no UPDATE … RETURNING.
    const change = engine === POSTGRES_TESTS ? "UPDATE people SET name = 'y'" : 'DELETE FROM people';
    test(`${change.split(' ')[0]} … RETURNING over all shards brings every row once`, async () => {
      const ids = await idsOf(`${change} RETURNING id`);
      assert.deepEqual(
        ids.sort((x, y) => x - y),
        Array.from({ length: 60 }, (_, id) => id),
      );
    });

    test("a reference table's write answers once and stands on every shard", async () => {
      const { rows } = await clients.run("INSERT INTO kinds VALUES (1, 'one'), (2, 'two') RETURNING code");
      assert.deepEqual(
        rows.map((row) => Number(row['code'])),
        [1, 2],
      );
      for (const url of urls) {
        const [counted] = await engine.run(url, 'SELECT count(*) AS n FROM kinds');
        assert.equal(Number(counted!['n']), 2);
      }
    });
  });
}
