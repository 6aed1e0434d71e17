import { OperatingError } from '../lib/errors.js';
import type { AppliedStream, ChunkDifference, CopyTask, StreamSpec } from '../migration/engine.js';
import { ApplyStatements, keyTest } from './apply-statements.js';
import { actAsApplier } from './apply-target.js';
import { localOriginName, quoteTable, tableKey } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { columnList, readExistingTables, storedColumns } from './engine-tables.js';
import { mergeTasks, selectionSql } from './selection.js';

/**
 * Brings single rows to what the source has. The source's row is locked while the stream catches up with it and the
 * target is set, so that no change of it can be under way (hazard 7: one writer per row at a time).
 */
export async function repairRows(
  spec: StreamSpec,
  stream: AppliedStream,
  differences: readonly ChunkDifference[],
): Promise<void> {
  const source = await EngineSession.connect(spec.from);
  const target = await EngineSession.connect(spec.to).catch(async (error) => {
    await source.close();
    throw error;
  });
  try {
    await actAsApplier(target, localOriginName(spec.migration, spec.to.shard));
    for (const task of mergeTasks(spec.tasks)) {
      const keys = differences
        .filter((difference) => difference.table === tableKey(task.table))
        .map((difference) => difference.key);
      if (keys.length > 0) await repairTable(source, target, stream, task, keys);
    }
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}

async function repairTable(
  source: EngineSession,
  target: EngineSession,
  stream: AppliedStream,
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
      await stream.waitFor((await source.value('SELECT pg_current_wal_insert_lsn()'))!);
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
