import type { DatabaseConfig } from './config/config.js';
import { mysqlWing } from './mysql/wing.js';
import { postgresWing } from './postgres/wing.js';
import type { Wing } from './wing.js';

const WINGS: Readonly<Record<DatabaseConfig['engine'], Wing>> = { postgres: postgresWing, mysql: mysqlWing };

/** The only place that knows the wings by name. */
export function wingOf(engine: DatabaseConfig['engine']): Wing {
  return WINGS[engine];
}

/** The control port speaks Postgres, whatever the databases speak. */
export const { consoleDoor } = postgresWing;
