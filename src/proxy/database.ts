import { LRUCache } from 'lru-cache';
import type { DatabaseConfig, LimitsConfig, PoolConfig } from '../config/config.js';
import { asError, OperatingError } from '../lib/errors.js';
import type { Logger } from '../lib/log.js';
import type { Backend, BackendTarget } from '../pool/backend.js';
import { Pool } from '../pool/pool.js';
import type { StatementRouter } from '../routing/router.js';
import type { ShardName } from '../topology/ring.js';
import { servingShards } from '../topology/snapshot.js';
import type { DecisionLog } from '../topology/store.js';
import type { Topology } from '../topology/topology.js';
import { DatabaseCounters } from './counters.js';
import type { Dialect } from './dialect.js';
import type { ClientIdentity } from './frontend.js';
import { HiddenWrites } from './hidden-writes.js';
import type { MergeValues } from './merge-values.js';
import { GlobalNumbers } from './numbers.js';
import { TemplateCounts } from './templates.js';
import { type TransactionScope, TwoPhaseCommit } from './two-phase.js';

/** Who a client's statements log in as on the shards. Without a user that is who the shard's URL names. */
export interface Credentials {
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** The client itself: for shards whose URL names no user. */
  readonly own?: Login | undefined;
}

interface Login {
  readonly user: string;
  readonly password: string | undefined;
}

const OF_THE_URL: Credentials = { user: undefined, password: undefined };

/** How connections of a pool are opened. */
interface PoolFacts {
  readonly shard: ShardName;
  readonly credentials: Credentials;
  readonly startup: ReadonlyMap<string, string>;
}

/** Most connections to a shard for what the proxy asks itself. */
const OWN_CONNECTIONS = 2;

/** One database that clients can connect to: its topology, its pools, its router. */
export class Database {
  readonly name: string;
  readonly config: DatabaseConfig;
  readonly topology: Topology;
  readonly dialect: Dialect;
  readonly limits: LimitsConfig;
  readonly twoPhase: TwoPhaseCommit;
  readonly counters = new DatabaseCounters();
  readonly templates: TemplateCounts;
  readonly numbers: GlobalNumbers;
  readonly hiddenWrites: HiddenWrites;
  readonly #log: Logger;
  readonly #pools = new Map<string, Pool>();
  readonly #ownPools = new Map<string, Pool>();
  /** Those of shards, as every login asks for them. */
  readonly #urls = new LRUCache<string, URL>({ max: 1_000 });
  #router: StatementRouter | undefined;
  #loading: Promise<StatementRouter> | undefined;
  #mergeValues: MergeValues | undefined;
  #isPaused = false;
  /** Paused, and no transaction is open any more. */
  #isQuiet = false;
  /** The first connection to home is on its way, for what its server says. */
  #meeting: Promise<void> | undefined;
  /**
   * Ends the statement of a session of the same user, or the whole session, by the number that its client was told, in whichever process it
   * is; the composition root sets it.
   */
  kill: (id: number, queryOnly: boolean, user: string) => Promise<void> = async () => {};
  /** DDL went through a session here: resolves when the other processes have read the tables anew, too. The composition root sets it. */
  onDdl: () => Promise<void> = async () => {};
  /** DDL was seen on one of its backends; the composition root sets it before the first pool is made. */
  onSchemaChange: () => void = () => {};
  /** What servers report for clients with these startup settings. */
  readonly knownParameters = new LRUCache<string, ReadonlyMap<string, string>>({ max: 500, ttl: 60_000 });

  constructor(
    config: DatabaseConfig,
    topology: Topology,
    dialect: Dialect,
    limits: LimitsConfig,
    { decisions, scope }: { readonly decisions: DecisionLog; readonly scope: TransactionScope },
    log: Logger,
  ) {
    this.name = config.name;
    this.config = config;
    this.topology = topology;
    this.dialect = dialect;
    this.limits = limits;
    this.#log = log;
    this.twoPhase = new TwoPhaseCommit(this, decisions, scope, log);
    this.templates = new TemplateCounts(limits.maxPlans);
    this.numbers = new GlobalNumbers(this);
    this.hiddenWrites = new HiddenWrites(dialect, config.pool);
    topology.gate.onRelease = (holdMs) => this.counters.holdMs.observe(holdMs);
  }

  /** A database with one shard and no tables: everything passes through as it is. */
  get isPassThrough(): boolean {
    return Object.keys(this.config.tables).length === 0 && this.topology.current.shards.length === 1;
  }

  shardUrl(shard: ShardName): string {
    const entry = this.topology.current.shards.find((candidate) => candidate.name === shard);
    if (entry === undefined) {
      const known = this.topology.current.shards.map((candidate) => candidate.name).join(', ');
      throw new OperatingError(
        'invalid-parameter',
        `there is no shard "${shard}" in database "${this.name}"`,
        { hint: `Its shards are: ${known}.` },
      );
    }
    return entry.url;
  }

  /** The pool of connections to one shard, as these credentials, opened with these startup parameters. */
  pool(
    shard: ShardName,
    credentials: Credentials = OF_THE_URL,
    startup = this.dialect.startupDefaults,
  ): Pool {
    return this.#poolIn(this.#pools, { shard, credentials, startup }, this.config.pool);
  }

  #poolIn(pools: Map<string, Pool>, { shard, credentials, startup }: PoolFacts, config: PoolConfig): Pool {
    const url = this.shardUrl(shard);
    const { user, password } = loginAt(this.#parsed(url), credentials);
    const key = JSON.stringify([shard, url, user, password ?? null, ...[...startup].flat()]);
    let pool = pools.get(key);
    if (pool === undefined) {
      pool = new Pool(
        this.dialect.connect,
        { ...targetOf(shard, url, credentials, this.config.serverCa), onSchemaChange: this.onSchemaChange },
        startup,
        config,
      );
      if (pools === this.#pools ? this.#isPaused : this.#isQuiet) pool.pause();
      pools.set(key, pool);
    }
    return pool;
  }

  /** As whom these credentials log in to a shard. */
  userAt(shard: ShardName, credentials: Credentials): string {
    return loginAt(this.#parsed(this.shardUrl(shard)), credentials).user;
  }

  #parsed(url: string): URL {
    let parsed = this.#urls.get(url);
    if (parsed === undefined) {
      parsed = new URL(url);
      this.#urls.set(url, parsed);
    }
    return parsed;
  }

  /** How connections for this client are opened, so that clients who differ in nothing there share them. */
  startupOf(identity: ClientIdentity): ReadonlyMap<string, string> {
    const own = this.dialect.connectionStartup(identity, this.config);
    return own.size === 0 ? this.dialect.startupDefaults : new Map([...this.dialect.startupDefaults, ...own]);
  }

  get pools(): Pool[] {
    return [...this.#pools.values(), ...this.#ownPools.values()];
  }

  /** For merging rows; made of the keyspace that the router has. */
  get mergeValues(): MergeValues {
    this.#mergeValues ??= this.dialect.mergeValues(this.#router!.keyspace);
    return this.#mergeValues;
  }

  /**
   * What the servers of its shards said of themselves when they were connected to last. Where none was yet, home is asked, if it lets us in
   * without a client's credentials; empty when it cannot be reached.
   */
  async reported(): Promise<ReadonlyMap<string, string>[]> {
    const known = () => this.pools.flatMap(({ reported }) => reported ?? []);
    const { home } = this.topology.current;
    if (known().length > 0 || new URL(this.shardUrl(home)).username === '') return known();
    this.#meeting ??= this.withBackend(home, async () => {})
      .catch(() => undefined)
      .finally(() => {
        this.#meeting = undefined;
      });
    await this.#meeting;
    return known();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The router if the schema has been read. */
  get loadedRouter(): StatementRouter | undefined {
    return this.#router;
  }

  /** The router; reads the schema from a shard at its first use. Throws `not-ready` when no shard can be asked. */
  router(): StatementRouter | Promise<StatementRouter> {
    return this.#router ?? this.loadRouter();
  }

  /** Reads the schema anew (first use, RELOAD, after DDL). */
  loadRouter(): Promise<StatementRouter> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** Before the client hears that its DDL is done: nobody routes by the tables as they were. */
  async reloadAfterDdl(): Promise<void> {
    await Promise.all([this.reloadTables(), this.onDdl()]);
  }

  /** The DDL is done whether or not the schema can be read now; until it can, nothing is routed by the old one. */
  async reloadTables(): Promise<void> {
    this.hiddenWrites.forget();
    // One that began before the DDL was committed may have read the schema as it was.
    await this.#loading?.catch(() => undefined);
    try {
      await this.loadRouter();
    } catch (thrown) {
      this.#router = undefined;
      this.#log.warn(
        { reason: asError(thrown).message },
        'the tables cannot be read after DDL; statements wait for it',
      );
    }
  }

  async #load(): Promise<StatementRouter> {
    if (this.isPassThrough) {
      this.#router ??= this.dialect.createPassThroughRouter(this.name, this.limits);
      return this.#router;
    }
    const { home } = this.topology.current;
    const failures: string[] = [];
    for (const shard of [home, ...servingShards(this.topology.current).filter((name) => name !== home)]) {
      try {
        const keyspace = await this.withBackend(shard, (backend) =>
          this.dialect.readKeyspace((sql) => backend.rows(sql), this.config),
        );
        if (this.#router === undefined) this.#router = this.dialect.createRouter(keyspace, this.limits);
        else this.#router.keyspace = keyspace;
        this.#mergeValues = undefined;
        return this.#router;
      } catch (thrown) {
        if (thrown instanceof OperatingError && thrown.code === 'configuration') throw thrown;
        failures.push(asError(thrown).message);
      }
    }
    throw new OperatingError('not-ready', `no shard of database "${this.name}" can be asked for its tables`, {
      detail: failures.join('; '),
      hint: 'Start the database servers, or correct their URLs in the configuration.',
    });
  }

  /**
   * Borrows a backend for something of the proxy's own, beside those of the clients: they may hold all of theirs, and wait for
   * what is asked here.
   */
  async withBackend<T>(shard: ShardName, act: (backend: Backend) => Promise<T>): Promise<T> {
    const facts = { shard, credentials: OF_THE_URL, startup: this.dialect.startupDefaults };
    const pool = this.#poolIn(this.#ownPools, facts, { ...this.config.pool, size: OWN_CONNECTIONS });
    const backend = await pool.lease();
    try {
      return await act(backend);
    } finally {
      pool.release(backend);
    }
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    await Promise.all([...this.#pools.values()].map((pool) => pool.pause()));
    // Transactions that were open may have needed what the proxy asks for them.
    const isBusy = [...this.#pools.values()].some((pool) => pool.active > 0);
    if (!this.#isPaused || isBusy) return;
    this.#isQuiet = true;
    await Promise.all([...this.#ownPools.values()].map((pool) => pool.pause()));
  }

  resume(): void {
    this.#isPaused = false;
    this.#isQuiet = false;
    for (const pool of this.pools) pool.resume();
  }

  async reconnect(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.reconnect()));
  }

  async close(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.close()));
    this.#pools.clear();
    this.#ownPools.clear();
  }

  /** Closes the pools of shards that are no longer in the topology. */
  async forgetShard(shard: ShardName): Promise<void> {
    for (const pools of [this.#pools, this.#ownPools]) {
      for (const [key, pool] of pools) {
        if (pool.target.shard !== shard) continue;
        pools.delete(key);
        await pool.close();
      }
    }
  }
}

/** Where a pool's connections go, and as whom. */
export function targetOf(
  shard: ShardName,
  url: string,
  credentials: Credentials,
  serverCa: string | undefined,
): BackendTarget {
  const parsed = new URL(url);
  return {
    shard,
    url,
    ...loginAt(parsed, credentials),
    database: decodeURIComponent(parsed.pathname.slice(1)),
    serverCa,
  };
}

function loginAt(url: URL, { user, password, own }: Credentials): Login {
  if (user !== undefined) return { user, password };
  if (url.username === '' && own !== undefined) return own;
  return {
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password) || undefined,
  };
}
