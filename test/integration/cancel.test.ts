import pg from 'pg';
import { POSTGRES_TESTS } from '../engines.js';
import { testCancels } from './cancel.js';
import { cancelOn } from './cancel-on.js';

await testCancels(POSTGRES_TESTS, {
  connect: async (url) => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    return {
      query: async (sql) => (await client.query(sql)).rows,
      cancel: () => cancelOn(client),
      vanish: () =>
        (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy(),
      end: () => client.end(),
    };
  },
  sleep: (seconds) => `pg_sleep(${seconds})`,
  cancelled: { code: '57014' },
  countSleeping:
    "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT%pg_sleep(30)%' AND pid <> pg_backend_pid()",
});
