import type {
  Control,
  DatabaseState,
  MigrationRequest,
  MigrationState,
  TemplateState,
} from '../../src/admin/control.js';
import type { Config } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { Histogram } from '../../src/metrics/histogram.js';
import type { MigrationRecord } from '../../src/migration/record.js';
import { Ring } from '../../src/topology/ring.js';
import type { Snapshot } from '../../src/topology/snapshot.js';

const CONFIG = `
users: [ { name: app, password: secret } ]
databases:
  shop:
    shards:
      a: { url: "postgres://app:hidden@127.0.0.1:5431/shop" }
      b: { url: "postgres://app:hidden@127.0.0.1:5432/shop" }
    home: a
    tables: { orders: { key: customer_id } }
  legacy:
    shards: { a: { url: "postgres://app@127.0.0.1:5433/legacy" } }
`;

/** A Control without a server behind it: what it is told, and what it was asked to do. */
export class FakeControl implements Control {
  readonly version = '9.9.9';
  readonly startedAtMs = 1_700_000_000_000;
  readonly acts: string[] = [];
  readonly running: MigrationState[] = [];
  unreachable = new Set<string>();
  failure: Error | undefined;
  configuration: Config = parseConfig(CONFIG, '/etc/ringferry.yaml', {}).config;
  snapshots = new Map<string, Snapshot>([['shop', shopSnapshot()]]);
  databaseStates: DatabaseState[] = [databaseState('shop', true), databaseState('legacy', false)];
  templateStates: TemplateState[] = [
    {
      database: 'shop',
      template: 'SELECT * FROM orders WHERE customer_id = $1',
      verb: 'SELECT',
      route: 'customer_id = $1',
      calls: 4,
      totalMs: 6,
      errors: 1,
    },
  ];
  readonly #watchers = new Set<(migration: MigrationState) => void>();

  gather = async () => {};
  config = () => this.configuration;
  databases = () => this.databaseStates;
  proxies = () => [
    {
      id: 'p1',
      address: '127.0.0.1:6432',
      processId: 42,
      startedAtMs: this.startedAtMs,
      clients: 2,
      epochs: 'shop:7',
    },
  ];
  templates = (database: string, limit: number) =>
    this.templateStates.filter((template) => template.database === database).slice(0, limit);
  snapshot = (database: string) => this.snapshots.get(database);
  keyspace = async () => undefined;
  router = async () => undefined;
  migrations = () => this.running;

  pools() {
    const pool = {
      database: 'shop',
      user: 'app',
      mode: 'transaction' as const,
      size: 20,
      serversConnecting: 0,
      leasesWaiting: 0,
      connectsTotal: 3,
      connectFailuresTotal: 0,
      waitTimeoutsTotal: 0,
    };
    return [
      { ...pool, shard: 'a', serversActive: 2, serversIdle: 1, oldestWaitMs: 0 },
      { ...pool, shard: 'b', serversActive: 1, serversIdle: 4, oldestWaitMs: 1500.25 },
    ];
  }

  clients() {
    const client = {
      user: 'app',
      database: 'shop',
      address: '127.0.0.1',
      localAddress: '127.0.0.1',
      localPort: 6432,
      connectedAtMs: 1_700_000_000_000,
      requestAtMs: 1_700_000_001_000,
      tls: '',
      applicationName: 'web',
      preparedStatements: 3,
      pinned: '',
    };
    return [
      { ...client, id: 1, phase: 'active' as const, port: 5000, waitMs: 0, servers: [7] },
      { ...client, id: 2, phase: 'waiting' as const, port: 5001, waitMs: 250, servers: [] },
    ];
  }

  servers() {
    const server = {
      user: 'app',
      database: 'shop',
      address: '127.0.0.1',
      port: 5431,
      localAddress: '127.0.0.1',
      localPort: 4000,
      connectedAtMs: 1_700_000_000_000,
      requestAtMs: 1_700_000_001_000,
      processId: 99,
      tls: '',
      preparedStatements: 1,
      isClosing: false,
    };
    return [
      { ...server, id: 7, shard: 'a', phase: 'active' as const, client: 1 },
      { ...server, id: 8, shard: 'b', phase: 'connecting' as const, client: undefined },
    ];
  }

  async probeShards() {
    return ['a', 'b'].map((shard) => {
      const isReachable = !this.unreachable.has(shard);
      return {
        database: 'shop',
        shard,
        isReachable,
        roundTripMs: 0.4,
        error: isReachable ? '' : 'connection refused',
      };
    });
  }

  async drift(database: string) {
    return database === 'shop'
      ? [{ database, table: 'public.orders', shard: 'b', difference: 'column note is missing' }]
      : [];
  }

  watchMigrations(listener: (migration: MigrationState) => void) {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async planMigration(request: MigrationRequest) {
    const record = migrationRecord('plan', request);
    record.copies = [
      { source: 'a', table: 'public.orders', rows: 0, bytes: 0, estimatedRows: 1000, isDone: false },
    ];
    const blockers = request.url?.includes('bad')
      ? [{ shard: 'd', message: 'wal_level is replica', remedy: 'set wal_level = logical' }]
      : [];
    return { record, blockers };
  }

  async startMigration(request: MigrationRequest) {
    if (this.failure !== undefined) throw this.failure;
    this.acts.push(`start ${JSON.stringify(request)}`);
    const state = {
      record: migrationRecord(`m${this.running.length + 1}`, request),
      lagBytes: undefined,
      rowsApplied: 0,
    };
    this.running.push(state);
    return state;
  }

  async steerMigration(id: string, action: string) {
    this.acts.push(`${action} ${id}`);
    const state = this.running.find(({ record }) => record.id === id);
    if (state === undefined) throw new Error(`no migration ${id}`);
    return state;
  }

  /** Changes a running migration and tells the watchers. */
  advance(
    id: string,
    change: Partial<MigrationRecord>,
    facts: Partial<Omit<MigrationState, 'record'>> = {},
  ): void {
    const index = this.running.findIndex(({ record }) => record.id === id);
    const before = this.running[index]!;
    const next = { ...before, ...facts, record: { ...before.record, ...change } };
    this.running[index] = next;
    for (const watch of this.#watchers) watch(next);
  }

  pause = (database: string | undefined) => this.#act('pause', database);
  resume = (database: string | undefined) => this.#act('resume', database);
  kill = (database: string) => this.#act('kill', database);
  reconnect = (database: string | undefined) => this.#act('reconnect', database);
  shutdown = (mode: string) => this.#act('shutdown', mode);

  async reload() {
    await this.#act('reload', undefined);
    return ['listen.postgres'];
  }

  async #act(what: string, subject: string | undefined): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.acts.push([what, subject].filter((word) => word !== undefined).join(' '));
  }
}

export function databaseState(name: string, isSharded: boolean): DatabaseState {
  const statementMs = new Histogram();
  for (const ms of [0.2, 0.3, 4]) statementMs.observe(ms);
  return {
    name,
    isSharded,
    isPaused: false,
    clientsIdle: 5,
    clientsActive: 1,
    clientsWaiting: 1,
    transactionsTotal: 10,
    statementsTotal: 30,
    singleShardTotal: 20,
    scatterTotal: 5,
    refusedTotal: 2,
    proxyErrorsTotal: 2,
    serverErrorsTotal: 1,
    twoPhaseCommitsTotal: 1,
    receivedBytesTotal: 1000,
    sentBytesTotal: 2000,
    transactionMsTotal: 12.5,
    leasesTotal: 11,
    sharedRequestsTotal: 7,
    sharedRequestsAgainTotal: 1,
    leaseWaitMsTotal: 3,
    clientParsesTotal: 4,
    serverParsesTotal: 5,
    bindsTotal: 6,
    planCacheHitsTotal: 25,
    planCacheMissesTotal: 5,
    plansCached: 5,
    statementMs,
    heldTotal: 0,
    heldNow: 0,
    lastHoldMs: 0,
    holdMs: new Histogram(),
  };
}

function shopSnapshot(): Snapshot {
  const ring = Ring.of(['a', 'b'], 4);
  const [first] = ring.ranges();
  const owner = first!.owner;
  const middle = first!.range.low + (first!.range.high - first!.range.low) / 2n;
  return {
    database: 'shop',
    epoch: 7,
    ring,
    home: 'a',
    shards: ['a', 'b'].map((name, index) => ({
      name,
      url: `postgres://app:hidden@127.0.0.1:${5431 + index}/shop`,
      isServing: true,
    })),
    moves: [
      {
        migration: 'm0',
        source: owner,
        target: owner === 'a' ? 'b' : 'a',
        ranges: [{ low: first!.range.low, high: middle }],
        state: 'copying',
      },
    ],
  };
}

export function migrationRecord(id: string, request: MigrationRequest): MigrationRecord {
  return {
    id,
    database: request.database,
    kind: request.kind,
    shard: request.shard,
    shardUrl: request.url,
    createdAt: '2026-11-21T10:00:00.000Z',
    phase: 'planned',
    failure: undefined,
    moves: [
      { source: 'a', target: request.shard ?? 'b', ranges: [{ low: '0', high: String(2n ** 62n - 1n) }] },
    ],
    ring: { before: [], after: [] },
    tables: [],
    options: { cutover: 'auto', finish: 'manual', parallel: 4, ...request.options },
    objects: [],
    copies: [],
    verification: undefined,
    holdMs: undefined,
    cutoverAttempts: 0,
    stepsBack: 0,
    paused: false,
    request: undefined,
    startedAt: { planned: '2026-11-21T10:00:00.000Z' },
  } as MigrationRecord;
}
