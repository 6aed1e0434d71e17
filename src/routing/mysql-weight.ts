import type { FuncCall, Node } from '@pgsql/types';
import { callNode, operatorNode } from '../sql/mysql-tree.js';
import { functionNameOf, plainTypeOf, walk } from '../sql/postgres-tree.js';
import type { Column, Table } from '../topology/keyspace.js';
import { MYSQL_VOLATILE } from './mysql-function-names.js';
import { isNoTextInMysql } from './mysql-loose.js';

/** Shown as text, but ordered by something else that the weights of that text do not tell. */
const OTHER_ORDER = /^(enum|set|uuid|inet4|inet6|json)\b/i;

/** Texts whose collation decides: the server itself says by what it compares them (WEIGHT_STRING). */
export function isWeighedInMysql(
  expression: Node,
  columns: readonly (Column | undefined)[],
  tables: Iterable<Table>,
): boolean {
  if (isNoTextInMysql(expression, columns)) return false;
  const hasOtherOrder = (column: Column | undefined) => column !== undefined && OTHER_ORDER.test(column.type);
  if (columns.some(hasOtherOrder)) return false;
  // Of a column that a sub-query made nothing is known.
  if (columns.includes(undefined) && [...tables].some((table) => table.columns.some(hasOtherOrder)))
    return false;
  return isRepeatable(expression);
}

/** The expression is written several times, and must then mean the same each time. */
function isRepeatable(expression: Node): boolean {
  let isSame = true;
  walk(expression, (kind, node) => {
    if (kind === 'SubLink' || kind === 'UserVariable' || kind === 'VariableAssignment') isSame = false;
    if (kind === 'FuncCall' && MYSQL_VOLATILE.has(functionNameOf(node as FuncCall).name.toLowerCase()))
      isSame = false;
    const cast =
      kind === 'TypeCast' ? plainTypeOf(node['typeName'] as Parameters<typeof plainTypeOf>[0]) : undefined;
    if (cast !== undefined && OTHER_ORDER.test(cast.name)) isSame = false;
    return undefined;
  });
  return isSame;
}

/**
 * WEIGHT_STRING of the text, and of a blank in the text's collation where that pads with blanks (PAD SPACE): the empty text then
 * equals a blank. Both are NULL or of no meaning for what is no text.
 */
export function weightsOf(text: Node): { readonly weight: Node; readonly blank: Node } {
  const empty = callNode(['repeat'], [text, { A_Const: { ival: { ival: 0 } } }]);
  const blank = callNode(['concat'], [empty, constant(' ')]);
  return {
    weight: callNode(['weight_string'], [text]),
    blank: callNode(
      ['if'],
      [operatorNode('=', empty, constant(' ')), callNode(['weight_string'], [blank]), constant('')],
    ),
  };
}

function constant(text: string): Node {
  return { A_Const: { sval: { sval: text } } };
}
