import { asError } from '../lib/errors.js';
import type { Database } from '../proxy/database.js';
import type { Keyspace, Table } from '../topology/keyspace.js';
import type { DriftState } from './control.js';

/** What the sharded and reference tables of each shard have otherwise than the home shard's. */
export async function compareTables(database: Database): Promise<DriftState[]> {
  if (database.isPassThrough) return [];
  const { home, shards } = database.topology.current;
  const read = (shard: string) =>
    database.withBackend(shard, (backend) =>
      database.dialect.readKeyspace((sql) => backend.rows(sql), database.config),
    );
  const model = await read(home);
  const others = shards.filter(({ name }) => name !== home);
  const found = await Promise.all(
    others.map(async ({ name }): Promise<DriftState[]> => {
      try {
        return differences(model, await read(name)).map((difference) => ({
          database: database.name,
          shard: name,
          ...difference,
        }));
      } catch (thrown) {
        return [
          {
            database: database.name,
            shard: name,
            table: '',
            difference: `cannot be read: ${asError(thrown).message}`,
          },
        ];
      }
    }),
  );
  return found.flat();
}

function differences(model: Keyspace, other: Keyspace): { table: string; difference: string }[] {
  const result: { table: string; difference: string }[] = [];
  for (const [table, expected] of model.tables) {
    if (expected.placement === 'home') continue;
    const actual = other.tables.get(table);
    const found = actual === undefined ? ['the table is missing'] : columnDifferences(expected, actual);
    for (const difference of found) result.push({ table, difference });
  }
  for (const [table, actual] of other.tables) {
    if (actual.placement !== 'home' && !model.tables.has(table))
      result.push({ table, difference: 'the table is not on the home shard' });
  }
  return result;
}

function columnDifferences(expected: Table, actual: Table): string[] {
  const result: string[] = [];
  const actualByName = new Map(actual.columns.map((column) => [column.name, column]));
  for (const column of expected.columns) {
    const other = actualByName.get(column.name);
    actualByName.delete(column.name);
    if (other === undefined) result.push(`column ${column.name} is missing`);
    else if (other.type !== column.type)
      result.push(`column ${column.name} is ${other.type}, not ${column.type}`);
    else if (other.isNotNull !== column.isNotNull)
      result.push(`column ${column.name} ${other.isNotNull ? 'is' : 'is not'} NOT NULL`);
  }
  for (const name of actualByName.keys()) result.push(`column ${name} is not on the home shard`);
  if (expected.primaryKey.join() !== actual.primaryKey.join()) {
    result.push(`primary key is (${actual.primaryKey.join(', ')}), not (${expected.primaryKey.join(', ')})`);
  }
  return result;
}
