import type { BackendQuery } from '../pool/backend.js';
import { EXPECT } from './expectations.js';
import { encodeBind, encodeDescribe, encodeExecute, encodeParse, encodeQuery } from './frontend-messages.js';
import type { RequestWriter } from './request-writer.js';
import type { ServerStatements } from './server-statements.js';

/** With asynchronous commit the flushed log may end before what was just committed. */
export const POSITION_SQL =
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
