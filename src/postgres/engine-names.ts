import { createHash } from 'node:crypto';
import type { StreamSpec } from '../migration/engine.js';
import type { Table } from '../topology/keyspace.js';
import type { ShardName } from '../topology/ring.js';

/**
 * Names of what a migration makes in databases. All begin with `ringferry_<migration>_` (or lie in the schema
 * `ringferry`), so that whoever cleans up finds them by the migration's id alone; all fit in 63 bytes.
 */
export const SCHEMA = 'ringferry';

const ID_PATTERN = /^[a-z0-9]{1,24}$/;

/** What every name of this migration begins with. No other migration's names do: ids hold no underscore. */
export function namePrefix(migration: string): string {
  if (!ID_PATTERN.test(migration)) throw new RangeError(`not a migration id: ${JSON.stringify(migration)}`);
  return `ringferry_${migration}_`;
}

/** A shard's name where it is short and plain, else a hash of it: slot names allow only `[a-z0-9_]`. */
function part(shard: ShardName): string {
  if (/^[a-z0-9]{1,12}$/.test(shard)) return shard;
  return `x${createHash('md5').update(shard, 'utf8').digest('hex').slice(0, 11)}`;
}

/** What names of a stream begin with: when two shards give rows to each other, the way of one pair and the way back of the other run between the same two at once. */
function way(direction: StreamSpec['direction']): string {
  return direction === 'reverse' ? 'back_' : '';
}

/** The slot at `from` that feeds the stream to `to`. Slots are the cluster's, so both ends are in the name. */
export function slotName(
  migration: string,
  direction: StreamSpec['direction'],
  from: ShardName,
  to: ShardName,
): string {
  return `${namePrefix(migration)}${way(direction)}${part(from)}_${part(to)}`;
}

/** Under which name the stream from `from` keeps its position in the target's ledger. */
export function progressName(direction: StreamSpec['direction'], from: ShardName): string {
  return direction === 'reverse' ? `${from} (back)` : from;
}

/** The origin under which changes of `from` are applied at `to`. */
export function originName(
  migration: string,
  direction: StreamSpec['direction'],
  from: ShardName,
  to: ShardName,
): string {
  return `${originPrefix(migration, to)}${way(direction)}${part(from)}`;
}

/** The origin of our own work at `shard` that comes from no other shard: clearing, repairing. */
export function localOriginName(migration: string, shard: ShardName): string {
  return `${originPrefix(migration, shard)}own_rows`;
}

/** What the names of all origins that live at `shard` begin with. */
export function originPrefix(migration: string, shard: ShardName): string {
  return `${namePrefix(migration)}at_${part(shard)}_`;
}

export function publicationName(migration: string): string {
  return `${namePrefix(migration)}changes`;
}

/** The sequence that is the fence's flag. */
export function fenceFlagName(migration: string): string {
  return `${SCHEMA}.${quoteName(`fence_${migration}`)}`;
}

/** `~` sorts behind every letter: row triggers fire in the order of their names, and the fence must see the row as it will be stored. */
export function fenceTriggerName(migration: string): string {
  return `~${namePrefix(migration)}fence`;
}

export const FENCE_TRIGGER_PREFIX = '~ringferry_';

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A literal that means the same whatever standard_conforming_strings says. */
export function quoteText(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

export function quoteTable(table: Pick<Table, 'schema' | 'name'>): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)}`;
}
