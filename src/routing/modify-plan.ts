import type { DeleteStmt, Node, RangeVar, ResTarget, UpdateStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, rangeVarName, walk } from '../sql/postgres-tree.js';
import type { Keyspace, Table } from '../topology/keyspace.js';
import type { Analysis, Env, Level } from './analysis.js';
import { Facts } from './facts.js';
import { shapeOfTree } from './from-tree.js';
import { keySourceOf } from './key-source.js';
import { type Fold, Scope } from './scope.js';
import { isSameSource, joined, type Shape, withSubselect } from './shape.js';

/** An analysed UPDATE or DELETE. */
export interface Modification {
  readonly shape: Shape;
  readonly table: Table | undefined;
  readonly alias: string;
  readonly level: Level;
}

export function analyseUpdate(statement: UpdateStmt, analysis: Analysis, env: Env): Modification {
  const found = analyse(
    statement.relation!,
    statement.fromClause ?? [],
    statement.whereClause,
    { ...statement, withClause: undefined },
    analysis,
    withQueries(statement, analysis, env),
  );
  const shape = checkKeyKept(statement.targetList ?? [], found, analysis);
  return { ...found, shape };
}

export function analyseDelete(statement: DeleteStmt, analysis: Analysis, env: Env): Modification {
  return analyse(
    statement.relation!,
    statement.usingClause ?? [],
    statement.whereClause,
    { ...statement, withClause: undefined },
    analysis,
    withQueries(statement, analysis, env),
  );
}

interface Inside {
  readonly env: Env;
  readonly shape: Shape;
}

function withQueries(statement: UpdateStmt | DeleteStmt, analysis: Analysis, env: Env): Inside {
  return analysis.withQueries(statement.withClause, env);
}

function analyse(
  relation: RangeVar,
  from: readonly Node[],
  where: Node | undefined,
  whole: unknown,
  analysis: Analysis,
  inside: Inside,
): Modification {
  const { env } = inside;
  const scope = new Scope(env.scope, analysis.statement.dialect.fold);
  const facts = new Facts(env.facts);
  const { reader, handled, semijoins } = analysis.conditions(scope, env);
  const target = analysis.from.read({ RangeVar: relation }, scope, facts, reader, {
    ...env,
    ctes: new Map(),
  });
  const trees = from.map((item) => analysis.from.read(item, scope, facts, reader, env));
  if (where !== undefined && 'CurrentOfExpr' in where)
    throw unsupported('WHERE CURRENT OF', 'Name the row by its key.');
  reader.read(where, facts);
  const solution = facts.solve();
  let shape = shapeOfTree(target, env.keys);
  for (const tree of trees) shape = joined(shape, shapeOfTree(tree, env.keys), solution);
  shape = analysis.joinSemijoins(shape, semijoins, env);
  shape = analysis.subselects(whole, shape, { ...env, scope, facts }, handled);
  const source = target.sources[0]!;
  refuseView(source.table, relation, analysis.statement.keyspace);
  return {
    shape: withSubselect(shape, inside.shape),
    table: source.table,
    alias: source.alias,
    level: { scope, facts, env, shape },
  };
}

/** A write through a view would reach only the tables of the shard that it is sent to. */
export function refuseView(table: Table | undefined, relation: RangeVar, keyspace: Keyspace): void {
  const spread = table?.reads.find((name) => (keyspace.tables.get(name)?.placement ?? 'home') !== 'home');
  if (table?.kind === 'view' && spread !== undefined)
    throw unsupported(
      `writing through view "${rangeVarName(relation)}" into "${spread}", which is not whole on one shard only`,
      'Write to the table itself.',
    );
}

/** An UPDATE must leave the shard key as it is: to itself, or to the value that pins the row. */
function checkKeyKept(targets: readonly Node[], found: Modification, analysis: Analysis): Shape {
  const key = found.table?.placement === 'sharded' ? found.table.key : undefined;
  if (key === undefined) return found.shape;
  const { fold } = analysis.statement.dialect;
  for (const target of targets) {
    if (!('ResTarget' in target) || fold(target.ResTarget.name ?? '') !== fold(key.column)) continue;
    const assigned = assignedValue(target.ResTarget, found, key.column, fold);
    if (assigned === 'itself') continue;
    const source = keySourceOf(assigned, key.type, analysis.statement.literals);
    const { shape } = found;
    if (source !== undefined && shape.type === 'pinned') {
      // The same parameter that WHERE pins it by leaves it as it is; another source must turn out to have the same value.
      const isSame = shape.keys.some((pin) => isSameSource(pin, source));
      return isSame ? shape : { ...shape, keys: [...shape.keys, source] };
    }
    throw unsupported(
      `UPDATE of "${key.column}", the shard key of "${found.table!.name}"`,
      'Delete the row and insert it with the new key, both in one transaction.',
    );
  }
  return found.shape;
}

function assignedValue(
  target: ResTarget,
  found: Modification,
  column: string,
  fold: Fold,
): Node | 'itself' | undefined {
  const value = target.val;
  if (value === undefined || !('ColumnRef' in value)) return value;
  const names = namesOf(value.ColumnRef.fields);
  const isItself =
    fold(names.at(-1) ?? '') === fold(column) &&
    (names.length === 1 ? found.level.scope.sources.length === 1 : names.at(-2) === found.alias);
  return isItself ? 'itself' : value;
}

/** Does anything below the tree change rows (a data-modifying WITH)? */
export function hasModification(tree: unknown): boolean {
  let found = false;
  walk(tree, (kind) => {
    if (kind === 'InsertStmt' || kind === 'UpdateStmt' || kind === 'DeleteStmt' || kind === 'MergeStmt')
      found = true;
    return undefined;
  });
  return found;
}
