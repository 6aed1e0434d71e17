import type { Node } from '@pgsql/types';
import { deparseSync } from 'pgsql-deparser';
import type { SqlParser } from './postgres-parser.js';

/** Fields that say where or how something was written, not what it means. */
const WRITTEN_FORM = new Set([
  'location',
  'stmt_location',
  'stmt_len',
  'list_start',
  'list_end',
  'rexpr_list_start',
  'rexpr_list_end',
  'name_location',
]);

/**
 * SQL text of a tree, or undefined when the deparser does not say exactly what the tree means: the text is parsed
 * again and must give the same tree, so that a gap in the deparser can never become a wrong answer.
 */
export function deparse(statement: Node, parser: SqlParser): string | undefined {
  try {
    const sql = deparseSync(statement, { pretty: false });
    const again = parser.parse(sql);
    if (again.length !== 1 || meaning(again[0]!.stmt) !== meaning(statement)) return undefined;
    return sql;
  } catch {
    return undefined;
  }
}

function meaning(tree: unknown): string {
  return JSON.stringify(tree, (key, value: unknown) => {
    if (WRITTEN_FORM.has(key)) return undefined;
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
