import { unsupported } from '../lib/errors.js';
import type { ShardName } from '../topology/ring.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { ParameterValues, Plan, PlannedStatement, Route } from './plan.js';
import { routeOf } from './route.js';

/** What a server takes as a bulk: INSERT, REPLACE, UPDATE, DELETE. */
const BULK_VERBS: ReadonlySet<string> = new Set(['INSERT', 'REPLACE', 'UPDATE', 'DELETE']);

/** Throws for what no bulk can be, before anything of it is done. */
export function checkBulk({ verb }: Plan): void {
  if (!BULK_VERBS.has(verb))
    throw unsupported(`bulk execution of ${verb}`, 'Execute it once for each set of values.');
}

/**
 * Finds the shards of a bulk execution: each set of values is routed as an execution of its own, and each shard runs its sets in the order in
 * which they came. Throws as `routeOf` does.
 */
export function routeSets(
  statement: PlannedStatement,
  sets: readonly ParameterValues[],
  snapshot: Snapshot,
): Route {
  const routes = sets.map((set) => routeOf(statement, set, snapshot));
  const setsOf = new Map<ShardName, number[]>();
  for (const [number, { shards, rows }] of routes.entries()) {
    if (rows !== undefined)
      throw unsupported(
        'bulk execution of an INSERT that writes one set of values into rows of several shards',
        'Write one row in VALUES, and a set of values for each row.',
      );
    for (const shard of shards) {
      const numbers = setsOf.get(shard);
      if (numbers === undefined) setsOf.set(shard, [number]);
      else numbers.push(number);
    }
  }
  const shards = [...setsOf.keys()].sort();
  const touches = routes.map(({ touch }) => touch);
  return {
    shards,
    touch: {
      tokens: touches.flatMap(({ tokens }) => tokens),
      sharded: touches.some(({ sharded }) => sharded),
      reference: touches.some(({ reference }) => reference),
    },
    rows: undefined,
    ...(shards.length > 1 ? { sets: setsOf } : {}),
  };
}
