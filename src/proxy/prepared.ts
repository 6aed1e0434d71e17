import { OperatingError } from '../lib/errors.js';
import type { PreparedStatement } from '../pool/request.js';

/** The prepared statements of one client, by its own names. Bounded. */
export class PreparedStatements {
  readonly #byName = new Map<string, PreparedStatement>();
  /** Sent to a server that may have refused them: may be made again without being closed first. */
  readonly #doubtful = new Set<string>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** PostgreSQL manual 55.2.3: the unnamed statement may be made again, a named one must be closed first. */
  add(prepared: PreparedStatement): void {
    if (prepared.name !== '') {
      if (this.#byName.has(prepared.name) && !this.#doubtful.delete(prepared.name)) {
        throw new OperatingError('unsupported', `prepared statement "${prepared.name}" already exists`, {
          sqlstate: '42P05',
        });
      }
      if (this.#byName.size >= this.#max) this.#dropDoubtful();
      if (this.#byName.size >= this.#max) {
        throw new OperatingError(
          'limit-exceeded',
          `this client has ${this.#max} prepared statements already`,
          {
            hint: 'Close statements that are not used any more, or raise limits.max_prepared_statements.',
          },
        );
      }
    }
    this.#byName.set(prepared.name, prepared);
  }

  get(name: string): PreparedStatement {
    const prepared = this.#byName.get(name);
    if (prepared !== undefined) return prepared;
    const words =
      name === ''
        ? 'unnamed prepared statement does not exist'
        : `prepared statement "${name}" does not exist`;
    throw new OperatingError('unknown-prepared-statement', words);
  }

  doubt(name: string): void {
    this.#doubtful.add(name);
  }

  find(name: string): PreparedStatement | undefined {
    return this.#byName.get(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  delete(name: string): void {
    this.#byName.delete(name);
    this.#doubtful.delete(name);
  }

  clear(): void {
    this.#byName.clear();
    this.#doubtful.clear();
  }

  #dropDoubtful(): void {
    for (const name of this.#doubtful) this.#byName.delete(name);
    this.#doubtful.clear();
  }

  get size(): number {
    return this.#byName.size;
  }
}
