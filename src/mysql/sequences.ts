import type { CopyTask, ShardAddress } from '../migration/engine.js';
import { mergeTasks } from '../migration/selection.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteTable, quoteText } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';
import { AT_ONCE, withShortLocks } from './short-locks.js';

/**
 * Ids that a table is set ahead when it must be set at all: setting is DDL, which must not wait for anybody while statements
 * are held, so the setting before that is to last. Ids may have gaps.
 */
const AHEAD = 1_000n;

/** What gives ids: a table's AUTO_INCREMENT column, or a sequence that a column's default draws from. */
interface IdSource {
  readonly kind: 'auto-increment' | 'sequence';
  /** Of the table or sequence, quoted and qualified. */
  readonly name: string;
  /** The id that comes next. */
  readonly next: bigint;
  /** The greatest that there can be. */
  readonly last: bigint;
}

/**
 * Sets the target's AUTO_INCREMENT values and sequences to what is next on the source that is furthest, so that no id is
 * given twice after the switch (hazard 8). Never sets one back.
 */
export async function advanceSequences(
  sessions: EngineSessions,
  sources: readonly ShardAddress[],
  target: ShardAddress,
  tasks: readonly CopyTask[],
): Promise<void> {
  const read = (address: ShardAddress): Promise<IdSource[]> =>
    sessions.use(address, (session) => readIdSources(session, tasks));
  const [atSources, atTarget] = await Promise.all([Promise.all(sources.map(read)), read(target)]);
  for (const own of atTarget) {
    let furthest = 0n;
    for (const other of atSources.flat()) {
      const isSame = other.kind === own.kind && other.name === own.name;
      if (isSame && other.next > furthest) furthest = other.next;
    }
    if (furthest > own.next) await sessions.use(target, (session) => advance(session, own, furthest));
  }
}

async function advance(session: EngineSession, { kind, name, last }: IdSource, next: bigint): Promise<void> {
  if (kind === 'sequence') {
    await session.rows(`SELECT SETVAL(${name}, ${next}, FALSE)`);
    return;
  }
  const wanted = next + AHEAD < last ? next + AHEAD : next;
  await withShortLocks(session, AT_ONCE, name, () =>
    session.run(`ALTER TABLE ${name} AUTO_INCREMENT = ${wanted}`),
  );
}

async function readIdSources(session: EngineSession, tasks: readonly CopyTask[]): Promise<IdSource[]> {
  const tables = mergeTasks(tasks).map((task) => task.table);
  if (tables.length === 0) return [];
  // Statements wait meanwhile: only with schema and name as constants does the server open no other tables for this.
  const each = (select: string): string =>
    tables
      .map(
        ({ schema, name }) =>
          `${select} AND table_schema = ${quoteText(schema)} AND table_name = ${quoteText(name)}`,
      )
      .join(' UNION ALL ');
  const [columns, nextIds] = await session.rowsOfAll([
    each(
      `SELECT table_schema, table_name, column_type, column_default, extra FROM information_schema.columns
       WHERE (extra LIKE '%auto_increment%' OR column_default LIKE '%nextval(%')`,
    ),
    each('SELECT table_schema, table_name, auto_increment FROM information_schema.tables WHERE TRUE'),
  ]);
  const nextOf = new Map(nextIds!.map(([schema, name, next]) => [`${schema}.${name}`, next]));
  const sequences = new Set<string>();
  const found: IdSource[] = [];
  for (const [schema, name, type, defaultSql, extra] of columns!) {
    if (/auto_increment/i.test(extra ?? '')) {
      const table = tables.find((each) => tableKey(each) === `${schema}.${name}`)!;
      found.push({
        kind: 'auto-increment',
        name: quoteTable(table),
        next: BigInt(nextOf.get(tableKey(table)) ?? 1),
        last: greatest(type!),
      });
    }
    for (const [, sequence] of (defaultSql ?? '').matchAll(
      /nextval\(((?:`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`)\)/gi,
    ))
      sequences.add(sequence!);
  }
  for (const name of sequences) {
    const [row] = await session.rows(`SELECT next_not_cached_value, maximum_value FROM ${name}`);
    found.push({ kind: 'sequence', name, next: BigInt(row![0]!), last: BigInt(row![1]!) });
  }
  return found;
}

const BITS: Readonly<Record<string, bigint>> = {
  tinyint: 8n,
  smallint: 16n,
  mediumint: 24n,
  int: 32n,
  bigint: 64n,
};

function greatest(type: string): bigint {
  const bits = BITS[/^[a-z]+/.exec(type)?.[0] ?? ''] ?? 24n;
  return 2n ** (type.includes('unsigned') ? bits : bits - 1n) - 1n;
}
