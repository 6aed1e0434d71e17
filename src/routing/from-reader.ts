import type { JoinExpr, Node, RangeSubselect, RangeVar, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { namesOf, unwrap } from '../sql/postgres-tree.js';
import type { Table } from '../topology/keyspace.js';
import type { Analysis, Env } from './analysis.js';
import type { ConditionReader } from './conditions.js';
import { Facts } from './facts.js';
import { columnBelow, type FromTree, namesBelow } from './from-tree.js';
import { type Fold, namedColumns, Scope, type ScopeColumn, type Source } from './scope.js';
import { CONSTANT, type Shape } from './shape.js';
import type { SqlDialect } from './sql-dialect.js';

/** Reads FROM clauses: which names they bring, and what their joins say. */
export class FromReader {
  readonly #analysis: Analysis;
  readonly #fold: Fold;
  #tables = 0;

  constructor(analysis: Analysis) {
    this.#analysis = analysis;
    this.#fold = analysis.statement.dialect.fold;
  }

  /** Adds one FROM item to `scope` and what its joins say to `facts`. */
  read(item: Node, scope: Scope, facts: Facts, reader: ConditionReader, env: Env): FromTree {
    if ('RangeVar' in item) return this.#table(item.RangeVar, scope, facts, env);
    if ('JoinExpr' in item) return this.#join(item.JoinExpr, scope, facts, reader, env);
    if ('RangeSubselect' in item) return this.#rangeSubselect(item.RangeSubselect, scope, facts, env);
    if ('RangeTableSample' in item && item.RangeTableSample.relation !== undefined) {
      const tree = this.read(item.RangeTableSample.relation, scope, facts, reader, env);
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
      const inner = this.#analysis.cteShape(cte);
      facts.include(inner.facts);
      // Names given to the reference go over those given to the WITH query.
      const given = namesOf(cte.cte.aliascolnames).map((own, index) => names[index] ?? own);
      const columns =
        inner.outputs && namedColumns(inner.outputs, this.#fold, given.length > names.length ? given : names);
      return this.#leaf({ alias, schema: undefined, columns, table: undefined }, inner.shape, scope, facts);
    }
    const { shape, columns, table } = this.#tableRows(range);
    const schema = range.alias === undefined ? table?.schema : undefined;
    return this.#leaf(
      { alias, schema, columns: columns && namedColumns(columns, this.#fold, names), table },
      shape,
      scope,
      facts,
    );
  }

  /** A table's own shape and columns. */
  #tableRows(range: RangeVar): {
    shape: Shape;
    columns: ReadonlyMap<string, ScopeColumn> | undefined;
    table: Table | undefined;
  } {
    const table = this.#analysis.statement.find(range);
    if (table === undefined)
      return { shape: { type: 'home', table: range.relname ?? '' }, columns: undefined, table };
    const sharded = table.reads.find(
      (name) => this.#analysis.statement.keyspace.tables.get(name)?.placement === 'sharded',
    );
    if (sharded !== undefined)
      throw unsupported(
        `view "${table.name}", which reads sharded table "${sharded}"`,
        'Query the tables themselves.',
      );
    const number = ++this.#tables;
    const columns = new Map<string, ScopeColumn>();
    for (const column of table.columns) {
      const keyType = this.#analysis.statement.dialect.keyTypeOf(column);
      columns.set(column.name, {
        id: keyType === undefined ? undefined : `${number}.${column.name}`,
        keyType,
        column,
      });
    }
    this.#analysis.statement.use(range, table);
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
    const inner = this.#analysis.query(select, env);
    facts.include(inner.facts);
    return this.#leaf(
      {
        alias,
        schema: undefined,
        columns: inner.outputs && namedColumns(inner.outputs, this.#fold, names),
        table: undefined,
      },
      inner.shape,
      scope,
      facts,
    );
  }

  #lateral(select: SelectStmt, known: readonly Source[], scope: Scope, facts: Facts, env: Env): Shape {
    const visible = new Scope(scope.outer, this.#fold);
    visible.sources.push(...known);
    for (const [name, column] of scope.merged) visible.merged.set(name, column);
    const keys = known.flatMap((source) => {
      const column =
        source.table?.key === undefined
          ? undefined
          : source.columns?.get(this.#fold(source.table.key.column));
      return column?.id === undefined ? [] : [column.id];
    });
    const inner = this.#analysis.query(select, {
      ...env,
      scope: visible,
      facts,
      keys: [...env.keys, ...keys],
    });
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
    const left = this.read(
      join.larg!,
      scope,
      isFull ? new Facts(facts) : isSwapped ? inside : facts,
      reader,
      env,
    );
    const right = this.read(
      join.rarg!,
      scope,
      isFull ? new Facts(facts) : isSwapped ? facts : inside,
      reader,
      env,
    );
    const merged = new Map([...left.merged, ...right.merged]);
    for (const name of sharedNames(join, left, right, this.#analysis.statement.dialect)) {
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

function sharedNames(join: JoinExpr, left: FromTree, right: FromTree, dialect: SqlDialect): string[] {
  if (join.isNatural !== true) return namesOf(join.usingClause).map(dialect.fold);
  const [a, b] = [namesBelow(left), namesBelow(right)];
  if (a === undefined || b === undefined) return [];
  return [...a].filter((name) => b.has(name) && !dialect.isSystemColumn(name));
}
