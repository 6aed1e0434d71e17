import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CopyTask } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import { quoteTable } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { readTables, type TableFacts } from './engine-tables.js';
import { ensureLedger, signTransaction } from './ledger.js';
import { selectionSql } from './selection.js';
import { KeyReader } from './verify-keys.js';

/** Rows that one DELETE looks at: some milliseconds. */
const ROWS_PER_BATCH = 2_000;

/**
 * Deletes the selected rows, a stretch of the primary key at a time, so that no transaction is long. The session must be an
 * applier (foreign keys off, fence open). With a migration its streams leave these deletes out. Tables that are not there hold
 * nothing. Returns the number of rows deleted.
 */
export async function deleteSelected(
  session: EngineSession,
  tasks: readonly CopyTask[],
  signal?: AbortSignal,
  migration?: string,
): Promise<number> {
  if (migration !== undefined) await ensureLedger(session);
  const merged = mergeTasks(tasks);
  const there = await readTables(
    session,
    merged.map((task) => task.table),
  );
  let deleted = 0;
  for (const task of merged) {
    const facts = [...there.values()].find((each) => each.table === task.table);
    if (facts === undefined) continue;
    // A row that came behind our back while we went on is met by the next walk.
    for (let found = 1; found > 0; deleted += found)
      found = await walk(session, facts, selectionSql(task), signal, migration);
  }
  return deleted;
}

async function walk(
  session: EngineSession,
  facts: TableFacts,
  condition: string,
  signal: AbortSignal | undefined,
  migration: string | undefined,
): Promise<number> {
  const reader = new KeyReader(session, facts, condition);
  let deleted = 0;
  let after: readonly string[] | undefined;
  do {
    signal?.throwIfAborted();
    const upTo = await reader.endOfStretch(after, ROWS_PER_BATCH);
    const sql = `DELETE FROM ${quoteTable(facts.table)} WHERE ${reader.stretchSql({ after, upTo })} AND ${condition}`;
    deleted += await session.transaction(async () => {
      if (migration !== undefined) await signTransaction(session, migration);
      return await session.run(sql);
    });
    after = upTo;
    await nextTurn();
  } while (after !== undefined);
  return deleted;
}
