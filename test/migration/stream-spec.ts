import type { StreamSpec } from '../../src/migration/engine.js';

/** A stream from shard a to shard b, for ends that are no servers. */
export const SPEC: StreamSpec = {
  migration: 'm1',
  direction: 'forward',
  from: { shard: 'a', url: 'a' },
  to: { shard: 'b', url: 'b' },
  tasks: [],
};
