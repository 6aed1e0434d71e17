import type { DatabaseConfig } from './config/config.js';
import { postgresWing } from './postgres/wing.js';
import type { Wing } from './wing.js';

type Engine = DatabaseConfig['engine'];

/** Postgres is there for the control port; what no database needs takes neither time nor memory. */
const wings: Partial<Record<Engine, Wing>> = { postgres: postgresWing };

/** Before anything is asked of these databases. */
export async function loadWings(databases: Iterable<DatabaseConfig>): Promise<void> {
  const engines = new Set([...databases].map(({ engine }) => engine));
  if (engines.has('mysql')) wings.mysql ??= (await import('./mysql/wing.js')).mysqlWing;
  for (const engine of engines) await wingOf(engine).load();
}

/** The only place that knows the wings by name. */
export function wingOf(engine: Engine): Wing {
  const wing = wings[engine];
  if (wing === undefined) throw new Error(`the wing for ${engine} is not loaded`);
  return wing;
}

/** The control port speaks Postgres, whatever the databases speak. */
export const { consoleDoor } = postgresWing;
