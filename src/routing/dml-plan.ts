import type { DeleteStmt, InsertStmt, Node, SelectStmt, UpdateStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, walk } from '../sql/postgres-tree.js';
import type { Column, Table } from '../topology/keyspace.js';
import { type Analysis, type Env, TOP } from './analysis.js';
import { dependenciesOf } from './dependencies.js';
import { type Draft, placementOf, refused, refuseHomeFunctions } from './draft.js';
import { analyseInsert } from './insert-plan.js';
import { analyseDelete, analyseUpdate, hasModification, type Modification } from './modify-plan.js';
import { Pace } from './pace.js';
import type { Merge, Placement } from './plan.js';
import type { Shape } from './shape.js';
import { planSpread } from './spread-plan.js';
import type { FunctionFacts } from './sql-dialect.js';

/** Rows of RETURNING, one shard after the other. */
export const CONCATENATED: Merge = {
  output: [{ type: 'rest', from: 0 }],
  groupBy: undefined,
  distinct: false,
  orderBy: [],
  limit: undefined,
  offset: undefined,
};

/** Plans SELECT, VALUES, INSERT, UPDATE and DELETE; undefined for other statements. */
export function planDml(node: Node, analysis: Analysis): Draft | undefined {
  analysis.modify = (inner, env) => modifyInside(inner, analysis, env);
  if ('SelectStmt' in node) return planSelect(node.SelectStmt, analysis);
  if ('InsertStmt' in node) return planInsert(node.InsertStmt, analysis);
  if ('UpdateStmt' in node)
    return planChange(node, node.UpdateStmt, analyseUpdate(node.UpdateStmt, analysis, TOP), analysis);
  if ('DeleteStmt' in node)
    return planChange(node, node.DeleteStmt, analyseDelete(node.DeleteStmt, analysis, TOP), analysis);
  if ('MergeStmt' in node) return planMergeStatement(node, analysis);
  return undefined;
}

function functionsIn(tree: unknown, analysis: Analysis): FunctionFacts {
  return analysis.statement.dialect.functionFacts(tree, analysis.statement.keyspace);
}

function planSelect(select: SelectStmt, analysis: Analysis): Draft {
  const functions = functionsIn(select, analysis);
  if (select.intoClause !== undefined) return analysis.statement.dialect.planInto(select, analysis);
  const isWrite = functions.writes || hasModification(select) || (select.lockingClause ?? []).length > 0;
  const access = isWrite ? 'write' : 'read';
  const session = functions.pin === undefined ? undefined : ({ type: 'pin', reason: functions.pin } as const);
  const inside = analysis.withQueries(select.withClause, TOP);
  const isSetOperation = (select.op ?? 'SETOP_NONE') !== 'SETOP_NONE';
  const level = isSetOperation ? undefined : analysis.level(select, inside.env);
  const shape = withModifying(level?.shape ?? analysis.query(select, TOP).shape, inside.shape);
  const { usesSharded, dialect, keyspace } = analysis.statement;
  const isTraceless = access === 'read' && session === undefined && dialect.leavesNoTrace(select, keyspace);
  const pace = isTraceless ? { pace: new Pace(dependenciesOf(select)) } : {};
  const placement = placementOf(shape, functions);
  if (placement !== undefined) {
    const asks = placement.type === 'anywhere' && (dialect.asksTheServer(select) || isWrite);
    return { access, session, placement: asks ? { type: 'home' } : placement, usesSharded, ...pace };
  }
  refuseHomeFunctions(functions);
  refuseSystemColumns(select, analysis);
  const spread = shape as Shape & { type: 'spread' };
  return {
    access,
    session,
    placement: severalShards(spread),
    ...planSpread(select, { ...level!, shape }, analysis.statement),
    usesSharded,
    ...pace,
  };
}

/** WITH queries that change rows must be on the one shard that the statement is on. */
function withModifying(shape: Shape, changed: Shape): Shape {
  if (changed.type === 'constant') return shape;
  if (shape.type === 'constant') return changed;
  if (shape.type === 'home' && changed.type === 'home') return shape;
  if (shape.type === 'pinned' && changed.type === 'pinned')
    return { ...shape, keys: [...shape.keys, ...changed.keys.filter((key) => !shape.keys.includes(key))] };
  throw unsupported(
    'a WITH query that changes rows on another shard than the statement reads',
    'Use statements of their own in one transaction.',
  );
}

function severalShards(shape: Shape & { type: 'spread' }): Placement {
  return shape.pins === undefined
    ? { type: 'every' }
    : { type: 'keys', keyType: shape.keyType, keys: shape.pins };
}

function planInsert(statement: InsertStmt, analysis: Analysis): Draft {
  const functions = functionsIn(statement, analysis);
  const { table, shape, rows, numbers, given, byHand } = analyseInsert(statement, analysis, TOP);
  const { usesSharded } = analysis.statement;
  const givenNumbers = byHand === undefined ? {} : { givenNumbers: byHand };
  if (numbers !== undefined)
    return {
      ...givenNumbers,
      access: 'write',
      placement: refused(numbers.error),
      numbers: numbers.place,
      usesSharded: table?.placement === 'sharded',
      writesReference: table?.placement === 'reference',
    };
  const givenValues = { ...(given === undefined ? {} : { mustBeGiven: given }), ...givenNumbers };
  const returning = statement.returningClause === undefined ? undefined : CONCATENATED;
  if (table?.placement === 'reference')
    return { ...planReferenceWrite(table, shape, functions, statement), ...givenValues };
  if (rows !== undefined && table?.key !== undefined) {
    refuseHomeFunctions(functions);
    const { maxLength, bounds, type } = table.key;
    const placement: Placement = {
      type: 'rows',
      keyType: type,
      rows,
      ...(maxLength === undefined ? {} : { maxLength }),
      ...(bounds === undefined ? {} : { bounds }),
    };
    return { access: 'write', placement, merge: returning, usesSharded, ...givenValues };
  }
  const placement = placementOf(shape, functions);
  if (placement !== undefined) return { access: 'write', placement, usesSharded, ...givenValues };
  refuseHomeFunctions(functions);
  refuseSystemColumns(statement, analysis);
  const recipe = { tree: { InsertStmt: statement }, isChanged: false, target: undefined };
  return {
    access: 'write',
    placement: severalShards(shape as Shape & { type: 'spread' }),
    merge: returning,
    recipe,
    usesSharded,
  };
}

function planChange(
  node: Node,
  statement: UpdateStmt | DeleteStmt,
  found: Modification,
  analysis: Analysis,
): Draft {
  const functions = functionsIn(statement, analysis);
  const { shape, table, alias } = found;
  const { usesSharded } = analysis.statement;
  if (table?.placement === 'reference') return planReferenceWrite(table, shape, functions, statement);
  const placement = placementOf(shape, functions);
  if (placement !== undefined)
    return {
      access: 'write',
      placement: placement.type === 'anywhere' ? { type: 'home' } : placement,
      usesSharded,
    };
  refuseHomeFunctions(functions);
  refuseSystemColumns(statement, analysis);
  refuseLimited(statement, table!.name);
  const merge = statement.returningClause === undefined ? undefined : CONCATENATED;
  const recipe = { tree: node, isChanged: false, target: { table: table!, alias } };
  return {
    access: 'write',
    placement: severalShards(shape as Shape & { type: 'spread' }),
    merge,
    recipe,
    usesSharded,
  };
}

/** ON UPDATE CURRENT_TIMESTAMP gives each shard a time of its own. */
function refuseUpdateDefaults(name: string, columns: readonly Column[], statement: object): void {
  const { targetList, onConflictClause } = statement as {
    targetList?: readonly Node[];
    onConflictClause?: { targetList?: readonly Node[] };
  };
  const assigned = targetList ?? onConflictClause?.targetList;
  const column = columns.find((candidate) => candidate.isUpdateVolatile === true);
  if (assigned === undefined || column === undefined) return;
  const isAssigned = assigned.some(
    (target) => 'ResTarget' in target && target.ResTarget.name?.toLowerCase() === column.name.toLowerCase(),
  );
  if (!isAssigned)
    throw unsupported(
      `"${column.name}" of reference table "${name}" would get another time on each shard`,
      `Give "${column.name}" a value in the statement.`,
    );
}

/** Every shard runs the statement on its own copy, so it must do the same everywhere. */
function planReferenceWrite(
  { name, columns }: Table,
  shape: Shape,
  functions: FunctionFacts,
  statement: object,
): Draft {
  refuseUpdateDefaults(name, columns, statement);
  if (shape.type !== 'constant')
    throw unsupported(
      `a write to reference table "${name}" that reads tables which not every shard has whole`,
      'Read the rows first, then write them with VALUES.',
    );
  if (functions.volatile !== undefined) {
    throw unsupported(
      `${functions.volatile}() in a write to reference table "${name}" would give each shard another value`,
      'Compute the value in the application and pass it.',
    );
  }
  walk({ SelectStmt: statement }, (kind, node) => {
    if (kind !== 'SelectStmt' || (node['limitCount'] === undefined && node['distinctClause'] === undefined))
      return undefined;
    throw unsupported(
      `LIMIT or DISTINCT in a write to reference table "${name}", which might choose other rows on each shard`,
      'Read the rows first, then write them with VALUES.',
    );
  });
  return { access: 'write', placement: { type: 'every' }, writesReference: true };
}

function planMergeStatement(node: Node, analysis: Analysis): Draft {
  let hasShared = false;
  walk(node, (kind, inner) => {
    const relations = kind === 'MergeStmt' ? [inner['relation']] : kind === 'RangeVar' ? [inner] : [];
    for (const range of relations) {
      const placement = analysis.statement.find(
        range as { schemaname?: string; relname?: string },
      )?.placement;
      if (placement === 'sharded' || (placement === 'reference' && kind === 'MergeStmt')) hasShared = true;
    }
    return undefined;
  });
  if (hasShared)
    throw unsupported('MERGE on sharded or reference tables', 'Use INSERT … ON CONFLICT DO UPDATE.');
  functionsIn(node, analysis);
  return { access: 'write', placement: { type: 'home' } };
}

function modifyInside(node: Node, analysis: Analysis, env: Env): Shape {
  if ('InsertStmt' in node) {
    const { shape, table } = analyseInsert(node.InsertStmt, analysis, env);
    return notReference(shape, table?.placement, table?.name);
  }
  if ('UpdateStmt' in node) {
    const { shape, table } = analyseUpdate(node.UpdateStmt, analysis, env);
    return notReference(shape, table?.placement, table?.name);
  }
  if ('DeleteStmt' in node) {
    const { shape, table } = analyseDelete(node.DeleteStmt, analysis, env);
    return notReference(shape, table?.placement, table?.name);
  }
  throw unsupported('this statement in WITH');
}

function notReference(shape: Shape, placement: string | undefined, name: string | undefined): Shape {
  if (placement === 'reference')
    throw unsupported(`a write to reference table "${name}" in WITH`, 'Use a statement of its own.');
  return shape;
}

/** UPDATE and DELETE of MySQL may have ORDER BY and LIMIT, which say which rows: of all of them, not of each shard. */
function refuseLimited(statement: object, table: string): void {
  const { limitCount, sortClause } = statement as { limitCount?: unknown; sortClause?: unknown };
  if (limitCount === undefined && sortClause === undefined) return;
  throw unsupported(
    `UPDATE or DELETE with ORDER BY or LIMIT on rows of "${table}" on several shards`,
    'Give the shard key one value in WHERE.',
  );
}

/** They say where on a shard a row lies, which means nothing for rows of several shards. */
function refuseSystemColumns(tree: unknown, analysis: Analysis): void {
  walk(tree, (kind, node) => {
    if (kind !== 'ColumnRef') return undefined;
    const name = namesOf(node['fields'] as Node[]).at(-1) ?? '';
    if (analysis.statement.dialect.isSystemColumn(name))
      throw unsupported(
        `the system column ${name} of rows of several shards`,
        'Give the shard key one value in WHERE, or use the primary key.',
      );
    return undefined;
  });
}
