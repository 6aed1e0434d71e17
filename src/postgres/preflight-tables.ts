import type { Blocker, CopyTask, StreamSpec } from '../migration/engine.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteTable } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { columnDrift, readTables, type TableFacts } from './engine-tables.js';
import { selectionSql } from './selection.js';

/** What is wrong with the tables on a source. */
export async function tableBlockers(session: EngineSession, tables: readonly Table[]): Promise<Blocker[]> {
  const { shard } = session.address;
  const facts = await readTables(session, tables);
  const blockers: Blocker[] = [];
  for (const table of tables) {
    const found = facts.get(tableKey(table));
    const name = `table ${tableKey(table)}`;
    if (found === undefined)
      blockers.push({
        shard,
        message: `${name} does not exist`,
        remedy: `Create ${tableKey(table)}, or take it out of the configuration.`,
      });
    else
      blockers.push(
        ...faultsOf(found, name).map(([message, remedy]) => ({
          shard,
          message: `${name} ${message}`,
          remedy,
        })),
      );
  }
  return [
    ...blockers,
    ...(await ownershipBlockers(session, tables)),
    ...(await foreignKeyBlockers(session, tables)),
  ];
}

function faultsOf(facts: TableFacts, name: string): [message: string, remedy: string][] {
  const faults: [string, string][] = [];
  if (facts.kind === 'p')
    faults.push(['is partitioned, which cannot be moved yet', `Make ${name} an ordinary table.`]);
  else if (facts.kind !== 'r') faults.push(['is not an ordinary table', 'Take it out of the configuration.']);
  if (facts.isInherited && facts.kind === 'r')
    faults.push(['takes part in inheritance', `ALTER TABLE … NO INHERIT …;`]);
  if (facts.persistence !== 'p')
    faults.push(['is unlogged, so its changes are not in the log', `ALTER TABLE … SET LOGGED;`]);
  if (facts.primaryKey.length === 0)
    faults.push([
      'has no primary key, so its rows cannot be addressed',
      'ALTER TABLE … ADD PRIMARY KEY (…);',
    ]);
  const key = facts.table.key?.column;
  const column = facts.columns.find((candidate) => candidate.name === key);
  if (key !== undefined && column === undefined)
    faults.push([`has no column ${key}, its shard key`, 'Correct the key in the configuration.']);
  if (column?.isGenerated === true)
    faults.push([
      `has a generated shard key ${key}, which no trigger can see`,
      'Choose a stored column as the shard key.',
    ]);
  return faults;
}

async function ownershipBlockers(session: EngineSession, tables: readonly Table[]): Promise<Blocker[]> {
  const rows = await session.rows(
    `SELECT n.nspname || '.' || c.relname, current_user FROM json_array_elements_text($1::json) AS wanted(name)
     JOIN pg_class c ON c.oid = to_regclass(wanted.name) JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT pg_has_role(c.relowner, 'USAGE')`,
    [JSON.stringify(tables.map((table) => quoteTable(table)))],
  );
  return rows.map(([name, user]) => ({
    shard: session.address.shard,
    message: `user ${user} does not own table ${name}, so it can neither publish nor fence it`,
    remedy: `ALTER TABLE ${name} OWNER TO ${user}; or use a superuser.`,
  }));
}

/** On another shard such a key could not hold: what it refers to is at home only. */
async function foreignKeyBlockers(session: EngineSession, tables: readonly Table[]): Promise<Blocker[]> {
  const rows = await session.rows(
    `SELECT co.conname, n.nspname || '.' || c.relname, rn.nspname || '.' || r.relname
     FROM pg_constraint co JOIN pg_class c ON c.oid = co.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class r ON r.oid = co.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
     WHERE co.contype = 'f' AND n.nspname || '.' || c.relname = ANY (ARRAY(SELECT json_array_elements_text($1::json)))`,
    [JSON.stringify(tables.map(tableKey))],
  );
  const placed = new Set(tables.map(tableKey));
  return rows
    .filter(([, , referenced]) => !placed.has(referenced!))
    .map(([name, table, referenced]) => ({
      shard: session.address.shard,
      message: `foreign key ${name} of ${table} refers to ${referenced}, which is at home only, so it cannot hold on another shard`,
      remedy: `Declare ${referenced} as a reference table, or drop the foreign key.`,
    }));
}

/** Tables that are on the target already must be alike and empty where rows are to come. */
export async function targetTableBlockers(
  model: EngineSession,
  target: EngineSession,
  tables: readonly Table[],
  streams: readonly StreamSpec[],
): Promise<Blocker[]> {
  const { shard } = target.address;
  const [expected, there] = [await readTables(model, tables), await readTables(target, tables)];
  const blockers: Blocker[] = [];
  for (const [name, facts] of there) {
    const drift = columnDrift(expected.get(name)!, facts) ?? primaryKeyDrift(expected.get(name)!, facts);
    if (drift !== undefined)
      blockers.push({
        shard,
        message: `table ${name} is not as on shard ${model.address.shard}: ${drift}`,
        remedy: `Make ${name} the same on both shards.`,
      });
  }
  if (blockers.length > 0) return blockers;
  for (const task of streams
    .filter((stream) => stream.to.shard === shard)
    .flatMap((stream) => stream.tasks)) {
    if (there.has(tableKey(task.table)) && (await holdsRows(target, task))) {
      blockers.push({
        shard,
        message: `table ${tableKey(task.table)} holds rows in the ranges that are to move here`,
        remedy: 'Delete them: they belong to other shards.',
      });
    }
  }
  return [...blockers, ...(await ownershipBlockers(target, tables))];
}

function primaryKeyDrift(model: TableFacts, target: TableFacts): string | undefined {
  const [expected, found] = [model, target].map((facts) =>
    facts.primaryKey.map((column) => column.name).join(', '),
  );
  return expected === found ? undefined : `its primary key is (${found}), not (${expected})`;
}

async function holdsRows(session: EngineSession, task: CopyTask): Promise<boolean> {
  return (
    (await session.rows(`SELECT FROM ONLY ${quoteTable(task.table)} WHERE ${selectionSql(task)} LIMIT 1`))
      .length > 0
  );
}
