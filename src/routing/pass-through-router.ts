import type { Node } from '@pgsql/types';
import { LRUCache } from 'lru-cache';
import type { LimitsConfig } from '../config/config.js';
import { OperatingError } from '../lib/errors.js';
import { type SqlParser, sharedParser } from '../sql/postgres-parser.js';
import { splitStatements } from '../sql/postgres-split.js';
import { shownTemplate, templateOf } from '../sql/postgres-template.js';
import { TOUCHES_NOTHING } from '../topology/gate.js';
import type { Keyspace } from '../topology/keyspace.js';
import type { Snapshot } from '../topology/snapshot.js';
import { completePlan } from './draft.js';
import type { ParameterValues, Plan, PlannedStatement, Route } from './plan.js';
import type { StatementRouter } from './router.js';
import { pinReason, planSession } from './session-plan.js';
import { verbOf } from './verb.js';

/**
 * The router of a database with one shard and no tables: it knows what a statement does to the transaction and the session, and
 * refuses nothing. What the parser does not know passes through like everything else.
 */
export function createPassThroughRouter(
  database: string,
  limits: Pick<LimitsConfig, 'maxPlans'>,
  parser: SqlParser = sharedParser,
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
    template: shownTemplate,
    split: splitStatements,
    plan(sql: string): PlannedStatement {
      const template = templateWithoutHints(sql);
      let plan = plans.get(template);
      if (plan !== undefined) hits++;
      else {
        misses++;
        plan = planOf(sql, template, parser);
        if (template.length <= MAX_TEMPLATE) plans.set(template, plan);
      }
      return { sql, plan, literals: [] };
    },
    route(_statement: PlannedStatement, _parameters: ParameterValues | undefined, snapshot: Snapshot): Route {
      return { shards: [snapshot.home], touch: TOUCHES_NOTHING, rows: undefined };
    },
    sqlFor: (statement) => statement.sql,
  };
}

const MAX_TEMPLATE = 65_536;

/** A hint that cannot be understood is none here. */
function templateWithoutHints(sql: string): string {
  try {
    return templateOf(sql).text;
  } catch (error) {
    if (error instanceof OperatingError) return sql;
    throw error;
  }
}

const READS = /^\(*\s*(select|values|table)\b/i;
const PLAIN = /^\(*\s*(select|values|table|insert|update|delete|merge)\b/i;
/** Words without which those statements leave nothing in the session. */
const SESSION_WORDS = /advisory|set_config|\binto\s+(local\s+|global\s+)?temp/i;

function planOf(sql: string, template: string, parser: SqlParser): Plan {
  if (PLAIN.test(template) && !SESSION_WORDS.test(template)) {
    const verb = /^\(*\s*(\w+)/.exec(template)![1]!.toUpperCase();
    return completePlan(verb, {
      placement: { type: 'home' },
      access: READS.test(template) ? 'read' : 'write',
    });
  }
  let node: Node | undefined;
  try {
    node = parser.parse(sql)[0]?.stmt;
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
  }
  if (node === undefined) return completePlan('', { placement: { type: 'home' }, access: 'write' });
  const reason = pinReason(node);
  const { transaction, session } = factsOf(node);
  return completePlan(verbOf(node, sql), {
    placement: { type: 'home' },
    access: transaction === undefined && session === undefined ? 'write' : 'none',
    transaction,
    session: session ?? (reason === undefined ? undefined : { type: 'pin', reason }),
  });
}

function factsOf(node: Node): Pick<Plan, 'transaction' | 'session'> {
  try {
    const draft = planSession(node);
    return { transaction: draft?.transaction, session: draft?.session };
  } catch (error) {
    // Refused in a sharded database (PREPARE TRANSACTION); here it passes.
    if (error instanceof OperatingError) return { transaction: undefined, session: undefined };
    throw error;
  }
}
