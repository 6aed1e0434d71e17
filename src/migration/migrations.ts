import { randomInt } from 'node:crypto';
import { type Clock, systemClock } from '../lib/clock.js';
import { asError, OperatingError } from '../lib/errors.js';
import type { ShardName } from '../topology/ring.js';
import { coordinate } from './coordinator.js';
import type { Blocker } from './engine.js';
import { Interrupted } from './interrupt.js';
import { awaitMirror } from './mirror.js';
import { isOver, type Request, refuseUnfit } from './phases.js';
import { estimate, movedFraction, plannedRecord, type Wish } from './planning.js';
import { preflight, refuseBlocked } from './preparing.js';
import type { MigrationOptions, MigrationRecord } from './record.js';
import { recordOf } from './record-document.js';
import { resume } from './resume.js';
import { Run } from './run.js';
import { type Verification, verifyNow } from './verifying.js';
import type { World } from './world.js';

/** A migration as it is shown: a copy of its record, and what only the running process knows. */
export interface MigrationState {
  readonly record: MigrationRecord;
  /** Bytes of log that the farthest stream is behind; undefined while no stream runs. */
  readonly lagBytes: number | undefined;
  readonly rowsApplied: number;
  /** What it waits for, in words; undefined while it works. */
  readonly waitingFor: string | undefined;
}

/** What would be done. */
export interface MigrationPlan {
  readonly record: MigrationRecord;
  /** Share of all keys that moves, 0 to 1. */
  readonly fraction: number;
  readonly estimatedRows: number;
  readonly blockers: readonly Blocker[];
}

/** What the composition root gives; the rest has defaults. */
export type MigrationsOptions = Omit<World, 'newId' | 'pausePoint' | 'clock'> &
  Partial<Pick<World, 'newId' | 'pausePoint' | 'clock'>>;

/** How long `stop` waits for what cannot be interrupted. */
const STOP_LIMIT_MS = 5_000;

/** All migrations of one database: one at a time runs, those that are over are remembered. */
export class Migrations {
  readonly #world: World;
  readonly #records = new Map<string, MigrationRecord>();
  readonly #listeners = new Set<(state: MigrationState) => void>();
  #running: { readonly run: Run; readonly ended: Promise<void> } | undefined;
  /** A start is under way: a second one must not slip in while the first asks the databases. */
  #isStarting = false;
  #unstored: MigrationRecord | undefined;

  constructor(options: MigrationsOptions) {
    const clock = options.clock ?? systemClock;
    this.#world = { newId: () => newId(clock), pausePoint: async () => {}, ...options, clock };
    options.topology.mirrorBarrier = async (migration, shard, position) => {
      const run = this.#running?.run;
      if (run?.record.id === migration) await awaitMirror(run, shard, position);
    };
  }

  /** Goes on with what the store says. Resolves when it is safe to serve clients; the migration then runs by itself. */
  async resumeAll(): Promise<void> {
    for (const document of await this.#world.store.migrations(this.#world.topology.current.database)) {
      const record = recordOf(document);
      this.#records.set(record.id, record);
    }
    const active = [...this.#records.values()].filter((record) => !isOver(record.phase));
    if (active.length > 1) {
      throw new OperatingError(
        'configuration',
        `the store knows more than one running migration: ${active.map(({ id }) => id).join(', ')}`,
        {
          hint: 'Put the store back from a backup.',
        },
      );
    }
    const record = active[0];
    if (record === undefined) return;
    const run = new Run(this.#world, record, (changed) => this.#tell(changed));
    await resume(run);
    this.#start(run);
  }

  /** What a wish would do; changes nothing. */
  async plan(wish: Wish): Promise<MigrationPlan> {
    const record = plannedRecord(this.#world, wish);
    const run = new Run(this.#world, record, () => {});
    const blockers = await preflight(this.#world, run);
    record.copies = blockers.length === 0 ? await estimate(this.#world, run) : [];
    return {
      record,
      fraction: movedFraction(record),
      estimatedRows: record.copies.reduce((sum, copy) => sum + copy.estimatedRows, 0),
      blockers,
    };
  }

  addShard(
    shard: ShardName,
    url: string | undefined,
    options: Partial<MigrationOptions> = {},
  ): Promise<MigrationState> {
    return this.begin({ kind: 'add-shard', shard, url, options });
  }

  removeShard(shard: ShardName, options: Partial<MigrationOptions> = {}): Promise<MigrationState> {
    return this.begin({ kind: 'remove-shard', shard, url: undefined, options });
  }

  rebalance(options: Partial<MigrationOptions> = {}): Promise<MigrationState> {
    return this.begin({ kind: 'rebalance', shard: undefined, url: undefined, options });
  }

  /** Resolves when the migration is durably planned; it then runs by itself. Rejects with every blocker that preflight finds. */
  async begin(wish: Wish): Promise<MigrationState> {
    this.#refuseSecond();
    this.#isStarting = true;
    try {
      const record = plannedRecord(this.#world, wish);
      const run = new Run(this.#world, record, (changed) => this.#tell(changed));
      refuseBlocked(await preflight(this.#world, run));
      await this.#settleUnstored();
      await this.#plan(run);
      this.#records.set(record.id, record);
      this.#start(run);
      return this.#stateOf(record);
    } finally {
      this.#isStarting = false;
    }
  }

  /** In the order they were begun. */
  list(): MigrationState[] {
    return [...this.#records.values()].map((record) => this.#stateOf(record));
  }

  get(id: string): MigrationState | undefined {
    const record = this.#records.get(id);
    return record === undefined ? undefined : this.#stateOf(record);
  }

  /** Calls back after each change, progress included. Returns how to stop. */
  watch(listener: (state: MigrationState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the request is durable; the loop acts on it. Throws OperatingError when it does not fit the phase. */
  async request(id: string, request: Request): Promise<MigrationState> {
    const record = this.#recordOf(id);
    refuseUnfit(record, request);
    const before = record.request;
    record.request = request;
    await this.#saveOr(record, () => {
      record.request = before;
    });
    if (request === 'abort') this.#runOf(id)?.interrupt(new Interrupted('abort was asked for'));
    this.#runOf(id)?.wake();
    return this.#stateOf(record);
  }

  /** The migration takes no new step; its streams and mirrors go on. */
  pause(id: string): Promise<MigrationState> {
    return this.#setPaused(id, true);
  }

  resume(id: string): Promise<MigrationState> {
    return this.#setPaused(id, false);
  }

  /** Compares source and target now, and repairs nothing. */
  async verifyNow(id: string): Promise<Verification> {
    const record = this.#recordOf(id);
    const run = this.#runOf(id);
    if (run === undefined)
      throw new OperatingError('migration', `migration ${id} is ${record.phase}: there is nothing to verify`);
    return verifyNow(run);
  }

  /** Ends the loop and the streams; what is durable stays as it is, and `resumeAll` of the next process goes on. */
  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const { run, ended } = this.#running;
    run.stopping.abort();
    run.interrupt(new Interrupted('the proxy stops'));
    await Promise.race([ended, this.#world.clock.sleep(STOP_LIMIT_MS)]);
  }

  /** A store that fails does not say whether it has the record: then it must not come back as a second migration. */
  async #plan(run: Run): Promise<void> {
    this.#unstored = run.record;
    try {
      await run.save();
      this.#unstored = undefined;
    } catch (thrown) {
      await this.#settleUnstored().catch(() => {});
      throw thrown;
    }
  }

  /** Takes back a plan of which it is not known whether the store has it. */
  async #settleUnstored(): Promise<void> {
    const record = this.#unstored;
    if (record === undefined) return;
    await this.#world.store.saveMigration(record.database, { ...record, phase: 'aborted' });
    this.#unstored = undefined;
  }

  #start(run: Run): void {
    const ended = coordinate(run)
      .catch((thrown) => {
        this.#world.log.error(
          { migration: run.record.id, reason: asError(thrown).message, error: asError(thrown) },
          'the loop of a migration ended',
        );
      })
      .finally(() => {
        if (this.#running?.run === run && isOver(run.record.phase)) this.#running = undefined;
      });
    this.#running = { run, ended };
    this.#tell(run);
  }

  #refuseSecond(): void {
    const active = [...this.#records.values()].find((record) => !isOver(record.phase));
    if (active === undefined && !this.#isStarting) return;
    const which =
      active === undefined
        ? 'another migration is just being started'
        : `migration ${active.id} (${active.kind}) is ${active.phase}`;
    throw new OperatingError('migration', `${which}; one migration of a database runs at a time`, {
      hint:
        active?.phase === 'switched'
          ? `End it with "migrate finish ${active.id}" or "migrate rollback ${active.id}" first.`
          : 'Wait for its end, or abort it.',
    });
  }

  async #setPaused(id: string, paused: boolean): Promise<MigrationState> {
    const record = this.#recordOf(id);
    if (isOver(record.phase)) throw new OperatingError('migration', `migration ${id} is ${record.phase}`);
    const before = record.paused;
    record.paused = paused;
    await this.#saveOr(record, () => {
      record.paused = before;
    });
    this.#runOf(id)?.wake();
    return this.#stateOf(record);
  }

  async #saveOr(record: MigrationRecord, undo: () => void): Promise<void> {
    try {
      await this.#world.store.saveMigration(record.database, { ...record });
    } catch (thrown) {
      undo();
      throw thrown;
    }
  }

  #recordOf(id: string): MigrationRecord {
    const record = this.#records.get(id);
    if (record !== undefined) return record;
    throw new OperatingError('migration', `there is no migration ${id}`, {
      hint: 'SHOW MIGRATIONS lists them.',
    });
  }

  #runOf(id: string): Run | undefined {
    return this.#running?.run.record.id === id ? this.#running.run : undefined;
  }

  #tell(run: Run): void {
    if (this.#listeners.size === 0) return;
    const state = this.#stateOf(run.record);
    for (const listener of this.#listeners) listener(state);
  }

  #stateOf(record: MigrationRecord): MigrationState {
    const run = this.#runOf(record.id);
    const keepers =
      run === undefined
        ? []
        : record.phase === 'switched' || record.phase === 'rolling-back'
          ? run.reverse
          : run.forward;
    const lags = keepers.flatMap((keeper) => keeper.lagBytes ?? []);
    return {
      record: structuredClone(record),
      lagBytes: lags.length === 0 ? undefined : Math.max(...lags),
      rowsApplied: keepers.reduce((sum, keeper) => sum + keeper.rowsApplied, 0),
      waitingFor: run?.waitingFor,
    };
  }
}

/** Ten characters that sort by time and fit in names of slots and publications. */
function newId(clock: Clock): string {
  const seconds = Math.floor(clock.now() / 1_000)
    .toString(36)
    .padStart(7, '0');
  return `m${seconds}${randomInt(36 ** 2)
    .toString(36)
    .padStart(2, '0')}`;
}
