import mysql from 'mysql2/promise';
import { errorFields, type Operation } from './compare.js';

/** An operation on one connection. */
export function withConnection(
  name: string,
  work: (connection: mysql.Connection, url: string) => Promise<unknown>,
  options: mysql.ConnectionOptions = {},
  facts: Partial<Operation> = {},
): Operation {
  const run = async (url: string) => {
    const connection = await mysql.createConnection({ uri: url, ...options });
    connection.on('error', () => {});
    try {
      return await work(connection, url);
    } finally {
      connection.destroy();
    }
  };
  return { name, run, ...facts };
}

export type Outcome = readonly [unknown, unknown];

/** SERVER_SESSION_STATE_CHANGED: Ringferry tells no client what has changed in its session. */
const STATE_CHANGED = 0x4000;
const DEFINITION = [
  'name',
  'orgName',
  'table',
  'orgTable',
  'schema',
  'characterSet',
  'columnLength',
  'columnType',
  'flags',
  'decimals',
  'extendedTypeName',
  'extendedFormat',
];

/** Everything that a result says: rows or the fields of OK, and the columns' whole definitions. */
export function shape([result, fields]: Outcome): unknown {
  return { result: plainResult(result), columns: definitions(fields) };
}

function plainResult(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(plainResult);
  if (typeof result !== 'object' || result === null || !('serverStatus' in result)) return result;
  const { stateChanges: _, serverStatus, ...rest } = result as Record<string, unknown>;
  return { ...rest, serverStatus: Number(serverStatus) & ~STATE_CHANGED };
}

/** Several statements have a list of definitions each, or none. */
export function definitions(fields: unknown): unknown {
  if (fields === undefined || fields === null) return undefined;
  if (Array.isArray(fields)) return fields.map(definitions);
  return DEFINITION.map((name) => (fields as Record<string, unknown>)[name]);
}

/** One statement after the other, each as text; refusals are kept and do not end it. `CREATE OR REPLACE` is made of two, as MySQL knows it for views only. */
export async function each(connection: mysql.Connection, ...statements: string[]): Promise<unknown[]> {
  const outcomes: unknown[] = [];
  for (const sql of statements)
    outcomes.push(
      await ask(connection, sql).then(
        (outcome) => shape(outcome as Outcome),
        (error: unknown) => errorFields(error),
      ),
    );
  return outcomes;
}

async function ask(connection: mysql.Connection, sql: string): Promise<unknown> {
  const [, kind, name, rest] = /^CREATE OR REPLACE (TABLE|PROCEDURE) (\w+)(.*)$/s.exec(sql) ?? [];
  if (kind === undefined) return connection.query(sql);
  await connection.query(`DROP ${kind} IF EXISTS ${name}`);
  return connection.query(`CREATE ${kind} ${name}${rest}`);
}

export const TABLE = `CREATE OR REPLACE TABLE types (
  id int AUTO_INCREMENT PRIMARY KEY, t tinyint, tu tinyint unsigned, s smallint, m mediumint, b bigint, bu bigint unsigned, z int(6) zerofill,
  f float, d double, n decimal(30,10), bi bit(12), da date, ti time(3), dt datetime(6), ts timestamp(3) NULL, y year,
  c char(10), v varchar(100), vb varbinary(20), bin binary(4), tx text, bl blob, e enum('x','y','ü'), st set('p','q','r'), latin varchar(20) CHARACTER SET latin1
) CHARACTER SET utf8mb4`;
export const ROW = `INSERT INTO types VALUES (1, -128, 255, -32768, 8388607, -9223372036854775808, 18446744073709551615, 42,
  1.5, 2.25e-300, '12345678901234567890.0123456789', b'101010101010', '2024-02-29', '-838:59:58.999', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789', 2024,
  'pad', 'grüße 🎉', x'00ff27', 'ab', 'long', x'deadbeef', 'ü', 'p,r', 'é')`;
export const EMPTY = 'INSERT INTO types (id) VALUES (2)';
