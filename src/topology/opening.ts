import { OperatingError } from '../lib/errors.js';
import { Ring, type ShardName } from './ring.js';
import type { ShardEntry, Snapshot } from './snapshot.js';
import type { StoredTopology, TopologyStore } from './store.js';

/** What the config says of one database, as far as the topology goes. */
export interface DatabaseShards {
  readonly name: string;
  readonly shards: Readonly<Record<ShardName, { readonly url: string }>>;
  readonly home: ShardName;
  readonly ring: { readonly vnodes: number };
}

/**
 * The snapshot to start with. The first start makes the ring from the config and stores it; later the store owns the
 * ring and the config only says the URLs. Throws OperatingError `configuration` where the two contradict each other.
 */
export async function openSnapshot(store: TopologyStore, config: DatabaseShards): Promise<Snapshot> {
  const stored = await store.load(config.name);
  if (stored !== undefined) return restoredSnapshot(stored, config);
  const first = firstSnapshot(config);
  await store.compareAndSwap(config.name, 0, first);
  return first;
}

/** The ring as the config says it, at epoch 1. */
export function firstSnapshot(config: DatabaseShards): Snapshot {
  const names = Object.keys(config.shards).sort();
  return {
    database: config.name,
    epoch: 1,
    ring: Ring.of(names, config.ring.vnodes),
    shards: names.map((name) => ({ name, url: config.shards[name]!.url, isServing: true, origin: 'config' })),
    home: config.home,
    moves: [],
  };
}

/** What was stored (or sent), with the URLs that the config knows. Throws `configuration` where the two contradict each other. */
export function restoredSnapshot(stored: StoredTopology, config: DatabaseShards): Snapshot {
  if (stored.home !== config.home) {
    throw new OperatingError(
      'configuration',
      `the config says that the home of database "${config.name}" is shard "${config.home}", but its unsharded tables are on "${stored.home}"`,
      {
        hint: `Write "home: ${stored.home}".`,
      },
    );
  }
  const shards = stored.shards.map(({ name, url, isServing }): ShardEntry => {
    const configured = config.shards[name];
    if (configured !== undefined) return { name, url: configured.url, isServing, origin: 'config' };
    if (url !== undefined) return { name, url, isServing, origin: 'store' };
    throw new OperatingError(
      'configuration',
      `shard "${name}" of database "${config.name}" holds rows but is missing in the config`,
      {
        hint: `Put "${name}" with its URL back under databases.${config.name}.shards. To take it away for good, run: ringferry migrate remove-shard ${name}`,
      },
    );
  });
  return {
    database: config.name,
    epoch: stored.epoch,
    ring: stored.ring,
    shards,
    home: stored.home,
    moves: stored.moves,
  };
}
