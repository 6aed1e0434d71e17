import type { Blocker } from '../migration/engine.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteName, quoteTable } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { readTables, storedColumns, type TableFacts } from './engine-tables.js';

/** What else stands in one request with a row: a batch of the applier, and the row's other values. */
export const REQUEST_BYTES = 2 << 20;

/** Types of values that can be so large that their row does not fit into a request. */
const LARGE: readonly string[] = [
  'mediumtext',
  'mediumblob',
  'longtext',
  'longblob',
  'json',
  'geometry',
  'vector',
];

/**
 * Rows that the target could not take: bytes are written as hex, two letters each, and one row stands in one request. Where
 * the target's max_allowed_packet is more than twice the source's, none can be; else the large ones are looked for.
 */
export async function packetBlockers(
  source: EngineSession,
  target: EngineSession,
  tables: readonly Table[],
): Promise<Blocker[]> {
  const [sent, taken] = [await maxPacket(source), await maxPacket(target)];
  if (taken >= 2 * sent + REQUEST_BYTES) return [];
  const blockers: Blocker[] = [];
  for (const facts of (await readTables(source, tables)).values()) {
    const longest = await findTooLong(source, facts, Math.floor((taken - REQUEST_BYTES) / 2));
    if (longest !== undefined)
      blockers.push({
        shard: target.address.shard,
        message: `max_allowed_packet is ${taken}, and a row of ${tableKey(facts.table)} on shard ${source.address.shard} with ${longest} bytes would not fit into it as hex`,
        remedy: `SET GLOBAL max_allowed_packet = ${roundedUp(2 * Number(longest) + REQUEST_BYTES)}; and in the server's configuration.`,
      });
  }
  return blockers;
}

async function maxPacket(session: EngineSession): Promise<number> {
  return Number(await session.value('SELECT @@GLOBAL.max_allowed_packet'));
}

async function findTooLong(
  session: EngineSession,
  facts: TableFacts,
  limit: number,
): Promise<string | undefined> {
  const columns = storedColumns(facts).filter(({ dataType }) => LARGE.includes(dataType));
  if (columns.length === 0) return undefined;
  const length = columns.map(({ name }) => `IFNULL(LENGTH(${quoteName(name)}), 0)`).join(' + ');
  const found = await session.value(
    `SELECT ${length} FROM ${quoteTable(facts.table)} WHERE ${length} > ${limit} LIMIT 1`,
  );
  return found ?? undefined;
}

/** The server rounds to kilobytes, downwards. */
function roundedUp(bytes: number): number {
  return Math.ceil(bytes / 1024) * 1024;
}
