import type {
  AppliedStream,
  ChunkDifference,
  CopyTask,
  ShardAddress,
  StreamSpec,
} from '../migration/engine.js';
import { TableVerifier, type VerifySessions, verifyTables } from '../migration/verify-rows.js';
import { tableKey } from '../topology/keyspace.js';
import { markLog } from './change-source.js';
import { EngineSession } from './engine-session.js';
import { columnList, readExistingTables, storedColumns } from './engine-tables.js';
import { selectionSql } from './selection.js';
import { KeyReader } from './verify-keys.js';

/** Compares every selected row on both shards while the stream goes on. */
export function verifyRows(
  stream: AppliedStream,
  spec: StreamSpec,
  onProgress: (rows: number) => void,
  signal: AbortSignal,
): Promise<{ comparedRows: number; differences: ChunkDifference[] }> {
  const wing = {
    connect: (address: ShardAddress) => EngineSession.connect(address),
    open: (sessions: VerifySessions<EngineSession>, task: CopyTask) => openTable(sessions, stream, task),
  };
  return verifyTables(spec, wing, onProgress, signal);
}

async function openTable(
  { source, target, marker }: VerifySessions<EngineSession>,
  stream: AppliedStream,
  task: CopyTask,
): Promise<TableVerifier> {
  const [facts] = await readExistingTables(source, [task.table]);
  const [there] = await readExistingTables(target, [task.table]);
  const columns = columnList(storedColumns(facts!));
  return new TableVerifier(
    tableKey(task.table),
    await KeyReader.open(source, facts!, columns, selectionSql(task)),
    await KeyReader.open(target, there!, columns, selectionSql(task)),
    stream,
    () => markLog(marker, 'verify'),
  );
}
