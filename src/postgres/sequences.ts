import { OperatingError } from '../lib/errors.js';
import type { CopyTask, ShardAddress } from '../migration/engine.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteTable, quoteText } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import type { EngineSessions } from './engine-sessions.js';

/** A sequence that fills a column: identity, serial, or any DEFAULT nextval(…). */
interface FillingSequence {
  /** Quoted and qualified. */
  readonly sequence: string;
  /** `schema.table` */
  readonly table: string;
  readonly column: string;
  readonly isDescending: boolean;
  /** Furthest value given, undefined when none was. */
  readonly last: bigint | undefined;
}

/**
 * Sets the target's sequences to the furthest value that any source has given, so that no id is given twice after the
 * switch (hazard 8). Never sets one back. Values of rows are not looked at: one that was written by hand, such as
 * 2147483647, would use the sequence up on the target alone.
 */
export async function advanceSequences(
  sessions: EngineSessions,
  sources: readonly ShardAddress[],
  target: ShardAddress,
  tasks: readonly CopyTask[],
): Promise<void> {
  const read = (address: ShardAddress): Promise<FillingSequence[]> =>
    sessions.use(address, (session) => readSequences(session, tasks));
  const [atSources, atTarget] = await Promise.all([Promise.all(sources.map(read)), read(target)]);
  const wanted = new Map<string, bigint>();
  for (const own of atTarget) {
    const others = atSources
      .flat()
      .filter((other) => other.table === own.table && other.column === own.column);
    const furthest = furthestOf(
      others.map((other) => other.last),
      own.isDescending,
    );
    if (furthest !== undefined && isFurther(furthest, own.last, own.isDescending)) {
      const before = wanted.get(own.sequence);
      if (isFurther(furthest, before, own.isDescending)) wanted.set(own.sequence, furthest);
    }
  }
  if (wanted.size === 0) return;
  const sets = [...wanted].map(([sequence, value]) => `setval(${quoteText(sequence)}::regclass, ${value})`);
  await sessions.use(target, (session) => session.rows(`SELECT ${sets.join(', ')}`));
}

function isFurther(value: bigint, than: bigint | undefined, isDescending: boolean): boolean {
  return than === undefined || (isDescending ? value < than : value > than);
}

function furthestOf(values: readonly (bigint | undefined)[], isDescending: boolean): bigint | undefined {
  let furthest: bigint | undefined;
  for (const value of values)
    if (value !== undefined && isFurther(value, furthest, isDescending)) furthest = value;
  return furthest;
}

/**
 * Statements wait while this runs, so it goes by indexes only. Identity columns depend on their sequence the other way
 * round: the sequence on the column, internally.
 */
const SEQUENCES_SQL = `
  WITH wanted AS MATERIALIZED (SELECT name, to_regclass(quoted)::oid AS oid FROM json_to_recordset($1::json) AS given(name text, quoted text)),
  filling AS MATERIALIZED (
    SELECT w.name, w.oid, ad.adnum AS attnum, d.refobjid AS sequence FROM wanted w JOIN pg_attrdef ad ON ad.adrelid = w.oid
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.oid
    UNION
    SELECT w.name, w.oid, d.refobjsubid, d.objid FROM wanted w
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = w.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'i' AND d.refobjsubid > 0)
  SELECT format('%I.%I', n.nspname, s.relname), f.name, a.attname, q.seqincrement < 0,
    has_sequence_privilege(s.oid, 'SELECT'), pg_sequence_last_value(s.oid)
  FROM filling f JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum = f.attnum
  JOIN pg_class s ON s.oid = f.sequence AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace n ON n.oid = s.relnamespace`;

async function readSequences(session: EngineSession, tasks: readonly CopyTask[]): Promise<FillingSequence[]> {
  const tables = new Map(tasks.map((task) => [tableKey(task.table), quoteTable(task.table)]));
  const given = JSON.stringify([...tables].map(([name, quoted]) => ({ name, quoted })));
  const rows = await session.rows(SEQUENCES_SQL, [given]);
  // Later versions answer NULL to who may not read, and that would pass for a sequence never used.
  const hidden = rows.find(([, , , , mayRead]) => mayRead !== 't');
  if (hidden !== undefined) {
    throw new OperatingError(
      'migration',
      `shard ${session.address.shard}: no privilege to read sequence ${hidden[0]}`,
      {
        hint: `GRANT SELECT ON SEQUENCE ${hidden[0]} to the user of the shard's URL`,
      },
    );
  }
  return rows.map(([sequence, table, column, descending, , last]) => ({
    sequence: sequence!,
    table: table!,
    column: column!,
    isDescending: descending === 't',
    last: last == null ? undefined : BigInt(last),
  }));
}
