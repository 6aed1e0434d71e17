import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS, type TestEngine } from '../engines.js';
import { eventually } from './eventually.js';
import { ROLE, startRingferry } from './harness.js';
import { Operator } from './shop.js';

const ID = { postgres: 'serial', mysql: 'int AUTO_INCREMENT' };
const atEnd = lastFirst(after);

/** Two shards with one connection to each for clients; rows of `people` are numbered, `notes` are at home. */
async function startSmall(engine: TestEngine) {
  const { protocol } = engine.demo;
  const [a, b] = await engine.start(atEnd, 2);
  for (const server of [a!, b!])
    await engine.run(
      server.url(engine.database),
      `CREATE TABLE people (id ${ID[protocol]} PRIMARY KEY, name varchar(20))`,
      'CREATE TABLE notes (id int PRIMARY KEY)',
    );
  const ringferry = await startRingferry(atEnd, {
    engine: protocol,
    shards: { a: a!, b: b! },
    tables: { people: { key: 'id' } },
    pool: { size: 1, wait_timeout_ms: 3_000 },
  });
  return { ringferry, protocol, url: ringferry.url(engine.database, ROLE[protocol]) };
}

describe('what the proxy asks itself does not wait for the connections of clients', () => {
  for (const engine of [POSTGRES_TESTS, MARIADB_TESTS])
    test(`numbers of rows, in a transaction that holds the only connection to home (${engine.name})`, async () => {
      const { url, protocol } = await startSmall(engine);
      const rows = await engine.run(
        url,
        'BEGIN',
        'INSERT INTO notes VALUES (1)',
        "INSERT INTO people (name) VALUES ('numbered')",
        "INSERT INTO people (id, name) VALUES (5000, 'by hand')",
        "INSERT INTO people (name) VALUES ('numbered behind it')",
        'COMMIT',
        'SELECT id FROM people ORDER BY id',
      );
      assert.deepEqual(
        rows.map((row) => row['id']),
        // A sequence of Postgres does not know of rows numbered by hand.
        protocol === 'mysql' ? [1, 5000, 5001] : [1, 2, 5000],
      );
    });

  test('PAUSE lets an open transaction get its numbers, and ends with it', async () => {
    const { ringferry, url } = await startSmall(POSTGRES_TESTS);
    const operator = new Operator(ringferry.ports.admin);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query('INSERT INTO notes VALUES (1)');
      const paused = operator.run('PAUSE');
      await eventually(async () => {
        const [database] = await operator.run('SHOW DATABASES');
        assert.equal(Number(database!['paused']), 1);
      });
      await client.query("INSERT INTO people (name) VALUES ('numbered')");
      await client.query('COMMIT');
      await paused;
    } finally {
      await operator.run('RESUME');
      await client.end();
    }
  });
});
