import type { Config, DatabaseConfig } from '../config/config.js';

/** What the primary may open per pool for itself: reading tables, probing shards, resolving prepared transactions. */
const PRIMARY_POOL_SIZE = 2;

/**
 * The configuration of one worker of `count`: `pool.size` is divided, each gets the whole part, and the first ones get one more of what
 * is left over. A worker has at least one connection per pool, so a pool smaller than the number of workers grows to it.
 */
export function workerShare(config: Config, slot: number, count: number): Config {
  return withPoolSizes(config, (size) =>
    Math.max(1, Math.floor(size / count) + (slot < size % count ? 1 : 0)),
  );
}

/** The configuration of a primary, which serves no clients. */
export function primaryShare(config: Config): Config {
  return withPoolSizes(config, (size) => Math.min(size, PRIMARY_POOL_SIZE));
}

function withPoolSizes(config: Config, sizeOf: (size: number) => number): Config {
  const shared = ([name, database]: [string, DatabaseConfig]): [string, DatabaseConfig] => [
    name,
    { ...database, pool: { ...database.pool, size: sizeOf(database.pool.size) } },
  ];
  return { ...config, databases: Object.fromEntries(Object.entries(config.databases).map(shared)) };
}
