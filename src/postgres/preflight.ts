import type { Blocker, ShardAddress, StreamSpec } from '../migration/engine.js';
import { blockersOver } from '../migration/preflight-sessions.js';
import { type Keyspace, placedTables, type Table } from '../topology/keyspace.js';
import { EngineSession } from './engine-session.js';
import { FixedChecks } from './preflight-server.js';
import { tableBlockers, targetTableBlockers } from './preflight-tables.js';
import { duplicateBlockers } from './preflight-unique.js';

/**
 * Finds every reason not to start, each with its remedy, and changes nothing. With `streams` also rows that the targets
 * hold already in the ranges that are to move there, and unique values that would meet on a target.
 */
export async function preflight(
  sources: readonly ShardAddress[],
  targets: readonly ShardAddress[],
  keyspace: Keyspace,
  migration: string,
  streams: readonly StreamSpec[] = [],
): Promise<Blocker[]> {
  const tables = placedTables(keyspace);
  return blockersOver(
    [...sources, ...targets],
    (address) => EngineSession.connect(address),
    (sessions) => findBlockers(sources, targets, tables, migration, streams, sessions),
  );
}

async function findBlockers(
  sources: readonly ShardAddress[],
  targets: readonly ShardAddress[],
  tables: readonly Table[],
  migration: string,
  streams: readonly StreamSpec[],
  sessions: ReadonlyMap<string, EngineSession>,
): Promise<Blocker[]> {
  const blockers: Blocker[] = [];
  const checks = new FixedChecks(migration, tables);
  for (const [shard, session] of sessions) {
    const streamsHere =
      (sources.some((address) => address.shard === shard) ? targets.length : 0) +
      (targets.some((address) => address.shard === shard) ? sources.length : 0);
    blockers.push(...(await checks.run(session, streamsHere)));
  }
  for (const source of sources) blockers.push(...(await tableBlockers(sessions.get(source.shard)!, tables)));
  if (blockers.length > 0) return blockers;
  const model = sessions.get(sources[0]?.shard ?? '');
  if (model === undefined) return blockers;
  for (const target of targets)
    blockers.push(...(await targetTableBlockers(model, sessions.get(target.shard)!, tables, streams)));
  if (blockers.length > 0) return blockers;
  return duplicateBlockers(sources, targets, tables, streams, sessions);
}
