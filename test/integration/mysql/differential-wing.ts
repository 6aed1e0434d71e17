import mysql from 'mysql2/promise';
import type { TestEngine } from '../../engines.js';
import type { DifferentialClient, DifferentialWing, Outcome, Statement } from '../differential.js';
import { KEYED_CONTENTS, KEYED_SCHEMA, KEYED_TABLES } from './random-keys.js';
import { StatementMaker } from './random-statements.js';
import { CONTENTS, firstRows, SCHEMA, TABLES } from './random-tables.js';

const NOT_SUPPORTED = 1235;
const CANNOT_ROUTE = /^the (shard key .* cannot be understood as|statement cannot be understood near)/;
/** What cannot be read is told in each one's own words (1064); a savepoint is missed in our words (1305); which of several rows is there already depends on who looks first (1062). */
const WORDED_OTHERWISE: ReadonlySet<number | undefined> = new Set([1064, 1305, 1062]);
/** MariaDB says it behind some errors, and means nothing by it. */
const UNKNOWN_ERROR = 1105;

/** Not every shard's answer says how many rows were there already. */
const UPSERT = /ON DUPLICATE KEY/;
/** Which of the texts that are equal stands for a group is open. */
const GROUPS = /GROUP BY|DISTINCT|OVER|min\(|max\(/i;
/** NOT_NULL, PRI_KEY, BINARY, NO_DEFAULT_VALUE, PART_KEY, GROUP: in groups they depend on how the server goes about it. */
const FLAGS_OF_PLANS = 0x0001 | 0x0002 | 0x0080 | 0x1000 | 0x4000 | 0x8000;
const VAR_STRING = 253;
/** While rows move, shards read the tables of a join as sub-queries, and call them so. */
const JOIN = /\bJOIN\b|items i, owners o/;

async function connect(url: string): Promise<DifferentialClient> {
  const connection = await mysql.createConnection({
    uri: url,
    charset: 'UTF8MB4_GENERAL_CI',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true,
  });
  return { ask: (statement) => ask(connection, statement), end: () => connection.end() };
}

async function ask(connection: mysql.Connection, statement: Statement): Promise<Outcome> {
  const { sql, values } = statement;
  try {
    const [result, fields] =
      values === undefined
        ? await connection.query({ sql, rowsAsArray: true })
        : await connection.execute({ sql, rowsAsArray: true, values: [...values] as string[] });
    return shown(statement, result, fields);
  } catch (thrown) {
    const { errno, sqlState, message } = thrown as { errno?: number; sqlState?: string; message: string };
    if (errno === NOT_SUPPORTED || CANNOT_ROUTE.test(message)) return { refusal: message };
    return { error: `${errno} ${sqlState} ${worded(errno, message)}` };
  }
}

/** An error's message as far as both must say the same. */
function worded(errno: number | undefined, message: string): string {
  return WORDED_OTHERWISE.has(errno) ? '' : message.replace(/ at row \d+/, '');
}

function shown({ sql, isOrdered }: Statement, result: unknown, fields: mysql.FieldPacket[]): Outcome {
  if (!Array.isArray(result)) {
    const { affectedRows, insertId, info, warningStatus } = result as mysql.ResultSetHeader;
    return { told: { affectedRows, insertId, warningStatus, ...(UPSERT.test(sql) ? {} : { info }) } };
  }
  const isGrouped = GROUPS.test(sql);
  const found = /^SHOW (WARNINGS|ERRORS)/.test(sql) ? messages(result as Message[]) : result;
  const texts = found.map((row) => JSON.stringify(row));
  const rows = isGrouped ? texts.map(folded) : texts;
  const columns = fields.map((field) => [
    field.name,
    field.columnType,
    Number(field.flags) & ~(isGrouped ? FLAGS_OF_PLANS : 0),
    isGrouped && field.columnType === VAR_STRING ? undefined : field.decimals,
    field.characterSet,
    field.columnLength,
    field.schema,
    field.table,
    ...(JOIN.test(sql) ? [] : [field.orgTable, field.orgName]),
  ]);
  return { rows: isOrdered ? rows : rows.sort(), told: columns };
}

type Message = readonly [level: string, errno: number, message: string];

function messages(found: readonly Message[]): Message[] {
  return found
    .filter(([, errno]) => errno !== UNKNOWN_ERROR)
    .map(([level, errno, message]) => [level, errno, worded(errno, message)]);
}

/** Without what a collation does not look at. */
function folded(text: string): string {
  return text
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/ +"/g, '"')
    .replaceAll('ß', 's')
    .toLowerCase();
}

/** The statements of this wing by lot; `written`: MariaDB's SQL as the engine has it; `unprepared`: what it takes as text only. */
export function wingOf(
  engine: TestEngine,
  written: (sql: string) => string = (sql) => sql,
  unprepared = /^$/,
): DifferentialWing {
  return {
    engine,
    schema: [...SCHEMA, ...KEYED_SCHEMA].map(written),
    tables: { ...TABLES, ...KEYED_TABLES },
    rows: firstRows(),
    contents: { ...CONTENTS, ...KEYED_CONTENTS },
    keys: [
      'SELECT k FROM items UNION SELECT k FROM owners UNION SELECT k FROM notes',
      'SELECT trim(lower(slug)) AS k FROM docs',
      'SELECT id AS k FROM visits',
    ],
    statements: (seed) => {
      const maker = new StatementMaker(seed);
      return {
        next: (isPrepared) => {
          const { sql, values, isOrdered } = maker.next(isPrepared);
          const isPlain = values === undefined || unprepared.test(sql);
          return { sql: written(sql), isOrdered, ...(isPlain ? {} : { values }) };
        },
      };
    },
    connect,
    // Whatever they knew of earlier statements, they now know the same.
    level: { sql: 'SELECT count(*) FROM settings', isOrdered: true },
    last: { sql: 'COMMIT', isOrdered: true },
  };
}
