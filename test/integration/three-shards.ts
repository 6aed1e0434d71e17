import { type After, lastFirst, runSql, startPostgres } from '../cluster.js';
import { type Ringferry, startRingferry } from './harness.js';

/** Three real servers with the same tables, and Ringferry in front of them; returns the proxy and where to register what ends before it. */
export async function startThreeShards(
  after: After,
  schema: readonly string[],
  tables: Readonly<Record<string, unknown>>,
): Promise<{ readonly ringferry: Ringferry; readonly atEnd: After }> {
  const atEnd = lastFirst(after);
  const servers = await startPostgres(atEnd, { count: 3 });
  for (const server of servers) await runSql(server.url(), ...schema);
  const [a, b, c] = servers;
  const ringferry = await startRingferry(atEnd, { shards: { a: a!, b: b!, c: c! }, tables });
  return { ringferry, atEnd };
}

/** A uuid that says its number. */
export const uuidOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
