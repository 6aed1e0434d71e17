import type { SelectStmt } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import type { SqlParser } from '../sql/postgres-parser.js';
import { dependenciesOf } from './dependencies.js';
import { Pace } from './pace.js';

/** Longer texts are seldom quick, and parsing them is not. */
const MAX_LOOKED_AT = 16_384;

/** The pace of a text that is one query of which the engine says that it leaves no trace; what is long or not understood has none. */
export function paceOfText(
  sql: string,
  parser: SqlParser,
  leavesNoTrace: (select: SelectStmt) => boolean,
): { readonly pace?: Pace } {
  if (sql.length > MAX_LOOKED_AT) return {};
  try {
    const [first, second] = parser.parse(sql);
    const node = first?.stmt;
    if (second !== undefined || node === undefined || !('SelectStmt' in node)) return {};
    return leavesNoTrace(node.SelectStmt) ? { pace: new Pace(dependenciesOf(node.SelectStmt)) } : {};
  } catch (error) {
    if (error instanceof OperatingError) return {};
    throw error;
  }
}
