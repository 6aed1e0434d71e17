/** One metric: what it counts, and its closed set of labels. Names are `ringferry_<noun>_<unit>[_total]`. */
export interface MetricFacts {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

/** The one table of metrics: /metrics and the documentation are made from it. Durations are in seconds. */
export const CATALOGUE = {
  ringferry_build_info: { type: 'gauge', help: 'Always 1; the version is the label.', labels: ['version'] },
  ringferry_start_time_seconds: {
    type: 'gauge',
    help: 'When this process began to serve, in seconds since 1970.',
    labels: [],
  },

  ringferry_clients_count: {
    type: 'gauge',
    help: 'Client connections by what they do.',
    labels: ['database', 'phase'],
  },
  ringferry_transactions_total: {
    type: 'counter',
    help: 'Transactions, autocommit requests among them.',
    labels: ['database'],
  },
  ringferry_statements_total: { type: 'counter', help: 'Statements.', labels: ['database'] },
  ringferry_routes_total: {
    type: 'counter',
    help: 'Statements by route: single-shard, scatter, refused.',
    labels: ['database', 'route'],
  },
  ringferry_errors_total: {
    type: 'counter',
    help: 'Errors sent to clients, by who made them: proxy or server.',
    labels: ['database', 'origin'],
  },
  ringferry_statement_seconds: {
    type: 'histogram',
    help: 'From the arrival of a request to the end of its answer.',
    labels: ['database'],
  },
  ringferry_two_phase_commits_total: {
    type: 'counter',
    help: 'Transactions that wrote on several shards.',
    labels: ['database'],
  },
  ringferry_received_bytes_total: { type: 'counter', help: 'Bytes from clients.', labels: ['database'] },
  ringferry_sent_bytes_total: { type: 'counter', help: 'Bytes to clients.', labels: ['database'] },
  ringferry_database_paused: {
    type: 'gauge',
    help: '1 while PAUSE or KILL holds the database.',
    labels: ['database'],
  },

  ringferry_plans_count: { type: 'gauge', help: 'Plans in the cache.', labels: ['database'] },
  ringferry_plan_cache_hits_total: {
    type: 'counter',
    help: 'Statements whose plan was in the cache.',
    labels: ['database'],
  },
  ringferry_plan_cache_misses_total: {
    type: 'counter',
    help: 'Statements that had to be parsed.',
    labels: ['database'],
  },

  ringferry_servers_count: {
    type: 'gauge',
    help: 'Connections to database servers by what they do.',
    labels: ['database', 'shard', 'phase'],
  },
  ringferry_pool_size_count: {
    type: 'gauge',
    help: 'Most connections that the pools of a shard may open.',
    labels: ['database', 'shard'],
  },
  ringferry_leases_total: { type: 'counter', help: 'Times a backend was lent.', labels: ['database'] },
  ringferry_shared_requests_total: {
    type: 'counter',
    help: 'Reads that stood in line with others on a shared backend (pool.pipeline).',
    labels: ['database'],
  },
  ringferry_shared_requests_again_total: {
    type: 'counter',
    help: 'Those of them that were run again elsewhere, because the line stood still or its backend was lost.',
    labels: ['database'],
  },
  ringferry_lease_wait_seconds_total: {
    type: 'counter',
    help: 'Time that clients waited for a backend.',
    labels: ['database'],
  },
  ringferry_leases_waiting_count: {
    type: 'gauge',
    help: 'Requests that wait for a backend now.',
    labels: ['database', 'shard'],
  },
  ringferry_lease_oldest_wait_seconds: {
    type: 'gauge',
    help: 'How long the first waiting request has waited.',
    labels: ['database', 'shard'],
  },
  ringferry_lease_timeouts_total: {
    type: 'counter',
    help: 'Waits for a backend that ended with an error.',
    labels: ['database', 'shard'],
  },
  ringferry_connects_total: {
    type: 'counter',
    help: 'Connections made to database servers.',
    labels: ['database', 'shard'],
  },
  ringferry_connect_failures_total: {
    type: 'counter',
    help: 'Connections to database servers that failed.',
    labels: ['database', 'shard'],
  },

  ringferry_topology_epoch_number: {
    type: 'gauge',
    help: 'The epoch of the ring; it only grows.',
    labels: ['database'],
  },
  ringferry_ring_share_ratio: {
    type: 'gauge',
    help: 'The part of all keys that a shard owns, 0 to 1.',
    labels: ['database', 'shard'],
  },
  ringferry_held_statements_count: {
    type: 'gauge',
    help: 'Statements that wait at the gate of a cutover now.',
    labels: ['database'],
  },
  ringferry_held_statements_total: {
    type: 'counter',
    help: 'Statements that waited at the gate of a cutover.',
    labels: ['database'],
  },
  ringferry_hold_seconds: {
    type: 'histogram',
    help: 'How long cutovers held the statements of moving keys.',
    labels: ['database'],
  },

  ringferry_migrations_count: { type: 'gauge', help: 'Migrations by phase.', labels: ['database', 'phase'] },
  ringferry_migration_lag_bytes: {
    type: 'gauge',
    help: 'Log that the slowest running migration has still to apply.',
    labels: ['database'],
  },
  ringferry_migration_copied_rows: {
    type: 'gauge',
    help: 'Rows copied by the migrations that run.',
    labels: ['database'],
  },
  ringferry_migration_applied_rows: {
    type: 'gauge',
    help: 'Row changes applied by the migrations that run.',
    labels: ['database'],
  },
  ringferry_migration_differences_count: {
    type: 'gauge',
    help: 'Differences that the last verification of a running migration found.',
    labels: ['database'],
  },
} as const satisfies Record<string, MetricFacts>;

export type MetricName = keyof typeof CATALOGUE;
