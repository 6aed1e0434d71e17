import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type mysql from 'mysql2/promise';
import { OperatingError } from '../../src/lib/errors.js';
import { deparseMysql } from '../../src/sql/mysql-deparse.js';
import { mariadbParser } from '../../src/sql/mysql-parser.js';
import { statementsOfSuite } from './mysql-suite.js';

/** Debian's mariadb-test-data. */
export const SUITE = '/usr/share/mysql/mysql-test/main';

const ER_PARSE_ERROR = 1064;
/** Kinds that can be written again. */
export const WRITABLE = new Set(['SELECT', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE', 'WITH', '(', 'VALUES']);

/** How many statements the server knows, how many of them the parser does, how many can be written again. */
export interface Count {
  valid: number;
  understood: number;
  written: number;
}

export interface Coverage {
  /** Different texts in the suite. */
  readonly texts: number;
  readonly kinds: ReadonlyMap<string, Count>;
  readonly reasons: ReadonlyMap<string, { readonly count: number; readonly example: string }>;
  /** Texts written again that the server does not take. */
  readonly mistakes: readonly string[];
}

/** The suite's statements, each text once. */
export function suiteTexts(): string[] {
  const files = readdirSync(SUITE).filter((name) => name.endsWith('.test'));
  return [
    ...new Set(files.sort().flatMap((file) => statementsOfSuite(readFileSync(join(SUITE, file), 'latin1')))),
  ];
}

/** Reads every text, with the server's PREPARE as the judge of what is a statement at all. */
export async function measureCoverage(
  connection: mysql.Connection,
  texts: readonly string[],
): Promise<Coverage> {
  const kinds = new Map<string, Count>();
  const reasons = new Map<string, { count: number; example: string }>();
  const mistakes: string[] = [];
  for (const sql of texts) {
    const tree = parsed(sql);
    if (!(await isValid(connection, sql))) continue;
    const kind = kindOf(sql);
    const count = kinds.get(kind) ?? { valid: 0, understood: 0, written: 0 };
    kinds.set(kind, count);
    count.valid++;
    if (tree instanceof OperatingError) {
      const reason = `${WRITABLE.has(kind) ? '' : `${kind}: `}${reasonOf(tree)}`;
      const example = reasons.get(reason)?.example ?? sql.replace(/\s+/g, ' ').slice(0, 110);
      reasons.set(reason, { count: (reasons.get(reason)?.count ?? 0) + 1, example });
      continue;
    }
    count.understood++;
    const written = tree === undefined || !WRITABLE.has(kind) ? undefined : deparseMysql(tree);
    if (written === undefined) continue;
    count.written++;
    if (!(await isValid(connection, written.sql))) mistakes.push(`${sql}\n  => ${written.sql}`);
  }
  return { texts: texts.length, kinds, reasons, mistakes };
}

function parsed(sql: string) {
  try {
    return mariadbParser.parse(sql)[0]?.stmt;
  } catch (error) {
    if (error instanceof OperatingError) return error;
    throw new Error(`the parser failed on: ${sql}`, { cause: error });
  }
}

/** Does the server know the text as one statement? It need not be able to prepare it. */
async function isValid(connection: mysql.Connection, sql: string): Promise<boolean> {
  try {
    await connection.query('PREPARE judged FROM ?', [sql]);
    return true;
  } catch (error) {
    const { errno } = error as { errno?: number };
    if (errno === undefined) throw error;
    return errno !== ER_PARSE_ERROR;
  }
}

function kindOf(sql: string): string {
  if (sql.startsWith('(')) return '(';
  const words = sql
    .replace(/\/\*.*?\*\//gs, ' ')
    .trim()
    .split(/[\s(;]+/);
  const first = (words[0] ?? '').toUpperCase();
  return /^(CREATE|ALTER|DROP)$/.test(first) ? `${first} …` : first;
}

/** Where reading stopped, without what differs from statement to statement. */
function reasonOf({ message }: OperatingError): string {
  const near = /near '(.*)'$/s.exec(message)?.[1];
  if (near === undefined)
    return message.replace(/^the statement cannot be understood near the end$/, 'at the end');
  const word = /^\s*(\w+|[^\s\w]+)/.exec(near)?.[1] ?? near;
  return /^\d/.test(word) ? 'near a number' : `near ${word.toUpperCase().slice(0, 30)}`;
}

export function sumOf(counts: Iterable<Count>): Count {
  const sum: Count = { valid: 0, understood: 0, written: 0 };
  for (const count of counts) {
    sum.valid += count.valid;
    sum.understood += count.understood;
    sum.written += count.written;
  }
  return sum;
}
