import { untilAborted } from '../lib/until-aborted.js';
import { refuseOwned } from './backfilling.js';
import { finished, stateIn } from './publication.js';
import type { Phase } from './record.js';
import type { Run } from './run.js';
import { removeAllTraces } from './traces.js';

/** After `finish`: the sources' rows go, then the moves, then everything that was made. There is no way back any more. */
export async function clean(run: Run): Promise<Phase> {
  const { record, world } = run;
  await run.readLinks();
  await run.stopStreams('both');
  await run.pausePoint('cleaning');
  if (stateIn(world.topology.current, record) !== undefined) {
    await deleteMovedRows(run);
    await run.pausePoint('rows-deleted');
    await forgetOldSnapshots(run);
    await run.persist('storing the topology', () => run.publish((current) => finished(current, record)));
  }
  await run.pausePoint('moves-dropped');
  await removeAllTraces(run);
  await run.pausePoint('traces-removed');
  return 'done';
}

/** Only while the fence stands and the topology says that the source does not own them (hazard 26). */
async function deleteMovedRows(run: Run): Promise<void> {
  const { record, world } = run;
  await Promise.all(
    run.sources.map((source) =>
      run.persist(`deleting moved rows on shard "${source}"`, async () => {
        const links = run.links.filter((link) => link.source === source);
        for (const link of links) refuseOwned(run, source, link);
        const tasks = links.flatMap((link) => link.rangeTasks);
        const rows = await run.act(
          world.engine.deleteRows(run.address(source), record.id, tasks, run.signal),
        );
        world.log.info({ migration: record.id, shard: source, rows }, 'deleted rows that moved away');
      }),
    ),
  );
}

/** A transaction whose snapshot still shows the deleted rows would count them once scatters no longer leave them out. */
export async function forgetOldSnapshots(run: Run): Promise<void> {
  run.waitingFor = 'transactions that may still see the deleted rows to end';
  await untilAborted(run.world.topology.participants.passed(), run.signal);
  run.waitingFor = undefined;
}
