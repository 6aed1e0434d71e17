import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { lastFirst, startPostgres } from '../cluster.js';
import { cancelOn } from './cancel-on.js';
import { startRingferry } from './harness.js';

const ending = lastFirst(after);
const servers = await startPostgres(ending, { count: 2 });
const passThrough = (mode: string) =>
  startRingferry(ending, { shards: { a: servers[0]! }, pool: { mode, size: 2 } });
const PROXIES = {
  'session mode': await passThrough('session'),
  'transaction mode': await passThrough('transaction'),
  'two shards': await startRingferry(ending, {
    shards: { a: servers[0]!, b: servers[1]! },
    tables: { things: { key: 'id' } },
  }),
};

for (const [name, proxy] of Object.entries(PROXIES)) {
  test(`a cancel hits the statement that runs and never the next, in ${name}`, async () => {
    const client = new pg.Client({ connectionString: proxy.url() });
    await client.connect();
    try {
      for (let turn = 0; turn < 25; turn++) {
        if (turn % 5 === 4) await client.query('BEGIN');
        const sleeping = assert.rejects(client.query('SELECT pg_sleep(30)'), { code: '57014' });
        // Also when it has not reached the server yet.
        await new Promise((resolve) => setTimeout(resolve, turn % 3 === 0 ? 0 : 20));
        let isOver = false;
        void sleeping.then(() => {
          isOver = true;
        });
        while (!isOver) await cancelOn(client);
        await sleeping;
        if (turn % 5 === 4) await client.query('ROLLBACK');
        const { rows } = await client.query('SELECT 1 AS one, pg_sleep(0.01)');
        assert.equal(rows[0].one, 1);
      }
    } finally {
      await client.end();
    }
  });
}
