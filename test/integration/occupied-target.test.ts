import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { lastFirst } from '../cluster.js';
import { MARIADB_TESTS, POSTGRES_TESTS } from '../engines.js';
import { startRingferry } from './harness.js';
import { Operator } from './shop.js';

const atEnd = lastFirst(after);

for (const engine of [POSTGRES_TESTS, MARIADB_TESTS]) {
  test(`${engine.name}: a shard whose tables hold rows that would move there is refused, and the rows stay`, async () => {
    const servers = await engine.start(atEnd, 2);
    const [a, b] = servers.map((server) => server.url(engine.database)) as [string, string];
    for (const url of [a, b]) await engine.run(url, 'CREATE TABLE people (id int PRIMARY KEY, name text)');
    const precious = Array.from({ length: 1000 }, (_, id) => `(${id}, 'precious')`);
    await engine.run(b, `INSERT INTO people VALUES ${precious.join(', ')}`);
    const ringferry = await startRingferry(atEnd, {
      engine: engine.demo.protocol,
      shards: { a },
      tables: { people: { key: 'id' } },
    });
    await assert.rejects(
      new Operator(ringferry.ports.admin).run(`ADD SHARD b '${b}'`),
      /people holds rows in the ranges that are to move here/,
    );
    const [kept] = await engine.run(b, "SELECT count(*) AS n FROM people WHERE name = 'precious'");
    assert.equal(Number(kept!['n']), 1000);
  });
}
