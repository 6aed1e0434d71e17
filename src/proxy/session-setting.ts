import type { SessionEffect } from '../routing/plan.js';
import type { SessionContext } from './execution.js';
import type { Transaction } from './transaction.js';

/** SET and RESET: on every shard of the transaction, and noted for every backend that comes later. */
export async function applySetting(
  context: SessionContext,
  transaction: Transaction | undefined,
  sql: string,
  effect: Extract<SessionEffect, { type: 'set' | 'reset' }>,
): Promise<void> {
  const isLocal = effect.type === 'set' && effect.local;
  if (transaction === undefined) return askOneServer(context, sql, effect, false);
  if (transaction.shards.length > 0) {
    await transaction.runOnAll(sql);
    context.settings.note(effect, sql, transaction.backends, true);
  } else if (!isLocal) await askOneServer(context, sql, effect, true);
  if (isLocal) transaction.noteLocal(sql);
}

/** Where no shard has joined, one server says whether the value is right. */
async function askOneServer(
  context: SessionContext,
  sql: string,
  effect: SessionEffect,
  isInTransaction: boolean,
): Promise<void> {
  const { settings, lanes, database, frontend } = context;
  const { backend, pool } = await lanes.borrow(database.topology.current.home);
  try {
    for (const before of settings.replay(backend)) await backend.run(before);
    const reported = new Map(backend.parameters);
    await backend.run(sql);
    settings.note(effect, sql, [backend], isInTransaction);
    for (const [name, value] of backend.parameters) {
      if (reported.get(name) !== value) frontend.send(frontend.answers.parameterStatus(name, value));
    }
  } finally {
    lanes.giveBack(backend, pool);
  }
}
