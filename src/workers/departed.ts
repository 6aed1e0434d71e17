import type { PoolState } from '../admin/control.js';
import type { ProcessReport } from '../admin/elsewhere.js';
import { addDatabases, countersOf, mergeTemplates } from '../admin/totals.js';

/** Templates that are remembered of all processes that have ended. */
const MAX_TEMPLATES = 1_000;

const NOTHING: ProcessReport = {
  // Without an id: it is no process any more.
  proxy: { id: '', address: '', processId: 0, startedAtMs: 0, clients: 0, epochs: '' },
  databases: [],
  pools: [],
  clients: [],
  servers: [],
  templates: [],
};

/** What processes that have ended had counted, added up: totals only grow, as who reads metrics expects. */
export class Departed {
  #report = NOTHING;

  get report(): ProcessReport {
    return this.#report;
  }

  add({ databases, pools, templates }: ProcessReport): void {
    const before = this.#report;
    this.#report = {
      ...NOTHING,
      databases: addDatabases(before.databases, databases.map(countersOf)),
      pools: addPools(before.pools, pools),
      templates: mergeTemplates([...before.templates, ...templates], MAX_TEMPLATES),
    };
  }
}

function addPools(before: readonly PoolState[], pools: readonly PoolState[]): PoolState[] {
  const sums = new Map<string, PoolState>();
  for (const pool of [...before, ...pools]) {
    const key = JSON.stringify([pool.database, pool.shard, pool.user]);
    const sum = sums.get(key);
    sums.set(key, {
      ...pool,
      size: 0,
      serversActive: 0,
      serversIdle: 0,
      serversConnecting: 0,
      leasesWaiting: 0,
      oldestWaitMs: 0,
      connectsTotal: pool.connectsTotal + (sum?.connectsTotal ?? 0),
      connectFailuresTotal: pool.connectFailuresTotal + (sum?.connectFailuresTotal ?? 0),
      waitTimeoutsTotal: pool.waitTimeoutsTotal + (sum?.waitTimeoutsTotal ?? 0),
    });
  }
  return [...sums.values()];
}
