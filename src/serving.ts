import type { Config, DatabaseConfig } from './config/config.js';
import { wingOf } from './dialects.js';
import { OperatingError } from './lib/errors.js';
import type { Logger } from './lib/log.js';
import { StatementIds } from './pool/statement-ids.js';
import type { CancelKey } from './proxy/cancel.js';
import { Clients } from './proxy/clients.js';
import { Database } from './proxy/database.js';
import { ANY_DATABASE, Databases } from './proxy/databases.js';
import type { ClientDoor, DoorGuests } from './proxy/frontend.js';
import { Reception } from './proxy/reception.js';
import type { TransactionScope } from './proxy/two-phase.js';
import { firstSnapshot } from './topology/opening.js';
import type { DecisionLog } from './topology/store.js';
import { Topology } from './topology/topology.js';

/** What goes beyond this process, because its clients' sessions and tables are also in others. */
export interface Neighbours {
  /** Resolves when the session with this key, if there is one, has been cancelled. */
  cancel(key: CancelKey): Promise<void>;
  /** False: no other process has this session. */
  kill(database: string, id: number, queryOnly: boolean, user: string): Promise<boolean>;
  /** Resolves when all others have read the tables anew. */
  tablesChanged(database: string): Promise<void>;
  /** DDL was seen: statements prepared from now on may mean something else. */
  statementsChanged(): void;
}

/** For a process that is alone. */
export const NO_NEIGHBOURS: Neighbours = {
  cancel: async () => {},
  kill: async () => false,
  tablesChanged: async () => {},
  statementsChanged: () => {},
};

export interface ServingOptions {
  readonly config: () => Config;
  readonly log: Logger;
  readonly decisions: DecisionLog;
  readonly scope: TransactionScope;
  readonly neighbours: Neighbours;
  /** See CancelKeys. */
  readonly space: number;
}

/** What serves clients, in a process of its own or in a worker: databases, clients, doors. */
export class Serving {
  readonly databases: Databases;
  readonly clients: Clients;
  readonly statementIds = new StatementIds();
  readonly #options: ServingOptions;

  constructor(options: ServingOptions, topologies: ReadonlyMap<string, Topology>) {
    this.#options = options;
    const { databases, limits } = options.config();
    const listed = [...topologies].map(([name, topology]) => this.#newDatabase(databases[name]!, topology));
    this.databases = new Databases(
      listed,
      databases[ANY_DATABASE],
      (named) => this.#wildcardDatabase(named),
      limits.maxClients,
    );
    const findUser = (name: string) => options.config().users.find((user) => user.name === name);
    this.clients = new Clients(this.databases, findUser, options.log, options.space);
  }

  /** DDL was seen, here or by a neighbour. */
  schemaChanged(): void {
    this.statementIds.schemaChanged();
    for (const database of this.databases.all) database.hiddenWrites.forget();
  }

  /** Who may come in, and what they may ask before they have a session. */
  guests(engine: DatabaseConfig['engine']): DoorGuests {
    const { config, neighbours } = this.#options;
    return {
      config,
      refusal: () => this.clients.refusal(config().limits.maxClients),
      databaseRefusal: (name) => this.databases.refusal(name, engine),
      defaultDatabase: () => this.#onlyDatabase(engine),
      servers: async () => {
        const spoken = this.databases.all.filter((database) => database.config.engine === engine);
        return (await Promise.all(spoken.map((database) => database.reported()))).flat();
      },
      statementIds: this.statementIds,
      cancel: async (key) => {
        if (!(await this.clients.cancelKeys.cancel(key))) await neighbours.cancel(key);
      },
      issueKey: () => this.clients.cancelKeys.issue(),
    };
  }

  reception(engine: DatabaseConfig['engine']): Reception {
    const door = wingOf(engine).clientDoor(this.guests(engine));
    return new Reception(door, (frontend) => this.clients.admit(frontend), this.#options.log);
  }

  /** For clients beyond the limit. */
  refusingDoor(engine: DatabaseConfig['engine']): ClientDoor {
    const { maxClients } = this.#options.config().limits;
    const refusal = () => this.clients.fullRefusal(maxClients);
    return wingOf(engine).clientDoor({ ...this.guests(engine), refusal });
  }

  async close(): Promise<void> {
    for (const database of this.databases.all) database.twoPhase.stop();
    await Promise.all(this.databases.all.map((database) => database.close()));
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
    const named = { ...config, shards };
    return this.#newDatabase(named, new Topology(firstSnapshot(named)));
  }

  #newDatabase(config: DatabaseConfig, topology: Topology): Database {
    const { decisions, scope, neighbours, log } = this.#options;
    const database = new Database(
      config,
      topology,
      wingOf(config.engine).dialect,
      this.#options.config().limits,
      { decisions, scope },
      log.child({ database: config.name }),
    );
    database.onSchemaChange = () => {
      this.schemaChanged();
      neighbours.statementsChanged();
    };
    database.onDdl = () => neighbours.tablesChanged(config.name);
    database.kill = (id, queryOnly, user) => this.#kill(database, id, queryOnly, user);
    return database;
  }

  async #kill(database: Database, id: number, queryOnly: boolean, user: string): Promise<void> {
    if (await this.clients.killById(database, id, queryOnly, user)) return;
    if (await this.#options.neighbours.kill(database.name, id, queryOnly, user)) return;
    throw new OperatingError(
      'unknown-session',
      `no client of database "${database.name}" has the number ${id}`,
    );
  }

  #onlyDatabase(engine: DatabaseConfig['engine']): string | undefined {
    const named = Object.values(this.#options.config().databases).filter(
      (database) => database.engine === engine,
    );
    return named.length === 1 && named[0]!.name !== ANY_DATABASE ? named[0]!.name : undefined;
  }
}

/** The configuration as a reload leaves it: what the table of settings calls reloadable is asked for each time it matters. */
export function reloaded(current: Config, next: Config): Config {
  const limits = { ...current.limits, maxClients: next.limits.maxClients };
  return { ...current, users: next.users, admin: next.admin, limits };
}

/** Reads the tables of all sharded databases anew. */
export async function reloadAllTables(databases: Databases, log: Logger): Promise<void> {
  const reload = async (database: Database) => {
    if (database.isPassThrough) return;
    try {
      await database.loadRouter();
    } catch (thrown) {
      log.warn({ database: database.name, reason: (thrown as Error).message }, 'tables cannot be read now');
    }
  };
  for (const database of databases.all) await reload(database);
}
