import type { After } from '../../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { type Ringferry, startRingferry } from '../harness.js';

export interface ThreeShards {
  readonly servers: readonly TestServer[];
  readonly ringferry: Ringferry;
  readonly url: string;
  /** The one value of a SELECT without FROM rows of other tables, for each shard. */
  onEach(sql: string): Promise<number[]>;
}

/** MariaDB servers a, b, c with these tables, and Ringferry in front; `tables` as in the configuration. */
export async function startThreeShards(
  after: After,
  schema: readonly string[],
  tables: Readonly<Record<string, unknown>>,
): Promise<ThreeShards> {
  const servers = await MARIADB_TESTS.start(after, 3);
  const [a, b, c] = servers as [TestServer, TestServer, TestServer];
  const urls = servers.map((server) => server.url(MARIADB_TESTS.database));
  await Promise.all(urls.map((url) => runMysql(url, ...schema)));
  const ringferry = await startRingferry(after, { engine: 'mysql', shards: { a, b, c }, tables });
  return {
    servers,
    ringferry,
    url: ringferry.url(),
    onEach: async (sql) => {
      const answers = await Promise.all(urls.map((url) => runMysql(url, sql)));
      return answers.map(([row]) => Number(Object.values(row ?? {})[0]));
    },
  };
}
