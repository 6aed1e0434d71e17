import { OperatingError } from '../lib/errors.js';
import type { ShardName } from '../topology/ring.js';
import type { Blocker } from './engine.js';
import { referenceFence } from './fences.js';
import { allTasks, copiedTables } from './links.js';
import { stateIn, withCopies } from './publication.js';
import { quietOn } from './quiet.js';
import type { MigrationRecord, Phase } from './record.js';
import type { Run } from './run.js';
import { removeAllTraces } from './traces.js';
import type { World } from './world.js';

/** Throws OperatingError `migration` with every reason not to start, and what to do about each. */
export function refuseBlocked(blockers: readonly Blocker[]): void {
  if (blockers.length === 0) return;
  throw new OperatingError(
    'migration',
    `the migration cannot start: ${blockers.map(({ shard, message }) => `${shard}: ${message}`).join('; ')}`,
    {
      hint: blockers.map(({ remedy }) => remedy).join(' '),
    },
  );
}

/** Reasons not to start, as the databases say them. */
export async function preflight(world: World, run: Run): Promise<Blocker[]> {
  const keyspace = await world.keyspace();
  await run.readLinks();
  const sources = run.sources.map((shard) => run.address(shard));
  const targets = run.targets.map((shard) => run.address(shard));
  // A shard that comes back still has its old copies of the reference tables: those are copied anew.
  const streams = run.links.map((link) => ({ ...run.forwardSpec(link), tasks: link.rangeTasks }));
  return world.engine.preflight(sources, targets, keyspace, run.record.id, streams);
}

/**
 * Schema on an added shard, row images and publication on the sources, positions on the targets, fences (down). What
 * is about to be made is noted first, so that cleanup finds it whatever died.
 */
export async function prepare(run: Run): Promise<Phase> {
  const { engine } = run.world;
  const { record } = run;
  await run.readLinks();
  if (record.copies.length > 0) await startAnew(run);
  record.tables = copiedTables(run.links);
  for (const shard of run.participants) noteObject(record, shard);
  await run.save();
  await run.pausePoint('preparing');
  const keyspace = await run.world.keyspace();
  if (record.kind === 'add-shard') {
    await run.act(engine.copySchema(run.address(keyspace.home), run.address(record.shard!), keyspace));
  }
  for (const source of run.sources) {
    const links = run.links.filter((link) => link.source === source);
    const note = await run.act(engine.prepareSource(run.address(source), record.id, links.flatMap(allTasks)));
    noteObject(record, source, note);
    await run.save();
    const rangeTasks = links.flatMap((link) => link.rangeTasks);
    const quiet = quietOn(run, source);
    await run.act(engine.prepareFence(run.address(source), record.id, rangeTasks, quiet));
    const referenceTasks = links.flatMap((link) => link.referenceTasks);
    if (referenceTasks.length === 0) continue;
    await run.act(engine.prepareFence(run.address(source), referenceFence(record), referenceTasks, quiet));
  }
  for (const target of run.targets) await run.act(engine.prepareTarget(run.address(target), record.id));
  await run.pausePoint('prepared');
  return 'backfilling';
}

/**
 * The tables changed after the backfill: everything made so far goes, above all a slot for the way back, which would
 * carry the emptying of the target to the source.
 */
async function startAnew(run: Run): Promise<void> {
  const { record, world } = run;
  await run.stopStreams('both');
  if (stateIn(world.topology.current, record) === 'mirrored') {
    await run.publish((current) => withCopies(current, record, undefined));
  }
  await removeAllTraces(run);
  record.copies = [];
  record.objects = [];
  record.verification = undefined;
  await run.save();
}

function noteObject(record: MigrationRecord, shard: ShardName, note?: string): void {
  const isThere = record.objects.some((object) => object.shard === shard && object.note === note);
  if (isThere) return;
  record.objects.push({
    shard,
    type: note === undefined ? 'traces' : 'note',
    name: record.id,
    ...(note === undefined ? {} : { note }),
  });
}
