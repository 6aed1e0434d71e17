import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { lastFirst, runSql, startPostgres } from '../cluster.js';
import { makeProxyProcess } from './harness.js';

const CLIENTS = 4;
const ROWS = 60_000;
const FILLER = 'x'.repeat(150);

const atEnd = lastFirst(after);
const [server] = await startPostgres(atEnd, { count: 1 });
for (let client = 0; client < CLIENTS; client++)
  await runSql(
    server!.url(),
    `CREATE UNLOGGED TABLE rows_${client} AS SELECT '${client}/' || n || '/${FILLER}' AS text FROM generate_series(0, ${ROWS - 1}) n`,
  );
// In a process of its own: in this one it would only run when its clients do not.
const proxy = await makeProxyProcess(atEnd, { shards: { a: server! }, pool: { size: CLIENTS } });
await proxy.start();

/** Reads a table several times, and stands still now and then so that much has to wait for it. */
async function read(number: number): Promise<void> {
  const client = new pg.Client({ connectionString: proxy.url('postgres', 'postgres') });
  await client.connect();
  const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadableStream } }).connection;
  try {
    for (let round = 0; round < 3; round++) {
      let next = 0;
      const query = new pg.Query(`SELECT text FROM rows_${number}`);
      const ended = new Promise<void>((resolve, reject) => {
        query.on('end', () => resolve());
        query.on('error', reject);
      });
      query.on('row', ({ text }: { text: string }) => {
        if (text !== `${number}/${next}/${FILLER}`) assert.fail(`row ${next} of ${number} is ${text}`);
        next++;
        if (next % 10_000 > 0) return;
        stream.pause();
        void sleep(20 * number).then(() => stream.resume());
      });
      client.query(query);
      await ended;
      assert.equal(next, ROWS);
    }
  } finally {
    await client.end();
  }
}

test('large results of several clients at once, most of whom read slowly, are not mixed up', async () => {
  await Promise.all(Array.from({ length: CLIENTS }, (_, number) => read(number)));
});
