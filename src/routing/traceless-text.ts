import type { SelectStmt } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import type { SqlParser } from '../sql/postgres-parser.js';

/** Longer texts are seldom quick, and parsing them is not. */
const MAX_LOOKED_AT = 16_384;

/** Is the text one query of which the engine says that it leaves no trace? What is long or not understood is not. */
export function isTracelessText(
  sql: string,
  parser: SqlParser,
  leavesNoTrace: (select: SelectStmt) => boolean,
): boolean {
  if (sql.length > MAX_LOOKED_AT) return false;
  try {
    const [first, second] = parser.parse(sql);
    const node = first?.stmt;
    return (
      second === undefined && node !== undefined && 'SelectStmt' in node && leavesNoTrace(node.SelectStmt)
    );
  } catch (error) {
    if (error instanceof OperatingError) return false;
    throw error;
  }
}
