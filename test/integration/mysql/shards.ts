import type { After } from '../../cluster.js';
import { MARIADB_TESTS, type TestServer } from '../../engines.js';
import { runMysql } from '../../mariadb.js';
import { type Ringferry, type RingferryOptions, startRingferry } from '../harness.js';

export interface ThreeShards {
  readonly servers: readonly TestServer[];
  readonly ringferry: Ringferry;
  readonly url: string;
  /** The one value of a SELECT without FROM rows of other tables, for each shard. */
  onEach(sql: string): Promise<number[]>;
}

/** Servers a, b, c (MariaDB, unless `engine` says) with these tables, and Ringferry in front; `tables` as in the configuration. */
export async function startThreeShards(
  after: After,
  schema: readonly string[],
  tables: Readonly<Record<string, unknown>>,
  {
    engine = MARIADB_TESTS,
    ...options
  }: Omit<Partial<RingferryOptions>, 'engine'> & { readonly engine?: typeof MARIADB_TESTS } = {},
): Promise<ThreeShards> {
  const servers = await engine.start(after, 3);
  const [a, b, c] = servers as [TestServer, TestServer, TestServer];
  const urls = servers.map((server) => server.url(engine.database));
  await Promise.all(urls.map((url) => runMysql(url, ...schema)));
  const ringferry = await startRingferry(after, { engine: 'mysql', shards: { a, b, c }, tables, ...options });
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
