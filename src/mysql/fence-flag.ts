import { FENCES_TABLE, namePrefix, quoteName, quoteText } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import type { Flavor } from './flavor.js';
import { AT_ONCE, withShortLocks } from './short-locks.js';

/**
 * Where a fence keeps whether it is up. Each has the migration's row in the table of fences, which writers lock in shared mode
 * until their transaction ends, and beside it something that writers read and do not lock: whoever has been refused, and
 * leaves its transaction open, does not keep the fence from being lowered.
 */
export interface FenceFlag {
  /** Makes what is missing, down. The migration's row is there already. */
  make(session: EngineSession, migration: string): Promise<void>;
  exists(session: EngineSession, migration: string): Promise<boolean>;
  /** Takes away all but rows of the table of fences. */
  remove(session: EngineSession, migration: string): Promise<void>;
  /** Names of the migration's rows in the table of fences. */
  rows(migration: string): readonly string[];
  /** What a trigger declares. `ringferry_is_up` is among it. */
  readonly declareSql: string;
  /** In a trigger: locks the migration's row in shared mode, then makes `ringferry_is_up` 0 if the fence is down. */
  lookSql(migration: string): string;
  /**
   * A trigger's body that names all that `lookSql` reads, and reads nothing: it stands first. A MariaDB prepares a statement anew
   * only if its triggers are younger than it, and a trigger counts as made when its CREATE began: one that was prepared while
   * CREATE ran does not open what the trigger reads, and would fail with "table doesn't exist". When the body that reads
   * replaces this one, all of those are older, and what is prepared meanwhile opens everything.
   */
  sleepingSql?(migration: string): string;
  /** A SELECT of what `setSql` goes on from. */
  valueSql(migration: string): string;
  /** Statements that bring it from `value` to up or down. */
  setSql(migration: string, value: bigint, isUp: boolean): readonly string[];
  /** A SELECT of 1 while it is up. */
  isUpSql(migration: string): string;
}

export function fenceFlagOf({ hasSequences }: Flavor): FenceFlag {
  return hasSequences ? SEQUENCE_FLAG : COUNTED_FLAG;
}

const FENCES = quoteName(FENCES_TABLE);

function lockedSql(migration: string, column: string): string {
  return `SELECT ${column} FROM ${FENCES} WHERE name = ${quoteText(migration)} LOCK IN SHARE MODE`;
}

/**
 * A sequence, whose next value is odd while the fence is up: sequences are outside of snapshots and transactions, so an old
 * REPEATABLE READ sees it too.
 */
const SEQUENCE_FLAG: FenceFlag = {
  async make(session, migration) {
    await session.run(
      `CREATE SEQUENCE IF NOT EXISTS ${sequence(migration)} START 0 MINVALUE 0 INCREMENT 1 NOCACHE ENGINE = InnoDB`,
    );
  },
  exists: async (session, migration) => tableExists(session, flagName(migration)),
  async remove(session, migration) {
    if (await this.exists(session, migration))
      await withShortLocks(session, AT_ONCE, flagName(migration), () =>
        session.run(`DROP SEQUENCE IF EXISTS ${sequence(migration)}`),
      );
  },
  rows: (migration) => [migration, `${migration} flag`],
  declareSql: `DECLARE ringferry_name VARCHAR(64);
  DECLARE ringferry_is_up INT DEFAULT 1;`,
  // SET and not SELECT … INTO, whose row MariaDB would count among the affected rows of a bulk execution.
  lookSql: (migration) => `SET ringferry_name = (${lockedSql(migration, 'name')});
    SET ringferry_is_up = IF(ringferry_name IS NULL, 1, (SELECT next_not_cached_value % 2 FROM ${sequence(migration)}));`,
  sleepingSql: (migration) => `IF FALSE THEN
    SET @ringferry_unused = (SELECT name FROM ${FENCES} LIMIT 1 LOCK IN SHARE MODE);
    SET @ringferry_unused = (SELECT next_not_cached_value FROM ${sequence(migration)});
  END IF`,
  valueSql: (migration) => `SELECT next_not_cached_value FROM ${sequence(migration)}`,
  setSql: (migration, value, isUp) => [
    ...((value % 2n === 1n) === isUp ? [] : [`SELECT SETVAL(${sequence(migration)}, ${value + 1n}, FALSE)`]),
    // Sequences need not reach the disk at once: the commit behind it brings the change there. A row that no trigger locks.
    `INSERT INTO ${FENCES} VALUES (${quoteText(`${migration} flag`)}, 1) ON DUPLICATE KEY UPDATE changes = changes + 1`,
  ],
  isUpSql: (migration) => `SELECT next_not_cached_value % 2 FROM ${sequence(migration)}`,
};

function flagName(migration: string): string {
  return `${namePrefix(migration)}flag`;
}

function sequence(migration: string): string {
  return quoteName(flagName(migration));
}

/**
 * Two rows that count: how often the fence was raised (the locked one), and until which of those it was lowered again. It is up
 * while the first is greater. A locking read sees the newest raising; the second is read as the transaction's snapshot has
 * it, which may be too little and never too much: a transaction that has begun before the fence was lowered is refused still.
 *
 * Raising says "one more than was lowered", lowering "one more": a raising whose answer was lost, and which comes to be only
 * behind its lowering, raises nothing.
 */
const COUNTED_FLAG: FenceFlag = {
  async make(session, migration) {
    await session.run(`INSERT IGNORE INTO ${FENCES} (name) VALUES (${lowered(migration)})`);
  },
  async exists(session, migration) {
    if (!(await tableExists(session, FENCES_TABLE))) return false;
    const count = `SELECT COUNT(*) FROM ${FENCES} WHERE name IN (${quoteText(migration)}, ${lowered(migration)})`;
    return (await session.value(count)) === '2';
  },
  remove: async () => {},
  rows: (migration) => [migration, `${migration} lowered`],
  declareSql: `DECLARE ringferry_raised BIGINT;
  DECLARE ringferry_lowered BIGINT;
  DECLARE ringferry_is_up INT DEFAULT 1;`,
  // In SET … = (SELECT …) InnoDB would lock the second row, too.
  lookSql: (migration) => `SET ringferry_raised = (${lockedSql(migration, 'changes')});
    SELECT changes INTO ringferry_lowered FROM ${FENCES} WHERE name = ${lowered(migration)};
    SET ringferry_is_up = ringferry_raised > ringferry_lowered;`,
  valueSql: (migration) => `SELECT changes FROM ${FENCES} WHERE name = ${lowered(migration)}`,
  setSql: (migration, value, isUp) => [
    isUp
      ? `UPDATE ${FENCES} SET changes = ${value + 1n} WHERE name = ${quoteText(migration)}`
      : `UPDATE ${FENCES} SET changes = ${value + 1n} WHERE name = ${lowered(migration)}`,
  ],
  isUpSql: (
    migration,
  ) => `SELECT raised.changes > lowered.changes FROM ${FENCES} AS raised, ${FENCES} AS lowered
    WHERE raised.name = ${quoteText(migration)} AND lowered.name = ${lowered(migration)}`,
};

function lowered(migration: string): string {
  return quoteText(`${migration} lowered`);
}

export async function tableExists(session: EngineSession, name: string): Promise<boolean> {
  const rows = await session.rows(
    'SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
    [name],
  );
  return rows.length > 0;
}
