import type { DatabaseConfig } from './config/config.js';
import { postgresWing } from './postgres/wing.js';

/** The only place that knows the wings by name. The configuration refuses engines that are not in this release. */
export function wingOf(_engine: DatabaseConfig['engine']): typeof postgresWing {
  return postgresWing;
}
