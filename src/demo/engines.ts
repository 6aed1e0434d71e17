import { OperatingError } from '../lib/errors.js';
import type { DemoEngine } from './engine.js';
import { MARIADB } from './mariadb-engine.js';
import { POSTGRES } from './postgres-engine.js';

const ENGINES: ReadonlyMap<string, DemoEngine> = new Map([
  ['postgres', POSTGRES],
  ['mariadb', MARIADB],
]);

/** The engine of this name, as `--engine` says it. Throws `configuration` for a name that is not in the table. */
export function engineNamed(name: string): DemoEngine {
  const engine = ENGINES.get(name);
  if (engine !== undefined) return engine;
  throw new OperatingError('configuration', `there is no engine "${name}" for the demo`, {
    hint: `Take one of ${[...ENGINES.keys()].join(', ')}.`,
  });
}
