import { OperatingError } from '../lib/errors.js';
import type { ResultColumn, RowFields } from '../pool/backend.js';
import { ServerFailure } from '../pool/backend.js';
import type { Route } from '../routing/plan.js';
import type { ShardName } from '../topology/ring.js';
import type { SplitInsert } from './dialect.js';
import { type Execution, isWrite, type SessionContext, type Way } from './execution.js';
import type { Frontend } from './frontend.js';
import { type GatherSink, gather, type Part } from './gather.js';
import { lostConnection } from './lost-connection.js';
import { MergedAnswer } from './merged-answer.js';
import { partQueries } from './part-query.js';
import { type Participant, type Transaction, takeBefore } from './transaction.js';

/** How a write ended, for the client, and as the session's later statements may ask for it. */
export interface WriteEnd {
  readonly tag: string;
  readonly noted: string;
}

/**
 * Runs a write on every shard of its route inside `transaction`. Rows of RETURNING go to the client as they come; the tag
 * is returned, to be sent when the commit is certain.
 */
export async function gatherWrite(
  context: SessionContext,
  transaction: Transaction,
  execution: Execution,
  way: Way,
): Promise<WriteEnd> {
  context.database.counters.scatter++;
  const shards = way.route.shards;
  const parts = await partsOf(context, transaction, execution, way, execution.resultFormats);
  await execution.answerLocally?.();
  // A reference table has the same rows everywhere: one shard's answer is the answer.
  const answering = execution.planned.plan.writesReference
    ? Math.max(0, shards.indexOf(way.snapshot.home))
    : undefined;
  const { merge } = execution.planned.plan;
  const merged =
    merge === undefined || answering !== undefined
      ? undefined
      : new MergedAnswer(context, execution, merge, parts, rowNumbers(execution, way));
  const sink = merged ?? new OneAnswer(context, execution, answering);
  const outcome = transaction.undoesStatements
    ? await transaction.undoably(parts, (undoable) => gather(undoable, sink, () => {}))
    : await gather(parts, sink, (backend) => context.lanes.cancelOn(backend));
  merged?.end();
  if (outcome.error !== undefined || outcome.broken !== undefined)
    transaction.noteFailure(outcome.broken === undefined ? outcome.error : undefined);
  const ended = parts
    .map(({ backend }, index) => ({ backend, tags: [outcome.tags[index]] }))
    .filter((_, index) => answering === undefined || index === answering || outcome.error !== undefined);
  if (outcome.broken === undefined) await context.memory.noteWarnings(ended, outcome.error);
  if (outcome.error !== undefined) throw new ServerFailure(outcome.error);
  if (outcome.broken !== undefined)
    throw lostConnection(outcome.broken.backend.shard, outcome.broken.error, false);
  merged?.throwIfFailed();
  const split = splitOf(execution.planned.sql, rowNumbers(execution, way));
  const tag =
    answering === undefined
      ? context.database.dialect.sumTags(outcome.tags, split)
      : (outcome.tags[answering] ?? '');
  const asked = answering === undefined ? parts : [parts[answering]!];
  const first = await firstNumber(context, execution, way, asked);
  const told = first === undefined ? tag : context.database.dialect.tagWithNumber(tag, first);
  return {
    tag: told,
    noted: first === undefined ? await notedTag(context, execution, parts, tag) : told,
  };
}

/**
 * The first of the numbers from us that a row has now: an upsert or INSERT IGNORE uses none for a row that is there already, and a server
 * tells the first that it used. undefined: none was, or none were given.
 */
async function firstNumber(
  { database: { dialect } }: SessionContext,
  { planned, numbered }: Execution,
  { router }: Way,
  parts: readonly Part[],
): Promise<bigint | undefined> {
  if (numbered === undefined) return undefined;
  const { table, column, numbers } = numbered;
  const question = dialect.firstNumberSql(planned.sql, router.keyspace.tables.get(table)!, column, numbers);
  if (question === undefined) return numbers[0];
  let first: bigint | undefined;
  for (const { backend } of parts) {
    const answer = (await backend.rows(question))[0]?.[0];
    if (typeof answer === 'string' && (first === undefined || BigInt(answer) < first)) first = BigInt(answer);
  }
  return first;
}

/** Rows of several shards have their numbers from the client or from us, never from a server. */
async function notedTag(
  { memory, database }: SessionContext,
  { planned, parameters }: Execution,
  parts: readonly Part[],
  tag: string,
): Promise<string> {
  if (tag === '') return tag;
  if (parts.length > 1) return database.dialect.tagWithNumber(tag, 0n);
  return (await memory.withNumbersOf(parts[0]!.backend, [tag], [planned], parameters))[0]!;
}

/** Rows of a split INSERT come back in the order in which they were written. */
function rowNumbers({ planned }: Execution, { route }: Way): (readonly number[])[] | undefined {
  const { placement } = planned.plan;
  const rows =
    placement.type === 'rows' && route.sets !== undefined
      ? rowsOfSets(route.sets, placement.rows.length)
      : route.rows;
  return rows === undefined ? undefined : route.shards.map((shard) => rows.get(shard) ?? []);
}

function splitOf(sql: string, parts: readonly (readonly number[])[] | undefined): SplitInsert | undefined {
  if (parts === undefined) return undefined;
  const last = parts.map((numbers) => numbers.at(-1) ?? -1);
  const greatest = last.reduce((best, number) => Math.max(best, number), -1);
  return { sql, rows: parts.map((numbers) => numbers.length), last: last.indexOf(greatest) };
}

/** A bulk execution's rows are numbered through all its sets. */
function rowsOfSets(sets: NonNullable<Route['sets']>, rowsPerSet: number): Map<ShardName, readonly number[]> {
  const rowsOf = (set: number) => Array.from({ length: rowsPerSet }, (_, row) => set * rowsPerSet + row);
  return new Map([...sets].map(([shard, numbers]) => [shard, numbers.flatMap(rowsOf)]));
}

/** Passes on what one part says; `answering` undefined: all parts, which have no rows. */
class OneAnswer implements GatherSink {
  readonly #frontend: Frontend;
  readonly #formats: readonly number[];
  readonly #answering: number | undefined;
  #isDescribed: boolean;

  constructor(
    { frontend }: SessionContext,
    { mode, resultFormats }: Execution,
    answering: number | undefined,
  ) {
    this.#frontend = frontend;
    this.#formats = resultFormats;
    this.#answering = answering;
    this.#isDescribed = mode === 'portal' && !frontend.answers.describesEveryResult;
  }

  onColumns(part: number, columns: readonly ResultColumn[]): void {
    if (this.#isDescribed || !this.#isMeant(part)) return;
    this.#isDescribed = true;
    this.#frontend.send(this.#frontend.answers.rowDescription(columns, this.#formats));
  }

  onRow(part: number, fields: RowFields): boolean {
    return !this.#isMeant(part) || this.#frontend.send(this.#frontend.answers.dataRow(fields));
  }

  onPartEnd(): void {}

  #isMeant(part: number): boolean {
    return this.#answering === undefined || part === this.#answering;
  }
}

/** Runs what cannot be in a transaction (VACUUM, CREATE INDEX CONCURRENTLY) on one shard after the other. */
export async function runOnEach(context: SessionContext, execution: Execution, way: Way): Promise<void> {
  const done: ShardName[] = [];
  for (const shard of way.route.shards) {
    const { backend, pool } = await context.lanes.borrow(shard);
    try {
      for (const sql of context.settings.replay(backend)) await backend.run(sql);
      await backend.run(way.router.sqlFor(execution.planned, way.route, shard, way.snapshot));
      done.push(shard);
    } catch (thrown) {
      if (!(thrown instanceof ServerFailure)) throw thrown;
      throw new OperatingError('unsupported', `shard "${shard}": ${thrown.message}`, {
        sqlstate: thrown.serverError.sqlstate,
        detail: done.length === 0 ? 'No shard has done it.' : `Done already on: ${done.join(', ')}.`,
        hint: 'Mend the cause and run the statement again.',
      });
    } finally {
      context.lanes.giveBack(backend, pool);
    }
  }
}

/** Joins all shards, in ascending order so that two sessions cannot wait for each other's connections in a circle. */
export async function partsOf(
  context: SessionContext,
  transaction: Transaction,
  execution: Execution,
  way: Way,
  resultFormats: readonly number[],
): Promise<Part[]> {
  const queries = await partQueries(context, transaction, execution, way, resultFormats);
  const recalled = context.memory.recall(execution.planned, queries.length);
  const participants: Participant[] = [];
  for (const shard of way.route.shards) participants.push(await transaction.join(shard));
  return participants.map((participant, index) => {
    participant.hasWritten ||= isWrite(execution.planned);
    const before = [...takeBefore(participant), ...recalled];
    return { backend: participant.backend, before, query: queries[index]! };
  });
}
