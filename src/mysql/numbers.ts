import { ServerFailure } from '../pool/backend.js';
import type { RowsQuery } from '../proxy/dialect.js';
import type { Column, Table } from '../topology/keyspace.js';
import { tableKey } from '../topology/keyspace.js';
import { quoteName, quoteTable, quoteText } from './engine-names.js';

const NUMBERS_TABLE = '`ringferry_numbers`';
const NO_SUCH_TABLE = 1146;

/** MySQL has no sequences, and MariaDB's do not know of AUTO_INCREMENT columns: the next numbers are rows of a table on the home shard. */
export async function leaseNumbers(
  rows: RowsQuery,
  table: Table,
  column: Column,
  count: number,
  floor: bigint,
): Promise<bigint[]> {
  const name = quoteText(`${tableKey(table)}.${column.name}`);
  // LAST_INSERT_ID(x) keeps x for this connection (MySQL manual, 12.15 Information Functions).
  const take = `INSERT INTO ${NUMBERS_TABLE} (name, next) VALUES (${name}, LAST_INSERT_ID(${floor + 1n}) + ${count})
    ON DUPLICATE KEY UPDATE next = LAST_INSERT_ID(GREATEST(next, ${floor + 1n})) + ${count}`;
  try {
    await rows(take);
  } catch (thrown) {
    if (!(thrown instanceof ServerFailure) || thrown.serverError.errno !== NO_SUCH_TABLE) throw thrown;
    await rows(`CREATE TABLE IF NOT EXISTS ${NUMBERS_TABLE} (
      name VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, next BIGINT UNSIGNED NOT NULL) ENGINE = InnoDB`);
    await rows(take);
  }
  const first = BigInt((await rows('SELECT LAST_INSERT_ID()'))[0]![0]!);
  return Array.from({ length: count }, (_, index) => first + BigInt(index));
}

/** AUTO_INCREMENT columns may be unsigned; rows that were numbered by hand below zero do not count. */
export function highestNumberSql(table: Table, column: string): string {
  return `SELECT MAX(${quoteName(column)}) FROM ${quoteTable(table)}`;
}

/** Rows that are there already, for which no number is used (manual, "INSERT … ON DUPLICATE KEY UPDATE Statement", "LAST_INSERT_ID()"). */
const MAY_SKIP = /\b(?:ignore|duplicate)\b/i;

/** Asks for the least of these numbers, ascending, that a row has; undefined: every row of the INSERT has its own. */
export function firstNumberSql(
  sql: string,
  table: Table,
  column: string,
  numbers: readonly bigint[],
): string | undefined {
  if (!MAY_SKIP.test(sql)) return undefined;
  const name = quoteName(column);
  const conditions = runsOf(numbers).map(([low, high]) => `${name} BETWEEN ${low} AND ${high}`);
  return `SELECT MIN(${name}) FROM ${quoteTable(table)} WHERE ${conditions.join(' OR ')}`;
}

/** Numbers that follow each other. */
function runsOf(numbers: readonly bigint[]): [low: bigint, high: bigint][] {
  const runs: [bigint, bigint][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && number === last[1] + 1n) last[1] = number;
    else runs.push([number, number]);
  }
  return runs;
}
