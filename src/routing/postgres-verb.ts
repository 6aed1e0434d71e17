import type { Node } from '@pgsql/types';
import { PostgresLexer, Tok } from '../sql/postgres-lexer.js';

/** Words between the first and the kind of object: CREATE *OR REPLACE* VIEW. */
const FILLING = new Set([
  'or',
  'replace',
  'unique',
  'temp',
  'temporary',
  'unlogged',
  'global',
  'local',
  'recursive',
  'trusted',
  'procedural',
  'constraint',
  'if',
]);
const OBJECT_VERBS = new Set(['create', 'alter', 'drop', 'refresh', 'comment']);

/** First words of a statement, as in its command tag: SELECT, INSERT, CREATE TABLE. */
export function verbOf(node: Node, sql: string): string {
  if ('SelectStmt' in node) return 'SELECT';
  if ('InsertStmt' in node) return 'INSERT';
  if ('UpdateStmt' in node) return 'UPDATE';
  if ('DeleteStmt' in node) return 'DELETE';
  if ('MergeStmt' in node) return 'MERGE';
  const lexer = new PostgresLexer(sql);
  const words: string[] = [];
  for (let kind = lexer.nextSolid(); kind === Tok.word && words.length < 5; kind = lexer.nextSolid())
    words.push(lexer.source.toLowerCase());
  const first = words[0] ?? '';
  if (first === 'start') return 'START TRANSACTION';
  if (!OBJECT_VERBS.has(first)) return first.toUpperCase();
  const object = words.slice(1).find((word) => !FILLING.has(word));
  return (
    object === undefined
      ? first
      : `${first} ${object === 'materialized' || object === 'foreign' || object === 'event' ? `${object} ${words[words.indexOf(object) + 1] ?? ''}`.trim() : object}`
  ).toUpperCase();
}
