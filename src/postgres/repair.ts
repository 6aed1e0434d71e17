import { OperatingError } from '../lib/errors.js';
import type { AppliedStream, ChunkDifference, CopyTask, StreamSpec } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import { tableKey } from '../topology/keyspace.js';
import { ApplyStatements, keyTest } from './apply-statements.js';
import { actAsApplier } from './apply-target.js';
import { markLog } from './change-source.js';
import { localOriginName, quoteTable } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { columnList, readExistingTables, storedColumns } from './engine-tables.js';
import { selectionSql } from './selection.js';

/**
 * Brings single rows to what the source has. The source's row is locked while the stream catches up with it and the
 * target is set, so that no change of it can be under way (hazard 7: one writer per row at a time).
 */
export async function repairRows(
  spec: StreamSpec,
  stream: AppliedStream,
  differences: readonly ChunkDifference[],
): Promise<void> {
  const sessions: EngineSession[] = [];
  try {
    for (const address of [spec.from, spec.to, spec.from])
      sessions.push(await EngineSession.connect(address));
    const [source, target, marker] = sessions as [EngineSession, EngineSession, EngineSession];
    await actAsApplier(target, localOriginName(spec.migration, spec.to.shard));
    for (const task of mergeTasks(spec.tasks)) {
      const keys = differences
        .filter((difference) => difference.table === tableKey(task.table))
        .map((difference) => difference.key);
      if (keys.length > 0) await repairTable({ source, target, marker, stream }, task, keys);
    }
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

interface Repair {
  readonly source: EngineSession;
  readonly target: EngineSession;
  /** Marks the log while `source` holds a row's lock. */
  readonly marker: EngineSession;
  readonly stream: AppliedStream;
}

async function repairTable(
  { source, target, marker, stream }: Repair,
  task: CopyTask,
  keys: readonly string[],
): Promise<void> {
  const [facts] = await readExistingTables(source, [task.table]);
  const [there] = await readExistingTables(target, [task.table]);
  const columns = columnList(storedColumns(facts!));
  const insert = new ApplyStatements({ ...there!, columns: facts!.columns }, 'repair').insert().sql;
  for (const json of keys) {
    const key = JSON.parse(json) as string[];
    if (key.length !== facts!.primaryKey.length)
      throw new OperatingError('internal', `not a key of ${tableKey(task.table)}: ${json}`);
    await source.transaction(async () => {
      await source.run(`SET LOCAL lock_timeout = '5s'`);
      const [row] = await source.rows(
        `SELECT ${columns} FROM ONLY ${quoteTable(task.table)} WHERE ${keyTest(facts!.primaryKey, 0)} AND ${selectionSql(task)} FOR SHARE`,
        key,
      );
      await stream.waitFor(await markLog(marker, 'repair'));
      await target.transaction(async () => {
        await target.run(
          `DELETE FROM ONLY ${quoteTable(task.table)} WHERE ${keyTest(there!.primaryKey, 0)}`,
          key,
        );
        if (row !== undefined) await target.run(insert, row);
      });
    });
  }
}
