import type { Control } from './admin/control.js';
import { Face } from './admin/face.js';
import type { RunningHttp } from './admin/http.js';
import { LiveControl } from './admin/live-control.js';
import type { Config, DatabaseConfig, HostPort } from './config/config.js';
import { settingsWaitingForRestart } from './config/running.js';
import { wingOf } from './dialects.js';
import { type Clock, systemClock } from './lib/clock.js';
import { asError, OperatingError } from './lib/errors.js';
import { createLog, type Logger } from './lib/log.js';
import { Migrations } from './migration/migrations.js';
import { pausePointFromEnvironment } from './pause-point.js';
import type { CancelKey } from './proxy/cancel.js';
import { Clients } from './proxy/clients.js';
import { Database } from './proxy/database.js';
import { ANY_DATABASE, Databases } from './proxy/databases.js';
import { Listener } from './proxy/listener.js';
import { FileStore } from './topology/file-store.js';
import { firstSnapshot, openSnapshot } from './topology/opening.js';
import type { TopologyStore } from './topology/store.js';
import { Topology } from './topology/topology.js';

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
    readonly admin: HostPort | undefined;
    readonly http: HostPort | undefined;
  };
  readonly control: Control;
  /** Takes the new configuration as far as it can be taken while running; returns what waits for a restart. */
  reload(config: Config): Promise<readonly string[]>;
  /** Stops accepting, lets transactions end for `drainMs` (0: none waits), closes everything. */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/** Everything that one proxy process is made of. Started in this order, closed in the opposite one. */
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

/** The composition root: makes the rooms and wires them. */
class Parts {
  #config: Config;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #migrations = new Map<string, Migrations>();
  readonly #listeners: Listener[] = [];
  #store: TopologyStore | undefined;
  #databases: Databases | undefined;
  #clients: Clients | undefined;
  #face: Face | undefined;
  #http: RunningHttp | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: Config, log: Logger, clock: Clock) {
    this.#config = config;
    this.#log = log;
    this.#clock = clock;
  }

  /** Store, topologies, databases, what earlier processes left undone. */
  async open(): Promise<void> {
    for (const { engine } of Object.values(this.#config.databases)) await wingOf(engine).load();
    this.#store = await FileStore.open(this.#config.store.path);
    const listed: Database[] = [];
    for (const config of Object.values(this.#config.databases)) {
      if (config.name !== ANY_DATABASE) listed.push(await this.#openDatabase(config, this.#store));
    }
    const wildcard = this.#config.databases[ANY_DATABASE];
    this.#databases = new Databases(
      listed,
      wildcard,
      (named) => this.#wildcardDatabase(named),
      this.#config.limits.maxClients,
    );
    const findUser = (name: string) => this.#config.users.find((user) => user.name === name);
    this.#clients = new Clients(this.#databases, findUser, this.#log);
    for (const migrations of this.#migrations.values()) await migrations.resumeAll();
  }

  /** Doors to the outside, last, when everything behind them is ready. */
  async serve(options: ServerOptions): Promise<RunningServer> {
    const clients = this.#clients!;
    const control = new LiveControl({
      config: () => this.#config,
      databases: this.#databases!,
      clients,
      migrations: this.#migrations,
      clock: this.#clock,
      reload: async () => this.#reloadFrom(options),
      shutdown: (mode) => {
        void this.close(mode === 'wait' ? Number.POSITIVE_INFINITY : 0).then(() => options.onShutdown?.());
      },
    });
    const face = new Face(control, this.#clock);
    this.#face = face;
    const { listen } = this.#config;
    const wing = wingOf('postgres');
    const guests = {
      config: () => this.#config,
      refusal: () => clients.refusal(this.#config.limits.maxClients),
      databaseRefusal: (name: string) => this.#databases!.refusal(name),
      cancel: (key: CancelKey) => void clients.cancelKeys.cancel(key),
    };
    const admin = await this.#listen(
      'the control port',
      listen.admin,
      wing.consoleDoor({ ...guests, refusal: () => undefined }),
      async (frontend) => face.serveConsole(frontend),
    );
    if (listen.http !== undefined) {
      const password = () => this.#config.admin.password;
      this.#http = await face.startHttp({ listen: listen.http, password, withProcessMetrics: true });
    }
    const postgres = await this.#listen(
      'Postgres clients',
      listen.postgres,
      wing.clientDoor(guests),
      (frontend) => clients.admit(frontend),
    );
    return {
      addresses: { postgres, admin, http: this.#http?.address },
      control,
      reload: (config) => this.#reload(config),
      close: ({ drainMs = 0 } = {}) => this.close(drainMs),
    };
  }

  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.stopAccepting();
    await this.#clients?.drain(drainMs);
    for (const migrations of this.#migrations.values()) await migrations.stop();
    for (const database of this.#databases?.all ?? []) database.twoPhase.stop();
    await Promise.all((this.#databases?.all ?? []).map((database) => database.close()));
    this.#face?.close();
    await this.#http?.close();
    for (const listener of this.#listeners) listener.destroyAll();
    await this.#store?.close();
  }

  async #openDatabase(config: DatabaseConfig, store: TopologyStore): Promise<Database> {
    const topology = new Topology(await openSnapshot(store, config));
    const database = this.#newDatabase(config, topology, store);
    if (database.isPassThrough) return database;
    await database.twoPhase.recover();
    this.#migrations.set(config.name, this.#migrationsOf(database, store));
    return database;
  }

  /** A database that only the wildcard admits has nothing to remember: one shard, one owner. */
  #wildcardDatabase(config: DatabaseConfig): Database {
    const { dialect } = wingOf(config.engine);
    const shards = Object.fromEntries(
      Object.entries(config.shards).map(([name, shard]) => [
        name,
        { ...shard, url: dialect.withDatabase(shard.url, config.name) },
      ]),
    );
    return this.#newDatabase(
      { ...config, shards },
      new Topology(firstSnapshot({ ...config, shards })),
      this.#store!,
    );
  }

  #newDatabase(config: DatabaseConfig, topology: Topology, store: TopologyStore): Database {
    return new Database(
      config,
      topology,
      wingOf(config.engine).dialect,
      this.#config.limits,
      store.decisions,
      this.#log.child({ database: config.name }),
    );
  }

  #migrationsOf(database: Database, store: TopologyStore): Migrations {
    return new Migrations({
      topology: database.topology,
      store,
      engine: wingOf(database.config.engine).createMigrationEngine(this.#config, this.#log),
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

  async #listen(
    name: string,
    at: HostPort | undefined,
    door: ConstructorParameters<typeof Listener>[1],
    onFrontend: ConstructorParameters<typeof Listener>[2],
  ): Promise<HostPort | undefined> {
    if (at === undefined) return undefined;
    const listener = new Listener(name, door, onFrontend, this.#log);
    const address = await listener.listen(at);
    this.#listeners.push(listener);
    return address;
  }

  async #reloadFrom(options: ServerOptions): Promise<readonly string[]> {
    if (options.loadConfig === undefined)
      throw new OperatingError('configuration', 'this server was started without a configuration file');
    return this.#reload(await options.loadConfig());
  }

  /** What the table of settings calls reloadable is asked for each time it matters; the rest waits for a restart. */
  async #reload(next: Config): Promise<readonly string[]> {
    const waiting = settingsWaitingForRestart(this.#config, next);
    this.#config = {
      ...this.#config,
      users: next.users,
      admin: next.admin,
      limits: { ...this.#config.limits, maxClients: next.limits.maxClients },
    };
    for (const database of this.#databases?.all ?? []) {
      if (!database.isPassThrough) {
        await database
          .loadRouter()
          .catch((thrown) =>
            this.#log.warn(
              { database: database.name, reason: asError(thrown).message },
              'tables cannot be read now',
            ),
          );
      }
    }
    this.#log.info({ waiting }, 'configuration read again');
    return waiting;
  }
}
