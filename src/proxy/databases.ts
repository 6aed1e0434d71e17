import type { DatabaseConfig } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import type { Database } from './database.js';

/** How `"*"` is written in the config: every name that is not listed. */
export const ANY_DATABASE = '*';

/** The databases that clients can name. Those that only `"*"` admits are made when they are first asked for. */
export class Databases {
  readonly #byName = new Map<string, Database>();
  readonly #wildcard: DatabaseConfig | undefined;
  readonly #make: (config: DatabaseConfig) => Database;
  readonly #max: number;

  /** `max`: how many databases `"*"` may admit. */
  constructor(
    listed: Iterable<Database>,
    wildcard: DatabaseConfig | undefined,
    make: (config: DatabaseConfig) => Database,
    max: number,
  ) {
    for (const database of listed) this.#byName.set(database.name, database);
    this.#wildcard = wildcard;
    this.#make = make;
    this.#max = max;
  }

  get all(): Database[] {
    return [...this.#byName.values()];
  }

  find(name: string): Database | undefined {
    return this.#byName.get(name);
  }

  /** Why clients who speak this engine's protocol cannot use this name; undefined when they can. */
  refusal(name: string, engine: DatabaseConfig['engine']): OperatingError | undefined {
    const spoken = this.#byName.get(name)?.config.engine ?? this.#wildcard?.engine;
    if (spoken !== undefined && spoken !== engine) {
      return new OperatingError('unknown-database', `database "${name}" has engine: ${spoken}`, {
        hint: `Connect to the address that the configuration has as listen.${spoken}.`,
      });
    }
    if (this.#byName.has(name)) return undefined;
    if (this.#wildcard === undefined) {
      return new OperatingError('unknown-database', `database "${name}" does not exist`, {
        hint: `Ringferry serves: ${[...this.#byName.keys()].join(', ')}. Add the database to the configuration, or "*" for all.`,
      });
    }
    if (this.#byName.size < this.#max) return undefined;
    return new OperatingError('limit-exceeded', `${this.#max} databases are open already`, {
      hint: 'List the databases in the configuration.',
    });
  }

  /** Throws what `refusal` says. */
  get(name: string): Database {
    let database = this.#byName.get(name);
    if (database === undefined) {
      const refused = this.refusal(name, this.#wildcard?.engine ?? 'postgres');
      if (refused !== undefined) throw refused;
      database = this.#make({ ...this.#wildcard!, name });
      this.#byName.set(name, database);
    }
    return database;
  }
}
