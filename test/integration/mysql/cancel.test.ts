import mysql, { type RowDataPacket } from 'mysql2/promise';
import { MARIADB_TESTS } from '../../engines.js';
import { testCancels } from '../cancel.js';

await testCancels(MARIADB_TESTS, {
  connect: async (url) => {
    const [client, killer] = await Promise.all([mysql.createConnection(url), mysql.createConnection(url)]);
    client.on('error', () => {});
    return {
      query: async (sql) => (await client.query<RowDataPacket[]>(sql))[0],
      cancel: async () => {
        await killer.query(`KILL QUERY ${client.threadId}`);
      },
      vanish: () => {
        client.destroy();
        killer.destroy();
      },
      end: async () => {
        await client.end();
        await killer.end();
      },
    };
  },
  sleep: (seconds) => `sleep(${seconds})`,
  cancelled: { errno: 1317 },
  countSleeping:
    "SELECT count(*) AS n FROM information_schema.processlist WHERE state = 'User sleep' AND info LIKE 'SELECT%sleep(30)%'",
});
