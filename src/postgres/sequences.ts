import type { CopyTask, ShardAddress } from '../migration/engine.js';
import { quoteText, tableKey } from './engine-names.js';
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

/** Identity columns depend on their sequence the other way round: the sequence on the column, internally. */
const SEQUENCES_SQL = `
  SELECT format('%I.%I', sn.nspname, s.relname), n.nspname || '.' || c.relname, a.attname, q.seqincrement < 0
  FROM json_array_elements_text($1::json) AS wanted(name)
  JOIN pg_class c ON c.relkind = 'r'
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname || '.' || c.relname = wanted.name
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN LATERAL (
    SELECT d.refobjid AS oid FROM pg_attrdef ad JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid AND d.refclassid = 'pg_class'::regclass
    WHERE ad.adrelid = c.oid AND ad.adnum = a.attnum AND d.refobjid <> c.oid
    UNION
    SELECT d.objid FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype = 'i'
  ) filling ON true
  JOIN pg_class s ON s.oid = filling.oid AND s.relkind = 'S'
  JOIN pg_sequence q ON q.seqrelid = s.oid
  JOIN pg_namespace sn ON sn.oid = s.relnamespace`;

async function readSequences(session: EngineSession, tasks: readonly CopyTask[]): Promise<FillingSequence[]> {
  const names = JSON.stringify([...new Set(tasks.map((task) => tableKey(task.table)))]);
  const rows = await session.rows(SEQUENCES_SQL, [names]);
  if (rows.length === 0) return [];
  const values = rows.map(
    ([sequence]) => `(SELECT CASE WHEN is_called THEN last_value END FROM ${sequence})`,
  );
  const [last] = await session.rows(`SELECT ${values.join(', ')}`);
  return rows.map(([sequence, table, column, descending], index) => ({
    sequence: sequence!,
    table: table!,
    column: column!,
    isDescending: descending === 't',
    last: last![index] === null ? undefined : BigInt(last![index]!),
  }));
}
