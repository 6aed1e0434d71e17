import type { Blocker, ShardAddress, StreamSpec } from '../migration/engine.js';
import { blockersOver } from '../migration/preflight-sessions.js';
import { type Keyspace, placedTables, type Table } from '../topology/keyspace.js';
import { EngineSession } from './engine-session.js';
import { packetBlockers } from './preflight-packets.js';
import { ServerChecks } from './preflight-server.js';
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
  _migration: string,
  streams: readonly StreamSpec[] = [],
): Promise<Blocker[]> {
  const tables = placedTables(keyspace);
  return blockersOver(
    [...sources, ...targets],
    (address) => EngineSession.connect(address),
    (sessions) => findBlockers(sources, targets, tables, streams, sessions),
  );
}

async function findBlockers(
  sources: readonly ShardAddress[],
  targets: readonly ShardAddress[],
  tables: readonly Table[],
  streams: readonly StreamSpec[],
  sessions: ReadonlyMap<string, EngineSession>,
): Promise<Blocker[]> {
  const blockers: Blocker[] = [];
  const checks = new ServerChecks();
  for (const session of sessions.values()) blockers.push(...(await checks.run(session)));
  for (const source of sources) blockers.push(...(await tableBlockers(sessions.get(source.shard)!, tables)));
  if (blockers.length > 0) return blockers;
  const model = sessions.get(sources[0]?.shard ?? '');
  if (model === undefined) return blockers;
  for (const target of targets)
    blockers.push(...(await targetTableBlockers(model, sessions.get(target.shard)!, tables, streams)));
  if (blockers.length > 0) return blockers;
  for (const source of sources)
    for (const target of targets)
      if (source.shard !== target.shard)
        blockers.push(
          ...(await packetBlockers(sessions.get(source.shard)!, sessions.get(target.shard)!, tables)),
        );
  if (blockers.length > 0) return blockers;
  return duplicateBlockers(sources, targets, tables, streams, sessions);
}
