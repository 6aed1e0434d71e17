import type { Node, RangeVar } from '@pgsql/types';
import { walk } from '../sql/postgres-tree.js';
import type { Table } from '../topology/keyspace.js';
import type { Recipe } from './draft.js';
import type { Statement } from './statement.js';

/** The sharded tables that a statement names, found without understanding it: for statements whose shard was said by hand. */
export function namedSharded(
  tree: Node,
  statement: Statement,
): { ranges: ReadonlyMap<object, Table>; target: Recipe['target'] } {
  const ctes = new Set<unknown>();
  walk(tree, (kind, node) => {
    if (kind === 'CommonTableExpr') ctes.add(node['ctename']);
    return undefined;
  });
  const ranges = new Map<object, Table>();
  walk(tree, (kind, node) => {
    if (kind !== 'RangeVar' || (node['schemaname'] === undefined && ctes.has(node['relname'])))
      return undefined;
    const table = shardedTable(node as RangeVar, statement);
    if (table !== undefined) ranges.set(node, table);
    return undefined;
  });
  const relation =
    'UpdateStmt' in tree
      ? tree.UpdateStmt.relation
      : 'DeleteStmt' in tree
        ? tree.DeleteStmt.relation
        : undefined;
  const table = relation === undefined ? undefined : shardedTable(relation, statement);
  const target =
    table === undefined ? undefined : { table, alias: relation!.alias?.aliasname ?? relation!.relname ?? '' };
  return { ranges, target };
}

function shardedTable(range: RangeVar, statement: Statement): Table | undefined {
  const table = statement.find(range);
  return table?.placement === 'sharded' && table.key !== undefined ? table : undefined;
}
