import { OperatingError } from '../lib/errors.js';
import type { CopyTask, ShardAddress, SourceSnapshot } from '../migration/engine.js';
import type { ShardName } from '../topology/ring.js';
import type { Progress } from './apply-inbox.js';
import { atQuietMoment, storeStart } from './change-source.js';
import { copyRows } from './copy-rows.js';
import { quoteTable } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { ensureLedger } from './ledger.js';
import { selectionSql } from './selection.js';

/** Copies that can run at once; more wait for one of these. */
const READERS = 4;

/**
 * One state of the source in several sessions: their snapshots are taken while nothing commits, so that the log up to the
 * noted position tells exactly what they show, and the streams everything else (hazards 2, 3, 13, 20). The
 * snapshots live as long as their connections.
 */
export async function openSourceSnapshot(
  source: ShardAddress,
  migration: string,
  targets: readonly ShardName[],
  onWaiting: (message: string) => void,
): Promise<SourceSnapshot> {
  const readers = new Readers();
  const session = await EngineSession.connect(source);
  let progress: Progress;
  try {
    await ensureLedger(session);
    await readers.connect(source);
    progress = await atQuietMoment(session, onWaiting, async (moment) => {
      await readers.begin();
      return moment;
    });
    for (const to of targets) await storeStart(session, { migration, direction: 'forward', to }, progress);
    await session.close();
  } catch (error) {
    session.destroy();
    await readers.close();
    throw error;
  }
  return {
    source: source.shard,
    position: progress.position.toString(),
    copy: (task, target, onProgress, signal) =>
      readers.use(signal, (reader) => copyRows(reader, target, task, { onProgress, signal })),
    estimateRows: (task) => estimateRows(source, task),
    close: () => readers.close(),
  };
}

/** Sessions that stand in the same snapshot, lent one by one. */
class Readers {
  readonly #sessions: EngineSession[] = [];
  readonly #free: EngineSession[] = [];
  #waiting: (() => void)[] = [];
  #isClosed = false;

  async connect(source: ShardAddress): Promise<void> {
    for (let count = 0; count < READERS; count++) {
      const session = await EngineSession.connect(source);
      this.#sessions.push(session);
      await session.run('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    }
  }

  async begin(): Promise<void> {
    await Promise.all(
      this.#sessions.map((session) => session.run('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY')),
    );
    // Texts come in the encodings in which they are stored.
    await Promise.all(
      this.#sessions.map((session) => session.run('SET SESSION character_set_results = NULL')),
    );
    this.#free.push(...this.#sessions);
  }

  async use<T>(signal: AbortSignal, work: (session: EngineSession) => Promise<T>): Promise<T> {
    const session = await this.#take(signal);
    try {
      return await work(session);
    } finally {
      this.#free.push(session);
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const wake of this.#waiting.splice(0)) wake();
    for (const session of this.#sessions) session.destroy();
  }

  async #take(signal: AbortSignal): Promise<EngineSession> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#isClosed || this.#sessions.every((session) => session.isLost)) {
        throw new OperatingError('shard-unavailable', 'the connections that held the snapshot were lost', {
          hint: 'the copy starts again by itself',
        });
      }
      const index = this.#free.findIndex((session) => !session.isLost);
      if (index >= 0) return this.#free.splice(index, 1)[0]!;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}

/** Tables smaller than this are counted; of larger ones the statistics are taken. */
const COUNTED_ROWS = 20_000;

/** The server's own estimate of the whole table, times the part of all tokens that is selected. */
export async function estimateRows(source: ShardAddress, task: CopyTask): Promise<number> {
  const session = await EngineSession.connect(source);
  try {
    const estimate = Number(
      await session.value(
        'SELECT table_rows FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
        [task.table.schema, task.table.name],
      ),
    );
    if (estimate < COUNTED_ROWS) {
      const count = `SELECT count(*) FROM ${quoteTable(task.table)} WHERE ${selectionSql(task)}`;
      return Number(await session.value(count));
    }
    return Math.round(estimate * selectedShare(task));
  } finally {
    await session.close();
  }
}

function selectedShare({ selection }: CopyTask): number {
  if (selection.type === 'all') return 1;
  const tokens = selection.ranges.reduce((sum, { low, high }) => sum + Number(high - low + 1n), 0);
  return tokens / 2 ** 64;
}
