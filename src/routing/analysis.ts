import type { CommonTableExpr, Node, SelectStmt, SubLink, WithClause } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { walk } from '../sql/postgres-tree.js';
import { ConditionReader } from './conditions.js';
import { type ColumnId, Facts } from './facts.js';
import { FromReader } from './from-reader.js';
import { settled, shapeOfTree, withoutNeedlessOuterJoins } from './from-tree.js';
import { Scope, type ScopeColumn, UNKNOWN_COLUMN } from './scope.js';
import { CONSTANT, joined, type Shape, withSubselect } from './shape.js';
import { distributes, outputsOf } from './spread-select.js';
import type { Statement } from './statement.js';

/** A WITH query: analysed anew at each place that reads it. */
interface CteEntry {
  readonly cte: CommonTableExpr;
  readonly env: Env;
}

/** What a query level sees of the levels around it. */
export interface Env {
  readonly scope: Scope | undefined;
  readonly facts: Facts | undefined;
  /** Shard keys of the rows that outer levels are evaluated for. */
  readonly keys: readonly ColumnId[];
  readonly ctes: ReadonlyMap<string, CteEntry | 'recursive'>;
}

export const TOP: Env = { scope: undefined, facts: undefined, keys: [], ctes: new Map() };

/** One analysed query level. */
export interface Level {
  readonly scope: Scope;
  readonly facts: Facts;
  /** Where its FROM and WHERE, and the sub-selects in its expressions, can be computed. */
  readonly shape: Shape;
  readonly env: Env;
}

/** `column IN (SELECT key …)`, read as a join by the key. */
interface Semijoin {
  readonly shape: Shape;
  readonly facts: Facts;
}

/** An analysed query as a whole. `outputs`: its columns in order, undefined when they are not known. */
interface SubQuery {
  readonly shape: Shape;
  readonly outputs: readonly (readonly [string, ScopeColumn])[] | undefined;
  readonly facts: Facts;
}

/** Finds out where the rows of a query can be computed. Throws OperatingError `unsupported` where no way is known to be right. */
export class Analysis {
  readonly statement: Statement;
  readonly from: FromReader;
  /** Analyses INSERT, UPDATE and DELETE inside WITH. */
  modify: ((node: Node, env: Env) => Shape) | undefined;

  constructor(statement: Statement) {
    this.statement = statement;
    this.from = new FromReader(this);
  }

  /** A sub-query as a whole: its upper clauses too must be right where its rows are. */
  query(select: SelectStmt, env: Env): SubQuery {
    const inner = this.#withCtes(select.withClause, env);
    if ((select.op ?? 'SETOP_NONE') !== 'SETOP_NONE') return this.#setOperation(select, inner);
    const level = this.level(select, inner);
    if (level.shape.type === 'spread') distributes(select, level, this.statement);
    return {
      shape: level.shape,
      outputs: outputsOf(select, level, this.statement.dialect),
      facts: level.facts,
    };
  }

  /** One SELECT or VALUES, up to and without its grouping, sorting and limits. */
  level(select: SelectStmt, env: Env): Level {
    const scope = new Scope(env.scope, this.statement.dialect.fold);
    const facts = new Facts(env.facts);
    const { reader, handled, semijoins } = this.conditions(scope, env);
    const trees = (select.fromClause ?? []).map((item) => this.from.read(item, scope, facts, reader, env));
    reader.read(select.whereClause, facts);
    const reduced = trees.map((tree) => withoutNeedlessOuterJoins(tree, facts));
    const solution = facts.solve();
    let shape = CONSTANT;
    for (const tree of reduced) shape = joined(shape, shapeOfTree(tree, env.keys), solution);
    shape = this.joinSemijoins(shape, semijoins, env);
    const { withClause: _ctes, ...rest } = select;
    return { scope, facts, env, shape: this.subselects(rest, shape, { ...env, scope, facts }, handled) };
  }

  /** A reader of a level's conditions, and the `column IN (SELECT key …)` among them that it has met. */
  conditions(
    scope: Scope,
    env: Env,
  ): { reader: ConditionReader; handled: Set<SubLink>; semijoins: Semijoin[] } {
    const handled = new Set<SubLink>();
    const semijoins: Semijoin[] = [];
    const reader = new ConditionReader(scope, this.statement.literals, (column, link, into) => {
      const inner = this.#semijoin(column, link, into, env);
      if (inner === undefined) return;
      handled.add(link);
      semijoins.push({ shape: inner, facts: into });
    });
    return { reader, handled, semijoins };
  }

  joinSemijoins(outer: Shape, semijoins: readonly Semijoin[], env: Env): Shape {
    let shape = outer;
    for (const { shape: inner, facts } of semijoins) {
      const solution = facts.solve();
      shape = joined(shape, settled(inner, solution, env.keys), solution);
    }
    return shape;
  }

  /** The shape after the sub-selects in expressions below `tree`; FROM's own sub-selects are not looked into. */
  subselects(tree: unknown, outer: Shape, env: Env, handled: ReadonlySet<SubLink> = new Set()): Shape {
    const keys = outer.type === 'spread' ? [...env.keys, outer.key] : env.keys;
    let shape = outer;
    walk(tree, (kind, node) => {
      if (kind === 'RangeSubselect') return 'skip';
      if (kind !== 'SubLink') return undefined;
      const link = node as SubLink;
      if (link.testexpr !== undefined) shape = this.subselects(link.testexpr, shape, env, handled);
      if (handled.has(link) || link.subselect === undefined) return 'skip';
      shape = withSubselect(shape, this.#subselect(link.subselect, { ...env, keys }));
      return 'skip';
    });
    return shape;
  }

  #subselect(node: Node, env: Env): Shape {
    if (!('SelectStmt' in node)) throw unsupported('a sub-query that is not a SELECT');
    return this.query(node.SelectStmt, env).shape;
  }

  /** `column IN (SELECT key …)` as a join by the key; undefined when it is nothing of that kind. */
  #semijoin(column: ScopeColumn, link: SubLink, facts: Facts, env: Env): Shape | undefined {
    if (link.subselect === undefined || !('SelectStmt' in link.subselect)) return undefined;
    const select = link.subselect.SelectStmt;
    if ((select.op ?? 'SETOP_NONE') !== 'SETOP_NONE' || (select.valuesLists ?? []).length > 0)
      return undefined;
    let inner: SubQuery;
    try {
      inner = this.query(select, { ...env, scope: undefined, facts: undefined, keys: [] });
    } catch {
      return undefined;
    }
    const output = inner.outputs?.[0]?.[1];
    if (inner.outputs?.length !== 1 || output?.id === undefined || output.keyType !== column.keyType)
      return undefined;
    if (inner.shape.type !== 'spread' && inner.shape.type !== 'pinned') return undefined;
    facts.include(inner.facts);
    facts.addEqual(column.id!, output.id);
    return inner.shape;
  }

  #withCtes(clause: WithClause | undefined, env: Env): Env {
    if (clause === undefined) return env;
    const ctes = new Map(env.ctes);
    const inner: Env = { ...env, ctes };
    for (const node of clause.ctes ?? []) {
      if (!('CommonTableExpr' in node)) continue;
      const cte = node.CommonTableExpr;
      const visible: Env = { ...env, ctes: new Map(ctes) };
      const isRecursive = clause.recursive === true && mentions(cte.ctequery, cte.ctename ?? '');
      ctes.set(cte.ctename ?? '', {
        cte,
        env: isRecursive
          ? { ...visible, ctes: new Map([...ctes, [cte.ctename ?? '', 'recursive']]) }
          : visible,
      });
    }
    return inner;
  }

  /** The environment inside a statement's WITH; data-modifying queries run whether they are read or not. */
  withQueries(clause: WithClause | undefined, env: Env): { env: Env; shape: Shape } {
    const inner = this.#withCtes(clause, env);
    let shape = CONSTANT;
    for (const node of clause?.ctes ?? []) {
      if (!('CommonTableExpr' in node) || node.CommonTableExpr.ctequery === undefined) continue;
      if ('SelectStmt' in node.CommonTableExpr.ctequery) continue;
      const entry = inner.ctes.get(node.CommonTableExpr.ctename ?? '');
      if (entry === undefined || entry === 'recursive') continue;
      shape = withSubselect(shape, this.cteShape(entry).shape);
    }
    return { env: inner, shape };
  }

  cteShape(entry: CteEntry): SubQuery {
    const { ctequery, ctename } = entry.cte;
    if (ctequery === undefined) throw unsupported(`WITH query "${ctename}" without a body`);
    if ('SelectStmt' in ctequery) return this.query(ctequery.SelectStmt, entry.env);
    const shape = this.modify?.(ctequery, entry.env);
    if (shape === undefined)
      throw unsupported(`WITH query "${ctename}" changes rows where that is not supported`);
    if (shape.type === 'spread')
      throw unsupported(
        `WITH query "${ctename}" changes rows on several shards`,
        'Give the shard key one value, or use a statement of its own.',
      );
    return { shape, outputs: undefined, facts: new Facts() };
  }

  #setOperation(select: SelectStmt, env: Env): SubQuery {
    const sides = [select.larg, select.rarg].map((side) => this.query(side!, env));
    let shape = CONSTANT;
    for (const side of sides) {
      if (side.shape.type === 'spread') {
        const word = (select.op ?? '').replace('SETOP_', '');
        throw unsupported(
          `${word} of rows of several shards`,
          `Give the shard key of "${side.shape.tables[0]}" one value on every side of ${word}, or run the sides as statements of their own.`,
        );
      }
      shape = withSubselect(shape, side.shape);
    }
    const { larg: _l, rarg: _r, withClause: _w, ...upper } = select;
    shape = this.subselects(upper, shape, env);
    const outputs = sides[0]!.outputs?.map(([name]) => [name, UNKNOWN_COLUMN] as const);
    return { shape, outputs, facts: new Facts(env.facts) };
  }
}

function mentions(tree: unknown, name: string): boolean {
  let found = false;
  walk(tree, (kind, node) => {
    if (kind === 'RangeVar' && node['relname'] === name && node['schemaname'] === undefined) found = true;
    return undefined;
  });
  return found;
}
