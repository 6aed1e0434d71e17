import { setTimeout as sleep } from 'node:timers/promises';
import type { AppliedStream, ChunkDifference, CopyTask, StreamSpec } from '../migration/engine.js';
import { markLog } from './change-source.js';
import { tableKey } from './engine-names.js';
import { EngineSession } from './engine-session.js';
import { columnList, readExistingTables, storedColumns } from './engine-tables.js';
import { mergeTasks, selectionSql } from './selection.js';
import { KeyReader } from './verify-keys.js';

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

/**
 * Compares every selected row on both shards while the stream goes on: a stretch of the primary key at a time, by count
 * and checksum made in the databases. The target is read when it has applied everything that the source's reading
 * showed; rows that still differ are looked at one by one until they agree or lastingly do not.
 */
export async function verifyRows(
  stream: AppliedStream,
  spec: StreamSpec,
  onProgress: (rows: number) => void,
  signal: AbortSignal,
): Promise<{ comparedRows: number; differences: ChunkDifference[] }> {
  const sessions: EngineSession[] = [];
  const abort = (): void => {
    for (const session of sessions) session.destroy();
  };
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    // The third only marks the log, also while the first holds a row's lock.
    for (const address of [spec.from, spec.to, spec.from])
      sessions.push(await EngineSession.connect(address));
    let comparedRows = 0;
    const differences: ChunkDifference[] = [];
    for (const task of mergeTasks(spec.tasks)) {
      const verifier = await TableVerifier.open(
        { source: sessions[0]!, target: sessions[1]!, marker: sessions[2]! },
        stream,
        task,
      );
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

interface Sessions {
  readonly source: EngineSession;
  readonly target: EngineSession;
  readonly marker: EngineSession;
}

class TableVerifier {
  readonly #stream: AppliedStream;
  readonly #marker: EngineSession;
  readonly #table: string;
  readonly #source: KeyReader;
  readonly #target: KeyReader;

  private constructor(
    stream: AppliedStream,
    marker: EngineSession,
    table: string,
    source: KeyReader,
    target: KeyReader,
  ) {
    this.#stream = stream;
    this.#marker = marker;
    this.#table = table;
    this.#source = source;
    this.#target = target;
  }

  static async open(sessions: Sessions, stream: AppliedStream, task: CopyTask): Promise<TableVerifier> {
    const [facts] = await readExistingTables(sessions.source, [task.table]);
    const [there] = await readExistingTables(sessions.target, [task.table]);
    const columns = columnList(storedColumns(facts!));
    const source = await KeyReader.open(sessions.source, facts!, columns, selectionSql(task));
    const target = await KeyReader.open(sessions.target, there!, columns, selectionSql(task));
    return new TableVerifier(stream, sessions.marker, tableKey(task.table), source, target);
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
    await this.#stream.waitFor(await markLog(this.#marker, 'verify'));
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
