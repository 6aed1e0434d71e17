import type { Backend } from '../pool/backend.js';
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
    serverParsesTotal: database.pools.reduce((sum, pool) => sum + pool.stats.serverParses, 0),
    bindsTotal: counters.binds,
    planCacheHitsTotal: router?.planCache.hits ?? 0,
    planCacheMissesTotal: router?.planCache.misses ?? 0,
    plansCached: router?.planCache.size ?? 0,
    statementMs: counters.statementMs,
    heldTotal: topology.gate.heldTotal,
    heldNow: topology.gate.waitingCount,
    lastHoldMs: topology.gate.lastHoldMs,
    holdMs: counters.holdMs,
  };
}
