import type { PoolConfig } from '../config/config.js';
import { asOperatingError, OperatingError } from '../lib/errors.js';
import type { Backend, BackendConnector, BackendTarget } from './backend.js';
import { Backoff } from './backoff.js';
import type { Request } from './request.js';
import { type SharedLane, SharedLanes } from './shared-lanes.js';
import { Waiters } from './waiters.js';

/** How a backend comes back. */
export interface Release {
  /** Close it: it is in doubt, or a cancel may still be on its way to it. */
  readonly discard?: boolean;
  /** Bring it back to how it was after connect before anyone else gets it. */
  readonly reset?: boolean;
  /** It has served a read that could have stood in line, and others like it will come. */
  readonly mayShare?: boolean;
}

/** A pool of one connection is shared for no longer than this while somebody waits for it alone. */
const TURN_MS = 20;
/** How often idle connections are looked at. */
const SWEEP_MS = 1_000;

/**
 * Connections to one shard as one user. At most `size` exist, connecting ones included. The one used last is lent first,
 * so that those that are not needed grow old and are closed; who waits is served in the order of coming.
 */
export class Pool {
  readonly target: BackendTarget;
  readonly startup: ReadonlyMap<string, string>;
  connecting = 0;
  connectsTotal = 0;
  connectFailuresTotal = 0;
  leasesTotal = 0;
  /** What the server reported when it was connected to last. */
  reported: ReadonlyMap<string, string> | undefined;
  readonly #connect: BackendConnector;
  readonly #config: PoolConfig;
  /** The longest unused one first. */
  readonly #idle: { backend: Backend; sinceMs: number }[] = [];
  readonly #leased = new Set<Backend>();
  readonly #resetting = new Set<Backend>();
  /** Counts waits, too. */
  readonly waits = new Waiters();
  readonly #backoff = new Backoff();
  readonly lanes: SharedLanes;
  /** The shortest that a request has taken lately on a backend of its own: the way to the server and back. */
  floorMs = Number.POSITIVE_INFINITY;
  #phase: 'open' | 'paused' | 'closed' = 'open';
  #quiet: (() => void)[] = [];
  /** Connections made before are not used again. */
  #validFromMs = 0;
  readonly #abort = new AbortController();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(
    connect: BackendConnector,
    target: BackendTarget,
    startup: ReadonlyMap<string, string>,
    config: PoolConfig,
  ) {
    this.#connect = connect;
    this.target = { ...target, preparedStatements: config.preparedStatements };
    this.startup = startup;
    this.#config = config;
    this.lanes = new SharedLanes({
      longestLine: config.pipeline,
      lanesUnderPressure: Math.max(1, Math.floor(config.size / 2)),
      isTurnOfOthers: () => config.size === 1 && this.waits.oldestWaitMs > TURN_MS,
      isUsable: (backend) => this.#isUsable(backend),
      giveBack: (backend, isInDoubt) => this.release(backend, { discard: isInDoubt }),
    });
  }

  get size(): number {
    return this.#config.size;
  }

  get active(): number {
    return this.#leased.size + this.#resetting.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.waits.size;
  }

  get isClosed(): boolean {
    return this.#phase === 'closed';
  }

  get isPaused(): boolean {
    return this.#phase === 'paused';
  }

  /** For SHOW SERVERS. */
  backends(): { readonly backend: Backend; readonly isActive: boolean }[] {
    const active = [...this.#leased, ...this.#resetting].map((backend) => ({ backend, isActive: true }));
    return [...active, ...this.#idle.map(({ backend }) => ({ backend, isActive: false }))];
  }

  /** An idle connection at once, or undefined: then `lease` waits for one. */
  tryLease(): Backend | undefined {
    if (this.#phase !== 'open' || this.waits.size > 0) return undefined;
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (this.#isUsable(last.backend)) {
        this.#leased.add(last.backend);
        this.leasesTotal++;
        return last.backend;
      }
      last.backend.terminate();
    }
    return undefined;
  }

  /**
   * Lends a connection, waiting for one where need be. Rejects with `pool-timeout`, `shard-connect-failed`, `shard-unavailable`,
   * `shutting-down`, or the signal's reason; the message names the shard.
   */
  lease(signal?: AbortSignal): Promise<Backend> {
    if (this.#phase === 'closed') return Promise.reject(this.#closedError());
    const backend = this.tryLease();
    if (backend !== undefined) return Promise.resolve(backend);
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const failure = this.#isFull || this.#phase === 'paused' ? undefined : this.#backoff.standing;
    // The shard was tried a moment ago: the same answer at once, and no storm of attempts.
    if (failure !== undefined && this.#existing === 0) return Promise.reject(failure);
    const wait = this.waits.wait(signal, this.#config.waitTimeoutMs, () => this.#timeoutError());
    this.lanes.yield();
    this.#grow();
    return wait;
  }

  /**
   * A backend whose line the request may join, behind what other sessions have asked; `settings`: what its session has SET. Undefined:
   * it needs a backend of its own. Whoever joined says so to `lanes` when it has ended.
   */
  join(request: Request, settings: string): SharedLane | undefined {
    if (this.#phase !== 'open' || this.#config.pipeline <= 1) return undefined;
    const best = this.lanes.best(settings);
    if (best !== undefined && this.lanes.isShort(best)) return best.line.takes(request) ? best : undefined;
    const backend = this.#idleFor(request, settings);
    if (backend?.line !== undefined) return this.lanes.open(backend, backend.line);
    if (best === undefined || this.lanes.isFull(best)) return undefined;
    if (this.#idle.length === 0) this.#growForLanes();
    return best.line.takes(request) ? best : undefined;
  }

  /** A request had a connection for itself for so long. Drifts upwards slowly, since the way may become longer. */
  noteAlone(ms: number): void {
    this.floorMs = ms < this.floorMs ? ms : this.floorMs + (ms - this.floorMs) / 1024;
  }

  release(backend: Backend, how: Release = {}): void {
    if (!this.#leased.delete(backend)) return;
    backend.onAsync = undefined;
    backend.onDrain = undefined;
    backend.onLost = undefined;
    const isClean = !backend.isBusy && backend.transaction === 'idle';
    if (how.discard === true || !isClean || !this.#isUsable(backend)) backend.terminate();
    else if (how.reset === true) void this.#reset(backend);
    else if (how.mayShare === true && this.#sharesUnderPressure(backend)) return;
    else this.#offer(backend);
    this.#settle();
  }

  /** Where everybody waits for a connection, the reads among them get by with some that they share; without it no line would ever begin. */
  #sharesUnderPressure(backend: Backend): boolean {
    const { line } = backend;
    if (this.waits.size === 0 || line === undefined || this.#config.pipeline <= 1) return false;
    if (this.#phase !== 'open' || !this.lanes.mayOpenUnderPressure) return false;
    this.#leased.add(backend);
    this.lanes.open(backend, line);
    return true;
  }

  /** PgBouncer's PAUSE: lends nothing any more; resolves when all leases have come back. Idle connections are closed then. */
  async pause(): Promise<void> {
    if (this.#phase === 'open') this.#phase = 'paused';
    if (this.active > 0) await new Promise<void>((resolve) => this.#quiet.push(resolve));
    if (this.#phase === 'paused') this.#closeIdle();
  }

  resume(): void {
    if (this.#phase !== 'paused') return;
    this.#phase = 'open';
    for (const resolve of this.#quiet.splice(0)) resolve();
    this.#serve();
    this.#grow();
  }

  /** Replaces every connection that exists now: idle ones at once, leased ones when they come back. */
  reconnect(): void {
    this.#validFromMs = Date.now() + 1;
    this.#backoff.succeeded();
    this.#closeIdle();
    this.#grow();
  }

  /** Closes everything: idle connections now, leased ones when they come back, or at once with `force`. Resolves when none is leased. */
  async close(force = false): Promise<void> {
    this.#phase = 'closed';
    this.#abort.abort(this.#closedError());
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    this.lanes.close();
    this.waits.rejectAll(this.#closedError());
    this.#closeIdle();
    if (force) for (const backend of [...this.#leased]) backend.terminate();
    if (this.active > 0) await new Promise<void>((resolve) => this.#quiet.push(resolve));
  }

  get #existing(): number {
    return this.active + this.#idle.length + this.connecting;
  }

  get #isFull(): boolean {
    return this.#existing >= this.#config.size;
  }

  #isUsable(backend: Backend): boolean {
    if (backend.isBroken || this.#phase === 'closed' || backend.connectedAtMs < this.#validFromMs)
      return false;
    const { maxLifetimeMs } = this.#config;
    return maxLifetimeMs === 0 || Date.now() - backend.connectedAtMs < maxLifetimeMs;
  }

  /** To the first who waits, else to the shelf. */
  #offer(backend: Backend): void {
    if (this.waits.size === 0 || this.#phase !== 'open') {
      this.#idle.push({ backend, sinceMs: performance.now() });
      this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
      return;
    }
    this.#leased.add(backend);
    this.leasesTotal++;
    this.waits.serve(backend);
  }

  /** Lends an idle connection on which the request could run as it is. */
  #idleFor(request: Request, settings: string): Backend | undefined {
    if (this.waits.size > 0) return undefined;
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const { backend } = this.#idle[at]!;
      if (backend.settings !== settings || backend.line?.takes(request) !== true) continue;
      if (!this.#isUsable(backend)) continue;
      this.#idle.splice(at, 1);
      this.#leased.add(backend);
      this.leasesTotal++;
      return backend;
    }
    return undefined;
  }

  /** One more, for lines that are getting long; nobody waits for it. */
  #growForLanes(): void {
    if (!this.#isFull && this.connecting === 0 && this.#backoff.standing === undefined) void this.#open();
  }

  #serve(): void {
    while (this.waits.size > 0 && this.#phase === 'open') {
      const last = this.#idle.pop();
      if (last === undefined) return;
      if (this.#isUsable(last.backend)) this.#offer(last.backend);
      else last.backend.terminate();
    }
  }

  async #reset(backend: Backend): Promise<void> {
    this.#resetting.add(backend);
    try {
      await backend.reset();
    } catch {
      // Whatever is left in it is nobody's concern any more.
      backend.terminate();
    }
    this.#resetting.delete(backend);
    if (this.#isUsable(backend)) this.#offer(backend);
    else backend.terminate();
    this.#settle();
  }

  /** Opens connections for those who wait and have none coming. */
  #grow(): void {
    if (this.#phase !== 'open') return;
    while (this.waits.size > this.connecting && !this.#isFull) {
      if (this.#backoff.standing !== undefined) {
        // Those who wait for a connection in use go on waiting for that one.
        this.#backoff.whenOver(() => this.#grow());
        return;
      }
      void this.#open();
    }
  }

  async #open(): Promise<void> {
    this.connecting++;
    try {
      const signal = AbortSignal.any([this.#abort.signal, this.#deadline()]);
      const backend = await this.#connect(this.target, this.startup, signal);
      this.connecting--;
      this.connectsTotal++;
      this.reported = backend.parameters;
      this.#backoff.succeeded();
      backend.onClosed = () => this.#closed(backend);
      if (this.#phase === 'closed') backend.terminate();
      else this.#offer(backend);
    } catch (thrown) {
      this.connecting--;
      this.connectFailuresTotal++;
      this.#failed(asOperatingError(thrown));
    }
    this.#settle();
  }

  #deadline(): AbortSignal {
    return AbortSignal.timeout(this.#config.connectTimeoutMs);
  }

  /** Who waits hears it at once, unless a connection in use or on its way will serve them. */
  #failed(error: OperatingError): void {
    if (this.#phase === 'closed') return;
    this.#backoff.failed(error);
    if (this.#existing > 0) {
      this.#backoff.whenOver(() => this.#grow());
      return;
    }
    this.waits.rejectAll(error);
  }

  /** The server or the network has ended it. */
  #closed(backend: Backend): void {
    const at = this.#idle.findIndex((entry) => entry.backend === backend);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#settle();
  }

  #sweep(): void {
    const { idleTimeoutMs } = this.#config;
    const nowMs = performance.now();
    for (const entry of [...this.#idle]) {
      const isOld = idleTimeoutMs > 0 && nowMs - entry.sinceMs >= idleTimeoutMs;
      if (!isOld && this.#isUsable(entry.backend)) continue;
      entry.backend.terminate();
    }
    if (this.#idle.length > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #closeIdle(): void {
    for (const { backend } of this.#idle.splice(0)) backend.terminate();
  }

  /** After every change: a place may have become free, or a pause may be complete. */
  #settle(): void {
    this.#serve();
    this.#grow();
    if (this.active > 0 || this.#phase === 'open') return;
    for (const resolve of this.#quiet.splice(0)) resolve();
  }

  #timeoutError(): OperatingError {
    const { waitTimeoutMs, size } = this.#config;
    const failure = this.#backoff.standing;
    return new OperatingError(
      'pool-timeout',
      `no connection to shard "${this.target.shard}" became free within ${waitTimeoutMs} ms`,
      {
        detail:
          this.#phase === 'paused'
            ? 'The database is paused.'
            : `${this.active} of ${size} are in use, ${this.waits.size} clients wait.${failure === undefined ? '' : ` New ones fail: ${failure.message}.`}`,
        hint: 'Raise pool.size, or look for long transactions.',
      },
    );
  }

  #closedError(): OperatingError {
    return new OperatingError(
      'shutting-down',
      `the connections to shard "${this.target.shard}" are being closed`,
    );
  }
}
