import type { Backend } from '../pool/backend.js';
import type { Request } from '../pool/request.js';
import type { ShardName } from '../topology/ring.js';
import { AlreadyAnswered, type Execution, isWrite, type SessionContext, type Way } from './execution.js';
import { lostConnection } from './lost-connection.js';
import { awaitMirrors, movesToAwait } from './mirror-wait.js';
import { type RelayOutcome, relay } from './relay.js';
import { noteAlone } from './sharing.js';
import { type Transaction, takeBefore } from './transaction.js';

export interface RelayHooks {
  /** The client's COPY data goes to this backend until it is undefined again. */
  copyFrom(backend: Backend | undefined): void;
}

/** Passes a statement that concerns one shard to it as it came. Throws when it failed. */
export async function relayStatement(
  context: SessionContext,
  transaction: Transaction | undefined,
  execution: Execution & { readonly request: Request },
  way: Way,
  hooks: RelayHooks,
): Promise<RelayOutcome> {
  const shard = way.route.shards[0]!;
  context.database.counters.singleShard++;
  if (execution.portal !== undefined) execution.portal.shard = shard;
  const outcome =
    transaction === undefined
      ? await relayAlone(context, execution, way, shard, hooks)
      : await relayInside(context, transaction, execution, shard, hooks);
  return outcome;
}

async function relayInside(
  context: SessionContext,
  transaction: Transaction,
  execution: Execution & { readonly request: Request },
  shard: ShardName,
  hooks: RelayHooks,
): Promise<RelayOutcome> {
  // First, because it may refuse: what begins the transaction on its shard must not be taken and then not said.
  const recalled = context.memory.recall(execution.planned);
  const participant = await transaction.join(shard);
  const { backend } = participant;
  const before = [...takeBefore(participant), ...recalled];
  participant.hasWritten ||= isWrite(execution.planned);
  const outcome = await relay(context.frontend, backend, execution.request, {
    rename: true,
    before,
    onCopyIn: () => hooks.copyFrom(backend),
  });
  hooks.copyFrom(undefined);
  if (context.memory.isAsked) await noteEnd(context, execution, backend, outcome);
  if (outcome.broken !== undefined || outcome.error !== undefined) {
    transaction.noteFailure(outcome.broken === undefined ? outcome.error : undefined);
    if (before.length > 0) context.settings.invalidate(backend);
  }
  notePin(context, execution, backend, outcome);
  throwIfFailed(outcome, shard, false);
  return outcome;
}

async function relayAlone(
  context: SessionContext,
  execution: Execution & { readonly request: Request },
  way: Way,
  shard: ShardName,
  hooks: RelayHooks,
): Promise<RelayOutcome> {
  const { database, frontend, lanes, settings } = context;
  const { plan } = execution.planned;
  const { backend, pool } = await lanes.borrow(shard);
  try {
    const isWriting = isWrite(execution.planned);
    const touches = [way.route.touch];
    const mustWait = isWriting && movesToAwait(database.topology.current, shard, touches).length > 0;
    const before = [...settings.replay(backend), ...context.memory.recall(execution.planned)];
    const startedMs = performance.now();
    const outcome = await relay(frontend, backend, execution.request, {
      rename: true,
      before,
      holdCompletion: mustWait,
      onCopyIn: () => hooks.copyFrom(backend),
    });
    if (before.length === 0) noteAlone(pool, plan, performance.now() - startedMs);
    hooks.copyFrom(undefined);
    if (context.memory.isAsked) await noteEnd(context, execution, backend, outcome);
    if (mustWait) {
      await awaitMirrors(database.topology, backend, touches);
      if (outcome.held.length > 0) frontend.completes();
      for (const chunk of outcome.held) frontend.send(chunk);
    }
    if (outcome.error !== undefined && before.length > 0) settings.invalidate(backend);
    database.counters.transactions++;
    notePin(context, execution, backend, outcome);
    throwIfFailed(outcome, shard, isWriting);
    const { hiddenWrites } = database;
    const { pace } = plan;
    if (lanes.pinReason === undefined && hiddenWrites.isQuestionDue(pace, backend, pool))
      await hiddenWrites.ask(pace, backend);
    return outcome;
  } finally {
    lanes.giveBack(backend, pool, plan.pace?.mayShare(pool.floorMs));
  }
}

async function noteEnd(
  context: SessionContext,
  { planned, parameters }: Execution,
  backend: Backend,
  outcome: RelayOutcome,
): Promise<void> {
  context.memory.noteAll(outcome.tags, [planned]);
  if (outcome.broken !== undefined) return;
  await context.memory.noteRest(backend, planned, outcome);
  await context.memory.noteNumbers(backend, outcome.tags, [planned], parameters);
}

function notePin(
  context: SessionContext,
  execution: Execution,
  backend: Backend,
  outcome: RelayOutcome,
): void {
  const effect = execution.planned.plan.session;
  if (effect?.type === 'pin' && outcome.broken === undefined) context.lanes.pin(backend, effect.reason);
}

function throwIfFailed(outcome: RelayOutcome, shard: ShardName, isUncertain: boolean): void {
  if (outcome.error !== undefined && outcome.broken === undefined) throw new AlreadyAnswered();
  if (outcome.broken !== undefined) throw lostConnection(shard, outcome.broken, isUncertain);
}
