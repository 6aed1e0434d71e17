import type { DeleteStmt, InsertStmt, Node, SelectStmt, UpdateStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, walk } from '../sql/postgres-tree.js';
import { type Analysis, type Env, TOP } from './analysis.js';
import { type Draft, placementOf, refuseHomeFunctions } from './draft.js';
import { asksTheServer, type FunctionFacts, functionFacts } from './functions.js';
import { analyseInsert } from './insert-plan.js';
import { analyseDelete, analyseUpdate, hasModification, type Modification } from './modify-plan.js';
import type { Merge, Placement } from './plan.js';
import { isSystemColumn } from './scope.js';
import type { Shape } from './shape.js';
import { planSpread } from './spread-plan.js';

/** Rows of RETURNING, one shard after the other. */
const CONCATENATED: Merge = {
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

function planSelect(select: SelectStmt, analysis: Analysis): Draft {
  const functions = functionFacts(select, analysis.statement.keyspace);
  if (select.intoClause !== undefined) return planInto(select, analysis);
  const isWrite = functions.writes || hasModification(select) || (select.lockingClause ?? []).length > 0;
  const access = isWrite ? 'write' : 'read';
  const session = functions.pin === undefined ? undefined : ({ type: 'pin', reason: functions.pin } as const);
  const inside = analysis.withQueries(select.withClause, TOP);
  const isSetOperation = (select.op ?? 'SETOP_NONE') !== 'SETOP_NONE';
  const level = isSetOperation ? undefined : analysis.level(select, inside.env);
  const shape = withModifying(level?.shape ?? analysis.query(select, TOP).shape, inside.shape);
  const { usesSharded } = analysis.statement;
  const placement = placementOf(shape, functions);
  if (placement !== undefined) {
    const asks = placement.type === 'anywhere' && (asksTheServer(select) || isWrite);
    return { access, session, placement: asks ? { type: 'home' } : placement, usesSharded };
  }
  refuseHomeFunctions(functions);
  refuseSystemColumns(select);
  const spread = shape as Shape & { type: 'spread' };
  return {
    access,
    session,
    placement: severalShards(spread),
    ...planSpread(select, { ...level!, shape }, analysis.statement),
    usesSharded,
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

function planInto(select: SelectStmt, analysis: Analysis): Draft {
  const { shape } = analysis.query({ ...select, intoClause: undefined } as unknown as SelectStmt, TOP);
  if (shape.type === 'spread' || shape.type === 'pinned')
    throw unsupported('SELECT INTO from sharded tables', 'Create the table first, then insert into it.');
  if (
    select.intoClause?.rel !== undefined &&
    analysis.statement.find(select.intoClause.rel)?.placement === 'sharded'
  )
    throw unsupported('SELECT INTO a sharded table', 'Use CREATE TABLE and INSERT.');
  const isTemporary = select.intoClause?.rel?.relpersistence === 't';
  return {
    access: 'ddl',
    placement: { type: 'home' },
    session: isTemporary ? { type: 'pin', reason: 'temporary table' } : undefined,
  };
}

function planInsert(statement: InsertStmt, analysis: Analysis): Draft {
  const functions = functionFacts(statement, analysis.statement.keyspace);
  const { table, shape, rows } = analyseInsert(statement, analysis, TOP);
  const { usesSharded } = analysis.statement;
  const returning = statement.returningClause === undefined ? undefined : CONCATENATED;
  if (table?.placement === 'reference') return planReferenceWrite(table.name, shape, functions, statement);
  if (rows !== undefined && table?.key !== undefined) {
    refuseHomeFunctions(functions);
    const { maxLength, type } = table.key;
    const placement: Placement = {
      type: 'rows',
      keyType: type,
      rows,
      ...(maxLength === undefined ? {} : { maxLength }),
    };
    return { access: 'write', placement, merge: returning, usesSharded };
  }
  const placement = placementOf(shape, functions);
  if (placement !== undefined) return { access: 'write', placement, usesSharded };
  refuseHomeFunctions(functions);
  refuseSystemColumns(statement);
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
  const functions = functionFacts(statement, analysis.statement.keyspace);
  const { shape, table, alias } = found;
  const { usesSharded } = analysis.statement;
  if (table?.placement === 'reference') return planReferenceWrite(table.name, shape, functions, statement);
  const placement = placementOf(shape, functions);
  if (placement !== undefined)
    return {
      access: 'write',
      placement: placement.type === 'anywhere' ? { type: 'home' } : placement,
      usesSharded,
    };
  refuseHomeFunctions(functions);
  refuseSystemColumns(statement);
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

/** Every shard runs the statement on its own copy, so it must do the same everywhere. */
function planReferenceWrite(name: string, shape: Shape, functions: FunctionFacts, statement: object): Draft {
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
  walk(statement, (kind, node) => {
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
  functionFacts(node, analysis.statement.keyspace);
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

/** They say where on a shard a row lies, which means nothing for rows of several shards. */
function refuseSystemColumns(tree: unknown): void {
  walk(tree, (kind, node) => {
    if (kind !== 'ColumnRef') return undefined;
    const name = namesOf(node['fields'] as Node[]).at(-1) ?? '';
    if (isSystemColumn(name))
      throw unsupported(
        `the system column ${name} of rows of several shards`,
        'Give the shard key one value in WHERE, or use the primary key.',
      );
    return undefined;
  });
}
