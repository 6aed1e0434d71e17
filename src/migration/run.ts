import { setMaxListeners } from 'node:events';
import { asError, OperatingError } from '../lib/errors.js';
import { untilAborted } from '../lib/until-aborted.js';
import type { ShardName } from '../topology/ring.js';
import type { Snapshot } from '../topology/snapshot.js';
import type { ShardAddress, StreamSpec } from './engine.js';
import { Interrupted, within } from './interrupt.js';
import { allTasks, type Link, linksOf } from './links.js';
import { isBeforeCutover } from './phases.js';
import { stateIn } from './publication.js';
import { Publisher } from './publisher.js';
import type { MigrationRecord } from './record.js';
import { backoffMs } from './retry.js';
import { StreamKeeper } from './stream-keeper.js';
import type { World } from './world.js';

/** How long a phase waits for an act of the one before that hangs. */
const ACT_LIMIT_MS = 60_000;

/** One migration while this process runs it: its record, its streams, and how its phases are woken or interrupted. */
export class Run {
  readonly world: World;
  readonly record: MigrationRecord;
  readonly publisher: Publisher;
  links: readonly Link[] = [];
  forward: StreamKeeper[] = [];
  reverse: StreamKeeper[] = [];
  /** What the operator would want to know when nothing seems to happen. */
  waitingFor: string | undefined;
  /** Acknowledgements do not wait for the other owner until it has caught up again. */
  isMirrorLate = false;
  /** Fences that may still be up though nothing was switched: `[shard, fence's name]` as JSON. */
  readonly doubtfulFences = new Set<string>();
  /** Acts that hung beyond their limit; a new attempt waits for their end, so that they cannot meddle with it. */
  readonly stragglers = new Set<Promise<unknown>>();
  readonly stopping = new AbortController();
  #phaseEnd = new AbortController();
  readonly #acts = new Set<Promise<void>>();
  readonly #wakeups = new Set<() => void>();
  readonly #onChange: (run: Run) => void;

  constructor(world: World, record: MigrationRecord, onChange: (run: Run) => void) {
    this.world = world;
    this.publisher = new Publisher(world.topology, world.store);
    this.record = record;
    this.#onChange = onChange;
  }

  /** Aborts when the running phase must end: the process stops, the operator aborts, a stream broke, the mirror is late. */
  get signal(): AbortSignal {
    return this.#phaseEnd.signal;
  }

  /** Called by the loop before each phase. */
  beginPhase(): void {
    this.#phaseEnd = new AbortController();
    // One listener for each act under way: many copies, streams and waits at once are no leak.
    setMaxListeners(0, this.signal);
    this.waitingFor = undefined;
    if (this.stopping.signal.aborted) this.interrupt(new Interrupted('the proxy stops'));
    else if (this.isAbortAsked) this.interrupt(new Interrupted('abort was asked for'));
  }

  get isAbortAsked(): boolean {
    const isSwitched = stateIn(this.world.topology.current, this.record) === 'switched';
    return this.record.request === 'abort' && isBeforeCutover(this.record.phase) && !isSwitched;
  }

  /**
   * An act in a database. It is no longer waited for when the phase ends, but the next phase begins only after its end:
   * or what it makes would come after the cleanup.
   */
  act<T>(promise: Promise<T>): Promise<T> {
    const ended: Promise<void> = promise
      .then(
        () => {},
        () => {},
      )
      .finally(() => this.#acts.delete(ended));
    this.#acts.add(ended);
    return untilAborted(promise, this.signal);
  }

  /** Before a phase: what the one before began has ended, or hangs for good. */
  async settleActs(): Promise<void> {
    if (this.#acts.size === 0) return;
    const { clock, log } = this.world;
    this.waitingFor = 'an act of the phase before to end';
    try {
      await within(clock, ACT_LIMIT_MS, 'an act that was given up', Promise.all(this.#acts));
    } catch (thrown) {
      log.error(
        { migration: this.record.id, reason: asError(thrown).message },
        'the migration goes on without its end',
      );
      this.#acts.clear();
    }
    this.waitingFor = undefined;
  }

  interrupt(reason: Error): void {
    this.#phaseEnd.abort(reason);
    this.wake();
  }

  /** Makes sleeping phases look at the record again. */
  wake(): void {
    for (const wake of [...this.#wakeups]) wake();
  }

  /** Sleeps, but not beyond a wake-up or the phase's end. */
  async sleep(ms: number): Promise<void> {
    const woken = new AbortController();
    const wake = (): void => woken.abort();
    this.#wakeups.add(wake);
    if (this.signal.aborted) wake();
    try {
      await this.world.clock.sleep(ms, woken.signal);
    } finally {
      this.#wakeups.delete(wake);
    }
  }

  /** Stores the record; what it says is then true after a crash as well. */
  async save(): Promise<void> {
    await this.world.store.saveMigration(this.record.database, { ...this.record });
    this.#onChange(this);
  }

  /** Tells those who watch, without storing. */
  changed(): void {
    this.#onChange(this);
  }

  async pausePoint(name: string): Promise<void> {
    await this.world.pausePoint(name);
  }

  address(shard: ShardName): ShardAddress {
    const own = shard === this.record.shard ? this.record.shardUrl : undefined;
    const entry = this.world.topology.current.shards.find((candidate) => candidate.name === shard);
    const url = own ?? entry?.url ?? this.world.shardUrl(shard);
    if (url === undefined || url === '') {
      throw new OperatingError('migration', `the URL of shard "${shard}" is not known`, {
        hint: `Put "${shard}" under databases.${this.record.database}.shards in the config.`,
      });
    }
    return { shard, url };
  }

  /** Stores the topology that `change` makes of the current one, then publishes it: no session sees what a crash would forget. */
  publish(change: (current: Snapshot) => Snapshot): Promise<void> {
    return this.publisher.publish(change);
  }

  async readLinks(): Promise<readonly Link[]> {
    this.links = linksOf(this.record, await this.world.keyspace());
    return this.links;
  }

  get sources(): ShardName[] {
    return unique(this.links.map((link) => link.source));
  }

  get targets(): ShardName[] {
    return unique(this.links.map((link) => link.target));
  }

  /** Every shard in which the migration makes something. */
  get participants(): ShardName[] {
    const named = this.record.moves.flatMap((move) => [move.source, move.target]);
    return unique([...named, ...this.sources, ...this.targets]);
  }

  /** Opens the streams source → target, if they do not run yet. */
  startForward(): void {
    if (this.forward.length > 0) return;
    this.forward = this.links
      .filter((link) => allTasks(link).length > 0)
      .map((link) => this.#keeper(this.forwardSpec(link), false));
  }

  /** Opens the streams target → source, if they do not run yet. */
  startReverse(): void {
    if (this.reverse.length > 0) return;
    this.reverse = this.reverseSpecs().map((spec) => this.#keeper(spec, true));
  }

  async stopStreams(which: 'forward' | 'reverse' | 'both'): Promise<void> {
    const forward = which === 'reverse' ? [] : this.forward;
    const reverse = which === 'forward' ? [] : this.reverse;
    if (which !== 'reverse') this.forward = [];
    if (which !== 'forward') this.reverse = [];
    await Promise.all([...forward, ...reverse].map((keeper) => keeper.stop()));
  }

  forwardSpec(link: Link): StreamSpec {
    return {
      migration: this.record.id,
      direction: 'forward',
      from: this.address(link.source),
      to: this.address(link.target),
      tasks: allTasks(link),
    };
  }

  reverseSpecs(): StreamSpec[] {
    return this.links
      .filter((link) => link.rangeTasks.length > 0)
      .map((link) => ({
        migration: this.record.id,
        direction: 'reverse',
        from: this.address(link.target),
        to: this.address(link.source),
        tasks: link.rangeTasks,
      }));
  }

  /** Does `act` until it succeeds or the phase ends: for what must be done whatever it takes. */
  async persist(what: string, act: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await act();
      } catch (thrown) {
        if (this.signal.aborted) throw this.signal.reason;
        const reason = asError(thrown).message;
        this.waitingFor = `${what}: ${reason}`;
        this.world.log.warn({ migration: this.record.id, reason }, `${what} failed; it is tried again`);
        this.changed();
        await this.sleep(backoffMs(attempt));
      }
    }
  }

  #keeper(spec: StreamSpec, isEndless: boolean): StreamKeeper {
    const keeper = new StreamKeeper(this.world, spec, isEndless, (error) => this.interrupt(error));
    keeper.start();
    return keeper;
  }
}

function unique(names: readonly ShardName[]): ShardName[] {
  return [...new Set(names)].sort();
}
