import type { BackendQuery } from '../pool/backend.js';
import { bulkOf, inOrder } from '../routing/parameter-sets.js';
import type { ShardName } from '../topology/ring.js';
import { describeStatement } from './describe.js';
import type { Execution, SessionContext, Way } from './execution.js';
import type { Transaction } from './transaction.js';

/** What each shard of the route runs of one execution, in the route's order. */
export async function partQueries(
  context: SessionContext,
  transaction: Transaction | undefined,
  execution: Execution,
  way: Way,
  resultFormats: readonly number[],
): Promise<BackendQuery[]> {
  const types = await parameterTypes(context, transaction, execution);
  return way.route.shards.map((shard) => {
    const query = partQuery(execution, way, shard);
    const { order } = query;
    const parameterTypes = order === undefined ? types : types && order.map((index) => types[index] ?? 0);
    return { sql: query.sql, parameters: query.parameters, parameterTypes, resultFormats };
  });
}

/** One shard's text, with its parameters in the order in which they stand there. */
function partQuery(execution: Execution, { router, route, snapshot }: Way, shard: ShardName) {
  const { planned } = execution;
  const sets = route.sets?.get(shard);
  const parameters =
    sets === undefined
      ? execution.parameters
      : bulkOf(sets.map((number) => execution.parameters!.sets![number]!));
  const sql = router.sqlFor(planned, route, shard, snapshot);
  const order = parameters === undefined ? undefined : router.parametersFor(planned, route, shard, snapshot);
  return { sql, order, parameters: order === undefined ? parameters : inOrder(parameters!, order) };
}

/**
 * Types of the client's parameters for a text that may use fewer of them than its own: the server could not infer those
 * that are gone. Asked of a server only where the client has not said them all.
 */
export async function parameterTypes(
  context: SessionContext,
  transaction: Transaction | undefined,
  execution: Execution,
): Promise<readonly number[] | undefined> {
  const { prepared, parameters, planned } = execution;
  if (prepared === undefined || parameters === undefined || parameters.count === 0) return undefined;
  const said = Array.from({ length: parameters.count }, (_, index) => parameters.typeOid(index));
  if (!said.includes(0) || parameters.sets !== undefined) return said;
  return (await describeStatement(context, transaction, prepared, planned)).parameterTypes;
}
