import { asError } from '../lib/errors.js';
import type { ShardName } from '../topology/ring.js';
import { referenceFence, rollbackFence } from './fences.js';
import { quietOn } from './quiet.js';
import type { MigrationRecord } from './record.js';
import type { Run } from './run.js';

/** Tries on a shard that was never part of the topology before it is left as it is. */
const MOST_TRIES_ON_LOST_SHARD = 5;

/** Slots, publications, fences, tables: everything of this migration in every database it touched, until all is gone. */
export async function removeAllTraces(run: Run): Promise<void> {
  await Promise.all(
    run.participants.map((shard) => {
      let tries = 0;
      return run.persist(`removing what the migration made on shard "${shard}"`, async () => {
        try {
          await run.act(removeTracesOn(run, shard));
        } catch (thrown) {
          if (!isLost(run, shard) || ++tries < MOST_TRIES_ON_LOST_SHARD) throw thrown;
          run.world.log.error(
            { migration: run.record.id, shard, reason: asError(thrown).message },
            'a shard that was to be added cannot be cleaned up and is left as it is',
          );
        }
      });
    }),
  );
}

/** The shard that was to be added and owns nothing: when it is gone, an abort must not wait for it for ever. */
export function isLost(run: Run, shard: ShardName): boolean {
  const { record, world } = run;
  return (
    record.kind === 'add-shard' &&
    record.shard === shard &&
    !world.topology.current.ring.shards.includes(shard)
  );
}

async function removeTracesOn(run: Run, shard: ShardName): Promise<void> {
  const { record, world } = run;
  const address = run.address(shard);
  for (const name of [record.id, rollbackFence(record), referenceFence(record)]) {
    await world.engine.removeTraces(address, name, notesOf(record, shard), quietOn(run, shard));
  }
}

/** The notes that the engine gave when it changed things on this shard. */
function notesOf(record: MigrationRecord, shard: ShardName): string[] {
  return record.objects
    .filter((object) => object.shard === shard && object.note !== undefined)
    .map((object) => object.note!);
}
