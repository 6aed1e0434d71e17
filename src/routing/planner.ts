import type { Node } from '@pgsql/types';
import { OperatingError } from '../lib/errors.js';
import type { Template } from '../sql/postgres-template.js';
import { unwrap, walk } from '../sql/postgres-tree.js';
import type { Keyspace, Table } from '../topology/keyspace.js';
import { Analysis } from './analysis.js';
import { planDml } from './dml-plan.js';
import { completePlan, type Draft, type Recipe, refused } from './draft.js';
import { LiteralIndex } from './key-source.js';
import type { Plan } from './plan.js';
import type { SqlDialect } from './sql-dialect.js';
import { Statement } from './statement.js';

/** A plan with what is needed to write the shards' texts, and what its literals had to do with it. */
export interface PlannedTemplate {
  readonly plan: Plan;
  readonly recipe: Recipe | undefined;
  /** The client's own tree. */
  readonly tree: Node | undefined;
  /** FROM entries of sharded tables in the recipe's tree. */
  readonly ranges: ReadonlyMap<object, Table>;
  readonly literals: LiteralIndex;
  /** Shard key types of the tables used, for keys said by hand. */
  readonly keyTable: Table | undefined;
}

/** Understands one statement. Throws OperatingError for what cannot be parsed; what is not supported becomes a refused placement. */
export function planStatement(
  sql: string,
  template: Template,
  keyspace: Keyspace,
  searchPath: readonly string[] | undefined,
  dialect: SqlDialect,
): PlannedTemplate {
  const literals = new LiteralIndex(sql, template, dialect);
  const parsed = dialect.parser.parse(sql);
  const statement = new Statement(keyspace, literals, searchPath);
  if (parsed.length > 1)
    throw new OperatingError(
      'unsupported-syntax',
      'cannot insert multiple commands into a prepared statement',
    );
  const node = parsed[0]?.stmt;
  if (node === undefined)
    return {
      plan: completePlan('', { placement: { type: 'anywhere' } }),
      recipe: undefined,
      tree: undefined,
      ranges: new Map(),
      literals,
      keyTable: undefined,
    };
  readUnplaced(node, literals, template);
  const draft = draftOf(node, statement);
  const usesSessionState = draft.usesSessionState ?? dialect.sessionState(node);
  return {
    plan: completePlan(
      dialect.verbOf(node, sql),
      usesSessionState === undefined ? draft : { ...draft, usesSessionState },
    ),
    recipe: draft.recipe,
    tree: node,
    ranges: statement.shardedRanges,
    literals,
    keyTable: [...statement.used].find((table) => table.key !== undefined),
  };
}

function draftOf(node: Node, statement: Statement): Draft {
  try {
    return planDml(node, new Analysis(statement)) ?? statement.dialect.planUtility(node, statement);
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    const usesSharded = statement.usesSharded;
    return { placement: refused(error), usesSharded, access: accessOfRefused(node) };
  }
}

function accessOfRefused(node: Node): Plan['access'] {
  const [kind] = unwrap(node);
  if (kind === 'SelectStmt' || kind === 'ExplainStmt') return 'read';
  return kind === 'InsertStmt' ||
    kind === 'UpdateStmt' ||
    kind === 'DeleteStmt' ||
    kind === 'MergeStmt' ||
    kind === 'CopyStmt'
    ? 'write'
    : 'ddl';
}

/** Literals that are not constants of expressions (type modifiers and the like) may mean anything: they belong to the plan. */
function readUnplaced(node: Node, literals: LiteralIndex, template: Template): void {
  const placed = new Set<number>();
  walk(node, (kind, inner) => {
    if (kind === 'A_Const') {
      const found = literals.find(inner);
      if (found !== undefined) placed.add(found.index);
    }
    return undefined;
  });
  // The walk above does not go into type names: their fields are not wrapped as nodes, but their modifiers are.
  walk(node, (kind, inner) => {
    for (const type of [inner['typeName'], kind === 'TypeName' ? inner : undefined]) {
      for (const modifier of (type as { typmods?: Node[] } | undefined)?.typmods ?? []) {
        const found = 'A_Const' in modifier ? literals.find(modifier.A_Const) : undefined;
        if (found !== undefined) placed.delete(found.index);
      }
    }
    return undefined;
  });
  template.literals.forEach((_, index) => {
    if (!placed.has(index)) literals.read.add(index);
  });
}
