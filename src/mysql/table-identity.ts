import { OperatingError } from '../lib/errors.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { LEDGER_TABLE, quoteName } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { ensureLedger } from './ledger.js';

/**
 * InnoDB's numbers of tables, by `schema.name`. A table that is emptied by TRUNCATE, or built anew, has another number afterwards: behind a
 * fence no trigger tells of that. Needs the PROCESS privilege; throws `migration` for a table that is not there.
 */
async function readIdentities(
  session: EngineSession,
  tables: readonly Table[],
): Promise<Map<string, string>> {
  const rows = await session.rows(
    `SELECT name, table_id FROM information_schema.${session.flavor.innodbTables} ORDER BY table_id`,
  );
  const found = new Map<string, string>();
  for (const table of tables) {
    // Partitions have numbers of their own. Some servers fold names.
    const names = new RegExp(`^${fileName(table.schema)}/${fileName(table.name)}(#p#.*)?$`, 'i');
    const ids = rows.filter(([name]) => names.test(name!)).map((row) => row[1]!);
    if (ids.length === 0)
      throw new OperatingError('migration', `InnoDB does not list table ${tableKey(table)}`, {
        hint: 'grant PROCESS to its user',
      });
    found.set(tableKey(table), ids.join(','));
  }
  return found;
}

/**
 * As InnoDB writes names (manual, Mapping of Identifiers to File Names): ASCII letters and digits as they are, letters
 * elsewhere as `@` and two characters, everything else as `@` and its code in hex. The letters are not told apart: then a
 * table stands for several, which may close the way back needlessly.
 */
function fileName(name: string): string {
  return name.replace(/[^0-9A-Za-z_]/g, (character) => {
    const code = character.charCodeAt(0);
    const hex = `@${code.toString(16).padStart(4, '0')}`;
    return code < 0x80 ? hex : `(?:${hex}|@..)`;
  });
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
