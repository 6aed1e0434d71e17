import type { Blocker, ShardAddress, StreamSpec } from '../migration/engine.js';
import { firstCommon } from '../migration/first-common.js';
import { mergeTasks } from '../migration/selection.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteName, quoteTable } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { readTables } from './engine-tables.js';
import { selectionSql } from './selection.js';

/** Tables with more rows than this are not compared; their unique columns are the operator's promise. */
const MAX_ROWS = 5_000_000;
const FETCH_ROWS = 10_000;

interface UniqueIndex {
  readonly table: Table;
  readonly name: string;
  readonly columns: readonly string[];
}

/**
 * Unique values that would meet on one target (hazard 16): an index without the shard key does not keep two shards from
 * holding the same value. Compares 64-bit hashes of the values, sorted in the databases, so that memory stays small.
 */
export async function duplicateBlockers(
  sources: readonly ShardAddress[],
  targets: readonly ShardAddress[],
  tables: readonly Table[],
  streams: readonly StreamSpec[],
  sessions: ReadonlyMap<string, EngineSession>,
): Promise<Blocker[]> {
  const model = sessions.get(sources[0]?.shard ?? '');
  const sharded = tables.filter((table) => table.placement === 'sharded');
  if (model === undefined || sharded.length === 0) return [];
  const indexes = await readUniqueIndexes(model, sharded);
  const blockers: Blocker[] = [];
  for (const target of targets) {
    for (const index of indexes) {
      const duplicate = await findDuplicate(index, target, sources, streams, sessions);
      if (duplicate !== undefined) blockers.push({ shard: target.shard, ...duplicate });
    }
  }
  return blockers;
}

/** Plain unique indexes that leave the shard key out: the primary key too. */
async function readUniqueIndexes(session: EngineSession, tables: readonly Table[]): Promise<UniqueIndex[]> {
  const rows = await session.rows(
    `SELECT n.nspname || '.' || c.relname, ic.relname, json_agg(a.attname ORDER BY k.position)
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class ic ON ic.oid = i.indexrelid
     CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
     WHERE i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND k.position <= i.indnkeyatts
       AND n.nspname || '.' || c.relname = ANY (ARRAY(SELECT json_array_elements_text($1::json)))
     GROUP BY 1, 2 ORDER BY 1, 2`,
    [JSON.stringify(tables.map(tableKey))],
  );
  return rows
    .map(([table, name, columns]) => ({
      table: tables.find((candidate) => tableKey(candidate) === table)!,
      name: name!,
      columns: JSON.parse(columns!) as string[],
    }))
    .filter((index) => !index.columns.includes(index.table.key?.column ?? ''));
}

async function findDuplicate(
  index: UniqueIndex,
  target: ShardAddress,
  sources: readonly ShardAddress[],
  streams: readonly StreamSpec[],
  sessions: ReadonlyMap<string, EngineSession>,
): Promise<{ message: string; remedy: string } | undefined> {
  const parts: { session: EngineSession; sql: string }[] = [];
  for (const source of sources.filter((address) => address.shard !== target.shard)) {
    const tasks = streams
      .filter((stream) => stream.to.shard === target.shard && stream.from.shard === source.shard)
      .flatMap((stream) => stream.tasks);
    const mine = mergeTasks(tasks).find((task) => tableKey(task.table) === tableKey(index.table));
    // Without streams nobody said which rows move: all that is there is looked at.
    if (streams.length === 0 || mine !== undefined)
      parts.push({
        session: sessions.get(source.shard)!,
        sql: hashesSql(index, mine === undefined ? 'true' : selectionSql(mine)),
      });
  }
  const atTarget = sessions.get(target.shard)!;
  if ((await readTables(atTarget, [index.table])).size > 0)
    parts.push({ session: atTarget, sql: hashesSql(index, 'true') });
  if (parts.length < 2 || (await isTooLarge(index, parts))) return undefined;
  const lists = parts.map(({ session, sql }) => ({
    shard: session.address.shard,
    rows: readSorted(session, sql),
  }));
  const found = await firstCommon(lists, (one, other) => one.text === other.text);
  if (found === undefined) return undefined;
  const columns = index.columns.join(', ');
  return {
    message: `unique index ${index.name} of ${tableKey(index.table)} on (${columns}): the value ${found.value} is on ${found.shards.join(' and on ')}, and both rows would come together here`,
    remedy: `Change one of the two rows, or make the shard key a part of the index.`,
  };
}

function hashesSql(index: UniqueIndex, condition: string): string {
  const values = index.columns.map((column) => `${quoteName(column)}::text`).join(', ');
  const isNotNull = index.columns.map((column) => `${quoteName(column)} IS NOT NULL`).join(' AND ');
  return `SELECT ('x' || substr(md5(ROW(${values})::text), 1, 16))::bit(64)::bigint AS hash, ROW(${values})::text
    FROM ONLY ${quoteTable(index.table)} WHERE ${isNotNull} AND ${condition} ORDER BY 1`;
}

async function isTooLarge(
  index: UniqueIndex,
  parts: readonly { session: EngineSession }[],
): Promise<boolean> {
  for (const { session } of parts) {
    const rows = await session.value('SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($1)', [
      quoteTable(index.table),
    ]);
    if (Number(rows ?? 0) > MAX_ROWS) return true;
  }
  return false;
}

async function* readSorted(
  session: EngineSession,
  sql: string,
): AsyncGenerator<{ hash: bigint; text: string }, void, undefined> {
  await session.run(`BEGIN READ ONLY; DECLARE hashes NO SCROLL CURSOR FOR ${sql}`);
  try {
    for (;;) {
      const rows = await session.rows(`FETCH ${FETCH_ROWS} FROM hashes`);
      if (rows.length === 0) return;
      for (const [hash, text] of rows) yield { hash: BigInt(hash!), text: text! };
    }
  } finally {
    await session.run('ROLLBACK');
  }
}
