import { createHash } from 'node:crypto';
import type { StreamSpec } from '../migration/engine.js';
import type { Table } from '../topology/keyspace.js';
import type { ShardName } from '../topology/ring.js';

/**
 * Names of what a migration makes in databases. Tables of ours lie in the shard's own database (a user who may do
 * everything there needs no rights elsewhere) and begin with `ringferry_`; what belongs to one migration begins with
 * `ringferry_<migration>_`. All fit in 64 characters.
 */
export const OWN_PREFIX = 'ringferry_';

/** How far streams are, in the database that applies; a row of it in a transaction says that the transaction is ours. */
export const LEDGER_TABLE = `${OWN_PREFIX}ledger`;
/** Where streams that have applied nothing yet begin, in the database whose log they read. */
export const STARTS_TABLE = `${OWN_PREFIX}starts`;
/** Marks in the log. */
export const MARKS_TABLE = `${OWN_PREFIX}marks`;
/** Flags of fences. */
export const FENCES_TABLE = `${OWN_PREFIX}fences`;

const ID_PATTERN = /^[a-z0-9]{1,24}$/;

/** What every name of this migration begins with. No other migration's names do: ids hold no underscore. */
export function namePrefix(migration: string): string {
  if (!ID_PATTERN.test(migration)) throw new RangeError(`not a migration id: ${JSON.stringify(migration)}`);
  return `${OWN_PREFIX}${migration}_`;
}

/** Under which name the stream to `to` keeps its beginning at `from`: when two shards give rows to each other, both ways run at once. */
export function startName(direction: StreamSpec['direction'], to: ShardName): string {
  return direction === 'reverse' ? `${to} (back)` : to;
}

/** Under which name the stream from `from` keeps its position in the target's ledger. */
export function progressName(direction: StreamSpec['direction'], from: ShardName): string {
  return direction === 'reverse' ? `${from} (back)` : from;
}

/** The ledger's row of our own work at a shard that comes from no other: repairing, deleting. No shard's name begins with a blank. */
export const OWN_WORK = ' own rows';

/** A trigger of a fence: one a table and event. Triggers are the database's, so a long table name is hashed. */
export function fenceTriggerName(
  migration: string,
  table: Pick<Table, 'name'>,
  event: 'insert' | 'update' | 'delete',
): string {
  const hash = createHash('md5').update(table.name, 'utf8').digest('hex').slice(0, 12);
  return `${namePrefix(migration)}${event[0]}_${hash}`;
}

export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A string literal; our sessions never say NO_BACKSLASH_ESCAPES. */
export function quoteText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`;
}

export function quoteTable(table: Pick<Table, 'schema' | 'name'>): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)}`;
}
