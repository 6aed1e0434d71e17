import type { Quiet } from '../migration/engine.js';
import type { EngineSession } from './engine-session.js';
import { removeFence } from './fence.js';
import { clearLedger } from './ledger.js';

/**
 * Removes everything that a migration made in this database: what it made is found by its name, so nothing is left whatever
 * died before it was recorded. Twice is harmless. Nothing of the server's own was changed, so the notes say nothing.
 */
export async function removeTraces(
  session: EngineSession,
  migration: string,
  _notes: readonly string[],
  quiet: Quiet,
): Promise<void> {
  await removeFence(session, migration, quiet);
  await clearLedger(session, migration);
}
