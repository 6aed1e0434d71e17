import type { Blocker, ShardAddress, StreamSpec } from '../migration/engine.js';
import { firstCommon } from '../migration/first-common.js';
import { mergeTasks } from '../migration/selection.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { exactSql } from './column-values.js';
import { quoteName, quoteTable, quoteText } from './engine-names.js';
import { EngineSession, type TextRow } from './engine-session.js';
import { readTables, type TableColumn, type TableFacts } from './engine-tables.js';
import { selectionSql } from './selection.js';

/** Tables with more rows than this are not compared; their unique columns are the operator's promise. */
const MAX_ROWS = 5_000_000;
const FETCH_ROWS = 1_000;

interface UniqueIndex {
  readonly table: Table;
  readonly name: string;
  readonly columns: readonly UniqueColumn[];
  /** Beside its columns it has an expression (MySQL, Functional Key Parts). */
  readonly hasExpression: boolean;
}

interface UniqueColumn {
  readonly facts: TableColumn;
  /** Characters that the index looks at; undefined: all. */
  readonly prefix: number | undefined;
}

/**
 * Unique values that would meet on one target (hazard 16): an index without the shard key does not keep two shards from
 * holding the same value. Compares hashes of the values, sorted in the databases, so that memory stays small.
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

/** Unique indexes that leave the shard key out: the primary key too. */
async function readUniqueIndexes(session: EngineSession, tables: readonly Table[]): Promise<UniqueIndex[]> {
  const wanted = tables.map(({ schema, name }) => `(${quoteText(schema)}, ${quoteText(name)})`).join(', ');
  const rows = await session.rows(
    `SELECT table_schema, table_name, index_name, column_name, sub_part FROM information_schema.statistics
     WHERE non_unique = 0 AND (table_schema, table_name) IN (${wanted}) ORDER BY table_schema, table_name, index_name, seq_in_index`,
  );
  const tableFacts = await readTables(session, tables);
  const indexes = new Map<
    string,
    { table: TableFacts; name: string; columns: UniqueColumn[]; hasExpression: boolean }
  >();
  for (const [schema, tableName, name, column, prefix] of rows) {
    const table = tableFacts.get(`${schema}.${tableName}`)!;
    const id = JSON.stringify([schema, tableName, name]);
    const index = indexes.get(id) ?? { table, name: name!, columns: [], hasExpression: false };
    indexes.set(id, index);
    const facts = table.columns.find((each) => each.name === column);
    if (facts === undefined) index.hasExpression = true;
    else index.columns.push({ facts, prefix: prefix === null ? undefined : Number(prefix) });
  }
  return [...indexes.values()]
    .map(({ table, ...index }) => ({ ...index, table: table.table }))
    .filter(
      ({ table, columns }) =>
        !columns.some(({ facts: { name }, prefix }) => name === table.key?.column && prefix === undefined),
    );
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
        sql: hashesSql(index, mine === undefined ? 'TRUE' : selectionSql(mine)),
      });
  }
  const atTarget = sessions.get(target.shard)!;
  if ((await readTables(atTarget, [index.table])).size > 0)
    parts.push({ session: atTarget, sql: hashesSql(index, 'TRUE') });
  if (parts.length < 2) return undefined;
  if (index.hasExpression)
    return {
      message: `unique index ${index.name} of ${tableKey(index.table)} is on an expression, whose values cannot be compared between shards before they come together here`,
      remedy:
        'Make the expression a generated column and the index one on that column, or add the shard key to the index.',
    };
  if (await isTooLarge(index, parts)) return undefined;
  const lists = parts.map(({ session, sql }) => ({
    shard: session.address.shard,
    rows: readSorted(session, sql),
  }));
  const found = await firstCommon(lists, () => true);
  if (found === undefined) return undefined;
  const columns = index.columns.map((column) => column.facts.name).join(', ');
  return {
    message: `unique index ${index.name} of ${tableKey(index.table)} on (${columns}): the value ${found.value} is on ${found.shards.join(' and on ')}, and both rows would come together here`,
    remedy: `Change one of the two rows, or make the shard key a part of the index.`,
  };
}

/** The values that are equal have equal weights, whatever case and accents the collation looks at. */
function hashesSql(index: UniqueIndex, condition: string): string {
  const names = index.columns.map(({ facts }) => quoteName(facts.name));
  const weights = index.columns.map(({ facts, prefix }) => weightSql(facts, prefix)).join(', ');
  const shown = names.map((name) => `CONVERT(${name} USING utf8mb4)`).join(', ');
  const isNotNull = names.map((name) => `${name} IS NOT NULL`).join(' AND ');
  return `SELECT MD5(CONCAT_WS(',', ${weights})) AS hash, CONCAT_WS(', ', ${shown})
    FROM ${quoteTable(index.table)} WHERE ${isNotNull} AND ${condition} ORDER BY hash`;
}

function weightSql(column: TableColumn, prefix: number | undefined): string {
  const name = quoteName(column.name);
  if (column.characterSet === null || /^(enum|set)$/.test(column.dataType))
    return /binary$|blob$|^bit$/.test(column.dataType)
      ? `HEX(${prefix === undefined ? name : `LEFT(${name}, ${prefix})`})`
      : `CAST(${exactSql(column)} AS CHAR)`;
  const text = prefix === undefined ? name : `LEFT(${name}, ${prefix})`;
  const compared = /nopad|_0900_|^binary$/.test(column.collation ?? '')
    ? text
    : `TRIM(TRAILING ' ' FROM ${text})`;
  return `HEX(WEIGHT_STRING(${compared}))`;
}

async function isTooLarge(
  index: UniqueIndex,
  parts: readonly { session: EngineSession }[],
): Promise<boolean> {
  for (const { session } of parts) {
    const rows = await session.value(
      'SELECT table_rows FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
      [index.table.schema, index.table.name],
    );
    if (Number(rows ?? 0) > MAX_ROWS) return true;
  }
  return false;
}

/** In a session of its own, which ends with the reading wherever that stops. */
async function* readSorted(
  session: EngineSession,
  sql: string,
): AsyncGenerator<{ hash: string; text: string }, void, undefined> {
  const reader = await EngineSession.connect(session.address);
  try {
    const rows = reader.connection.query({ sql, rowsAsArray: true, typeCast: (field) => field.string() });
    for await (const [hash, text] of rows.stream({ highWaterMark: FETCH_ROWS }) as AsyncIterable<TextRow>)
      yield { hash: hash!, text: text! };
  } finally {
    reader.destroy();
  }
}
