import type { FuncCall, RangeVar, SelectStmt } from '@pgsql/types';
import { functionNameOf, walk } from '../sql/postgres-tree.js';

/** What a query names, where only the database knows what that does: a name may mean a view, or a function of the user's own. */
export interface Dependencies {
  readonly relations: readonly NamedRelation[];
  /** As they are written. */
  readonly functions: readonly string[];
}

export interface NamedRelation {
  readonly schema: string | undefined;
  readonly name: string;
  /** A WITH query has this name, too: perhaps there is no such relation. */
  readonly isOptional: boolean;
}

export function dependenciesOf(select: SelectStmt): Dependencies {
  const ranges = new Map<string, RangeVar>();
  const functions = new Set<string>();
  const common = new Set<string>();
  walk({ SelectStmt: select }, (kind, node) => {
    if (kind === 'RangeVar') {
      const range = node as RangeVar;
      ranges.set(JSON.stringify([range.schemaname, range.relname]), range);
    } else if (kind === 'FuncCall') functions.add(functionNameOf(node as FuncCall).name);
    else if (kind === 'CommonTableExpr') common.add(String(node['ctename']));
    return undefined;
  });
  const relations = [...ranges.values()].map(({ schemaname: schema, relname: name = '' }) => ({
    schema,
    name,
    isOptional: schema === undefined && common.has(name),
  }));
  return { relations, functions: [...functions] };
}
