import { OperatingError } from '../lib/errors.js';
import type { PreparedStatement } from '../pool/request.js';
import type { ParameterValues, PlannedStatement } from '../routing/plan.js';
import type { ShardName } from '../topology/ring.js';

/** A bound statement, ready to be executed. */
export interface Portal {
  readonly name: string;
  readonly prepared: PreparedStatement;
  readonly planned: PlannedStatement;
  readonly parameters: ParameterValues;
  readonly resultFormats: readonly number[];
  /** The shard on whose backend it exists, once it was relayed there. */
  shard: ShardName | undefined;
  /** It was answered by us and cannot be continued. */
  isSpent: boolean;
}

/** The portals of one client; they end with the transaction. */
export class Portals {
  readonly #byName = new Map<string, Portal>();

  add(portal: Portal): void {
    if (portal.name !== '' && this.#byName.has(portal.name)) {
      throw new OperatingError('unsupported', `cursor "${portal.name}" already exists`, {
        sqlstate: '42P03',
      });
    }
    this.#byName.set(portal.name, portal);
  }

  get(name: string): Portal {
    const portal = this.#byName.get(name);
    if (portal === undefined) throw new OperatingError('unknown-portal', `portal "${name}" does not exist`);
    return portal;
  }

  delete(name: string): Portal | undefined {
    const portal = this.#byName.get(name);
    this.#byName.delete(name);
    return portal;
  }

  clear(): void {
    this.#byName.clear();
  }
}
