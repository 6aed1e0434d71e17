import type { SelectStmt } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import type { SqlParser } from '../sql/postgres-parser.js';
import { type Dependencies, dependenciesOf } from './dependencies.js';

/** Longer texts are seldom quick, and parsing them is not. */
const MAX_LOOKED_AT = 16_384;

/** What the text names if it is one query of which the engine says that it leaves no trace. What is long or not understood is none. */
export function tracelessDependencies(
  sql: string,
  parser: SqlParser,
  leavesNoTrace: (select: SelectStmt) => boolean,
): Dependencies | undefined {
  if (sql.length > MAX_LOOKED_AT) return undefined;
  try {
    const [first, second] = parser.parse(sql);
    const node = first?.stmt;
    if (second !== undefined || node === undefined || !('SelectStmt' in node)) return undefined;
    return leavesNoTrace(node.SelectStmt) ? dependenciesOf(node.SelectStmt) : undefined;
  } catch (error) {
    if (error instanceof OperatingError) return undefined;
    throw error;
  }
}
