import type { LimitsConfig } from '../config/config.js';
import type { Keyspace } from '../topology/keyspace.js';
import { mysqlSql } from './mysql-sql.js';
import { createPassThroughRouter } from './pass-through-router.js';
import type { StatementRouter } from './router.js';
import { Router } from './sharded-router.js';

/** A router of a sharded MySQL or MariaDB database. */
export function createMysqlRouter(
  keyspace: Keyspace,
  limits: Pick<LimitsConfig, 'maxPlans'>,
): StatementRouter {
  const dialect = mysqlSql(keyspace.searchPath[0] ?? keyspace.database, keyspace.grammar);
  return new Router(keyspace, limits.maxPlans, dialect);
}

/** The router of a database with one shard and no tables; refuses nothing. */
export function createMysqlPassThroughRouter(
  database: string,
  limits: Pick<LimitsConfig, 'maxPlans'>,
): StatementRouter {
  return createPassThroughRouter(database, limits, mysqlSql(database));
}
