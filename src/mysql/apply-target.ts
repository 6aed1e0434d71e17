import { asError, OperatingError } from '../lib/errors.js';
import type { StreamSpec } from '../migration/engine.js';
import type { StreamTarget } from '../migration/stream-ends.js';
import type { Progress } from './apply-inbox.js';
import { type ApplyStep, stepBytes } from './apply-table.js';
import { LEDGER_TABLE, progressName, quoteName, quoteText } from './engine-names.js';
import { EngineSession, errnoOf } from './engine-session.js';
import type { TableFacts } from './engine-tables.js';
import { GtidPosition } from './gtid.js';
import { ensureLedger } from './ledger.js';

/** Most that stands in one statement of joined steps. */
const STATEMENT_CHARACTERS = 256 << 10;
const STATEMENT_STEPS = 1_000;

interface Statement {
  readonly sql: string;
  readonly expected: number | undefined;
  readonly what: string;
}

/** A row that is not where it must be: something else has written to the target. */
export class MissingRows extends Error {}

/**
 * The session that applies one stream: foreign keys and checks off (the source has been through them), the fence open to
 * it, and the position in the same transaction as the rows (hazard 19). The ledger's row changes first in each
 * transaction, by which streams of the other direction know it as ours.
 */
export class ApplyTarget implements StreamTarget<Progress, ApplyStep> {
  readonly session: EngineSession;
  readonly #row: string;
  #progress: Progress;
  #steps: ApplyStep[] = [];
  #pendingBytes = 0;
  #isOpen = false;

  private constructor(session: EngineSession, row: string, progress: Progress) {
    this.session = session;
    this.#row = row;
    this.#progress = progress;
  }

  /** `start`: where the stream begins if the target has not come further. */
  static async open(spec: StreamSpec, start: Progress | undefined): Promise<ApplyTarget> {
    const session = await EngineSession.connect(spec.to, { batches: true });
    try {
      await ensureLedger(session);
      await actAsApplier(session);
      const name = progressName(spec.direction, spec.from.shard);
      const row = `migration = ${quoteText(spec.migration)} AND source = ${quoteText(name)}`;
      const ledger = quoteName(LEDGER_TABLE);
      const [stored] = await session.rows(`SELECT position, read_from FROM ${ledger} WHERE ${row}`);
      const known = stored === undefined ? undefined : progressOf(stored[0]!, stored[1]!);
      const isKnownFurther =
        known !== undefined && (start === undefined || known.position.covers(start.position));
      const progress = isKnownFurther ? known : start;
      if (progress === undefined) throw noBeginning(spec);
      if (!isKnownFurther)
        await session.run(
          `INSERT INTO ${ledger} (migration, source, position, read_from) VALUES (?, ?, ?, ?)
           ON DUPLICATE KEY UPDATE position = VALUES(position), read_from = VALUES(read_from)`,
          [spec.migration, name, progress.position.toString(), progress.readFrom.toString()],
        );
      return new ApplyTarget(session, row, progress);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** What is committed here. */
  get progress(): Progress {
    return this.#progress;
  }

  /** Bytes added and not sent. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  add(step: ApplyStep): undefined {
    this.#steps.push(step);
    this.#pendingBytes += stepBytes(step);
  }

  /** Sends what was added and keeps the transaction open. Throws MissingRows when a row is not there. */
  async flush(): Promise<void> {
    const statements = joined(this.#steps);
    this.#steps = [];
    this.#pendingBytes = 0;
    if (!this.#isOpen) {
      const touch = `UPDATE ${quoteName(LEDGER_TABLE)} SET changes = changes + 1 WHERE ${this.#row} AND position = ${quoteText(this.#progress.position.toString())}`;
      statements.unshift({ sql: 'START TRANSACTION', expected: undefined, what: 'begin' }, ledgerStep(touch));
      this.#isOpen = true;
    }
    await this.#run(statements);
  }

  /** Commits everything added, and with it that the stream has come to `progress`. */
  async commit(progress: Progress): Promise<void> {
    await this.flush();
    const { position, readFrom } = progress;
    await this.#run([
      ledgerStep(
        `UPDATE ${quoteName(LEDGER_TABLE)} SET position = ${quoteText(position.toString())}, read_from = ${quoteText(readFrom.toString())} WHERE ${this.#row}`,
      ),
      { sql: 'COMMIT', expected: undefined, what: 'commit' },
    ]);
    this.#isOpen = false;
    this.#progress = progress;
  }

  async close(): Promise<void> {
    await this.session.close();
  }

  /** The counts are looked at before anything is committed: a COMMIT never stands in one request with what it depends on. */
  async #run(statements: readonly Statement[]): Promise<void> {
    const counts = await this.session.runAll(statements.map(({ sql }) => sql)).catch((error: unknown) => {
      throw explained(asError(error), statements);
    });
    for (const [index, { expected, what }] of statements.entries()) {
      if (expected !== undefined && counts[index] !== expected)
        throw new MissingRows(`${what}: ${counts[index]} rows were found, not ${expected}`);
    }
  }
}

function ledgerStep(sql: string): Statement {
  return { sql, expected: 1, what: 'position of the stream' };
}

export function progressOf(position: string, readFrom: string): Progress {
  return { position: GtidPosition.parse(position), readFrom: GtidPosition.parse(readFrom) };
}

const PACKET_TOO_LARGE = 1153;

function explained(error: Error, statements: readonly Statement[]): Error {
  if (errnoOf(error) !== PACKET_TOO_LARGE) return error;
  return new OperatingError(
    'migration',
    `${statements.map(({ what }) => what).join(', ')}: ${error.message}`,
    {
      cause: error,
      hint: 'raise max_allowed_packet on the target to more than twice its value on the source',
    },
  );
}

function noBeginning(spec: StreamSpec): OperatingError {
  return new OperatingError(
    'migration',
    `no position is known from which to read the log of shard ${spec.from.shard} for ${spec.to.shard}`,
    { hint: 'the copy must be made anew: abort the migration and start it again' },
  );
}

/** Neighbours of one kind become one statement; the order of what is done stays. */
function joined(steps: readonly ApplyStep[]): Statement[] {
  const statements: Statement[] = [];
  let run: ApplyStep[] = [];
  let length = 0;
  const end = (): void => {
    const [first] = run;
    if (first === undefined) return;
    const sql = first.head + run.map(({ body }) => body).join(', ') + first.tail;
    statements.push({
      sql,
      expected: first.expected === undefined ? undefined : run.length,
      what: first.what,
    });
    run = [];
    length = 0;
  };
  for (const step of steps) {
    const fits =
      step.joins !== undefined &&
      step.joins === run[0]?.joins &&
      run.length < STATEMENT_STEPS &&
      length + step.body.length < STATEMENT_CHARACTERS;
    if (!fits) end();
    run.push(step);
    length += step.body.length;
  }
  end();
  return statements;
}

/** Makes this session one of ours: see ApplyTarget. The fence lets it pass. */
export async function actAsApplier(session: EngineSession): Promise<void> {
  const checks = session.flavor.hasCheckSwitch ? ', check_constraint_checks = 0' : '';
  await session.run(`SET SESSION foreign_key_checks = 0, unique_checks = 1${checks}`);
  await session.run('SET @ringferry_applier = 1');
}

const LENIENT_MODE = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION';

/**
 * An ENUM can hold 0, which is none of its values, and strict sessions cannot write that. Both tables are alike, so that
 * nothing else can fit on one and not on the other.
 */
export async function allowEmptyEnums(session: EngineSession, tables: readonly TableFacts[]): Promise<void> {
  if (tables.some(({ columns }) => columns.some(({ dataType }) => dataType === 'enum')))
    await session.run(`SET SESSION sql_mode = '${LENIENT_MODE}'`);
}
