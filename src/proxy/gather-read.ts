import { OperatingError, unsupported } from '../lib/errors.js';
import type { Backend } from '../pool/backend.js';
import { ServerFailure } from '../pool/backend.js';
import type { Pool } from '../pool/pool.js';
import { CONCATENATED } from '../routing/dml-plan.js';
import type { Merge } from '../routing/plan.js';
import type { Execution, SessionContext, Way } from './execution.js';
import { type GatherOutcome, type GatherSink, gather, type Part } from './gather.js';
import { partsOf } from './gather-write.js';
import { lostConnection } from './lost-connection.js';
import { RowMerger } from './merge.js';
import { MergedAnswer } from './merged-answer.js';
import { partQueries } from './part-query.js';
import type { Transaction } from './transaction.js';

/** Runs a read on all shards of its route and gives the client one answer. */
export async function gatherRead(
  context: SessionContext,
  transaction: Transaction | undefined,
  execution: Execution,
  way: Way,
): Promise<void> {
  context.database.counters.scatter++;
  const { plan } = execution.planned;
  const merge = mergeOf(execution, way);
  const lent: { backend: Backend; pool: Pool }[] = [];
  try {
    const formats =
      merge === undefined
        ? execution.resultFormats
        : RowMerger.shardFormats(merge, execution.resultFormats, context.database.mergeValues);
    const parts =
      transaction === undefined
        ? await lendParts(context, execution, way, formats, lent)
        : await partsOf(context, transaction, execution, way, formats);
    await execution.answerLocally?.();
    if (plan.copy?.direction === 'out') await copyOut(context, execution, parts);
    else await mergeRows(context, execution, parts, merge);
  } catch (thrown) {
    transaction?.noteFailure(thrown instanceof ServerFailure ? thrown.serverError : undefined);
    throw thrown;
  } finally {
    for (const { backend, pool } of lent) context.lanes.giveBack(backend, pool);
  }
}

/** Rows of one shard that ran the client's own words are the answer as it is. */
function mergeOf({ planned }: Execution, { route, router, snapshot }: Way): Merge | undefined {
  const [shard] = route.shards;
  const isWhole = shard !== undefined && route.shards.length === 1;
  return isWhole && router.sqlFor(planned, route, shard, snapshot) === planned.sql
    ? CONCATENATED
    : planned.plan.merge;
}

/** Outside a transaction: one backend of each shard, lent in ascending order. */
async function lendParts(
  context: SessionContext,
  execution: Execution,
  way: Way,
  resultFormats: readonly number[],
  lent: { backend: Backend; pool: Pool }[],
): Promise<Part[]> {
  const queries = await partQueries(context, undefined, execution, way, resultFormats);
  const recalled = context.memory.recall(execution.planned, queries.length);
  for (const shard of way.route.shards) lent.push(await context.lanes.borrow(shard));
  return lent.map(({ backend }, index) => ({
    backend,
    before: [...context.settings.replay(backend), ...recalled],
    query: queries[index]!,
  }));
}

async function mergeRows(
  context: SessionContext,
  execution: Execution,
  parts: readonly Part[],
  merge: Merge | undefined,
): Promise<void> {
  if (merge === undefined)
    throw unsupported('this statement over several shards', 'Give the shard key one value.');
  const answer = new MergedAnswer(context, execution, merge, parts);
  const outcome = await gather(parts, answer, (backend) => context.lanes.cancelOn(backend));
  answer.end();
  const ended = parts.map(({ backend }, index) => ({ backend, tags: [outcome.tags[index]] }));
  if (outcome.broken === undefined) await context.memory.noteWarnings(ended, outcome.error);
  throwIfFailed(outcome);
  answer.throwIfFailed();
  const { answers } = context.frontend;
  if (answer.isSuspended && execution.portal !== undefined) execution.portal.isSpent = true;
  const tag = context.database.dialect.mergedTag(answer.sentRows, outcome.tags);
  context.memory.note(tag, execution.planned);
  const [part] = parts;
  if (parts.length === 1 && part !== undefined)
    await context.memory.noteRest(part.backend, execution.planned, { tags: [tag], error: undefined });
  context.frontend.completes();
  context.frontend.send(answer.isSuspended ? answers.portalSuspended() : answers.commandComplete(tag));
}

/** COPY … TO STDOUT: one shard's rows after the other's, one header. */
async function copyOut(context: SessionContext, execution: Execution, parts: readonly Part[]): Promise<void> {
  const { frontend, database } = context;
  const copy = execution.planned.plan.copy!;
  if (copy.format === 'binary' && parts.length > 1) {
    throw unsupported('binary COPY TO over several shards', 'Use the text or csv format.');
  }
  const tags: (string | undefined)[] = [];
  for (const [index, part] of parts.entries()) {
    let isHeader = copy.hasHeader && index > 0;
    const sink: GatherSink = {
      onColumns: () => {},
      onCopyOut: (format, columnCount) => {
        if (index === 0) frontend.send(frontend.answers.copyOutResponse(format, columnCount));
      },
      onRow: (_part, [bytes]) => {
        if (!isHeader) return frontend.send(frontend.answers.copyData(bytes!));
        isHeader = false;
        return true;
      },
      get takesRowsAsTheyAre() {
        return !isHeader;
      },
      onRows: (_part, rows) => frontend.send(rows),
      onPartEnd: () => {},
    };
    const outcome = await gather([part], sink, (backend) => context.lanes.cancelOn(backend));
    throwIfFailed(outcome);
    tags.push(...outcome.tags);
  }
  frontend.send(frontend.answers.copyDone());
  frontend.send(frontend.answers.commandComplete(database.dialect.sumTags(tags)));
}

function throwIfFailed(outcome: GatherOutcome): void {
  if (outcome.error !== undefined) throw new ServerFailure(outcome.error);
  if (outcome.broken !== undefined)
    throw lostConnection(outcome.broken.backend.shard, outcome.broken.error, false);
}

/** A portal whose rows were merged here cannot be continued. */
export function refuseSpent(execution: Execution): void {
  if (execution.portal?.isSpent !== true) return;
  throw new OperatingError('unsupported', 'fetching more rows from a portal over several shards', {
    hint: 'Fetch all rows at once (no row limit in Execute), or page with ORDER BY and LIMIT.',
  });
}
