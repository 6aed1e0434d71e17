import { asError } from '../lib/errors.js';
import type { Blocker, ShardAddress } from './engine.js';

/** Asks shards for reasons not to start over one session to each; one that cannot be reached is such a reason, and then nobody is asked. */
export async function blockersOver<Session extends { close(): Promise<void> }>(
  addresses: readonly ShardAddress[],
  connect: (address: ShardAddress) => Promise<Session>,
  find: (sessions: ReadonlyMap<string, Session>) => Promise<Blocker[]>,
): Promise<Blocker[]> {
  const blockers: Blocker[] = [];
  const sessions = new Map<string, Session>();
  try {
    for (const address of addresses) {
      if (sessions.has(address.shard)) continue;
      try {
        sessions.set(address.shard, await connect(address));
      } catch (error) {
        blockers.push({
          shard: address.shard,
          message: asError(error).message,
          remedy: 'Start the server, or correct the URL of the shard.',
        });
      }
    }
    return blockers.length > 0 ? blockers : await find(sessions);
  } finally {
    await Promise.all([...sessions.values()].map((session) => session.close()));
  }
}
