import type { RawStmt } from '@pgsql/types';
import { readBits, readExpression } from './mysql-expressions.js';
import { DEFAULT_MODE, type SqlMode } from './mysql-mode.js';
import { type Grammar, Reader } from './mysql-reader.js';
import { readQuery } from './mysql-select.js';
import { readStatement } from './mysql-utility.js';
import type { SqlParser } from './postgres-parser.js';

const GRAMMAR: Grammar = { expression: readExpression, operand: readBits, query: readQuery };

/**
 * A parser of MySQL's and MariaDB's statements. It makes the nodes that libpg-query makes (see mysql-tree.ts), with constants where
 * they stand in the text, in UTF-8 byte offsets. `?` is a ParamRef, numbered as it comes. What it does not know for
 * certain it refuses with `unsupported-syntax`; depth and chains are bounded, so no text can exhaust the stack.
 * `knowsMysql8`: see `Reader`.
 */
export function createMysqlParser(mode: SqlMode = DEFAULT_MODE, knowsMysql8 = true): SqlParser {
  return { parse: (sql) => parseStatements(sql, mode, knowsMysql8) };
}

function parseStatements(sql: string, mode: SqlMode, knowsMysql8: boolean): RawStmt[] {
  const reader = new Reader(sql, mode, GRAMMAR, knowsMysql8);
  const statements: RawStmt[] = [];
  for (;;) {
    while (reader.acceptSymbol(';'));
    if (reader.isEnd) return statements;
    statements.push({ stmt: readStatement(reader) });
    if (!reader.isEnd) throw reader.unexpected();
  }
}

/** The parser of sessions whose sql_mode reads as the default does. */
export const mysqlParser: SqlParser = createMysqlParser();

/** The same without the forms that only MySQL 8 knows (from 8.0.19 on). */
export const mariadbParser: SqlParser = createMysqlParser(DEFAULT_MODE, false);
