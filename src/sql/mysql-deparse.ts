import type { Node } from '@pgsql/types';
import { MysqlLexer, Tok } from './mysql-lexer.js';
import { DEFAULT_MODE, type SqlMode } from './mysql-mode.js';
import { createMysqlParser } from './mysql-parser.js';
import { writeQuery } from './mysql-write-select.js';
import { writeStatement } from './mysql-write-statement.js';
import { Writer } from './mysql-writer.js';

/** A tree as text, with the places where its parameters stand in it, in order. `number` is that of the ParamRef. */
export interface WrittenMysql {
  readonly sql: string;
  readonly parameters: readonly { readonly start: number; readonly end: number; readonly number: number }[];
}

/** Fields that say where or how something was written, not what it means. */
const WRITTEN_FORM = new Set(['location', 'stmt_location', 'stmt_len', 'written', 'isSet']);

/**
 * SQL text of a SELECT, INSERT, UPDATE or DELETE, in which every parameter is a `?`; undefined when the text does not say exactly what
 * the tree means: it is parsed again and must give the same tree, so that a gap can never become a wrong answer.
 */
export function deparseMysql(statement: Node, mode: SqlMode = DEFAULT_MODE): WrittenMysql | undefined {
  try {
    const writer = new Writer(mode, writeQuery);
    if (!writeStatement(writer, statement)) return undefined;
    const { sql, numbers } = writer;
    const again = createMysqlParser(mode).parse(sql);
    if (again.length !== 1 || meaning(again[0]!.stmt) !== meaning(statement)) return undefined;
    const places = placesOf(sql, mode);
    if (places.length !== numbers.length) return undefined;
    return { sql, parameters: places.map((place, index) => ({ ...place, number: numbers[index]! })) };
  } catch {
    return undefined;
  }
}

function placesOf(sql: string, mode: SqlMode): { start: number; end: number }[] {
  const lexer = new MysqlLexer(sql, mode);
  const places: { start: number; end: number }[] = [];
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next())
    if (kind === Tok.parameter) places.push({ start: lexer.start, end: lexer.end });
  return places;
}

/** Equal for trees that mean the same, however they were written. Which parameter stands where is not looked at. */
export function meaning(tree: unknown): string {
  return JSON.stringify(tree, (kind, value: unknown) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    if (kind === 'ParamRef') return {};
    return Object.fromEntries(
      Object.entries(named(kind, value))
        .filter(([name, field]) => !WRITTEN_FORM.has(name) && !isUsual(name, field))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  });
}

/** A column may have its name by an alias or by its text; in a sub-query of an expression and in INSERT … SELECT nobody sees it. */
function named(kind: string, fields: object): object {
  const { written, name, subselect, selectStmt } = fields as Record<string, unknown>;
  if (kind === 'ResTarget' && written !== undefined && name === undefined)
    return { ...fields, name: written };
  if (kind === 'SubLink') return { ...fields, subselect: nameless(subselect) };
  if (kind === 'InsertStmt') return { ...fields, selectStmt: nameless(selectStmt) };
  return fields;
}

function nameless(tree: unknown): unknown {
  if (tree === null || typeof tree !== 'object') return tree;
  const { SelectStmt, targetList, larg, rarg } = tree as Record<string, unknown>;
  if (SelectStmt !== undefined) return { SelectStmt: nameless(SelectStmt) };
  const targets = (targetList as { ResTarget?: object }[] | undefined)?.map((target) =>
    target.ResTarget === undefined ? target : { ResTarget: { ...target.ResTarget, written: undefined } },
  );
  return { ...tree, targetList: targets, larg: nameless(larg), rarg: nameless(rarg) };
}

/** Values that mean the same as none. */
function isUsual(name: string, field: unknown): boolean {
  if (field === undefined || field === false) return true;
  if (Array.isArray(field) && field.length === 0) return true;
  if (name === 'op') return field === 'SETOP_NONE';
  if (name === 'limitOption') return field !== 'LIMIT_OPTION_WITH_TIES';
  if (name === 'override') return true;
  return name === 'typemod' || name === 'inh' || field === 'LockWaitBlock';
}
