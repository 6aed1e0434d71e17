import type { Config } from '../config/config.js';
import type { Histogram } from '../metrics/histogram.js';
import type { Blocker } from '../migration/engine.js';
import type { MigrationOptions, MigrationRecord } from '../migration/record.js';
import type { StatementRouter } from '../routing/router.js';
import type { Keyspace } from '../topology/keyspace.js';
import type { Snapshot } from '../topology/snapshot.js';

/**
 * Everything that the face (control port, HTTP, dashboard, CLI through them) needs from the running server, as plain
 * facts. The composition root implements it; nothing here is called on the hot path. Lists are made when asked for;
 * counters count since the start. Actions throw OperatingError when refused, and resolve when they are done.
 */
export interface Control {
  readonly version: string;
  readonly startedAtMs: number;
  /** The configuration that runs now. */
  config(): Config;

  /**
   * Brings the lists below up to date where other processes serve clients: they are as of the last time. `counts` leaves clients,
   * servers and templates as they were.
   */
  gather(what: 'counts' | 'everything'): Promise<void>;
  databases(): readonly DatabaseState[];
  /** One entry per database, shard and user that has ever been used. */
  pools(): readonly PoolState[];
  clients(): readonly ClientState[];
  servers(): readonly ServerState[];
  /** Processes that watch the topology. */
  proxies(): readonly ProxyState[];
  /** The busiest statement templates of a database, busiest first. */
  templates(database: string, limit: number): readonly TemplateState[];

  /** Ring, shards and moves at this moment; undefined when there is no such database. */
  snapshot(database: string): Snapshot | undefined;
  /**
   * The tables; reads them first when that has not happened yet. Resolves with undefined when there is no such database
   * or when it is passed through; rejects when no shard can be asked.
   */
  keyspace(database: string): Promise<Keyspace | undefined>;
  /** For EXPLAIN ROUTE; as for `keyspace`. */
  router(database: string): Promise<StatementRouter | undefined>;
  /** Asks every shard whether it answers, with a short deadline; never rejects. */
  probeShards(): Promise<readonly ShardProbe[]>;
  /** Compares the tables of all shards of a database. */
  drift(database: string): Promise<readonly DriftState[]>;

  migrations(): readonly MigrationState[];
  /** Calls back after each change worth showing (phase, progress at most some times a second). Returns how to stop. */
  watchMigrations(listener: (migration: MigrationState) => void): () => void;
  /** What would move, and what forbids it; changes nothing. */
  planMigration(request: MigrationRequest): Promise<MigrationPlan>;
  /** Starts it and resolves with its record once that is durable; rejects when preflight finds a blocker. */
  startMigration(request: MigrationRequest): Promise<MigrationState>;
  /** Resolves when the request is durable; the migration's loop acts on it. `verify` resolves when it has verified. */
  steerMigration(id: string, action: MigrationAction): Promise<MigrationState>;

  /** Resolves when no transaction runs any more; new statements wait until `resume`. undefined: all databases. */
  pause(database: string | undefined): Promise<void>;
  resume(database: string | undefined): Promise<void>;
  /** Closes clients and servers of the database at once; new clients wait until `resume`. */
  kill(database: string): Promise<void>;
  /** Replaces each server connection when it is released. */
  reconnect(database: string | undefined): Promise<void>;
  /** Reads the configuration file again. Returns what changed but waits for a restart; rejects with ConfigError. */
  reload(): Promise<readonly string[]>;
  /** `now` ends at once; `wait` stops accepting and lets clients finish. Resolves when it has begun. */
  shutdown(mode: 'now' | 'wait'): Promise<void>;
}

export interface DatabaseState {
  readonly name: string;
  /** False: a plain pooler, one shard and no tables. */
  readonly isSharded: boolean;
  readonly isPaused: boolean;
  readonly clientsIdle: number;
  readonly clientsActive: number;
  readonly clientsWaiting: number;
  readonly transactionsTotal: number;
  readonly statementsTotal: number;
  /** Statements that went to one shard, to more than one, and refused ones. */
  readonly singleShardTotal: number;
  readonly scatterTotal: number;
  readonly refusedTotal: number;
  /** Errors that the proxy made (not those of servers). */
  readonly proxyErrorsTotal: number;
  readonly serverErrorsTotal: number;
  readonly twoPhaseCommitsTotal: number;
  /** From clients, to clients. */
  readonly receivedBytesTotal: number;
  readonly sentBytesTotal: number;
  readonly transactionMsTotal: number;
  readonly leasesTotal: number;
  readonly sharedRequestsTotal: number;
  readonly sharedRequestsAgainTotal: number;
  readonly leaseWaitMsTotal: number;
  readonly clientParsesTotal: number;
  readonly serverParsesTotal: number;
  readonly bindsTotal: number;
  readonly planCacheHitsTotal: number;
  readonly planCacheMissesTotal: number;
  readonly plansCached: number;
  /** Time from a request's arrival to the end of its answer. */
  readonly statementMs: Histogram;
  /** Statements that waited at the gate, those waiting now, and how long the last hold was. */
  readonly heldTotal: number;
  readonly heldNow: number;
  readonly lastHoldMs: number;
  readonly holdMs: Histogram;
}

export interface PoolState {
  readonly database: string;
  readonly shard: string;
  /** The client's user name that the pool is for. */
  readonly user: string;
  readonly mode: 'session' | 'transaction';
  readonly size: number;
  readonly serversActive: number;
  readonly serversIdle: number;
  readonly serversConnecting: number;
  readonly leasesWaiting: number;
  /** How long the first waiting one has waited; 0 when none waits. */
  readonly oldestWaitMs: number;
  readonly connectsTotal: number;
  readonly connectFailuresTotal: number;
  readonly waitTimeoutsTotal: number;
}

export interface ClientState {
  readonly id: number;
  readonly user: string;
  readonly database: string;
  readonly phase: 'idle' | 'active' | 'waiting';
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly connectedAtMs: number;
  readonly requestAtMs: number;
  /** How long it has been waiting for a backend or at the gate; 0 when it does not wait. */
  readonly waitMs: number;
  /** `TLSv1.3/…` or empty. */
  readonly tls: string;
  readonly applicationName: string;
  readonly preparedStatements: number;
  /** Ids of the servers it holds. */
  readonly servers: readonly number[];
  /** Why it stays on its backend after the transaction; empty when it does not. */
  readonly pinned: string;
}

export interface ServerState {
  readonly id: number;
  readonly user: string;
  readonly database: string;
  readonly shard: string;
  readonly phase: 'idle' | 'active' | 'connecting';
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly connectedAtMs: number;
  readonly requestAtMs: number;
  readonly processId: number;
  readonly tls: string;
  readonly preparedStatements: number;
  /** The client that holds it, undefined when none or several (pipelined). */
  readonly client: number | undefined;
  readonly isClosing: boolean;
}

export interface ProxyState {
  readonly id: string;
  readonly address: string;
  readonly processId: number;
  readonly startedAtMs: number;
  readonly clients: number;
  /** `database:epoch`, … */
  readonly epochs: string;
}

export interface TemplateState {
  readonly database: string;
  /** The statement with its literals taken out: never shows values. */
  readonly template: string;
  readonly verb: string;
  /** How it routes, e.g. `customer_id = $1`, `scatter`, `home`, `not supported: …`. */
  readonly route: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly errors: number;
}

export interface ShardProbe {
  readonly database: string;
  readonly shard: string;
  readonly isReachable: boolean;
  readonly roundTripMs: number;
  /** Why it is not reachable; empty when it is. */
  readonly error: string;
}

export interface DriftState {
  readonly database: string;
  readonly table: string;
  readonly shard: string;
  /** What differs from home, e.g. `column note is missing`. */
  readonly difference: string;
}

export interface MigrationState {
  readonly record: MigrationRecord;
  /** Bytes of log that the target is behind; undefined while no stream runs. */
  readonly lagBytes: number | undefined;
  readonly rowsApplied: number;
}

export interface MigrationRequest {
  readonly database: string;
  readonly kind: MigrationRecord['kind'];
  readonly shard: string | undefined;
  readonly url: string | undefined;
  readonly options: Partial<MigrationOptions>;
}

export interface MigrationPlan {
  /** As it would be started; not stored. */
  readonly record: MigrationRecord;
  readonly blockers: readonly Blocker[];
}

export const MIGRATION_ACTIONS = [
  'verify',
  'pause',
  'resume',
  'cutover',
  'rollback',
  'finish',
  'abort',
] as const;
export type MigrationAction = (typeof MIGRATION_ACTIONS)[number];
