import { asError } from '../lib/errors.js';
import { refuseOwned } from './backfilling.js';
import { forgetOldSnapshots } from './cleaning.js';
import { settleFences } from './fences.js';
import { allTasks } from './links.js';
import { stateIn, withCopies, withdrawn } from './publication.js';
import type { Phase } from './record.js';
import type { Run } from './run.js';
import { isLost, removeAllTraces } from './traces.js';

/** Tries to empty a shard that was to be added before it is left as it is. */
const MOST_TRIES_ON_LOST_SHARD = 5;

/** The sources own everything: the copies go, then the moves and an added shard, then everything that was made. */
export async function abort(run: Run): Promise<Phase> {
  const { record, world } = run;
  await run.readLinks();
  await run.stopStreams('both');
  await settleFences(run);
  await run.pausePoint('aborting');
  if (stateIn(world.topology.current, record) === 'mirrored') {
    await run.persist('storing the topology', () =>
      run.publish((current) => withCopies(current, record, undefined)),
    );
  }
  if (stateIn(world.topology.current, record) !== undefined) {
    await clearCopies(run);
    await run.pausePoint('copies-cleared');
    await forgetOldSnapshots(run);
    await run.persist('storing the topology', () => run.publish((current) => withdrawn(current, record)));
  }
  await run.pausePoint('moves-withdrawn');
  await removeAllTraces(run);
  await run.pausePoint('traces-removed');
  return record.failure === undefined ? 'aborted' : 'failed';
}

async function clearCopies(run: Run): Promise<void> {
  await Promise.all(
    run.targets.map((target) => {
      let tries = 0;
      return run.persist(`emptying the copies on shard "${target}"`, async () => {
        const links = run.links.filter((link) => link.target === target);
        for (const link of links) refuseOwned(run, target, link);
        try {
          await run.act(run.world.engine.clearTarget(run.address(target), links.flatMap(allTasks)));
        } catch (thrown) {
          if (!isLost(run, target) || ++tries < MOST_TRIES_ON_LOST_SHARD) throw thrown;
          run.world.log.error(
            { migration: run.record.id, shard: target, reason: asError(thrown).message },
            'copies on a shard that was to be added are left there',
          );
        }
      });
    }),
  );
}
