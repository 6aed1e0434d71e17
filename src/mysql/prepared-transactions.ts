import { OperatingError } from '../lib/errors.js';
import type { EngineSession, TextRow } from './engine-session.js';

/**
 * InnoDB's transactions that are prepared now, by their id: in two phases (XA), or between the two halves of an ordinary
 * commit. The engine's own report is read because information_schema.innodb_trx may be a tenth of a second old, and
 * XA RECOVER names a transaction only some time after its locks are gone. Needs the PROCESS privilege.
 */
export async function preparedTransactions(session: EngineSession): Promise<Set<string>> {
  return preparedOf(session, await session.rows(PREPARED_SQL));
}

export const PREPARED_SQL = 'SHOW ENGINE INNODB STATUS';

/** Out of the rows of `PREPARED_SQL`. */
export function preparedOf(session: EngineSession, [row]: readonly TextRow[]): Set<string> {
  const report = row?.[2] ?? '';
  if (!report.includes('LIST OF TRANSACTIONS FOR EACH SESSION') || /^\.\.\. truncated\.\.\.$/m.test(report))
    throw new OperatingError(
      'migration',
      `shard ${session.address.shard}: SHOW ENGINE INNODB STATUS does not list all transactions`,
      { hint: 'set innodb_status_output_locks = OFF, or wait until fewer transactions are open' },
    );
  return new Set([...report.matchAll(/^---TRANSACTION (\d+), ACTIVE \(PREPARED\)/gm)].map(([, id]) => id!));
}
