import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CopyTask } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import { quoteTable } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { selectionSql } from './selection.js';

/** Pages that one DELETE looks at: some ten thousand rows, some milliseconds. */
const PAGES_PER_BATCH = 128;

/**
 * Deletes the selected rows, a stretch of pages at a time, so that no transaction is long and no row is looked at twice.
 * The session must be an applier (triggers and foreign keys off, fence open). Returns the number of rows deleted.
 */
export async function deleteSelected(
  session: EngineSession,
  tasks: readonly CopyTask[],
  signal?: AbortSignal,
): Promise<number> {
  let deleted = 0;
  for (const task of mergeTasks(tasks)) {
    const table = quoteTable(task.table);
    const condition = selectionSql(task);
    for (let page = 0; ; page += PAGES_PER_BATCH) {
      signal?.throwIfAborted();
      const pages = Number(
        await session.value(
          `SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::int`,
          [table],
        ),
      );
      if (page >= pages) break;
      deleted += await session.run(
        `DELETE FROM ONLY ${table} WHERE ctid >= '(${page},0)'::tid AND ctid < '(${page + PAGES_PER_BATCH},0)'::tid AND ${condition}`,
      );
      await nextTurn();
    }
    // A row version that moved to a page already looked at while we went on would have been missed.
    deleted += await session.run(`DELETE FROM ONLY ${table} WHERE ${condition}`);
  }
  return deleted;
}
