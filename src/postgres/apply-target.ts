import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamSpec } from '../migration/engine.js';
import type { StreamTarget } from '../migration/stream-ends.js';
import { ApplyBatch, type ApplyStep } from './apply-batch.js';
import { type ApplyStatement, exactlyOne } from './apply-statements.js';
import type { TableStep } from './apply-table.js';
import { originName, progressName } from './engine-names.js';
import { EngineSession, sqlstateOf } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';
import { ensureLedger } from './ledger.js';
import { formatLsn, type Lsn, parseLsn } from './lsn.js';
import { withMissingValues } from './missing-values.js';

const BEGIN: ApplyStatement = { name: 'begin', sql: 'BEGIN', what: 'begin' };
const COMMIT: ApplyStatement = { name: 'commit', sql: 'COMMIT', what: 'commit' };
/** Compares and sets: a second writer of the same stream would move the position under us, and then this fails. */
const PROGRESS: ApplyStatement = {
  name: 'progress',
  sql: exactlyOne(
    `UPDATE ringferry.progress SET position = $1 WHERE migration = $2 AND source = $3 AND position = $4 RETURNING 1`,
  ),
  what: 'position of the stream',
};

/**
 * The session that applies one stream: triggers, rules and foreign keys off, the fence open to it, everything it commits
 * marked by the stream's origin, and the position in the same transaction as the rows.
 */
export class ApplyTarget implements StreamTarget<Lsn, TableStep> {
  readonly session: EngineSession;
  readonly #spec: StreamSpec;
  readonly #sessions: EngineSessions;
  readonly #key: readonly Buffer[];
  readonly #parsed = new Set<string>();
  #position: Lsn;
  #batch: ApplyBatch;
  #isOpen = false;

  private constructor(session: EngineSession, spec: StreamSpec, sessions: EngineSessions, position: Lsn) {
    this.session = session;
    this.#spec = spec;
    this.#sessions = sessions;
    this.#key = [Buffer.from(spec.migration), Buffer.from(progressName(spec.direction, spec.from.shard))];
    this.#position = position;
    this.#batch = new ApplyBatch(this.#parsed);
  }

  /** `sessions`: in which values that the log does not carry are read from the source. */
  static async open(spec: StreamSpec, sessions: EngineSessions): Promise<ApplyTarget> {
    const session = await EngineSession.connect(spec.to);
    try {
      await ensureLedger(session);
      await actAsApplier(session, originName(spec.migration, spec.direction, spec.from.shard, spec.to.shard));
      await session.run(
        `INSERT INTO ringferry.progress (migration, source, position) VALUES ($1, $2, '0/0') ON CONFLICT DO NOTHING`,
        [spec.migration, progressName(spec.direction, spec.from.shard)],
      );
      const position = await session.value(
        'SELECT position FROM ringferry.progress WHERE migration = $1 AND source = $2',
        [spec.migration, progressName(spec.direction, spec.from.shard)],
      );
      return new ApplyTarget(session, spec, sessions, parseLsn(position!));
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** What is committed here. */
  get position(): Lsn {
    return this.#position;
  }

  /** Bytes added and not sent. */
  get pendingBytes(): number {
    return this.#batch.byteLength;
  }

  add(step: TableStep): Promise<void> | undefined {
    if (step.missing === undefined) {
      this.#append(step);
      return undefined;
    }
    return withMissingValues(this.#sessions, this.#spec.from, step, step.missing).then((whole) =>
      this.#append(whole),
    );
  }

  #append(step: ApplyStep): void {
    if (!this.#isOpen) {
      this.#batch.add({ statement: BEGIN, values: [] });
      this.#isOpen = true;
    }
    this.#batch.add(step);
  }

  /** Sends what was added and keeps the transaction open. */
  async flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = new ApplyBatch(this.#parsed);
    if (batch.statementCount > 0) await batch.send(this.session);
  }

  /** Commits everything added, and with it that the stream has come to `position`. */
  async commit(position: Lsn): Promise<void> {
    const values = [Buffer.from(formatLsn(position)), ...this.#key, Buffer.from(formatLsn(this.#position))];
    this.#append({ statement: PROGRESS, values });
    this.#append({ statement: COMMIT, values: [] });
    await this.flush();
    this.#isOpen = false;
    this.#position = position;
  }

  async close(): Promise<void> {
    await this.session.close();
  }
}

const ORIGIN_IN_USE = '55006';
const SETUP_ATTEMPTS = 100;

/** Makes this session one of ours: see ApplyTarget. The origin can be one session's only: an older one of the same name is ended. */
export async function actAsApplier(session: EngineSession, origin: string): Promise<void> {
  await session.run(`SET session_replication_role = replica; SET ringferry.applier = 'on'`);
  await createOrigin(session, origin);
  for (let attempt = 1; ; attempt++) {
    try {
      await session.run('SELECT pg_replication_origin_session_setup($1)', [origin]);
      return;
    } catch (error) {
      if (sqlstateOf(error) !== ORIGIN_IN_USE || attempt === SETUP_ATTEMPTS) throw error;
      const holder =
        /\bPID (\d+)/.exec((error as Error).message)?.[1] ?? /(\d+)\D*$/.exec((error as Error).message)?.[1];
      if (holder !== undefined) await session.run('SELECT pg_terminate_backend($1)', [holder]);
      await sleep(20);
    }
  }
}

async function createOrigin(session: EngineSession, origin: string): Promise<void> {
  try {
    await session.run(
      'SELECT pg_replication_origin_create($1) WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = $1)',
      [origin],
    );
  } catch (error) {
    if (sqlstateOf(error) !== '42710' && sqlstateOf(error) !== '23505') throw error;
  }
}
