import { setTimeout as sleep } from 'node:timers/promises';
import type { AppliedStream, ChunkDifference, CopyTask, ShardAddress, StreamSpec } from './engine.js';
import { mergeTasks } from './selection.js';

/** Rows of the whole table that one checksum looks at. */
const CHUNK_ROWS = 20_000;
/** Re-readings of what differs before rows are locked to be certain. */
const ROUNDS = 5;
const ROUND_PAUSE_MS = 20;
const EXTRA_LOOKS = 5;

/** A stretch of the primary key: behind `after`, up to and including `upTo`; undefined is the end of the table. */
export interface KeyStretch {
  readonly after: readonly string[] | undefined;
  readonly upTo: readonly string[] | undefined;
}

/** The selected rows of one table at one shard, as a wing reads them for comparing. Keys are JSON texts, rows any text that is equal for equal rows only. */
export interface ComparedRows {
  /** The key that ends a stretch of about `rows` rows; undefined at the end of the table. */
  endOfStretch(after: readonly string[] | undefined, rows: number): Promise<readonly string[] | undefined>;
  /** Made in the database. */
  checksum(stretch: KeyStretch): Promise<{ rows: number; sum: string }>;
  rowsOf(stretch: KeyStretch): Promise<ReadonlyMap<string, string>>;
  rowsWith(keys: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Nobody changes the row while `compare` runs. */
  withLock<T>(key: string, compare: (row: string | undefined) => Promise<T>): Promise<T | undefined>;
}

/** A wing's connection to a database. */
interface VerifySession {
  close(): Promise<void>;
  destroy(): void;
}

/** The third only marks the source's log, also while the first holds a row's lock. */
export interface VerifySessions<S> {
  readonly source: S;
  readonly target: S;
  readonly marker: S;
}

/** How a wing verifies: it connects, and opens a table on both shards. */
export interface VerifyWing<S> {
  connect(address: ShardAddress): Promise<S>;
  open(sessions: VerifySessions<S>, task: CopyTask): Promise<TableVerifier>;
}

/** Compares every selected row of all tables, each as `TableVerifier` does. An abort ends the connections, whatever runs there. */
export async function verifyTables<S extends VerifySession>(
  spec: StreamSpec,
  wing: VerifyWing<S>,
  onProgress: (rows: number) => void,
  signal: AbortSignal,
): Promise<{ comparedRows: number; differences: ChunkDifference[] }> {
  const sessions: S[] = [];
  const abort = (): void => {
    for (const session of sessions) session.destroy();
  };
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    for (const address of [spec.from, spec.to, spec.from]) sessions.push(await wing.connect(address));
    const [source, target, marker] = sessions as [S, S, S];
    let comparedRows = 0;
    const differences: ChunkDifference[] = [];
    for (const task of mergeTasks(spec.tasks)) {
      const verifier = await wing.open({ source, target, marker }, task);
      for await (const chunk of verifier.chunks()) {
        signal.throwIfAborted();
        comparedRows += chunk.rows;
        differences.push(...chunk.differences);
        onProgress(comparedRows);
      }
    }
    await Promise.all(sessions.map((session) => session.close()));
    return { comparedRows, differences };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    abort();
  }
}

/**
 * Compares one table's selected rows on both shards while the stream goes on: a stretch of the primary key at a time, by count
 * and checksum made in the databases. The target is read when it has applied everything that the source's reading
 * showed; rows that still differ are looked at one by one until they agree or lastingly do not.
 */
export class TableVerifier {
  readonly #table: string;
  readonly #source: ComparedRows;
  readonly #target: ComparedRows;
  readonly #stream: AppliedStream;
  readonly #mark: () => Promise<string>;

  /** `table` as differences name it; `mark` leaves a mark in the source's log and gives its position. */
  constructor(
    table: string,
    source: ComparedRows,
    target: ComparedRows,
    stream: AppliedStream,
    mark: () => Promise<string>,
  ) {
    this.#table = table;
    this.#source = source;
    this.#target = target;
    this.#stream = stream;
    this.#mark = mark;
  }

  async *chunks(): AsyncGenerator<{ rows: number; differences: ChunkDifference[] }> {
    let after: readonly string[] | undefined;
    do {
      const upTo = await this.#source.endOfStretch(after, CHUNK_ROWS);
      yield await this.#compare({ after, upTo });
      after = upTo;
    } while (after !== undefined);
  }

  async #compare(stretch: KeyStretch): Promise<{ rows: number; differences: ChunkDifference[] }> {
    const source = await this.#source.checksum(stretch);
    await this.#untilApplied();
    const target = await this.#target.checksum(stretch);
    if (source.rows === target.rows && source.sum === target.sum)
      return { rows: source.rows, differences: [] };
    const keys = await this.#differingKeys(stretch);
    return { rows: source.rows, differences: await this.#lasting(keys) };
  }

  async #untilApplied(): Promise<void> {
    await this.#stream.waitFor(await this.#mark());
  }

  async #differingKeys(stretch: KeyStretch): Promise<string[]> {
    const source = await this.#source.rowsOf(stretch);
    await this.#untilApplied();
    return differing(source, await this.#target.rowsOf(stretch));
  }

  /** What differs only because it was written in between agrees sooner or later; what is left is locked and looked at once more. */
  async #lasting(keys: readonly string[]): Promise<ChunkDifference[]> {
    let left = keys;
    for (let round = 0; round < ROUNDS && left.length > 0; round++) {
      if (round > 0) await sleep(ROUND_PAUSE_MS);
      const source = await this.#source.rowsWith(left);
      await this.#untilApplied();
      left = differing(source, await this.#target.rowsWith(left), left);
    }
    const lasting: ChunkDifference[] = [];
    for (const key of left) {
      const kind = await this.#compareLocked(key);
      if (kind !== undefined) lasting.push({ table: this.#table, key, kind });
    }
    return lasting;
  }

  /**
   * While the source's row is locked, nobody changes it: once the stream has passed, the target must hold the same. A row
   * that is not there cannot be locked: the target must hold it too much several times in a row.
   */
  async #compareLocked(key: string): Promise<ChunkDifference['kind'] | undefined> {
    for (let looks = 1; ; looks++) {
      const kind = await this.#source.withLock(key, async (source) => {
        await this.#untilApplied();
        const target = (await this.#target.rowsWith([key])).get(key);
        if (source === target) return undefined;
        return source === undefined ? 'extra' : target === undefined ? 'missing' : 'different';
      });
      if (kind !== 'extra' || looks === EXTRA_LOOKS) return kind;
    }
  }
}

function differing(
  source: ReadonlyMap<string, string>,
  target: ReadonlyMap<string, string>,
  keys?: readonly string[],
): string[] {
  const all = keys ?? [...new Set([...source.keys(), ...target.keys()])];
  return all.filter((key) => source.get(key) !== target.get(key));
}
