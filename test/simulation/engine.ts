import type {
  AppliedStream,
  Blocker,
  ChunkDifference,
  CopyTask,
  Fence,
  MigrationEngine,
  ShardAddress,
  SourceSnapshot,
  StreamSpec,
} from '../../src/migration/engine.js';
import { isPassing } from '../../src/postgres/passing-errors.js';
import { type Change, type SimDatabase, selects } from './database.js';
import { SimStream, slotOf } from './stream.js';
import type { VirtualTime } from './virtual-time.js';

/** One life of the proxy process: what it began and had not finished when it died never comes back to it. */
export interface Life {
  isOver: boolean;
}

export interface Faults {
  /** Probability that a call fails with a lost connection, before or after it did something. */
  readonly failing: number;
  /** Probability that a call takes far longer than any limit. */
  readonly hanging: number;
  /** Appliers look for changes this seldom instead of every 1 to 4 ms. */
  readonly slowStreamMs?: number;
}

export const NEVER = new Promise<never>(() => {});
const HANG_MS = 40_000;
/** Rounds in which a row may differ because it is just being written. */
const VERIFY_ROUNDS = 30;

export function lostConnection(): Error {
  return Object.assign(new Error('connection terminated'), { code: 'ECONNRESET' });
}

/** The engine's contract over SimDatabases, with its calls slow, failing and hanging as the seed has it. */
export class SimEngine implements MigrationEngine {
  readonly #databases: ReadonlyMap<string, SimDatabase>;
  readonly #time: VirtualTime;
  readonly #life: Life;
  readonly #faults: Faults;
  readonly #making = new Set<string>();
  readonly isPassing = isPassing;

  constructor(databases: ReadonlyMap<string, SimDatabase>, time: VirtualTime, life: Life, faults: Faults) {
    this.#databases = databases;
    this.#time = time;
    this.#life = life;
    this.#faults = faults;
  }

  preflight(): Promise<Blocker[]> {
    return this.#act(() => []);
  }

  copySchema(): Promise<void> {
    return this.#act(() => {});
  }

  prepareSource(source: ShardAddress, migration: string): Promise<string> {
    return this.#alone(source, () => {
      this.#at(source).traces.add(migration);
      return `note of ${source.shard}`;
    });
  }

  prepareTarget(target: ShardAddress, migration: string): Promise<void> {
    return this.#act(() => void this.#at(target).traces.add(migration));
  }

  openSnapshot(source: ShardAddress, migration: string, targets: readonly string[]): Promise<SourceSnapshot> {
    return this.#act(() => {
      const database = this.#at(source);
      const position = database.log.length;
      const image = database.image();
      for (const target of targets) {
        const slot = slotOf(migration, 'forward', source.shard, target);
        database.slots.set(slot, position);
        this.#databases.get(target)!.progress.delete(slot);
      }
      return {
        source: source.shard,
        position: String(position),
        copy: (task, target, onProgress, signal) => this.#copy(image, task, target, onProgress, signal),
        estimateRows: async () => 10,
        close: async () => {},
      };
    });
  }

  async #copy(
    image: Map<string, Map<string, string>>,
    task: CopyTask,
    target: ShardAddress,
    onProgress: (rows: number, bytes: number) => void,
    signal: AbortSignal,
  ): Promise<number> {
    const table = tableOf(task);
    const changes: Change[] = [];
    for (const [key, value] of image.get(table) ?? []) {
      if (!selects([task], table, key)) continue;
      changes.push({ table, key, kind: 'insert', value });
      if (changes.length % 4 > 0) continue;
      await this.#time.sleep(1 + this.#time.below(8));
      if (this.#life.isOver) return NEVER;
      if (signal.aborted) throw signal.reason;
      if (this.#time.chance(this.#faults.failing / 4)) throw lostConnection();
      onProgress(changes.length, changes.length * 10);
    }
    return this.#act(() => {
      if (signal.aborted) throw signal.reason;
      this.#at(target).apply(changes, undefined);
      return changes.length;
    });
  }

  clearTarget(target: ShardAddress, tasks: readonly CopyTask[]): Promise<void> {
    return this.#act(() => void this.#delete(this.#at(target), tasks));
  }

  async openStream(spec: StreamSpec, signal: AbortSignal): Promise<AppliedStream> {
    await this.#act(() => {});
    if (signal.aborted) throw signal.reason;
    return new SimStream(this.#at(spec.from), this.#at(spec.to), spec, this.#time, this.#life, this.#faults);
  }

  dropStream(spec: StreamSpec): Promise<void> {
    return this.#act(
      () =>
        void this.#at(spec.from).slots.delete(
          slotOf(spec.migration, spec.direction, spec.from.shard, spec.to.shard),
        ),
    );
  }

  prepareReverse(spec: StreamSpec): Promise<void> {
    return this.#alone(spec.from, () => {
      const { slots, log } = this.#at(spec.from);
      const slot = slotOf(spec.migration, 'reverse', spec.from.shard, spec.to.shard);
      if (!slots.has(slot)) slots.set(slot, log.length);
    });
  }

  currentPosition(address: ShardAddress): Promise<string> {
    return this.#act(() => String(this.#at(address).log.length));
  }

  writeMarker(address: ShardAddress): Promise<string> {
    return this.#act(() => String(this.#at(address).log.push({ changes: [], origin: undefined })));
  }

  async verify(
    stream: AppliedStream,
    spec: StreamSpec,
    onProgress: (rows: number) => void,
    signal: AbortSignal,
  ): Promise<{ comparedRows: number; differences: ChunkDifference[] }> {
    const found = await this.#act(() => this.#differences(spec));
    let { differences } = found;
    for (let round = 1; differences.length > 0 && round < VERIFY_ROUNDS; round++) {
      if (signal.aborted) throw signal.reason;
      await stream.waitFor(await this.currentPosition(spec.from));
      const now = await this.#act(() => this.#differences(spec).differences);
      differences = differences.filter(({ table, key }) =>
        now.some((other) => other.table === table && other.key === key),
      );
    }
    onProgress(found.comparedRows);
    return { comparedRows: found.comparedRows, differences };
  }

  repair(spec: StreamSpec, differences: readonly ChunkDifference[]): Promise<void> {
    return this.#act(() => {
      const changes = differences.map(({ table, key }): Change => {
        const value = this.#at(spec.from).rows(table).get(key);
        const kind =
          value === undefined ? 'delete' : this.#at(spec.to).rows(table).has(key) ? 'update' : 'insert';
        return { table, key, kind, value };
      });
      this.#at(spec.to).apply(changes, `${spec.migration}/${spec.direction}/repair`);
    });
  }

  prepareFence(address: ShardAddress, name: string, tasks: readonly CopyTask[]): Promise<void> {
    return this.#act(() => {
      const { fences } = this.#at(address);
      if (!fences.has(name)) fences.set(name, { tasks, isRaising: false, isUp: false, isKept: false });
    });
  }

  async raiseFence(
    address: ShardAddress,
    name: string,
    _tasks: readonly CopyTask[],
    deadlineMs: number,
  ): Promise<Fence> {
    const fence = this.#at(address).fences.get(name);
    if (fence === undefined) throw new Error(`fence ${name} was not prepared on ${address.shard}`);
    await this.#act(() => {
      fence.isRaising = true;
    });
    for (let waited = 0; !this.#at(address).isEmptyFor(fence); waited += 2) {
      if (waited > deadlineMs) {
        fence.isRaising = false;
        throw new Error('canceling statement due to statement timeout');
      }
      await this.#time.sleep(2);
      if (this.#life.isOver) return NEVER;
    }
    fence.isUp = true;
    fence.isRaising = false;
    return this.#act(() => ({
      lower: () => this.lowerKeptFence(address, name),
      keep: () =>
        this.#act(() => {
          fence.isKept = true;
        }),
      release: () => this.#act(() => {}),
    }));
  }

  lowerKeptFence(address: ShardAddress, name: string): Promise<void> {
    return this.#act(() => {
      const fence = this.#at(address).fences.get(name);
      if (fence !== undefined) Object.assign(fence, { isUp: false, isKept: false, isRaising: false });
    });
  }

  advanceSequences(): Promise<void> {
    return this.#act(() => {});
  }

  deleteRows(address: ShardAddress, _migration: string, tasks: readonly CopyTask[]): Promise<number> {
    return this.#act(() => this.#delete(this.#at(address), tasks));
  }

  removeTraces(address: ShardAddress, migration: string): Promise<void> {
    return this.#act(() => {
      const { slots, progress, fences, traces } = this.#at(address);
      for (const slot of [...slots.keys(), ...progress.keys()]) {
        if (!slot.startsWith(`${migration}/`)) continue;
        slots.delete(slot);
        progress.delete(slot);
      }
      fences.delete(migration);
      traces.delete(migration);
    });
  }

  #delete(database: SimDatabase, tasks: readonly CopyTask[]): number {
    const changes: Change[] = [];
    for (const [table, rows] of database.image()) {
      for (const key of rows.keys())
        if (selects(tasks, table, key)) changes.push({ table, key, kind: 'delete', value: undefined });
    }
    database.apply(changes, undefined);
    return changes.length;
  }

  #differences(spec: StreamSpec): { comparedRows: number; differences: ChunkDifference[] } {
    const differences: ChunkDifference[] = [];
    let comparedRows = 0;
    for (const table of new Set(spec.tasks.map(tableOf))) {
      const from = this.#at(spec.from).rows(table);
      const to = this.#at(spec.to).rows(table);
      for (const key of new Set([...from.keys(), ...to.keys()])) {
        if (!selects(spec.tasks, table, key)) continue;
        comparedRows++;
        if (from.get(key) === to.get(key)) continue;
        differences.push({
          table,
          key,
          kind: !to.has(key) ? 'missing' : from.has(key) ? 'different' : 'extra',
        });
      }
    }
    return { comparedRows, differences };
  }

  /** An act that makes objects which others of the same database would make too: those must not overlap. */
  async #alone<T>(address: ShardAddress, effect: () => T): Promise<T> {
    if (this.#making.has(address.shard)) throw new Error('publication already exists');
    this.#making.add(address.shard);
    try {
      return await this.#act(effect);
    } finally {
      this.#making.delete(address.shard);
    }
  }

  #at({ shard }: ShardAddress): SimDatabase {
    return this.#databases.get(shard)!;
  }

  /** One call: takes a while, may fail or hang, and never comes back to a process that died. */
  async #act<T>(effect: () => T): Promise<T> {
    if (this.#life.isOver) return NEVER;
    const hangs = this.#time.chance(this.#faults.hanging);
    await this.#time.sleep(hangs ? HANG_MS : 1 + this.#time.below(5));
    if (this.#life.isOver) return NEVER;
    if (this.#time.chance(this.#faults.failing)) throw lostConnection();
    const result = effect();
    await this.#time.sleep(this.#time.below(3));
    if (this.#life.isOver) return NEVER;
    if (this.#time.chance(this.#faults.failing)) throw lostConnection();
    return result;
  }
}

function tableOf(task: CopyTask): string {
  return `${task.table.schema}.${task.table.name}`;
}
