import { OperatingError } from '../lib/errors.js';
import type { AppliedStream, ChunkDifference, CopyTask, StreamSpec } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import { tableKey } from '../topology/keyspace.js';
import { actAsApplier, allowEmptyEnums } from './apply-target.js';
import { markLog } from './change-source.js';
import { exactSql, literalMaker } from './column-values.js';
import { quoteTable } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { checkAlike, columnList, readExistingTables, storedColumns } from './engine-tables.js';
import { ensureLedger, signTransaction } from './ledger.js';
import { selectionSql } from './selection.js';
import { KeyReader } from './verify-keys.js';

const LOCK_TIMEOUT_SECONDS = 5;

/**
 * Brings single rows to what the source has. The source's row is locked while the stream catches up with it and the
 * target is set, so that no change of it can be under way (hazard 7: one writer per row at a time). Rows that are too many
 * go first: one of them may hold a unique value that another needs.
 */
export async function repairRows(
  spec: StreamSpec,
  stream: AppliedStream,
  differences: readonly ChunkDifference[],
): Promise<void> {
  const sessions: EngineSession[] = [];
  try {
    for (const address of [spec.from, spec.to, spec.from])
      sessions.push(await EngineSession.connect(address, { batches: true }));
    const [source, target, marker] = sessions as [EngineSession, EngineSession, EngineSession];
    // Bytes come as they are stored.
    await source.run('SET SESSION character_set_results = NULL');
    await source.run(`SET SESSION innodb_lock_wait_timeout = ${LOCK_TIMEOUT_SECONDS}`);
    await actAsApplier(target);
    await ensureLedger(target);
    for (const task of mergeTasks(spec.tasks)) {
      const keys = differences
        .filter((difference) => difference.table === tableKey(task.table))
        .sort((one, other) => Number(other.kind === 'extra') - Number(one.kind === 'extra'))
        .map((difference) => difference.key);
      if (keys.length > 0)
        await repairTable({ source, target, marker, stream, migration: spec.migration }, task, keys);
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
  readonly migration: string;
}

async function repairTable(
  { source, target, marker, stream, migration }: Repair,
  task: CopyTask,
  keys: readonly string[],
): Promise<void> {
  const [facts] = await readExistingTables(source, [task.table]);
  const [there] = await readExistingTables(target, [task.table]);
  checkAlike(facts!, there!);
  await allowEmptyEnums(target, [there!]);
  const columns = storedColumns(facts!);
  const makers = columns.map(literalMaker);
  const reader = new KeyReader(source, facts!, 'TRUE');
  const table = quoteTable(task.table);
  for (const key of keys) {
    if ((JSON.parse(key) as string[]).length !== facts!.primaryKey.length)
      throw new OperatingError('internal', `not a key of ${tableKey(task.table)}: ${key}`);
    const where = reader.keySql(key);
    await source.transaction(async () => {
      const [row] = await source.bytes(
        `SELECT ${columns.map((column) => exactSql(column)).join(', ')} FROM ${table} WHERE ${where} AND ${selectionSql(task)} LOCK IN SHARE MODE`,
      );
      await stream.waitFor(await markLog(marker, migration));
      await target.transaction(async () => {
        await signTransaction(target, migration);
        await target.run(`DELETE FROM ${table} WHERE ${where}`);
        if (row === undefined) return;
        const values = row.map((value, index) => makers[index]!(value)).join(', ');
        await target.run(`INSERT INTO ${table} (${columnList(columns)}) VALUES (${values})`);
      });
    });
  }
}
