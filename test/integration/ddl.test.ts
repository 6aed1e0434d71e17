import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS, type TestEngine, type TestServer } from '../engines.js';
import { startRingferry } from './harness.js';

const atEnd = lastFirst(after);

async function openStage(engine: TestEngine) {
  const [a, b, c] = (await engine.start(atEnd, 3)) as [TestServer, TestServer, TestServer];
  const ringferry = await startRingferry(atEnd, {
    engine: engine.demo.protocol,
    shards: { a, b, c },
    tables: { people: { key: 'id' }, pets: { key: 'owner' }, kinds: { reference: true } },
  });
  const clients = engine.demo.clients(ringferry.url(), { size: 1, name: 'app' });
  atEnd(() => clients.end());
  return { engine, a, b, c, clients };
}

// All of them first: what is awaited between two suites would let the first one's end be taken for that of the file.
const stages = [await openStage(POSTGRES_TESTS), await openStage(MARIADB_TESTS)];

for (const { engine, a, b, c, clients } of stages) {
  const urlOf = (server: TestServer) => server.url(engine.database);
  const schema = engine === POSTGRES_TESTS ? 'public' : engine.database;

  const tablesOn = async (server: TestServer) =>
    (
      await engine.run(
        urlOf(server),
        `SELECT table_name AS t FROM information_schema.tables WHERE table_schema = '${schema}' ORDER BY 1`,
      )
    ).map((row) => String(row['t']));
  const columnsOn = async (server: TestServer) =>
    (
      await engine.run(
        urlOf(server),
        `SELECT column_name AS c FROM information_schema.columns WHERE table_schema = '${schema}' AND table_name = 'people' ORDER BY ordinal_position`,
      )
    ).map((row) => String(row['c']));

  describe(`DDL over three shards of ${engine.name}`, () => {
    test('CREATE TABLE of declared tables goes to every shard, of others to home', async () => {
      await clients.run('CREATE TABLE people (id int PRIMARY KEY, name varchar(40))');
      await clients.run('CREATE TABLE kinds (code int PRIMARY KEY)');
      await clients.run('CREATE TABLE notes (id int PRIMARY KEY)');
      assert.deepEqual(await tablesOn(a), ['kinds', 'notes', 'people']);
      assert.deepEqual(await tablesOn(b), ['kinds', 'people']);
      await clients.run("INSERT INTO people VALUES (1, 'one'), (2, 'two'), (3, 'three')");
      const { rows } = await clients.run('SELECT count(*) AS n FROM people');
      assert.equal(Number(rows[0]!['n']), 3);
    });

    test('a table made in a transaction is known when it has committed', async () => {
      const client = await clients.connect();
      await client.begin();
      await client.run('CREATE TABLE pets (owner int, name varchar(40), PRIMARY KEY (owner, name))');
      await client.commit();
      await client.run("INSERT INTO pets VALUES (1, 'rex'), (2, 'tom')");
      const joined = await client.run(
        'SELECT p.name, t.name AS pet FROM people p JOIN pets t ON t.owner = p.id ORDER BY p.id',
      );
      client.release(false);
      assert.deepEqual(
        joined.rows.map((row) => ({ ...row })),
        [
          { name: 'one', pet: 'rex' },
          { name: 'two', pet: 'tom' },
        ],
      );
    });

    test('DDL that fails on one shard is undone on all, or where no engine can do that, told with the shards that have it', async () => {
      await engine.run(urlOf(c), 'ALTER TABLE people ADD COLUMN odd int');
      const failure = await clients.run('ALTER TABLE people ADD COLUMN odd int').then(
        () => assert.fail('it went through'),
        (error: Error) => error.message,
      );
      if (engine === POSTGRES_TESTS) {
        assert.match(failure, /already exists/);
        assert.deepEqual(await columnsOn(a), ['id', 'name']);
      } else {
        assert.match(failure, /Duplicate column name 'odd'/);
        for (const [name, server] of Object.entries({ a, b }))
          if ((await columnsOn(server)).includes('odd')) assert.match(failure, new RegExp(`\\b${name}\\b`));
      }
      for (const server of [a, b, c])
        if ((await columnsOn(server)).includes('odd'))
          await engine.run(urlOf(server), 'ALTER TABLE people DROP COLUMN odd');
    });

    test('a new column is known to the next statement', async () => {
      await clients.run('ALTER TABLE people ADD COLUMN age int DEFAULT 7');
      const { rows } = await clients.run('SELECT sum(age) AS total FROM people');
      assert.equal(Number(rows[0]!['total']), 21);
      for (const server of [a, b, c]) assert.deepEqual(await columnsOn(server), ['id', 'name', 'age']);
    });

    test('indexes, renamed columns, TRUNCATE and DROP reach every shard', async () => {
      await clients.run('CREATE INDEX people_name ON people (name)');
      await clients.run('ALTER TABLE people RENAME COLUMN age TO years');
      const { rows } = await clients.run('SELECT years FROM people WHERE id = 2');
      assert.equal(Number(rows[0]!['years']), 7);
      await clients.run('TRUNCATE TABLE people');
      for (const server of [a, b, c])
        assert.deepEqual(await engine.run(urlOf(server), 'SELECT id FROM people'), []);
      await clients.run('DROP TABLE people');
      for (const server of [a, b, c]) assert.ok(!(await tablesOn(server)).includes('people'));
    });
  });
}
