import { OperatingError } from '../lib/errors.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { LEDGER_TABLE, quoteName, quoteText } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { ensureLedger } from './ledger.js';

/**
 * InnoDB's numbers of tables. A table that is emptied by TRUNCATE, or built anew, has another number afterwards: behind a
 * fence no trigger tells of that. Needs the PROCESS privilege.
 */
async function readIdentities(
  session: EngineSession,
  tables: readonly Table[],
): Promise<Map<string, string>> {
  const schemas = [...new Set(tables.map(({ schema }) => schema))];
  const named = (text: string): string => `CONVERT(CONVERT(BINARY ${text} USING filename) USING utf8mb4)`;
  const rows = await session.rows(
    `SELECT ${named(`SUBSTRING_INDEX(name, '/', 1)`)}, ${named(`SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(name, '/', -1), '#P#', 1), '#p#', 1)`)}, table_id
     FROM information_schema.${session.flavor.innodbTables}
     WHERE ${named(`SUBSTRING_INDEX(name, '/', 1)`)} IN (${schemas.map(quoteText).join(', ')}) ORDER BY table_id`,
  );
  const found = new Map<string, string>();
  for (const table of tables) {
    const ids = rows
      .filter(([schema, name]) => isSame(schema!, table.schema) && isSame(name!, table.name))
      .map((row) => row[2]!);
    found.set(tableKey(table), ids.join(','));
  }
  return found;
}

/** Some servers fold names. */
function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Under which the ledger has a table's number. No shard's name begins with a blank. */
function ledgerName(table: string): string {
  return ` table ${table}`;
}

/** Notes which tables these are now, for `checkIdentities`. */
export async function noteIdentities(
  session: EngineSession,
  migration: string,
  tables: readonly Table[],
): Promise<void> {
  await ensureLedger(session);
  for (const [name, identity] of await readIdentities(session, tables))
    await session.run(
      `INSERT INTO ${quoteName(LEDGER_TABLE)} (migration, source, position, read_from) VALUES (?, ?, ?, '')
       ON DUPLICATE KEY UPDATE position = VALUES(position)`,
      [migration, ledgerName(name), identity],
    );
}

/** Throws `migration` naming a table that is not the one which was noted. */
export async function checkIdentities(
  session: EngineSession,
  migration: string,
  tables: readonly Table[],
): Promise<void> {
  const noted = new Map(
    (
      await session.rows(
        `SELECT source, position FROM ${quoteName(LEDGER_TABLE)} WHERE migration = ? AND LEFT(source, 7) = ' table '`,
        [migration],
      )
    ).map(([name, identity]) => [name!, identity!]),
  );
  for (const [name, identity] of await readIdentities(session, tables)) {
    const before = noted.get(ledgerName(name));
    if (before === undefined || before === identity) continue;
    throw new OperatingError(
      'migration',
      `shard ${session.address.shard}: table ${name} was emptied or built anew (TRUNCATE, ALTER, OPTIMIZE) past the fence, so its rows may not be there any more`,
      {
        hint: 'the way back is closed: finish the migration; rows that were lost here are on the new shard',
      },
    );
  }
}
