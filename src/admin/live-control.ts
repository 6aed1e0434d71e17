import type { Config } from '../config/config.js';
import type { Clock } from '../lib/clock.js';
import { asError, OperatingError } from '../lib/errors.js';
import type { Migrations, MigrationState as RunningMigration } from '../migration/migrations.js';
import type { Clients } from '../proxy/clients.js';
import type { Database } from '../proxy/database.js';
import type { Databases } from '../proxy/databases.js';
import type { StatementRouter } from '../routing/router.js';
import type { Keyspace } from '../topology/keyspace.js';
import type { Snapshot } from '../topology/snapshot.js';
import type {
  ClientState,
  Control,
  DatabaseState,
  DriftState,
  MigrationAction,
  MigrationPlan,
  MigrationRequest,
  MigrationState,
  PoolState,
  ProxyState,
  ServerState,
  ShardProbe,
  TemplateState,
} from './control.js';
import { compareTables } from './drift.js';
import type { Elsewhere, ProcessReport } from './elsewhere.js';
import { reportOf } from './live-states.js';
import { type Operation, operateHere } from './operate-here.js';
import { addDatabases, mergeTemplates } from './totals.js';
import { VERSION } from './version.js';

/** How long a shard may take to answer a probe. */
const PROBE_TIMEOUT_MS = 2_000;

/** The running parts that the face looks at and acts on. */
export interface LiveParts {
  readonly config: () => Config;
  readonly databases: Databases;
  readonly clients: Clients;
  readonly migrations: ReadonlyMap<string, Migrations>;
  readonly clock: Clock;
  /** Undefined when this process alone serves clients. */
  readonly elsewhere: Elsewhere | undefined;
  readonly reload: () => Promise<readonly string[]>;
  readonly shutdown: (mode: 'now' | 'wait') => void;
}

/** `Control` over the running rooms. */
export class LiveControl implements Control {
  readonly version = VERSION;
  readonly startedAtMs: number;
  readonly #parts: LiveParts;

  constructor(parts: LiveParts) {
    this.#parts = parts;
    this.startedAtMs = parts.clock.now();
  }

  config(): Config {
    return this.#parts.config();
  }

  async gather(what: 'counts' | 'everything'): Promise<void> {
    await this.#parts.elsewhere?.gather(what);
  }

  databases(): readonly DatabaseState[] {
    return addDatabases(
      this.#report().databases,
      this.#others.flatMap(({ databases }) => databases),
    );
  }

  pools(): readonly PoolState[] {
    return [this.#report(), ...this.#others].flatMap(({ pools }) => pools);
  }

  clients(): readonly ClientState[] {
    return [this.#report(), ...this.#others].flatMap(({ clients }) => clients);
  }

  servers(): readonly ServerState[] {
    return [this.#report(), ...this.#others].flatMap(({ servers }) => servers);
  }

  proxies(): readonly ProxyState[] {
    return [this.#report(), ...this.#others].map(({ proxy }) => proxy).filter(({ id }) => id !== '');
  }

  templates(database: string, limit: number): readonly TemplateState[] {
    const found = [this.#report(), ...this.#others].flatMap(({ templates }) => templates);
    return mergeTemplates(
      found.filter((template) => template.database === database),
      limit,
    );
  }

  snapshot(database: string): Snapshot | undefined {
    return this.#parts.databases.find(database)?.topology.current;
  }

  async keyspace(database: string): Promise<Keyspace | undefined> {
    return (await this.router(database))?.keyspace;
  }

  async router(database: string): Promise<StatementRouter | undefined> {
    const found = this.#parts.databases.find(database);
    return found === undefined || found.isPassThrough ? undefined : found.router();
  }

  probeShards(): Promise<readonly ShardProbe[]> {
    const shards = this.#parts.databases.all.flatMap((database) =>
      database.topology.current.shards.map(({ name }) => ({ database, shard: name })),
    );
    return Promise.all(shards.map(({ database, shard }) => probe(database, shard)));
  }

  drift(database: string): Promise<readonly DriftState[]> {
    return compareTables(this.#database(database));
  }

  migrations(): readonly MigrationState[] {
    return [...this.#parts.migrations.values()].flatMap((migrations) =>
      migrations.list().map(migrationState),
    );
  }

  watchMigrations(listener: (migration: MigrationState) => void): () => void {
    const stops = [...this.#parts.migrations.values()].map((migrations) =>
      migrations.watch((state) => listener(migrationState(state))),
    );
    return () => {
      for (const stop of stops) stop();
    };
  }

  async planMigration(request: MigrationRequest): Promise<MigrationPlan> {
    const { record, blockers } = await this.#migrationsOf(request.database).plan(request);
    return { record, blockers };
  }

  async startMigration(request: MigrationRequest): Promise<MigrationState> {
    return migrationState(await this.#migrationsOf(request.database).begin(request));
  }

  async steerMigration(id: string, action: MigrationAction): Promise<MigrationState> {
    const migrations = [...this.#parts.migrations.values()].find(
      (candidate) => candidate.get(id) !== undefined,
    );
    if (migrations === undefined)
      throw new OperatingError('migration', `there is no migration ${id}`, {
        hint: 'SHOW MIGRATIONS lists them.',
      });
    if (action === 'pause') return migrationState(await migrations.pause(id));
    if (action === 'resume') return migrationState(await migrations.resume(id));
    if (action !== 'verify') return migrationState(await migrations.request(id, action));
    const { comparedRows, differences } = await migrations.verifyNow(id);
    const state = migrationState(migrations.get(id)!);
    const finishedAt = new Date(this.#parts.clock.now()).toISOString();
    return {
      ...state,
      record: {
        ...state.record,
        verification: { comparedRows, differences: differences.length, repaired: 0, finishedAt },
      },
    };
  }

  pause(database: string | undefined): Promise<void> {
    return this.#operate('pause', database);
  }

  resume(database: string | undefined): Promise<void> {
    return this.#operate('resume', database);
  }

  kill(database: string): Promise<void> {
    return this.#operate('kill', database);
  }

  reconnect(database: string | undefined): Promise<void> {
    return this.#operate('reconnect', database);
  }

  reload(): Promise<readonly string[]> {
    return this.#parts.reload();
  }

  async shutdown(mode: 'now' | 'wait'): Promise<void> {
    this.#parts.shutdown(mode);
  }

  /** Here and in all other processes. A database that only "*" admits may be known to some of them only. */
  async #operate(what: Operation, database: string | undefined): Promise<void> {
    const { databases, clients, elsewhere } = this.#parts;
    if (database !== undefined && !this.databases().some(({ name }) => name === database))
      this.#database(database);
    await Promise.all([
      operateHere({ databases, clients }, what, database),
      elsewhere?.operate(what, database),
    ]);
  }

  /** This process itself. */
  #report(): ProcessReport {
    return reportOf(this.#parts, this.startedAtMs);
  }

  get #others(): readonly ProcessReport[] {
    return this.#parts.elsewhere?.reports() ?? [];
  }

  #database(name: string): Database {
    const found = this.#parts.databases.find(name);
    if (found !== undefined) return found;
    const known = this.#parts.databases.all.map((database) => database.name).join(', ');
    throw new OperatingError('unknown-database', `there is no database "${name}"`, {
      hint: `There are: ${known}.`,
    });
  }

  #migrationsOf(name: string): Migrations {
    const migrations = this.#parts.migrations.get(this.#database(name).name);
    if (migrations !== undefined) return migrations;
    throw new OperatingError(
      'migration',
      `database "${name}" is passed through: nothing in it can be moved`,
      {
        hint: 'Declare the shard keys of its tables in the configuration first.',
      },
    );
  }
}

function migrationState({ record, lagBytes, rowsApplied }: RunningMigration): MigrationState {
  return { record, lagBytes, rowsApplied };
}

async function probe(database: Database, shard: string): Promise<ShardProbe> {
  const startedMs = performance.now();
  const answered = (isReachable: boolean, error: string): ShardProbe => ({
    database: database.name,
    shard,
    isReachable,
    roundTripMs: performance.now() - startedMs,
    error,
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PROBE_TIMEOUT_MS} ms`)), PROBE_TIMEOUT_MS);
  });
  try {
    await Promise.race([database.withBackend(shard, (backend) => backend.run('SELECT 1')), late]);
    return answered(true, '');
  } catch (thrown) {
    return answered(false, asError(thrown).message);
  } finally {
    clearTimeout(timer);
  }
}
