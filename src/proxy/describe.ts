import type { StatementDescription } from '../pool/backend.js';
import { ServerFailure } from '../pool/backend.js';
import type { PreparedStatement } from '../pool/request.js';
import type { PlannedStatement } from '../routing/plan.js';
import { servingShards } from '../topology/snapshot.js';
import type { SessionContext } from './execution.js';
import type { Transaction } from './transaction.js';

const NOTHING: StatementDescription = { parameterTypes: [], columns: undefined };

/**
 * What a statement takes and gives, asked of one shard: all have the same schema. Inside a transaction a shard that has
 * joined is asked, since the schema may have been changed there.
 */
export async function describeStatement(
  context: SessionContext,
  transaction: Transaction | undefined,
  prepared: PreparedStatement,
  planned: PlannedStatement,
): Promise<StatementDescription> {
  const { plan } = planned;
  // An INSERT whose rows get their numbers when it runs is described as it was written.
  if (plan.placement.type === 'refused' && plan.numbers === undefined) throw plan.placement.error;
  if (plan.transaction !== undefined || (plan.session !== undefined && plan.session.type !== 'pin'))
    return NOTHING;
  const joined = transaction?.backends.find((backend) => backend.transaction === 'open' && !backend.isBusy);
  try {
    if (joined !== undefined) return await joined.describe(prepared);
    return await onAnyShard(context, planned, prepared);
  } catch (thrown) {
    if (thrown instanceof ServerFailure) transaction?.noteFailure(thrown.serverError);
    throw thrown;
  }
}

async function onAnyShard(
  context: SessionContext,
  planned: PlannedStatement,
  prepared: PreparedStatement,
): Promise<StatementDescription> {
  const snapshot = context.database.topology.current;
  const { placement } = planned.plan;
  const shard =
    placement.type === 'shard'
      ? placement.shard
      : placement.type === 'home'
        ? snapshot.home
        : preferredShard(context);
  const { backend, pool } = await context.lanes.borrow(shard);
  try {
    for (const sql of context.settings.replay(backend)) await backend.run(sql);
    return await backend.describe(prepared);
  } finally {
    context.lanes.giveBack(backend, pool);
  }
}

/** Home while it serves, so that home tables are there too. */
function preferredShard(context: SessionContext): string {
  const snapshot = context.database.topology.current;
  const serving = servingShards(snapshot);
  return serving.includes(snapshot.home) ? snapshot.home : serving[0]!;
}
