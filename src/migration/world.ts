import type { MigrationConfig } from '../config/config.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';
import type { Keyspace } from '../topology/keyspace.js';
import type { ShardName } from '../topology/ring.js';
import type { TopologyStore } from '../topology/store.js';
import type { Topology } from '../topology/topology.js';
import type { MigrationEngine } from './engine.js';

/** Everything a migration works with; the composition root brings it together, one per database. */
export interface World {
  readonly topology: Topology;
  readonly store: TopologyStore;
  readonly engine: MigrationEngine;
  /** The tables as they are now. */
  readonly keyspace: () => Keyspace | Promise<Keyspace>;
  /** URL of a shard that the topology or the config knows; undefined or a throw for others. */
  readonly shardUrl: (shard: ShardName) => string | undefined;
  readonly config: MigrationConfig;
  /** Points on the ring of a shard that joins it. */
  readonly vnodes: number;
  readonly log: Logger;
  readonly clock: Clock;
  /** A new migration's id: `[a-z0-9]`, at most 12 characters, sorting by time. */
  readonly newId: () => string;
  /** Stop points for tests: awaited at each named step. */
  readonly pausePoint: (name: string) => Promise<void>;
}
