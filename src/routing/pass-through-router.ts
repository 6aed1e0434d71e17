import { LRUCache } from 'lru-cache';
import type { LimitsConfig } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import { TOUCHES_NOTHING } from '../topology/gate.js';
import type { Keyspace } from '../topology/keyspace.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { ParameterValues, Plan, PlannedStatement, Route } from './plan.js';
import { MAX_TEMPLATE, RememberedStatements } from './plan-cache.js';
import type { StatementRouter } from './router.js';
import type { SqlDialect } from './sql-dialect.js';

/**
 * The router of a database with one shard and no tables: it knows what a statement does to the transaction and the session, and
 * refuses nothing. What the parser does not know passes through like everything else.
 */
export function createPassThroughRouter(
  database: string,
  limits: Pick<LimitsConfig, 'maxPlans'>,
  dialect: SqlDialect,
): StatementRouter {
  const keyspace: Keyspace = {
    database,
    home: '',
    tables: new Map(),
    searchPath: [],
    builtinFunctions: new Set(),
    hasByteOrder: false,
  };
  const plans = new LRUCache<string, Plan>({ max: limits.maxPlans });
  const statements = new RememberedStatements(limits.maxPlans);
  let hits = 0;
  let misses = 0;
  return {
    keyspace,
    get cacheHitsTotal() {
      return hits;
    },
    get cacheMissesTotal() {
      return misses;
    },
    get plansCached() {
      return plans.size;
    },
    template: dialect.shownTemplate,
    split: dialect.split,
    plan(sql: string): PlannedStatement {
      const known = statements.get(sql);
      if (known !== undefined) {
        hits++;
        return known;
      }
      const { text, literals } = templateWithoutHints(sql, dialect);
      let plan = plans.get(text);
      if (plan !== undefined) hits++;
      else {
        misses++;
        plan = dialect.passThroughPlan(sql, text, keyspace);
        if (text.length <= MAX_TEMPLATE) plans.set(text, plan);
      }
      const planned: PlannedStatement = { sql, plan, literals: [], keys: dialect.keys };
      statements.add(planned, literals);
      return planned;
    },
    route(_statement: PlannedStatement, _parameters: ParameterValues | undefined, snapshot: Snapshot): Route {
      return { shards: [snapshot.home], touch: TOUCHES_NOTHING, rows: undefined };
    },
    sqlFor: (statement) => statement.sql,
    parametersFor: () => undefined,
    withNumbers: (statement) => statement.sql,
    withNumberParameters: ({ sql }) => ({ sql, parameters: [] }),
  };
}

/** A hint that cannot be understood is none here. */
function templateWithoutHints(sql: string, dialect: SqlDialect): { text: string; literals: number } {
  try {
    const { text, literals } = dialect.templateOf(sql);
    return { text, literals: literals.length };
  } catch (error) {
    if (error instanceof OperatingError) return { text: sql, literals: 1 };
    throw error;
  }
}
