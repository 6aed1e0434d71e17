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
import { checkAlike, readExistingTables } from './engine-tables.js';
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
    connect: (address: ShardAddress) => EngineSession.connect(address, { batches: true }),
    open: (sessions: VerifySessions<EngineSession>, task: CopyTask) =>
      openTable(sessions, stream, spec.migration, task),
  };
  return verifyTables(spec, wing, onProgress, signal);
}

async function openTable(
  { source, target, marker }: VerifySessions<EngineSession>,
  stream: AppliedStream,
  migration: string,
  task: CopyTask,
): Promise<TableVerifier> {
  const [facts] = await readExistingTables(source, [task.table]);
  const [there] = await readExistingTables(target, [task.table]);
  checkAlike(facts!, there!);
  return new TableVerifier(
    tableKey(task.table),
    new KeyReader(source, facts!, selectionSql(task)),
    // By the source's facts: the same columns in the same order.
    new KeyReader(target, facts!, selectionSql(task)),
    stream,
    () => markLog(marker, migration),
  );
}
