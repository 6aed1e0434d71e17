import type { Blocker, CopyTask, StreamSpec } from '../migration/engine.js';
import type { Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { isExactType } from './column-values.js';
import { OWN_PREFIX, quoteName, quoteTable, quoteText } from './engine-names.js';
import type { EngineSession } from './engine-session.js';
import { columnDrift, readTables, type TableFacts } from './engine-tables.js';
import { hasReadableTexts } from './log-values.js';
import { type Finding, foreignKeyFindings } from './preflight-foreign-keys.js';
import { selectionSql } from './selection.js';

/** What is wrong with the tables on a source. */
export async function tableBlockers(session: EngineSession, tables: readonly Table[]): Promise<Blocker[]> {
  const facts = await readTables(session, tables);
  const findings: Finding[] = [];
  for (const table of tables) {
    const found = facts.get(tableKey(table));
    const name = `table ${tableKey(table)}`;
    if (found === undefined)
      findings.push([
        `${name} does not exist`,
        `Create ${tableKey(table)}, or take it out of the configuration.`,
      ]);
    else {
      const faults = [...faultsOf(found), ...keyFaultsOf(found), ...(await keyTextFaults(session, found))];
      for (const [message, remedy] of faults) findings.push([`${name} ${message}`, remedy]);
    }
  }
  findings.push(...(await triggerFindings(session, tables)), ...(await foreignKeyFindings(session, tables)));
  return findings.map(([message, remedy]) => ({ shard: session.address.shard, message, remedy }));
}

function faultsOf(facts: TableFacts): Finding[] {
  const name = quoteTable(facts.table);
  if (facts.kind !== 'BASE TABLE')
    return [[`is not an ordinary table but ${facts.kind}`, 'Take it out of the configuration.']];
  const faults: Finding[] = [];
  if (facts.engine !== 'InnoDB')
    faults.push([
      `is stored by ${facts.engine}, which has no transactions`,
      `ALTER TABLE ${name} ENGINE = InnoDB;`,
    ]);
  if (facts.primaryKey.length === 0)
    faults.push([
      'has no primary key, so its rows cannot be addressed',
      `ALTER TABLE ${name} ADD PRIMARY KEY (…);`,
    ]);
  for (const column of facts.columns)
    if (!column.isGenerated && !isExactType(column))
      faults.push([
        `has column ${column.name} of type ${column.type}, which cannot be moved`,
        'Change its type, or keep the table at home.',
      ]);
  return faults;
}

function keyFaultsOf(facts: TableFacts): Finding[] {
  const key = facts.table.key?.column;
  if (key === undefined) return [];
  const column = facts.columns.find((candidate) => candidate.name === key);
  if (column === undefined)
    return [[`has no column ${key}, its shard key`, 'Correct the key in the configuration.']];
  const faults: Finding[] = [];
  if (column.isGenerated)
    faults.push([
      `has a generated shard key ${key}, which changes do not carry`,
      'Choose a stored column as the shard key.',
    ]);
  else if (column.isNullable)
    faults.push([
      `has a shard key ${key} that may be NULL, and such a row belongs nowhere`,
      `ALTER TABLE ${quoteTable(facts.table)} MODIFY ${quoteName(key)} ${column.type} NOT NULL;`,
    ]);
  if (!hasReadableTexts(column))
    faults.push([
      `has a shard key ${key} in the character set ${column.characterSet}, whose texts cannot be routed`,
      `ALTER TABLE ${quoteTable(facts.table)} MODIFY ${quoteName(key)} ${column.type} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;`,
    ]);
  return faults;
}

/** Of texts that are equal in any case only printable ASCII can be routed as the database compares it. */
async function keyTextFaults(session: EngineSession, { table, columns }: TableFacts): Promise<Finding[]> {
  const { key } = table;
  if (key?.type !== 'text-ci' || !columns.some((column) => column.name === key.column)) return [];
  const column = quoteName(key.column);
  const odd = await session.value(
    `SELECT ${column} FROM ${quoteTable(table)} WHERE HEX(CONVERT(${column} USING utf8mb4)) NOT REGEXP '^([2-6][0-9A-F]|7[0-9A-E])*$' LIMIT 1`,
  );
  if (odd === undefined || odd === null) return [];
  return [
    [
      `has the shard key ${JSON.stringify(odd)}, and of a case-insensitive key only printable ASCII can be routed`,
      `Give ${key.column} a binary collation, such as utf8mb4_bin, or choose another shard key.`,
    ],
  ];
}

function namesOf(tables: readonly Table[]): string {
  return tables.map(({ schema, name }) => `(${quoteText(schema)}, ${quoteText(name)})`).join(', ');
}

/** They would run once where a change is made and once more where it is applied (hazard 9). */
async function triggerFindings(session: EngineSession, tables: readonly Table[]): Promise<Finding[]> {
  if (tables.length === 0) return [];
  const rows = await session.rows(
    `SELECT trigger_name, event_object_schema, event_object_table FROM information_schema.triggers
     WHERE (event_object_schema, event_object_table) IN (${namesOf(tables)}) AND LEFT(trigger_name, ${OWN_PREFIX.length}) <> ${quoteText(OWN_PREFIX)}`,
  );
  return rows.map(([trigger, schema, table]) => [
    `trigger ${trigger} of ${schema}.${table} would run a second time where its rows are applied`,
    `Do its work in the application, or in a generated column; then DROP TRIGGER ${trigger};`,
  ]);
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
  const findings: Finding[] = [];
  for (const [name, facts] of there) {
    const drift = columnDrift(expected.get(name)!, facts) ?? primaryKeyDrift(expected.get(name)!, facts);
    if (drift !== undefined)
      findings.push([
        `table ${name} is not as on shard ${model.address.shard}: ${drift}`,
        `Make ${name} the same on both shards.`,
      ]);
    else
      findings.push(
        ...faultsOf(facts).map(([message, remedy]): Finding => [`table ${name} ${message}`, remedy]),
      );
  }
  const tasks = streams.filter((stream) => stream.to.shard === shard).flatMap((stream) => stream.tasks);
  if (findings.length === 0) {
    findings.push(...(await triggerFindings(target, tables)));
    for (const task of tasks)
      if (there.has(tableKey(task.table)) && (await holdsRows(target, task)))
        findings.push([
          `table ${tableKey(task.table)} holds rows in the ranges that are to move here`,
          'Delete them: they belong to other shards.',
        ]);
  }
  return findings.map(([message, remedy]) => ({ shard, message, remedy }));
}

function primaryKeyDrift(model: TableFacts, target: TableFacts): string | undefined {
  const [expected, found] = [model, target].map((facts) => facts.primaryKey.join(', '));
  return expected === found ? undefined : `its primary key is (${found}), not (${expected})`;
}

async function holdsRows(session: EngineSession, task: CopyTask): Promise<boolean> {
  return (
    (await session.rows(`SELECT 1 FROM ${quoteTable(task.table)} WHERE ${selectionSql(task)} LIMIT 1`))
      .length > 0
  );
}
