import type { Node } from '@pgsql/types';
import { MysqlLexer, Tok } from '../sql/mysql-lexer.js';

/** Words between the first and the kind of object: CREATE *OR REPLACE* VIEW. */
const FILLING = new Set([
  'or',
  'replace',
  'unique',
  'temporary',
  'fulltext',
  'spatial',
  'online',
  'ignore',
  'if',
]);
const OBJECT_VERBS = new Set(['create', 'alter', 'drop', 'rename', 'show']);

/** First words of a statement: SELECT, INSERT, CREATE TABLE. */
export function mysqlVerbOf(node: Node, sql: string): string {
  if ('SelectStmt' in node) return 'SELECT';
  if ('UpdateStmt' in node) return 'UPDATE';
  if ('DeleteStmt' in node) return 'DELETE';
  if ('InsertStmt' in node) return (node.InsertStmt as { verb?: string }).verb ?? 'INSERT';
  const lexer = new MysqlLexer(sql);
  const words: string[] = [];
  for (let kind = lexer.nextSolid(); kind === Tok.word && words.length < 5; kind = lexer.nextSolid())
    words.push(lexer.source.toLowerCase());
  const first = words[0] ?? '';
  if (first === 'start') return 'START TRANSACTION';
  if (!OBJECT_VERBS.has(first)) return first.toUpperCase();
  const object = words.slice(1).find((word) => !FILLING.has(word));
  return (object === undefined ? first : `${first} ${object}`).toUpperCase();
}
