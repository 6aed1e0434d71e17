import type { Config } from '../config/config.js';
import type { Pool } from '../pool/pool.js';
import type { Clients } from '../proxy/clients.js';
import type { Database } from '../proxy/database.js';
import type { Databases } from '../proxy/databases.js';
import type { Session } from '../proxy/session.js';
import type { ClientState, DatabaseState, PoolState, ProxyState, ServerState } from './control.js';
import type { ProcessReport } from './elsewhere.js';

/** Templates of one process that are shown or added up with those of others, at most. */
const MAX_TEMPLATES = 1_000;

/** The parts of a process that are reported on. */
export interface Reported {
  readonly config: () => Config;
  readonly databases: Databases;
  readonly clients: Clients;
}

/** What this process says of itself, made when it is asked for. */
export function reportOf(reported: Reported, startedAtMs: number): ProcessReport {
  const { all } = reported.databases;
  const sessions = () => [...reported.clients.sessions];
  return {
    get proxy() {
      return proxyState(reported, startedAtMs);
    },
    get databases() {
      return all.map((database) => databaseState(database, sessions()));
    },
    get pools() {
      return all.flatMap((database) => database.pools.map((pool) => poolState(database, pool)));
    },
    get clients() {
      return sessions().map((session) => clientState(session));
    },
    get servers() {
      return all.flatMap((database) =>
        database.pools.flatMap((pool) => serverStates(database, pool, sessions())),
      );
    },
    get templates() {
      return all.flatMap((database) =>
        database.templates
          .busiest(MAX_TEMPLATES)
          .map((template) => ({ database: database.name, ...template })),
      );
    },
  };
}

function proxyState({ config, databases, clients }: Reported, startedAtMs: number): ProxyState {
  const { postgres } = config().listen;
  return {
    id: String(process.pid),
    address: postgres === undefined ? '' : `${postgres.host}:${postgres.port}`,
    processId: process.pid,
    startedAtMs,
    clients: clients.count,
    epochs: databases.all.map(({ name, topology }) => `${name}:${topology.current.epoch}`).join(', '),
  };
}

function databaseState(database: Database, allSessions: readonly Session[]): DatabaseState {
  const { counters, topology } = database;
  const sessions = allSessions.filter((session) => session.database === database);
  const router = database.loadedRouter;
  return {
    name: database.name,
    isSharded: !database.isPassThrough,
    isPaused: database.isPaused,
    clientsIdle: sessions.filter((session) => session.phase === 'idle').length,
    clientsActive: sessions.filter((session) => session.phase === 'active').length,
    clientsWaiting: sessions.filter((session) => session.phase === 'waiting').length,
    transactionsTotal: counters.transactions,
    statementsTotal: counters.statements,
    singleShardTotal: counters.singleShard,
    scatterTotal: counters.scatter,
    refusedTotal: counters.refused,
    proxyErrorsTotal: counters.proxyErrors,
    serverErrorsTotal: counters.serverErrors,
    twoPhaseCommitsTotal: counters.twoPhase,
    // Those who are gone, and those who are there.
    receivedBytesTotal: sessions.reduce(
      (sum, { frontend }) => sum + frontend.receivedBytes,
      counters.receivedBytes,
    ),
    sentBytesTotal: sessions.reduce((sum, { frontend }) => sum + frontend.sentBytes, counters.sentBytes),
    transactionMsTotal: counters.transactionMs,
    leasesTotal: counters.leases,
    sharedRequestsTotal: counters.shared,
    sharedRequestsAgainTotal: counters.sharedAgain,
    leaseWaitMsTotal: counters.leaseWaitMs,
    clientParsesTotal: counters.clientParses,
    serverParsesTotal: database.pools.reduce(
      (sum, pool) => sum + pool.backends().reduce((parses, { backend }) => parses + backend.parsesTotal, 0),
      0,
    ),
    bindsTotal: counters.binds,
    planCacheHitsTotal: router?.cacheHitsTotal ?? 0,
    planCacheMissesTotal: router?.cacheMissesTotal ?? 0,
    plansCached: router?.plansCached ?? 0,
    statementMs: counters.statementMs,
    heldTotal: topology.gate.heldTotal,
    heldNow: topology.gate.waitingCount,
    lastHoldMs: topology.gate.lastHoldMs,
    holdMs: counters.holdMs,
  };
}

function clientState(session: Session): ClientState {
  const { frontend } = session;
  const colon = frontend.remoteAddress.lastIndexOf(':');
  return {
    id: session.id,
    user: frontend.identity.user,
    database: session.database.name,
    phase: session.phase,
    address: frontend.remoteAddress.slice(0, colon),
    port: Number(frontend.remoteAddress.slice(colon + 1)),
    localAddress: frontend.localAddress,
    localPort: frontend.localPort,
    connectedAtMs: session.connectedAtMs,
    requestAtMs: session.requestAtMs,
    waitMs: session.waitMs,
    tls: frontend.isEncrypted ? 'TLS' : '',
    applicationName: frontend.identity.startup.get('application_name') ?? '',
    preparedStatements: session.preparedStatements,
    servers: session.servers,
    pinned: session.pinReason ?? '',
  };
}

function poolState(database: Database, pool: Pool): PoolState {
  return {
    database: database.name,
    shard: pool.target.shard,
    user: pool.target.user,
    mode: database.config.pool.mode,
    size: pool.size,
    serversActive: pool.active,
    serversIdle: pool.idle,
    serversConnecting: pool.connecting,
    leasesWaiting: pool.waiting,
    oldestWaitMs: pool.waits.oldestWaitMs,
    connectsTotal: pool.connectsTotal,
    connectFailuresTotal: pool.connectFailuresTotal,
    waitTimeoutsTotal: pool.waits.timeoutsTotal,
  };
}

function serverStates(database: Database, pool: Pool, sessions: readonly Session[]): ServerState[] {
  return pool.backends().map(({ backend, isActive }) => ({
    id: backend.id,
    user: pool.target.user,
    database: database.name,
    shard: backend.shard,
    phase: isActive ? 'active' : 'idle',
    address: backend.remoteAddress,
    port: backend.remotePort,
    localAddress: backend.localAddress,
    localPort: backend.localPort,
    connectedAtMs: backend.connectedAtMs,
    requestAtMs: backend.requestAtMs,
    processId: backend.processId,
    tls: backend.isEncrypted ? 'TLS' : '',
    preparedStatements: backend.preparedStatements,
    client: sessions.find((session) => session.servers.includes(backend.id))?.id,
    isClosing: backend.isBroken,
  }));
}
