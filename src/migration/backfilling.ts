import { setMaxListeners } from 'node:events';
import { OperatingError } from '../lib/errors.js';
import { untilAborted } from '../lib/until-aborted.js';
import { intersection, rangesOf } from '../topology/moves.js';
import type { ShardName } from '../topology/ring.js';
import type { CopyTask, SourceSnapshot } from './engine.js';
import { throwIfAborted } from './interrupt.js';
import { allTasks, type Link, tableName } from './links.js';
import { stateIn, withCopies } from './publication.js';
import type { CopyProgress, Phase } from './record.js';
import type { Run } from './run.js';

interface Copy {
  readonly snapshot: SourceSnapshot;
  readonly task: CopyTask;
  readonly target: ShardName;
  readonly progress: CopyProgress;
}

/**
 * Copies the moving rows as one snapshot of each source shows them; the change streams then begin exactly there. A
 * copy that broke, or whose process died, starts again from nothing: new slot, empty target.
 */
export async function backfill(run: Run): Promise<Phase> {
  await run.readLinks();
  await run.stopStreams('both');
  await publishCopies(run);
  await run.pausePoint('published-copying');
  await clearTargets(run);
  await run.pausePoint('cleared');
  const snapshots = new OpenSnapshots();
  try {
    const copies = await openCopies(run, snapshots);
    await run.pausePoint('snapshots-open');
    await copyAll(run, copies);
  } finally {
    await snapshots.close();
  }
  await run.pausePoint('copied');
  return 'catching-up';
}

/** A statement that was scattered before the moves were known would count the copies: it ends before the first is made. */
async function publishCopies(run: Run): Promise<void> {
  const { record, world } = run;
  const url = record.kind === 'add-shard' ? run.address(record.shard!).url : undefined;
  if (stateIn(world.topology.current, record) !== 'copying') {
    await run.publish((current) => withCopies(current, record, url));
  }
  run.waitingFor = 'transactions that read all shards and began before the migration to end';
  await untilAborted(world.topology.participants.passed(), run.signal);
  run.waitingFor = undefined;
}

/** Empties what an earlier try may have left; only rows that the target does not own may be there. */
export async function clearTargets(run: Run): Promise<void> {
  for (const target of run.targets) {
    const links = run.links.filter((link) => link.target === target);
    for (const link of links) refuseOwned(run, target, link);
    await run.act(run.world.engine.clearTarget(run.address(target), links.flatMap(allTasks)));
  }
}

/** Hazard 26: rows are deleted only where this epoch says that they are not owned. */
export function refuseOwned(run: Run, shard: ShardName, link: Link): void {
  const { ring, shards } = run.world.topology.current;
  if (intersection(rangesOf(ring, shard), link.ranges).length > 0) {
    throw new OperatingError(
      'migration',
      `shard "${shard}" owns rows that migration ${run.record.id} would delete there`,
    );
  }
  const isServing = shards.some((entry) => entry.name === shard && entry.isServing);
  if (shard === link.target && link.referenceTasks.length > 0 && isServing) {
    throw new OperatingError(
      'migration',
      `shard "${shard}" serves reference tables that migration ${run.record.id} would empty there`,
    );
  }
}

/** Closes every snapshot, also one whose opening ends only after it is no longer wanted. */
class OpenSnapshots {
  readonly list: SourceSnapshot[] = [];
  #isClosed = false;

  async add(opening: Promise<SourceSnapshot>): Promise<void> {
    const snapshot = await opening;
    if (this.#isClosed) await snapshot.close();
    else this.list.push(snapshot);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.list.map((snapshot) => snapshot.close()));
  }
}

async function openCopies(run: Run, snapshots: OpenSnapshots): Promise<Copy[]> {
  const { record, world } = run;
  record.copies = [];
  await Promise.all(
    run.sources.map(async (source) => {
      const links = run.links.filter((link) => link.source === source && allTasks(link).length > 0);
      if (links.length === 0) return;
      const targets = links.map((link) => link.target);
      await run.act(snapshots.add(world.engine.openSnapshot(run.address(source), record.id, targets)));
    }),
  );
  const copies: Copy[] = [];
  for (const snapshot of snapshots.list) {
    for (const link of run.links.filter((candidate) => candidate.source === snapshot.source)) {
      for (const task of allTasks(link))
        copies.push({ snapshot, task, target: link.target, progress: progressOf(run, link, task) });
    }
  }
  await Promise.all(
    copies.map(async (copy) => {
      copy.progress.estimatedRows += await run.act(copy.snapshot.estimateRows(copy.task));
    }),
  );
  await run.save();
  return copies;
}

/** One entry per source and table, whatever number of targets its rows go to. */
function progressOf(run: Run, link: Link, task: CopyTask): CopyProgress {
  const table = tableName(task.table);
  const found = run.record.copies.find((copy) => copy.source === link.source && copy.table === table);
  if (found !== undefined) return found;
  const made: CopyProgress = {
    source: link.source,
    table,
    rows: 0,
    bytes: 0,
    estimatedRows: 0,
    isDone: false,
  };
  run.record.copies.push(made);
  return made;
}

/** `options.parallel` copies at once per source; the first failure stops all. */
async function copyAll(run: Run, copies: readonly Copy[]): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([run.signal, failed.signal]);
  // Every copy under way listens.
  setMaxListeners(0, signal);
  const works = run.sources.flatMap((source) => {
    const queue = copies.filter((copy) => copy.snapshot.source === source);
    return Array.from({ length: Math.min(run.record.options.parallel, queue.length) }, async () => {
      for (let copy = queue.shift(); copy !== undefined; copy = queue.shift()) {
        await whilePaused(run);
        throwIfAborted(signal);
        await copyOne(run, copy, signal);
      }
    });
  });
  const results = await Promise.allSettled(
    works.map((work) =>
      work.catch((thrown) => {
        failed.abort(thrown);
        throw thrown;
      }),
    ),
  );
  throwIfAborted(run.signal);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failed.signal.reason;
  for (const { progress } of copies) progress.isDone = true;
  await run.save();
}

async function copyOne(run: Run, copy: Copy, signal: AbortSignal): Promise<void> {
  const { progress } = copy;
  let rowsSoFar = 0;
  let bytesSoFar = 0;
  const onProgress = (rows: number, bytes: number): void => {
    progress.rows += rows - rowsSoFar;
    progress.bytes += bytes - bytesSoFar;
    rowsSoFar = rows;
    bytesSoFar = bytes;
    run.changed();
  };
  // Awaited to its very end, also when it is aborted: a copy that still writes must not meet the next try's empty target.
  const rows = await copy.snapshot.copy(copy.task, run.address(copy.target), onProgress, signal);
  onProgress(rows, bytesSoFar);
}

/** A paused migration takes no new step; streams go on, so that no log piles up. */
export async function whilePaused(run: Run): Promise<void> {
  while (run.record.paused && !run.signal.aborted) {
    run.waitingFor = 'resume';
    await run.sleep(60_000);
    run.waitingFor = undefined;
  }
}
