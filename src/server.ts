import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Control } from './admin/control.js';
import { Face } from './admin/face.js';
import type { RunningHttp } from './admin/http.js';
import { LiveControl } from './admin/live-control.js';
import { VERSION } from './admin/version.js';
import type { Config, DatabaseConfig, HostPort } from './config/config.js';
import { ENGINES } from './config/engines.js';
import { settingsWaitingForRestart } from './config/running.js';
import { consoleDoor, loadWings, wingOf } from './dialects.js';
import { type Clock, systemClock } from './lib/clock.js';
import { OperatingError } from './lib/errors.js';
import { createLog, type Logger } from './lib/log.js';
import { Migrations } from './migration/migrations.js';
import { pausePointFromEnvironment } from './pause-point.js';
import type { Database } from './proxy/database.js';
import { ANY_DATABASE } from './proxy/databases.js';
import { Listener } from './proxy/listener.js';
import { Reception } from './proxy/reception.js';
import { newRun } from './proxy/two-phase.js';
import { NO_NEIGHBOURS, reloadAllTables, reloaded, Serving } from './serving.js';
import { FileStore } from './topology/file-store.js';
import { openSnapshot } from './topology/opening.js';
import type { TopologyStore } from './topology/store.js';
import { encodeTopology } from './topology/stored-json.js';
import { Topology } from './topology/topology.js';
import { Crew, workerCount } from './workers/crew.js';
import type { Welcome } from './workers/messages.js';
import { serveWorker } from './workers/primary-duty.js';
import { RemoteParticipant } from './workers/remote-participant.js';
import { Roll } from './workers/roll.js';
import { primaryShare, workerShare } from './workers/shares.js';
import type { WorkerProcess } from './workers/worker-process.js';
import { writeHold } from './workers/written-hold.js';

export interface ServerOptions {
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Reads the configuration again for RELOAD; without it RELOAD says that there is no file. */
  readonly loadConfig?: () => Promise<Config>;
  /** Called when SHUTDOWN on the control port has closed everything. */
  readonly onShutdown?: () => void;
}

export interface RunningServer {
  /** Where it listens; a role that is not configured is undefined. */
  readonly addresses: {
    readonly postgres: HostPort | undefined;
    readonly mysql: HostPort | undefined;
    readonly admin: HostPort | undefined;
    readonly http: HostPort | undefined;
  };
  readonly control: Control;
  /** Takes the new configuration as far as it can be taken while running; returns what waits for a restart. */
  reload(config: Config): Promise<readonly string[]>;
  /** Stops accepting, lets transactions end for `drainMs` (0: none waits), closes everything. */
  close(options?: { readonly drainMs?: number }): Promise<void>;
  /** A new process for each worker, one after the other, without refusing a client; the ones before drain for `drainMs`. */
  renewWorkers(options?: { readonly drainMs?: number }): Promise<void>;
}

/** Everything that one proxy is made of. Started in this order, closed in the opposite one. */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const log = options.log ?? createLog(config.log.level);
  const clock = options.clock ?? systemClock;
  const parts = new Parts(config, log, clock);
  try {
    await parts.open();
    return await parts.serve(options);
  } catch (thrown) {
    await parts.close(0);
    throw thrown;
  }
}

/**
 * The composition root: makes the rooms and wires them. With one worker everything is in this process. With more it is
 * their primary: store, migrations, control port and HTTP are here, clients and the pools that serve them are there (worker.ts).
 */
class Parts {
  #config: Config;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #migrations = new Map<string, Migrations>();
  readonly #listeners: Listener[] = [];
  readonly #workers: number;
  #store: TopologyStore | undefined;
  #serving: Serving | undefined;
  #roll: Roll | undefined;
  #crew: Crew | undefined;
  #face: Face | undefined;
  #http: RunningHttp | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: Config, log: Logger, clock: Clock) {
    this.#config = config;
    this.#log = log;
    this.#clock = clock;
    this.#workers = workerCount(config.workers);
  }

  /** Store, topologies, databases, what earlier processes left undone. */
  async open(): Promise<void> {
    await loadWings(Object.values(this.#config.databases));
    const store = await FileStore.open(this.#config.store.path);
    this.#store = store;
    const roll = new Roll(join(this.#config.store.path, 'workers.json'));
    await roll.endOrphans();
    this.#roll = roll;
    const topologies = new Map<string, Topology>();
    for (const config of Object.values(this.#config.databases)) {
      if (config.name !== ANY_DATABASE)
        topologies.set(config.name, new Topology(await openSnapshot(store, config)));
    }
    const serving = new Serving(
      {
        config: () => (this.#workers > 1 ? primaryShare(this.#config) : this.#config),
        log: this.#log,
        decisions: store.decisions,
        scope: { run: newRun(), mayResolve: (run) => this.#crew?.isAlive(run) !== true },
        neighbours: NO_NEIGHBOURS,
        space: 0,
      },
      topologies,
    );
    this.#serving = serving;
    for (const database of serving.databases.all) {
      if (database.isPassThrough) continue;
      await database.twoPhase.recover();
      this.#migrations.set(database.name, await this.#migrationsOf(database, store));
    }
    for (const migrations of this.#migrations.values()) await migrations.resumeAll();
  }

  /** Doors to the outside, last, when everything behind them is ready. */
  async serve(options: ServerOptions): Promise<RunningServer> {
    const { databases, clients } = this.#serving!;
    const crew = this.#workers > 1 ? this.#makeCrew(this.#serving!, this.#store!) : undefined;
    this.#crew = crew;
    await crew?.start();
    const control = new LiveControl({
      config: () => this.#config,
      databases,
      clients,
      migrations: this.#migrations,
      clock: this.#clock,
      elsewhere: crew,
      reload: async () => this.#reloadFrom(options),
      shutdown: (mode) => {
        void this.close(mode === 'wait' ? Number.POSITIVE_INFINITY : 0).then(() => options.onShutdown?.());
      },
    });
    const face = new Face(control, this.#clock);
    this.#face = face;
    const { listen } = this.#config;
    const admin = await this.#listen('the control port', listen.admin, this.#consoleReception(face));
    if (listen.http !== undefined) {
      const password = () => this.#config.admin.password;
      this.#http = await face.startHttp({ listen: listen.http, password, withProcessMetrics: true });
    }
    const postgres = await this.#admit('postgres', listen.postgres);
    const mysql = await this.#admit('mysql', listen.mysql);
    return {
      addresses: { postgres, mysql, admin, http: this.#http?.address },
      control,
      reload: (config) => this.#reload(config),
      close: ({ drainMs = 0 } = {}) => this.close(drainMs),
      renewWorkers: ({ drainMs = 0 } = {}) => this.#renewWorkers(drainMs),
    };
  }

  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.stopAccepting();
    await Promise.all([this.#crew?.close(drainMs), this.#serving?.clients.drain(drainMs)]);
    for (const migrations of this.#migrations.values()) await migrations.stop();
    await this.#serving?.close();
    this.#face?.close();
    await this.#http?.close();
    for (const listener of this.#listeners) listener.destroyAll();
    if (this.#crew !== undefined) await this.#roll?.close();
    await this.#store?.close();
  }

  async #migrationsOf(database: Database, store: TopologyStore): Promise<Migrations> {
    return new Migrations({
      topology: database.topology,
      store,
      engine: await wingOf(database.config.engine).createMigrationEngine(this.#config, this.#log),
      keyspace: async () => (await database.loadRouter()).keyspace,
      shardUrl: (shard) =>
        database.config.shards[shard]?.url ??
        database.topology.current.shards.find(({ name }) => name === shard)?.url,
      config: this.#config.migration,
      vnodes: database.config.ring.vnodes,
      log: this.#log.child({ database: database.name }),
      clock: this.#clock,
      pausePoint: pausePointFromEnvironment(process.env),
    });
  }

  #makeCrew(serving: Serving, { decisions }: TopologyStore): Crew {
    const crew: Crew = new Crew({
      count: this.#workers,
      entry: workerEntry(),
      version: VERSION,
      config: () => this.#config,
      log: this.#log,
      roll: this.#roll!,
      welcome: (worker) => this.#welcome(worker),
      join: (worker) => this.#join(worker),
      onMessage: (worker, message) =>
        serveWorker(
          {
            crew,
            decisions,
            database: (name) => serving.databases.find(name),
            statementsChanged: () => serving.schemaChanged(),
          },
          worker,
          message,
        ),
    });
    return crew;
  }

  /** Databases with a topology of their own, which is told; those that "*" admits each worker makes for itself. */
  get #listed(): readonly Database[] {
    return this.#serving!.databases.all.filter(({ name }) => this.#config.databases[name] !== undefined);
  }

  #welcome({ place: { number, slot, run } }: WorkerProcess): Welcome {
    const { listen } = this.#config;
    return {
      type: 'welcome',
      number,
      run,
      owner: this.#store!.decisions.owner,
      engines: (['postgres', 'mysql'] as const).filter((engine) => listen[engine] !== undefined),
      config: workerShare(this.#config, slot, this.#workers),
      topologies: this.#listed.map(({ name, topology }) => {
        const hold = topology.participants.standingHold;
        return {
          database: name,
          topology: encodeTopology(topology.current),
          hold: hold === undefined ? null : writeHold(hold),
        };
      }),
      paused: this.#listed.filter(({ isPaused }) => isPaused).map(({ name }) => name),
    };
  }

  #join(worker: WorkerProcess): () => Promise<void> {
    const { channel, ended, place } = worker;
    const leaves = this.#listed.map(({ name, topology }) => {
      const onRefused = (error: Error) => {
        if (worker.phase === 'ended') return;
        this.#log.error(
          { worker: place.number, reason: error.message },
          'a worker cannot follow the topology; it is ended',
        );
        worker.kill();
      };
      return topology.participants.join(new RemoteParticipant(name, channel, ended, onRefused));
    });
    return async () => {
      for (const leave of leaves) leave();
      if (this.#closing !== undefined) return;
      const sharded = this.#listed.filter((database) => !database.isPassThrough);
      await Promise.all(sharded.map((database) => database.twoPhase.recover()));
    };
  }

  #consoleReception(face: Face): Reception {
    const guests = { ...this.#serving!.guests('postgres'), refusal: () => undefined };
    return new Reception(consoleDoor(guests), async (frontend) => face.serveConsole(frontend), this.#log);
  }

  async #admit(engine: DatabaseConfig['engine'], at: HostPort | undefined): Promise<HostPort | undefined> {
    if (at === undefined) return undefined;
    const name = `${ENGINES[engine].title} clients`;
    if (this.#crew !== undefined) return this.#crew.dealer.listen(name, engine, at);
    return this.#listen(name, at, this.#serving!.reception(engine));
  }

  async #listen(name: string, at: HostPort | undefined, reception: Reception): Promise<HostPort | undefined> {
    if (at === undefined) return undefined;
    const listener = new Listener(name, reception);
    const address = await listener.listen(at);
    this.#listeners.push(listener);
    return address;
  }

  async #renewWorkers(drainMs: number): Promise<void> {
    if (this.#crew === undefined)
      throw new OperatingError(
        'configuration',
        'one process serves all clients: there are no workers to renew',
        {
          hint: 'Set workers: 2 or more (or auto), and restart.',
        },
      );
    await this.#crew.renew(drainMs);
    this.#log.info({}, 'all workers were renewed');
  }

  async #reloadFrom(options: ServerOptions): Promise<readonly string[]> {
    if (options.loadConfig === undefined)
      throw new OperatingError('configuration', 'this server was started without a configuration file');
    return this.#reload(await options.loadConfig());
  }

  /** What the table of settings calls reloadable is asked for each time it matters; the rest waits for a restart. */
  async #reload(next: Config): Promise<readonly string[]> {
    const waiting = settingsWaitingForRestart(this.#config, next);
    this.#config = reloaded(this.#config, next);
    await Promise.all([
      reloadAllTables(this.#serving!.databases, this.#log),
      this.#crew?.askAll({ type: 'reload', config: next }),
    ]);
    this.#log.info({ waiting }, 'configuration read again');
    return waiting;
  }
}

/** The file that a worker runs: beside this one, and of the same kind. */
function workerEntry(): string {
  return fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));
}
