import { OperatingError } from '../lib/errors.js';
import type { CopyTask, ShardAddress, SourceSnapshot } from '../migration/engine.js';
import { tableKey } from '../topology/keyspace.js';
import type { ShardName } from '../topology/ring.js';
import { createExportedSlot, type ExportedSlot } from './change-source.js';
import { relayCopy } from './copy-relay.js';
import { quoteTable, slotName } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { columnDrift, columnList, readExistingTables, storedColumns } from './engine-tables.js';
import { formatLsn } from './lsn.js';
import { selectionSql } from './selection.js';

/**
 * One slot for each target, each with the snapshot that was exported when it was made: a row version is either in the
 * snapshot or told by the slot, never both and never neither (hazards 2, 3, 13, 20). The snapshots live as long as
 * the connections that made them.
 */
export async function openSourceSnapshot(
  source: ShardAddress,
  migration: string,
  targets: readonly ShardName[],
  onWaiting: (message: string) => void,
): Promise<SourceSnapshot> {
  const slots = new Map<ShardName, ExportedSlot>();
  const close = async (): Promise<void> => {
    await Promise.all([...slots.values()].map((slot) => slot.session.close()));
  };
  try {
    for (const target of targets)
      slots.set(
        target,
        await createExportedSlot(source, slotName(migration, 'forward', source.shard, target), onWaiting),
      );
  } catch (error) {
    await close();
    throw error;
  }
  const positions = [...slots.values()]
    .map((slot) => slot.position)
    .sort((one, other) => (one < other ? -1 : 1));
  return {
    source: source.shard,
    // The earliest: from there on every stream tells what its own snapshot does not show.
    position: formatLsn(positions[0] ?? 0n),
    copy: (task, target, onProgress, signal) =>
      copyRows(source, slotFor(slots, target.shard), task, target, onProgress, signal),
    estimateRows: (task) => estimateRows(source, task),
    close,
  };
}

function slotFor(slots: ReadonlyMap<ShardName, ExportedSlot>, target: ShardName): ExportedSlot {
  const slot = slots.get(target);
  if (slot === undefined) throw new OperatingError('internal', `no snapshot was opened for shard ${target}`);
  if (slot.session.isLost)
    throw new OperatingError('shard-unavailable', 'the connection that held the snapshot was lost', {
      hint: 'the copy starts again by itself',
    });
  return slot;
}

/** Copies in one transaction on each side; sequences, triggers, foreign keys and checks of the source have been through these rows already. */
async function copyRows(
  source: ShardAddress,
  slot: ExportedSlot,
  task: CopyTask,
  target: ShardAddress,
  onProgress: (rows: number, bytes: number) => void,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const sessions: EngineSession[] = [];
  const abort = (): void => {
    for (const session of sessions) session.destroy();
  };
  signal.addEventListener('abort', abort);
  try {
    for (const address of [source, target]) sessions.push(await EngineSession.connect(address));
    signal.throwIfAborted();
    const rows = await copyBetween(sessions[0]!, sessions[1]!, slot.snapshot, task, onProgress);
    await Promise.all(sessions.map((session) => session.close()));
    return rows;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    abort();
  }
}

async function copyBetween(
  source: EngineSession,
  target: EngineSession,
  snapshot: string,
  task: CopyTask,
  onProgress: (rows: number, bytes: number) => void,
): Promise<number> {
  await source.run(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot}'`);
  const [facts] = await readExistingTables(source, [task.table]);
  const [there] = await readExistingTables(target, [task.table]);
  const drift = columnDrift(facts!, there!);
  if (drift !== undefined) {
    throw new OperatingError(
      'migration',
      `table ${tableKey(task.table)} on shard ${target.address.shard} is not as on ${source.address.shard}: ${drift}`,
    );
  }
  const columns = columnList(storedColumns(facts!));
  await target.run('BEGIN; SET LOCAL session_replication_role = replica');
  const name = quoteTable(task.table);
  const rows = await relayCopy(
    {
      session: source,
      copyOut: `COPY (SELECT ${columns} FROM ONLY ${name} WHERE ${selectionSql(task)}) TO STDOUT`,
    },
    { session: target, copyIn: `COPY ${name} (${columns}) FROM STDIN` },
    onProgress,
  );
  await target.run('COMMIT');
  // Without statistics the first statements after the switch would be planned as for an empty table.
  await target.run(`ANALYZE (SKIP_LOCKED) ${name}`);
  await source.run('COMMIT');
  return rows;
}

/** Tables smaller than this are counted; of larger ones a sample is looked at. */
const SAMPLE_ROWS = 20_000;

/** The planner's count of the whole table, times the part that is selected in a sample of pages. */
async function estimateRows(source: ShardAddress, task: CopyTask): Promise<number> {
  const session = await EngineSession.connect(source);
  try {
    const name = quoteTable(task.table);
    const [row] = await session.rows(
      'SELECT reltuples::bigint, relpages FROM pg_class WHERE oid = $1::text::regclass',
      [name],
    );
    const tuples = Number(row![0]) >= 0 ? Number(row![0]) : Number(row![1]) * 50;
    if (tuples < 2 * SAMPLE_ROWS)
      return Number(await session.value(`SELECT count(*) FROM ONLY ${name} WHERE ${selectionSql(task)}`));
    const percent = ((100 * SAMPLE_ROWS) / tuples).toFixed(6);
    const part = await session.value(
      `SELECT coalesce(avg((${selectionSql(task)})::int), 0) FROM ONLY ${name} TABLESAMPLE SYSTEM (${percent})`,
    );
    return Math.round(tuples * Number(part));
  } finally {
    await session.close();
  }
}
