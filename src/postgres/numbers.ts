import type { RowsQuery } from '../proxy/dialect.js';
import type { Column, Table } from '../topology/keyspace.js';
import { quoteIdentifier, quoteLiteral } from './quoting.js';

/**
 * Numbers from the column's own sequence, so that `nextval` said by a client, which goes to the home shard too, takes from
 * the same.
 */
export async function leaseNumbers(
  rows: RowsQuery,
  table: Table,
  column: Column,
  count: number,
): Promise<readonly bigint[]> {
  const name = quoteLiteral(`${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`);
  const next =
    column.defaultSql ??
    `pg_catalog.nextval(pg_catalog.pg_get_serial_sequence(${name}, ${quoteLiteral(column.name)}))`;
  const found = await rows(`SELECT ${next} FROM pg_catalog.generate_series(1, ${count})`);
  return found.map(([number]) => BigInt(number!));
}
