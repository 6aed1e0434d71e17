import { LEDGER_TABLE, MARKS_TABLE, OWN_WORK, quoteName, STARTS_TABLE } from './engine-names.js';
import type { EngineSession } from './engine-session.js';

const TABLE_OPTIONS = 'ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';

/** Text columns that are keys: ids are short, names of shards too. */
const KEY = 'VARCHAR(190) NOT NULL';

const TABLES: Readonly<Record<string, string>> = {
  [LEDGER_TABLE]: `migration ${KEY}, source ${KEY}, position LONGTEXT NOT NULL, read_from LONGTEXT NOT NULL,
    changes BIGINT UNSIGNED NOT NULL DEFAULT 0, PRIMARY KEY (migration, source)`,
  [STARTS_TABLE]: `migration ${KEY}, target ${KEY}, position LONGTEXT NOT NULL, read_from LONGTEXT NOT NULL, PRIMARY KEY (migration, target)`,
  [MARKS_TABLE]: `migration ${KEY} PRIMARY KEY, marks BIGINT UNSIGNED NOT NULL`,
};

/**
 * Our own tables in a database that takes part. The ledger says how far a stream has been applied, written in the
 * transaction that applies (hazard 19): `position` is what is applied; `read_from` is where to read from after a restart,
 * earlier when a transaction that was prepared (XA) before `position` is still undecided. `ringferry_starts` says the
 * same for streams that have applied nothing yet, at their source. `ringferry_marks` is written to leave a mark in the log.
 */
export async function ensureLedger(session: EngineSession): Promise<void> {
  const names = Object.keys(TABLES);
  const found = await session.value(
    `SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name IN (${names.map(() => '?').join(', ')})`,
    names,
  );
  if (Number(found) === names.length) return;
  for (const [name, columns] of Object.entries(TABLES))
    await session.run(`CREATE TABLE IF NOT EXISTS ${quoteName(name)} (${columns}) ${TABLE_OPTIONS}`);
}

/**
 * Must come first in every transaction that changes moving tables on behalf of a migration and is no stream's: the ledger's
 * row, which changes with it, tells streams of this migration to leave the transaction out before they meet its rows.
 */
export async function signTransaction(session: EngineSession, migration: string): Promise<void> {
  await session.run(
    `INSERT INTO ${quoteName(LEDGER_TABLE)} (migration, source, position, read_from, changes) VALUES (?, ?, '', '', 1)
     ON DUPLICATE KEY UPDATE changes = changes + 1`,
    [migration, OWN_WORK],
  );
}

/** Forgets everything that the ledger holds about a migration; drops our tables when no migration is left in them. Twice is harmless. */
export async function clearLedger(session: EngineSession, migration: string): Promise<void> {
  const there = await session.rows(
    'SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name IN (?, ?, ?)',
    [LEDGER_TABLE, STARTS_TABLE, MARKS_TABLE],
  );
  for (const [name] of there) {
    await session.run(`DELETE FROM ${quoteName(name!)} WHERE migration = ?`, [migration]);
    const left = await session.value(`SELECT EXISTS (SELECT 1 FROM ${quoteName(name!)})`);
    if (left === '0') await session.run(`DROP TABLE IF EXISTS ${quoteName(name!)}`);
  }
}
