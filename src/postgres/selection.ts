import type { CopyTask } from '../migration/engine.js';
import { keyOf } from '../migration/selection.js';
import { rangeTestSql, tokenSql } from '../sql/postgres-token.js';
import { quoteName } from './engine-names.js';

/** The rows of a task as an SQL condition. `row`: what to put before the column's name, e.g. `NEW.`. */
export function selectionSql(task: CopyTask, row = ''): string {
  if (task.selection.type === 'all') return 'true';
  const key = keyOf(task);
  return rangeTestSql(tokenSql(key.type, `${row}${quoteName(key.column)}`), task.selection.ranges);
}
