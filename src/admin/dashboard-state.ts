import type { Control, ShardProbe } from './control.js';
import { movingShare } from './migration-rows.js';
import { ringSegments, shardShares } from './ring-segments.js';

const TEMPLATES_SHOWN = 12;
const MIGRATIONS_SHOWN = 8;

/** One picture of the server for the dashboard. Tokens become turns: 0 to 1 around the ring. */
export function dashboardState(control: Control, probes: readonly ShardProbe[]): unknown {
  return {
    version: control.version,
    startedAtMs: control.startedAtMs,
    databases: control.databases().map((state) => ({
      name: state.name,
      isSharded: state.isSharded,
      isPaused: state.isPaused,
      clients: { idle: state.clientsIdle, active: state.clientsActive, waiting: state.clientsWaiting },
      statementsTotal: state.statementsTotal,
      transactionsTotal: state.transactionsTotal,
      scatterTotal: state.scatterTotal,
      errorsTotal: state.proxyErrorsTotal + state.serverErrorsTotal,
      statementMsTotal: state.statementMs.sum,
      heldNow: state.heldNow,
      lastHoldMs: state.lastHoldMs,
      ...ringState(control, state.name, probes),
      pools: control.pools().filter((pool) => pool.database === state.name),
      templates: control.templates(state.name, TEMPLATES_SHOWN),
    })),
    migrations: control
      .migrations()
      .slice(-MIGRATIONS_SHOWN)
      .map(({ record, lagBytes, rowsApplied }) => ({
        id: record.id,
        database: record.database,
        kind: record.kind,
        shard: record.shard,
        phase: record.phase,
        paused: record.paused,
        failure: record.failure,
        sharePercent: movingShare(record),
        copiedRows: record.copies.reduce((sum, copy) => sum + copy.rows, 0),
        estimatedRows: record.copies.reduce((sum, copy) => sum + Math.max(copy.rows, copy.estimatedRows), 0),
        lagBytes,
        rowsApplied,
        holdMs: record.holdMs,
        startedAt: record.startedAt,
      })),
  };
}

function ringState(control: Control, database: string, probes: readonly ShardProbe[]): object {
  const snapshot = control.snapshot(database);
  if (snapshot === undefined) return {};
  const shares = shardShares(snapshot.ring);
  return {
    epoch: snapshot.epoch,
    home: snapshot.home,
    ring: ringSegments(snapshot).map(({ low, high, owner, move }) => ({
      from: turn(low),
      to: turn(high + 1n),
      owner,
      move,
    })),
    shards: snapshot.shards.map((shard) => {
      const probe = probes.find((entry) => entry.database === database && entry.shard === shard.name);
      const health =
        probe === undefined
          ? {}
          : { isReachable: probe.isReachable, roundTripMs: probe.roundTripMs, error: probe.error };
      return {
        name: shard.name,
        isServing: shard.isServing,
        sharePercent: shares.get(shard.name) ?? 0,
        ...health,
      };
    }),
  };
}

function turn(token: bigint): number {
  return Number((token + (1n << 63n)) >> 11n) / 2 ** 53;
}
