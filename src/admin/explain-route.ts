import { asOperatingError } from '../lib/errors.js';
import type { KeySource, Placement, PlannedStatement } from '../routing/plan.js';
import type { StatementRouter } from '../routing/router.js';
import { type Snapshot, servingShards } from '../topology/snapshot.js';

export type RouteKind =
  | 'single-shard'
  | 'several shards'
  | 'scatter'
  | 'every shard'
  | 'home'
  | 'any shard'
  | 'session'
  | 'not supported';

/** How one statement routes, in words. */
export interface RouteExplanation {
  readonly statement: string;
  readonly kind: RouteKind;
  /** For the values in the text; empty when they are parameters. */
  readonly shards: readonly string[];
  /** What the owner is found by: `42`, `$1`, `2 rows`; empty when no key is involved. */
  readonly key: string;
  /** What the first shard would run, when it is not the statement itself. */
  readonly shardSql: string;
  readonly refusal:
    | { readonly sqlstate: string; readonly message: string; readonly hint: string }
    | undefined;
}

/** Explains each statement of `sql`; a statement that cannot be understood is explained as not supported. */
export function explainRoute(router: StatementRouter, snapshot: Snapshot, sql: string): RouteExplanation[] {
  let statements: string[];
  try {
    statements = router.split(sql);
  } catch (error) {
    return [refused(sql, error)];
  }
  return statements.map((statement) => {
    try {
      return explainStatement(router, snapshot, statement);
    } catch (error) {
      return refused(statement, error);
    }
  });
}

function explainStatement(router: StatementRouter, snapshot: Snapshot, sql: string): RouteExplanation {
  const planned = router.plan(sql);
  const { placement, transaction, session, access } = planned.plan;
  if (placement.type === 'refused') throw placement.error;
  const key = describeKeys(planned, placement);
  const explained = { statement: sql.trim(), key, shardSql: '', refusal: undefined };
  if (transaction !== undefined || (session !== undefined && access === 'none'))
    return { ...explained, kind: 'session', shards: [] };
  if (needsParameters(placement)) return { ...explained, kind: kindByParameters(placement), shards: [] };
  const route = router.route(planned, undefined, snapshot);
  const kind = kindOf(placement, route.shards.length, access === 'read');
  const shards = kind === 'any shard' ? servingShards(snapshot) : route.shards;
  const first = route.shards[0];
  const shardSql = first === undefined ? '' : router.sqlFor(planned, route, first, snapshot);
  return { ...explained, kind, shards, shardSql: shardSql.trim() === sql.trim() ? '' : shardSql };
}

function refused(statement: string, thrown: unknown): RouteExplanation {
  const error = asOperatingError(thrown);
  const refusal = { sqlstate: error.sqlstate, message: error.message, hint: error.hint ?? '' };
  return { statement: statement.trim(), kind: 'not supported', shards: [], key: '', shardSql: '', refusal };
}

function keysOf(placement: Placement): readonly KeySource[] {
  if (placement.type === 'keys') return placement.keys;
  return placement.type === 'rows' ? placement.rows : [];
}

function needsParameters(placement: Placement): boolean {
  return keysOf(placement).some((key) => key.type === 'parameter');
}

function kindByParameters(placement: Placement): RouteKind {
  const keys = keysOf(placement);
  if (placement.type === 'keys' && placement.mustAgree === true) return 'single-shard';
  return keys.length === 1 && !(keys[0]?.type === 'parameter' && keys[0].array)
    ? 'single-shard'
    : 'several shards';
}

function kindOf(placement: Placement, shardCount: number, isRead: boolean): RouteKind {
  switch (placement.type) {
    case 'anywhere':
      return 'any shard';
    case 'home':
      return 'home';
    case 'every':
      return isRead ? 'scatter' : 'every shard';
    default:
      return shardCount === 1 ? 'single-shard' : 'several shards';
  }
}

const KEYS_SHOWN = 5;

function describeKeys(planned: PlannedStatement, placement: Placement): string {
  if (placement.type === 'key-by-hand') return placement.key;
  if (placement.type === 'shard') return `shard ${placement.shard}`;
  const keys = keysOf(placement);
  const shown = keys.slice(0, KEYS_SHOWN).map((key) => describeKey(key, planned.literals));
  return shown.join(', ') + (keys.length > KEYS_SHOWN ? `, … (${keys.length})` : '');
}

function describeKey(key: KeySource, literals: readonly string[]): string {
  if (key.type === 'null') return 'NULL';
  if (key.type === 'parameter') return key.array ? `ANY ($${key.index + 1})` : `$${key.index + 1}`;
  return `${key.negated ? '-' : ''}${literals[key.index] ?? '?'}`;
}
