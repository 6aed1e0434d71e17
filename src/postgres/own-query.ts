import { OperatingError } from '../lib/errors.js';
import type { Backend, BackendQuery } from '../pool/backend.js';
import type { Position } from '../topology/topology.js';
import { EXPECT } from './expectations.js';
import { encodeBind, encodeDescribe, encodeExecute, encodeParse, encodeQuery } from './frontend-messages.js';
import type { RequestWriter } from './request-writer.js';
import type { ServerStatements } from './server-statements.js';

/** With asynchronous commit the flushed log may end before what was just committed. */
const POSITION_SQL =
  "SELECT CASE pg_catalog.current_setting('synchronous_commit') WHEN 'off' THEN pg_catalog.pg_current_wal_insert_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END";

/** Writes the proxy's own statement: a simple Query, or the extended protocol where there are parameters or formats. `hasOwn`: something stands before it in the same write. */
export function writeQuery(
  writer: RequestWriter,
  query: BackendQuery,
  statements: ServerStatements,
  hasOwn: boolean,
): void {
  statements.unnamed = undefined;
  const { sql, parameters, parameterTypes = [], resultFormats = [] } = query;
  if (parameters === undefined && resultFormats.length === 0) {
    writer.message(encodeQuery(sql), EXPECT.Query);
    if (hasOwn) writer.sync();
    return;
  }
  const indexes = Array.from({ length: parameters?.count ?? 0 }, (_, index) => index);
  const bind = encodeBind({
    portal: '',
    statement: '',
    parameterFormats: indexes.map((index) => parameters!.format(index)),
    parameters: indexes.map((index) => parameters!.bytes(index)),
    resultFormats,
  });
  writer.parse('', encodeParse('', sql, parameterTypes), EXPECT.OwnParse);
  writer.message(bind, EXPECT.OwnBind);
  writer.message(encodeDescribe('portal', ''), EXPECT.DescribePortal);
  writer.message(encodeExecute('', 0), EXPECT.Execute);
  writer.sync();
}

/** Parts what is to be said before a request: from its BEGIN on it belongs to the request's transaction; what stands before it may have to outlive a rollback. */
export function splitAtBegin(before: readonly string[] = []): {
  readonly first: readonly string[];
  readonly own: readonly string[];
} {
  const begin = before.findIndex((sql) => /^\s*(begin|start\s+transaction)\b/i.test(sql));
  return begin === -1
    ? { first: before, own: [] }
    : { first: before.slice(0, begin), own: before.slice(begin) };
}

export async function readPosition(backend: Backend): Promise<Position> {
  const position = (await backend.rows(POSITION_SQL))[0]?.[0];
  if (typeof position === 'string') return position;
  throw new OperatingError('internal', `shard "${backend.shard}" did not say its log position`);
}
