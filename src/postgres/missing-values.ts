import { OperatingError } from '../lib/errors.js';
import type { ShardAddress } from '../migration/engine.js';
import type { ApplyStep } from './apply-batch.js';
import type { MissingValues } from './apply-table.js';
import type { EngineSessions } from './engine-sessions.js';

/** The step with the values that the log did not carry, as the source holds them now. */
export async function withMissingValues(
  sessions: EngineSessions,
  from: ShardAddress,
  step: ApplyStep,
  missing: MissingValues,
): Promise<ApplyStep> {
  const key = missing.key.map((cell) => cell?.toString('utf8') ?? null);
  const [row] = await sessions.use(from, (session) => session.rows(missing.sql, key));
  if (row === undefined) {
    throw new OperatingError(
      'migration',
      `shard ${from.shard}: a row that moved in (${step.statement.what}) went away before its large values could be read`,
      { hint: 'abort the migration and start it again' },
    );
  }
  const values = [...step.values];
  for (const [at, column] of missing.columns.entries())
    values[column] = row[at] === null ? null : Buffer.from(row[at]!);
  return { statement: step.statement, values };
}
