import type { Statement } from '../differential.js';
import type { Lot } from './random-lot.js';

interface KeyedTable {
  readonly type: string;
  /** Keys in several spellings: literals as they are written, and values. */
  readonly literals: readonly string[];
  readonly values: readonly unknown[];
}

const KEYED: Readonly<Record<string, KeyedTable>> = {
  days: {
    type: 'date',
    literals: [
      "DATE '2024-01-01'",
      '20240102',
      "'2024-1-3'",
      "TIMESTAMP '2024-01-01 00:00:00'",
      "'2024-02-30'",
    ],
    values: [
      '2024-01-01',
      '2024-01-02',
      '2024-01-03',
      '2024-01-01 00:00:00',
      '2024-01-02 12:00:00',
      '20240103',
    ],
  },
  moments: {
    type: 'datetime(3)',
    literals: ["TIMESTAMP '2024-01-01 10:00:00.5'", "DATE '2024-01-02'", '20240102000000'],
    values: [
      '2024-01-01 10:00:00.500',
      '2024-01-01T10:00:00.5',
      '2024-01-02',
      '2024-01-02 00:00:00',
      '2024-01-01 10:00:00.5004',
    ],
  },
  amounts: {
    type: 'decimal(8, 2)',
    literals: ['1', '1.50', '15e-1', '-0.0', '0', '001', '1.505', "x'31'"],
    values: [1, '1.0', 1.5, '1.50', -2, '-2.00', '0', '1.5abc', 1.005],
  },
  codes: {
    type: 'varbinary(8)',
    literals: ["x'6162'", "'ab'", '0x6162', "_binary 'ab'", "X'6162 '", "'ä'", '12'],
    values: ['ab', 'AB', 'ab ', Buffer.from('ab'), Buffer.from([0, 255]), 'ä', 12],
  },
  ids: {
    type: 'uuid',
    literals: ["'123e4567-e89b-12d3-a456-426655440000'", "'123E4567E89B12D3A456426655440000'", "'no uuid'"],
    values: [
      '123e4567-e89b-12d3-a456-426655440000',
      '123E4567-E89B-12D3-A456-426655440001',
      '123e4567e89b12d3a456426655440001',
    ],
  },
  words: {
    type: 'char(6) COLLATE utf8mb4_unicode_ci',
    literals: ["'one'", "'ONE  '", "'two'", "N'two'", "'ä'", "x'6F6E65'"],
    values: ['one', 'One', 'one ', 'TWO', '', ' one', 'ä'],
  },
};

export const KEYED_SCHEMA = Object.entries(KEYED).map(
  ([name, { type }]) => `CREATE TABLE ${name} (id ${type} NOT NULL PRIMARY KEY, n int DEFAULT 0)`,
);
export const KEYED_TABLES = Object.fromEntries(Object.keys(KEYED).map((name) => [name, { key: 'id' }]));
export const KEYED_CONTENTS = Object.fromEntries(
  Object.keys(KEYED).map((name) => [name, `SELECT * FROM ${name} ORDER BY CAST(id AS BINARY)`]),
);

/** Keys of other types, however they are written. */
export function keyed(lot: Lot): Statement {
  const [name, { literals, values }] = lot.random.pick(Object.entries(KEYED));
  const key = () => (lot.random.chance(40) ? lot.random.pick(literals) : lot.put(lot.random.pick(values)));
  const sql = lot.random.pick([
    () => `SELECT * FROM ${name} WHERE id = ${key()}`,
    () => `SELECT * FROM ${name} WHERE id IN (${key()}, ${key()}) ORDER BY id`,
    () => `SELECT n FROM ${name} WHERE ${key()} = id AND n >= 0`,
    () => `SELECT count(*), sum(n), min(id), max(id) FROM ${name} WHERE id <> ${key()}`,
    () => `SELECT id FROM ${name} ORDER BY id DESC LIMIT 3`,
    () => `INSERT INTO ${name} VALUES (${key()}, 1)`,
    () =>
      `INSERT INTO ${name} (n, id) VALUES (2, ${key()}), (3, ${key()}) ON DUPLICATE KEY UPDATE n = n + 10`,
    () => `INSERT IGNORE INTO ${name} (id) VALUES (${key()}), (${key()})`,
    () => `REPLACE INTO ${name} VALUES (${key()}, ${lot.random.below(1_000_000)})`,
    () => `UPDATE ${name} SET n = n + 1 WHERE id = ${key()}`,
    () => `UPDATE ${name} SET n = 0 WHERE id > ${key()}`,
    () => `DELETE FROM ${name} WHERE id = ${key()}`,
    () => `DELETE FROM ${name} WHERE id IN (${key()}, ${key()}) RETURNING n`,
  ])();
  return { sql, isOrdered: !sql.includes('RETURNING') };
}
