import type { Pool } from '../pool/pool.js';
import type { Database } from '../proxy/database.js';
import type { Session } from '../proxy/session.js';
import type { ClientState, DatabaseState, PoolState, ServerState } from './control.js';

export function databaseState(database: Database, allSessions: readonly Session[]): DatabaseState {
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
    receivedBytesTotal: counters.receivedBytes,
    sentBytesTotal: counters.sentBytes,
    transactionMsTotal: counters.transactionMs,
    leasesTotal: counters.leases,
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

export function clientState(session: Session): ClientState {
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

export function poolState(database: Database, pool: Pool): PoolState {
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
    oldestWaitMs: pool.oldestWaitMs,
    connectsTotal: pool.connectsTotal,
    connectFailuresTotal: pool.connectFailuresTotal,
    waitTimeoutsTotal: pool.waitTimeoutsTotal,
  };
}

export function serverStates(database: Database, pool: Pool, sessions: readonly Session[]): ServerState[] {
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
