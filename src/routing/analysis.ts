import type {
  CommonTableExpr,
  JoinExpr,
  Node,
  RangeSubselect,
  RangeVar,
  SelectStmt,
  SubLink,
  WithClause,
} from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, unwrap, walk } from '../sql/postgres-tree.js';
import type { Table } from '../topology/keyspace.js';
import { ConditionReader } from './conditions.js';
import { type ColumnId, Facts } from './facts.js';
import {
  columnBelow,
  type FromTree,
  namesBelow,
  settled,
  shapeOfTree,
  withoutNeedlessOuterJoins,
} from './from-tree.js';
import {
  isSystemColumn,
  keyTypeOf,
  namedColumns,
  Scope,
  type ScopeColumn,
  type Source,
  UNKNOWN_COLUMN,
} from './scope.js';
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
  /** Analyses INSERT, UPDATE and DELETE inside WITH. */
  modify: ((node: Node, env: Env) => Shape) | undefined;
  #sources = 0;

  constructor(statement: Statement) {
    this.statement = statement;
  }

  /** A sub-query as a whole: its upper clauses too must be right where its rows are. */
  query(select: SelectStmt, env: Env): SubQuery {
    const inner = this.#withCtes(select.withClause, env);
    if ((select.op ?? 'SETOP_NONE') !== 'SETOP_NONE') return this.#setOperation(select, inner);
    const level = this.level(select, inner);
    if (level.shape.type === 'spread') distributes(select, level, this.statement);
    return { shape: level.shape, outputs: outputsOf(select, level), facts: level.facts };
  }

  /** One SELECT or VALUES, up to and without its grouping, sorting and limits. */
  level(select: SelectStmt, env: Env): Level {
    const scope = new Scope(env.scope);
    const facts = new Facts(env.facts);
    const { reader, handled, semijoins } = this.conditions(scope, env);
    const trees = (select.fromClause ?? []).map((item) => this.from(item, scope, facts, reader, env));
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
      shape = withSubselect(shape, this.#cteShape(entry).shape);
    }
    return { env: inner, shape };
  }

  #cteShape(entry: CteEntry): SubQuery {
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

  /** Adds one FROM item to `scope` and what its joins say to `facts`. */
  from(item: Node, scope: Scope, facts: Facts, reader: ConditionReader, env: Env): FromTree {
    if ('RangeVar' in item) return this.#table(item.RangeVar, scope, facts, env);
    if ('JoinExpr' in item) return this.#join(item.JoinExpr, scope, facts, reader, env);
    if ('RangeSubselect' in item) return this.#rangeSubselect(item.RangeSubselect, scope, facts, env);
    if ('RangeTableSample' in item && item.RangeTableSample.relation !== undefined) {
      const tree = this.from(item.RangeTableSample.relation, scope, facts, reader, env);
      if (tree.type !== 'rows' || tree.shape.type !== 'spread') return tree;
      throw unsupported(
        `TABLESAMPLE of sharded table "${tree.shape.tables[0]}"`,
        'Use WHERE random() < fraction instead.',
      );
    }
    const [, fields] = unwrap(item);
    const alias = (fields['alias'] as { aliasname?: string } | undefined)?.aliasname ?? '';
    return this.#leaf(
      { alias, schema: undefined, columns: undefined, table: undefined },
      CONSTANT,
      scope,
      facts,
    );
  }

  #leaf(source: Source, shape: Shape, scope: Scope, facts: Facts): FromTree {
    scope.sources.push(source);
    return { type: 'rows', shape, facts, sources: [source], merged: new Map() };
  }

  #table(range: RangeVar, scope: Scope, facts: Facts, env: Env): FromTree {
    const name = range.relname ?? '';
    const alias = range.alias?.aliasname ?? name;
    const names = namesOf(range.alias?.colnames);
    const cte = range.schemaname === undefined ? env.ctes.get(name) : undefined;
    if (cte === 'recursive')
      return this.#leaf(
        { alias, schema: undefined, columns: undefined, table: undefined },
        CONSTANT,
        scope,
        facts,
      );
    if (cte !== undefined) {
      const inner = this.#cteShape(cte);
      facts.include(inner.facts);
      // Names given to the reference go over those given to the WITH query.
      const given = namesOf(cte.cte.aliascolnames).map((own, index) => names[index] ?? own);
      const columns =
        inner.outputs && namedColumns(inner.outputs, given.length > names.length ? given : names);
      return this.#leaf({ alias, schema: undefined, columns, table: undefined }, inner.shape, scope, facts);
    }
    const { shape, columns, table } = this.tableRows(range);
    const schema = range.alias === undefined ? table?.schema : undefined;
    return this.#leaf(
      { alias, schema, columns: columns && namedColumns(columns, names), table },
      shape,
      scope,
      facts,
    );
  }

  /** A table's own shape and columns. */
  tableRows(range: RangeVar): {
    shape: Shape;
    columns: ReadonlyMap<string, ScopeColumn> | undefined;
    table: Table | undefined;
  } {
    const table = this.statement.find(range);
    if (table === undefined)
      return { shape: { type: 'home', table: range.relname ?? '' }, columns: undefined, table };
    const sharded = table.reads.find(
      (name) => this.statement.keyspace.tables.get(name)?.placement === 'sharded',
    );
    if (sharded !== undefined)
      throw unsupported(
        `view "${table.name}", which reads sharded table "${sharded}"`,
        'Query the tables themselves.',
      );
    const number = ++this.#sources;
    const columns = new Map<string, ScopeColumn>();
    for (const column of table.columns) {
      const keyType = keyTypeOf(column.typeOid);
      columns.set(column.name, {
        id: keyType === undefined ? undefined : `${number}.${column.name}`,
        keyType,
        column,
      });
    }
    this.statement.use(range, table);
    if (table.placement === 'reference') return { shape: CONSTANT, columns, table };
    if (table.placement === 'home' || table.key === undefined)
      return { shape: { type: 'home', table: table.name }, columns, table };
    const key = `${number}.${table.key.column}`;
    return {
      shape: { type: 'spread', key, keyType: table.key.type, pins: undefined, tables: [table.name] },
      columns,
      table,
    };
  }

  #rangeSubselect(range: RangeSubselect, scope: Scope, facts: Facts, env: Env): FromTree {
    const select =
      range.subquery !== undefined && 'SelectStmt' in range.subquery ? range.subquery.SelectStmt : undefined;
    if (select === undefined) throw unsupported('a FROM item that is not a SELECT');
    const alias = range.alias?.aliasname ?? '';
    const names = namesOf(range.alias?.colnames);
    if (range.lateral === true) {
      const source: Source = { alias, schema: undefined, columns: undefined, table: undefined };
      const known = scope.sources.slice();
      scope.sources.push(source);
      const shapeOf = () => this.#lateral(select, known, scope, facts, env);
      return { type: 'later', shapeOf, sources: [source], merged: new Map() };
    }
    const inner = this.query(select, env);
    facts.include(inner.facts);
    return this.#leaf(
      {
        alias,
        schema: undefined,
        columns: inner.outputs && namedColumns(inner.outputs, names),
        table: undefined,
      },
      inner.shape,
      scope,
      facts,
    );
  }

  #lateral(select: SelectStmt, known: readonly Source[], scope: Scope, facts: Facts, env: Env): Shape {
    const visible = new Scope(scope.outer);
    visible.sources.push(...known);
    for (const [name, column] of scope.merged) visible.merged.set(name, column);
    const keys = known.flatMap((source) => {
      const column =
        source.table?.key === undefined ? undefined : source.columns?.get(source.table.key.column);
      return column?.id === undefined ? [] : [column.id];
    });
    const inner = this.query(select, { ...env, scope: visible, facts, keys: [...env.keys, ...keys] });
    if (inner.shape.type !== 'tied') return inner.shape;
    // Tied to a table beside it: it has that table's shape, and joins it without further conditions.
    return CONSTANT;
  }

  #join(join: JoinExpr, scope: Scope, facts: Facts, reader: ConditionReader, env: Env): FromTree {
    if (join.alias !== undefined)
      throw unsupported('an alias for a whole JOIN', 'Give the aliases to the tables in it.');
    const type = join.jointype ?? 'JOIN_INNER';
    const isSwapped = type === 'JOIN_RIGHT';
    const inside = type === 'JOIN_INNER' ? facts : new Facts(facts);
    const isFull = type === 'JOIN_FULL';
    const left = this.from(
      join.larg!,
      scope,
      isFull ? new Facts(facts) : isSwapped ? inside : facts,
      reader,
      env,
    );
    const right = this.from(
      join.rarg!,
      scope,
      isFull ? new Facts(facts) : isSwapped ? facts : inside,
      reader,
      env,
    );
    const merged = new Map([...left.merged, ...right.merged]);
    for (const name of sharedNames(join, left, right)) {
      const [a, b] = [columnBelow(left, name), columnBelow(right, name)];
      if (!isFull && a?.id !== undefined && b?.id !== undefined && a.keyType === b.keyType)
        inside.addEqual(a.id, b.id);
      const kept = isFull ? undefined : isSwapped ? b : a;
      const column = kept ?? { id: undefined, keyType: undefined, column: undefined };
      merged.set(name, column);
      scope.merged.set(name, column);
    }
    if (!isFull) reader.read(join.quals, inside);
    const sources = [...left.sources, ...right.sources];
    if (type === 'JOIN_INNER') return { type: 'inner', left, right, facts, sources, merged };
    if (isFull) return { type: 'full', left, right, facts, sources, merged };
    return {
      type: 'left',
      left: isSwapped ? right : left,
      right: isSwapped ? left : right,
      inside,
      sources,
      merged,
    };
  }
}

function sharedNames(join: JoinExpr, left: FromTree, right: FromTree): string[] {
  if (join.isNatural !== true) return namesOf(join.usingClause);
  const [a, b] = [namesBelow(left), namesBelow(right)];
  if (a === undefined || b === undefined) return [];
  return [...a].filter((name) => b.has(name) && !isSystemColumn(name));
}

function mentions(tree: unknown, name: string): boolean {
  let found = false;
  walk(tree, (kind, node) => {
    if (kind === 'RangeVar' && node['relname'] === name && node['schemaname'] === undefined) found = true;
    return undefined;
  });
  return found;
}
