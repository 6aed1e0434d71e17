import type { LimitsConfig } from '../config/config.js';
import { type SqlParser, sharedParser } from '../sql/postgres-parser.js';
import type { Keyspace } from '../topology/keyspace.js';
import { createPassThroughRouter as passThroughRouter } from './pass-through-router.js';
import { postgresSql } from './postgres-sql.js';
import type { StatementRouter } from './router.js';
import { Router } from './sharded-router.js';

/** A router of a sharded Postgres database. */
export function createPostgresRouter(
  keyspace: Keyspace,
  limits: Pick<LimitsConfig, 'maxPlans'>,
  parser: SqlParser = sharedParser,
): StatementRouter {
  return new Router(keyspace, limits.maxPlans, postgresSql(parser));
}

export function createPassThroughRouter(
  database: string,
  limits: Pick<LimitsConfig, 'maxPlans'>,
  parser: SqlParser = sharedParser,
): StatementRouter {
  return passThroughRouter(database, limits, postgresSql(parser));
}
