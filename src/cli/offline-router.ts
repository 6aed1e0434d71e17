import { explainRoute, type RouteExplanation } from '../admin/explain-route.js';
import { redactUrl } from '../config/address.js';
import type { Config, DatabaseConfig } from '../config/config.js';
import { loadWings, wingOf } from '../dialects.js';
import type { Backend } from '../pool/backend.js';
import { targetOf } from '../proxy/database.js';
import { firstSnapshot } from '../topology/opening.js';
import { CommandFailure } from './io.js';

/** Explains statements without a running server: tables as the home shard has them, the ring as the configuration says. */
export interface OfflineRouter {
  readonly database: string;
  explain(sql: string): RouteExplanation[];
}

const CONNECT_TIMEOUT_MS = 5000;
/** The shard's URL says who logs in. */
const UNNAMED = { user: undefined, password: undefined };

export async function openOfflineRouter(config: Config, name: string | undefined): Promise<OfflineRouter> {
  const database = chooseDatabase(config, name);
  await loadWings([database]);
  const { dialect } = wingOf(database.engine);
  const home = database.shards[database.home]!;
  let backend: Backend | undefined;
  try {
    const target = targetOf(database.home, home.url, UNNAMED, database.serverCa);
    const connected = await dialect.connect(
      target,
      dialect.startupDefaults,
      AbortSignal.timeout(CONNECT_TIMEOUT_MS),
    );
    backend = connected;
    const keyspace = await dialect.readKeyspace((sql) => connected.rows(sql), database);
    const router = dialect.createRouter(keyspace, config.limits);
    const snapshot = firstSnapshot(database);
    return { database: database.name, explain: (sql) => explainRoute(router, snapshot, sql) };
  } catch (error) {
    const place = `shard ${database.home} (${redactUrl(home.url)})`;
    throw new CommandFailure(
      `the tables cannot be read from ${place}: ${(error as Error).message}`,
      'Start the shard, or start Ringferry and ask it.',
      { cause: error },
    );
  } finally {
    backend?.terminate();
  }
}

function chooseDatabase(config: Config, name: string | undefined): DatabaseConfig {
  const names = Object.keys(config.databases);
  if (name !== undefined) {
    const found = config.databases[name];
    if (found === undefined)
      throw new CommandFailure(`there is no database ${name}`, `The databases are ${names.join(', ')}.`);
    return found;
  }
  const all = Object.values(config.databases);
  const sharded = all.filter(
    (database) => Object.keys(database.tables).length > 0 || Object.keys(database.shards).length > 1,
  );
  const candidates = sharded.length > 0 ? sharded : all;
  if (candidates.length === 1) return candidates[0]!;
  throw new CommandFailure(
    'say which database is meant',
    `Write --database ${names.join(' or --database ')}.`,
  );
}
