import type { Samples } from '../metrics/registry.js';
import type { Phase } from '../migration/record.js';
import type { Control, DatabaseState, PoolState } from './control.js';
import { rangesShare } from './migration-rows.js';

const MS_PER_SECOND = 1000;
const ENDED: ReadonlySet<Phase> = new Set(['done', 'aborted']);

/** Reads the running server's plain counters into one scrape. */
export function fillMetrics(control: Control, samples: Samples): void {
  samples.set('ringferry_build_info', [control.version], 1);
  samples.set('ringferry_start_time_seconds', [], control.startedAtMs / MS_PER_SECOND);
  const pools = control.pools();
  for (const database of control.databases()) {
    fillDatabase(database, samples);
    fillPools(
      database.name,
      pools.filter((pool) => pool.database === database.name),
      samples,
    );
    fillRing(control, database.name, samples);
    fillMigrations(control, database.name, samples);
  }
}

function fillDatabase(database: DatabaseState, samples: Samples): void {
  const labels = [database.name];
  samples.set('ringferry_clients_count', [database.name, 'idle'], database.clientsIdle);
  samples.set('ringferry_clients_count', [database.name, 'active'], database.clientsActive);
  samples.set('ringferry_clients_count', [database.name, 'waiting'], database.clientsWaiting);
  samples.set('ringferry_transactions_total', labels, database.transactionsTotal);
  samples.set('ringferry_statements_total', labels, database.statementsTotal);
  samples.set('ringferry_routes_total', [database.name, 'single-shard'], database.singleShardTotal);
  samples.set('ringferry_routes_total', [database.name, 'scatter'], database.scatterTotal);
  samples.set('ringferry_routes_total', [database.name, 'refused'], database.refusedTotal);
  samples.set('ringferry_errors_total', [database.name, 'proxy'], database.proxyErrorsTotal);
  samples.set('ringferry_errors_total', [database.name, 'server'], database.serverErrorsTotal);
  samples.histogram('ringferry_statement_seconds', labels, database.statementMs, MS_PER_SECOND);
  samples.set('ringferry_two_phase_commits_total', labels, database.twoPhaseCommitsTotal);
  samples.set('ringferry_received_bytes_total', labels, database.receivedBytesTotal);
  samples.set('ringferry_sent_bytes_total', labels, database.sentBytesTotal);
  samples.set('ringferry_database_paused', labels, database.isPaused ? 1 : 0);
  samples.set('ringferry_plans_count', labels, database.plansCached);
  samples.set('ringferry_plan_cache_hits_total', labels, database.planCacheHitsTotal);
  samples.set('ringferry_plan_cache_misses_total', labels, database.planCacheMissesTotal);
  samples.set('ringferry_leases_total', labels, database.leasesTotal);
  samples.set('ringferry_shared_requests_total', labels, database.sharedRequestsTotal);
  samples.set('ringferry_shared_requests_again_total', labels, database.sharedRequestsAgainTotal);
  samples.set('ringferry_lease_wait_seconds_total', labels, database.leaseWaitMsTotal / MS_PER_SECOND);
  samples.set('ringferry_held_statements_count', labels, database.heldNow);
  samples.set('ringferry_held_statements_total', labels, database.heldTotal);
  samples.histogram('ringferry_hold_seconds', labels, database.holdMs, MS_PER_SECOND);
}

/** The pools of one shard, of all users, are one series: users are not a closed set. */
function fillPools(database: string, pools: readonly PoolState[], samples: Samples): void {
  for (const shard of new Set(pools.map((pool) => pool.shard))) {
    const sum = (count: (pool: PoolState) => number) =>
      pools.reduce((total, pool) => (pool.shard === shard ? total + count(pool) : total), 0);
    const labels = [database, shard];
    const oldestMs = Math.max(
      ...pools.filter((pool) => pool.shard === shard).map((pool) => pool.oldestWaitMs),
    );
    samples.set(
      'ringferry_servers_count',
      [...labels, 'active'],
      sum((pool) => pool.serversActive),
    );
    samples.set(
      'ringferry_servers_count',
      [...labels, 'idle'],
      sum((pool) => pool.serversIdle),
    );
    samples.set(
      'ringferry_servers_count',
      [...labels, 'connecting'],
      sum((pool) => pool.serversConnecting),
    );
    samples.set(
      'ringferry_pool_size_count',
      labels,
      sum((pool) => pool.size),
    );
    samples.set(
      'ringferry_leases_waiting_count',
      labels,
      sum((pool) => pool.leasesWaiting),
    );
    samples.set('ringferry_lease_oldest_wait_seconds', labels, oldestMs / MS_PER_SECOND);
    samples.set(
      'ringferry_lease_timeouts_total',
      labels,
      sum((pool) => pool.waitTimeoutsTotal),
    );
    samples.set(
      'ringferry_connects_total',
      labels,
      sum((pool) => pool.connectsTotal),
    );
    samples.set(
      'ringferry_connect_failures_total',
      labels,
      sum((pool) => pool.connectFailuresTotal),
    );
  }
}

function fillRing(control: Control, database: string, samples: Samples): void {
  const snapshot = control.snapshot(database);
  if (snapshot === undefined) return;
  samples.set('ringferry_topology_epoch_number', [database], snapshot.epoch);
  const ranges = snapshot.ring.ranges();
  for (const { name } of snapshot.shards) {
    const owned = ranges.filter(({ owner }) => owner === name).map(({ range }) => range);
    samples.set('ringferry_ring_share_ratio', [database, name], rangesShare(owned) / 100);
  }
}

function fillMigrations(control: Control, database: string, samples: Samples): void {
  const migrations = control.migrations().filter(({ record }) => record.database === database);
  const phases = new Map<Phase, number>();
  for (const { record } of migrations) phases.set(record.phase, (phases.get(record.phase) ?? 0) + 1);
  for (const [phase, count] of phases) samples.set('ringferry_migrations_count', [database, phase], count);
  const running = migrations.filter(({ record }) => !ENDED.has(record.phase) && record.phase !== 'failed');
  const copied = running.flatMap(({ record }) => record.copies).reduce((sum, copy) => sum + copy.rows, 0);
  samples.set(
    'ringferry_migration_lag_bytes',
    [database],
    Math.max(0, ...running.map(({ lagBytes }) => lagBytes ?? 0)),
  );
  samples.set('ringferry_migration_copied_rows', [database], copied);
  samples.set(
    'ringferry_migration_applied_rows',
    [database],
    running.reduce((sum, { rowsApplied }) => sum + rowsApplied, 0),
  );
  samples.set(
    'ringferry_migration_differences_count',
    [database],
    running.reduce((sum, { record }) => sum + (record.verification?.differences ?? 0), 0),
  );
}
