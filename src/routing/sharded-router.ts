import { LRUCache } from 'lru-cache';
import { OperatingError } from '../lib/errors.js';
import { type Hint, hintOf } from '../sql/hint.js';
import type { Template } from '../sql/postgres-template.js';
import type { Keyspace, Table } from '../topology/keyspace.js';
import type { Range, ShardName } from '../topology/ring.js';
import { foreignRanges, type Snapshot } from '../topology/snapshot.js';
import { namedSharded } from './by-hand.js';
import type { Recipe } from './draft.js';
import type { ParameterValues, Placement, Plan, PlannedStatement, Route } from './plan.js';
import { MAX_TEMPLATE, RememberedStatements } from './plan-cache.js';
import { type PlannedTemplate, planStatement } from './planner.js';
import { fillIn, type RewrittenText, rewrite } from './rewrite.js';
import { routeOf } from './route.js';
import { routeSets } from './route-sets.js';
import type { NumberedText, RoutingHint, StatementRouter } from './router.js';
import type { RowsText, SqlDialect } from './sql-dialect.js';
import { Statement } from './statement.js';

/** Rewritten texts kept per plan: one for each set of foreign ranges seen. */
const MAX_REWRITTEN = 32;

/** What the cache keeps of one template under the values of the literals that its plan depends on. */
interface CachedPlan extends PlannedTemplate {
  readonly rewritten: Map<string, RewrittenText>;
}

/** The router of a sharded database, whatever SQL it speaks. */
export class Router implements StatementRouter {
  cacheHitsTotal = 0;
  cacheMissesTotal = 0;
  #keyspace: Keyspace;
  readonly #dialect: SqlDialect;
  readonly #maxPlans: number;
  /** By template; the plan itself, or the literals whose values must be added to the key. */
  #plans: LRUCache<string, CachedPlan | { readonly reads: readonly number[] }>;
  #statements: RememberedStatements;
  /** The cache entry that a plan came from, also for plans whose placement was set by hand. */
  readonly #origins = new WeakMap<Plan, CachedPlan>();

  constructor(keyspace: Keyspace, maxPlans: number, dialect: SqlDialect) {
    this.#keyspace = keyspace;
    this.#dialect = dialect;
    this.#maxPlans = maxPlans;
    this.#plans = new LRUCache({ max: maxPlans });
    this.#statements = new RememberedStatements(maxPlans);
  }

  get keyspace(): Keyspace {
    return this.#keyspace;
  }

  /** A new keyspace makes every plan doubtful, so they are made anew. */
  set keyspace(next: Keyspace) {
    this.#keyspace = next;
    this.#plans = new LRUCache({ max: this.#maxPlans });
    this.#statements = new RememberedStatements(this.#maxPlans);
  }

  get plansCached(): number {
    return this.#plans.size;
  }

  template(sql: string): string {
    return this.#dialect.shownTemplate(sql);
  }

  split(sql: string): string[] {
    return this.#dialect.split(sql);
  }

  plan(sql: string, searchPath?: readonly string[], hint?: RoutingHint): PlannedStatement {
    const isPlain = searchPath === undefined && hint === undefined;
    if (isPlain) {
      const known = this.#statements.get(sql);
      if (known !== undefined) {
        this.cacheHitsTotal++;
        return known;
      }
    }
    const template = this.#dialect.templateOf(sql);
    const cached = this.#cached(sql, template, searchPath);
    const byHand = template.hint ?? hintOfSession(hint);
    const plan = byHand === undefined ? cached.plan : this.#placedByHand(cached, byHand);
    const statement: PlannedStatement = { sql, plan, literals: template.literals, keys: this.#dialect.keys };
    if (isPlain) this.#statements.add(statement, template.literals.length);
    return statement;
  }

  #cached(sql: string, template: Template, searchPath: readonly string[] | undefined): CachedPlan {
    const base =
      searchPath === undefined ? template.text : `${template.text}\u0006${searchPath.join('\u0006')}`;
    const entry = this.#plans.get(base);
    const found =
      entry === undefined || 'plan' in entry ? entry : this.#plans.get(keyWith(base, entry.reads, template));
    if (found !== undefined && 'plan' in found) {
      this.cacheHitsTotal++;
      return found;
    }
    this.cacheMissesTotal++;
    const planned = planStatement(sql, template, this.#keyspace, searchPath, this.#dialect);
    const fresh: CachedPlan = { ...planned, plan: planned.plan, rewritten: new Map() };
    const checked = this.#checked(fresh);
    this.#origins.set(checked.plan, checked);
    if (base.length > MAX_TEMPLATE) return checked;
    const reads = [
      ...new Set([...(entry !== undefined && 'reads' in entry ? entry.reads : []), ...planned.literals.read]),
    ].sort((a, b) => a - b);
    if (reads.length === 0) this.#plans.set(base, checked);
    else {
      this.#plans.set(base, { reads });
      this.#plans.set(keyWith(base, reads, template), checked);
    }
    return checked;
  }

  /**
   * What may go to several shards must be writable for each of them at any time, so a statement that cannot be rewritten is refused at
   * once and not first when a migration runs.
   */
  #checked(cached: CachedPlan): CachedPlan {
    if (cached.recipe === undefined || cached.plan.placement.type === 'refused') return cached;
    try {
      rewrite(cached.recipe, cached.ranges, cached.literals, PROBE, this.#dialect);
      return cached;
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return { ...cached, plan: { ...cached.plan, placement: { type: 'refused', error } } };
    }
  }

  #placedByHand(cached: CachedPlan, hint: Hint): Plan {
    const { plan } = cached;
    if (!mayPlaceByHand(plan)) return plan;
    const keyType = cached.keyTable?.key?.type ?? this.#onlyKeyType();
    const placement: Placement =
      hint.type === 'shard'
        ? { type: 'shard', shard: hint.shard }
        : { type: 'key-by-hand', key: hint.key, ...(keyType === undefined ? {} : { keyType }) };
    const placed: Plan = { ...plan, placement, merge: undefined };
    this.#origins.set(placed, cached);
    return placed;
  }

  /** The key type that all sharded tables have, if they have one. */
  #onlyKeyType() {
    const types = new Set(
      [...this.#keyspace.tables.values()].flatMap((table) =>
        table.key === undefined ? [] : [table.key.type],
      ),
    );
    return types.size === 1 ? [...types][0] : undefined;
  }

  route(statement: PlannedStatement, parameters: ParameterValues | undefined, snapshot: Snapshot): Route {
    return parameters?.sets === undefined
      ? routeOf(statement, parameters, snapshot)
      : routeSets(statement, parameters.sets, snapshot);
  }

  sqlFor(statement: PlannedStatement, route: Route, shard: ShardName, snapshot: Snapshot): string {
    return this.#rewritten(statement, route, shard, snapshot)?.sql ?? statement.sql;
  }

  withNumbers(statement: PlannedStatement, numbers: readonly bigint[]): string {
    const place = statement.plan.numbers;
    const sql = place === undefined ? undefined : this.#dialect.withNumbers(statement.sql, place, numbers);
    if (sql !== undefined) return sql;
    throw notNumbered(place?.column ?? '');
  }

  withNumberParameters(statement: PlannedStatement): NumberedText {
    const place = statement.plan.numbers!;
    const text = this.#dialect.withNumberParameters?.(statement.sql, place);
    if (text !== undefined) return text;
    throw notNumbered(place.column);
  }

  parametersFor(
    statement: PlannedStatement,
    route: Route,
    shard: ShardName,
    snapshot: Snapshot,
  ): readonly number[] | undefined {
    if (!this.#dialect.ordersParameters) return undefined;
    return this.#rewritten(statement, route, shard, snapshot)?.parameters;
  }

  /** undefined: the shard runs the client's own text. */
  #rewritten(
    statement: PlannedStatement,
    route: Route,
    shard: ShardName,
    snapshot: Snapshot,
  ): RowsText | undefined {
    const { placement } = statement.plan;
    if (placement.type === 'rows') {
      const rows = route.rows?.get(shard);
      return rows === undefined ? undefined : this.#rowsOf(statement, rows, placement.rows.length);
    }
    const origin = this.#origins.get(statement.plan);
    if (origin === undefined) return undefined;
    if (placement.type === 'shard')
      return this.#textByHand(statement, origin, foreignRanges(snapshot, shard));
    if (origin.recipe === undefined || placement.type === 'key-by-hand') return undefined;
    const { elsewhere } = origin.recipe;
    if (elsewhere !== undefined) {
      if (shard === snapshot.home) return undefined;
      const recipe = { tree: elsewhere, isChanged: true, target: undefined };
      return this.#textOf(origin, recipe, origin.ranges, [], statement);
    }
    const foreign = foreignRanges(snapshot, shard);
    // On one shard nothing is merged, and nothing left out where its rows are all its own, as the keys' rows are.
    if (route.shards.length === 1 && (placement.type === 'keys' || foreign.length === 0)) return undefined;
    return this.#textOf(origin, origin.recipe, origin.ranges, foreign, statement);
  }

  /** A statement sent to a shard by hand sees no rows either that the shard only holds for a migration. */
  #textByHand(
    statement: PlannedStatement,
    origin: CachedPlan,
    foreign: readonly Range[],
  ): RowsText | undefined {
    if (origin.tree === undefined || foreign.length === 0) return undefined;
    const { ranges, target } = namedSharded(
      origin.tree,
      new Statement(this.#keyspace, origin.literals, undefined),
    );
    if (ranges.size === 0 && target === undefined) return undefined;
    return this.#textOf(
      origin,
      { tree: origin.tree, isChanged: false, target },
      ranges,
      foreign,
      statement,
      'by hand ',
    );
  }

  #textOf(
    origin: CachedPlan,
    recipe: Recipe,
    ranges: ReadonlyMap<object, Table>,
    foreign: readonly Range[],
    statement: PlannedStatement,
    form = '',
  ): RowsText | undefined {
    if (foreign.length === 0 && !recipe.isChanged) return undefined;
    const key = form + foreign.map((range) => `${range.low}:${range.high}`).join(',');
    let text = origin.rewritten.get(key);
    if (text === undefined) {
      text = rewrite(recipe, ranges, origin.literals, foreign, this.#dialect);
      if (origin.rewritten.size >= MAX_REWRITTEN) origin.rewritten.clear();
      origin.rewritten.set(key, text);
    }
    return { sql: fillIn(text, statement.literals), parameters: text.parameters };
  }

  #rowsOf(statement: PlannedStatement, rows: readonly number[], count: number): RowsText {
    const text = this.#dialect.insertOfRows(statement.sql, rows, count);
    if (text !== undefined) return text;
    throw new OperatingError('unsupported', 'the rows of this INSERT cannot be told apart', {
      hint: 'Write INSERT INTO table (columns) VALUES (…), (…).',
    });
  }
}

function notNumbered(column: string): OperatingError {
  return new OperatingError('unsupported', 'the rows of this INSERT cannot be numbered', {
    hint: `Give "${column}" a value in each row.`,
  });
}

/** Any range does to try whether a statement can be rewritten. */
const PROBE = [{ low: 0n, high: 1n }];

function keyWith(base: string, reads: readonly number[], template: Template): string {
  return `${base}\u0007${reads.map((index) => template.literals[index]).join('\u0007')}`;
}

function hintOfSession(hint: RoutingHint | undefined): Hint | undefined {
  if (hint?.shard !== undefined) return hintOf('shard', hint.shard);
  return hint?.key === undefined ? undefined : hintOf('key', hint.key);
}

/** Statements about the session go where they go, and rows with known keys belong to their owners, whatever a hint says. */
function mayPlaceByHand(plan: Plan): boolean {
  if (plan.transaction !== undefined || plan.placement.type === 'rows') return false;
  if (plan.session !== undefined && plan.session.type !== 'pin') return false;
  if (plan.incoming !== undefined) return false;
  return !(plan.writesReference && plan.access === 'write');
}
