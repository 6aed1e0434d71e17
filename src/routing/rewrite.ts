import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { deparse } from '../sql/postgres-deparse.js';
import { PostgresLexer, Tok } from '../sql/postgres-lexer.js';
import type { SqlParser } from '../sql/postgres-parser.js';
import { ownedExclusion, quoteName } from '../sql/postgres-token.js';
import { copyTree, namesOf } from '../sql/postgres-tree.js';
import type { Table } from '../topology/keyspace.js';
import type { Range } from '../topology/ring.js';
import type { Recipe } from './draft.js';
import type { LiteralIndex } from './key-source.js';

/** Literals stand in rewritten trees as parameters from this number on; the wire protocol knows 65,535 at most. */
const MARKER = 1_000_000;

/** A rewritten statement: texts, and between them the literals (by index) of the text at hand. */
export interface RewrittenText {
  readonly texts: readonly string[];
  readonly literals: readonly { readonly index: number; readonly negated: boolean }[];
}

export function fillIn(rewritten: RewrittenText, literals: readonly string[]): string {
  let sql = rewritten.texts[0]!;
  rewritten.literals.forEach(({ index, negated }, position) => {
    // In parentheses, so that a sign or a cast cannot join what stands beside it.
    const text = negated ? `(-${literals[index]!})` : literals[index]!;
    sql += text + rewritten.texts[position + 1]!;
  });
  return sql;
}

/** Writes the text that a shard runs which holds rows of `foreign` that it does not own. Throws `unsupported` when it cannot be written. */
export function rewrite(
  recipe: Recipe,
  ranges: ReadonlyMap<object, Table>,
  literals: LiteralIndex,
  foreign: readonly Range[],
  parser: SqlParser,
): RewrittenText {
  const marked: { index: number; negated: boolean }[] = [];
  const tree = copyTree(recipe.tree, (node) => {
    if ('RangeVar' in node) {
      const table = foreign.length === 0 ? undefined : ranges.get(node.RangeVar);
      return table === undefined ? undefined : ownedRows(node.RangeVar, table, foreign, parser);
    }
    if ('A_Const' in node) {
      const found = literals.find(node.A_Const);
      if (found === undefined || literals.read.has(found.index)) return undefined;
      marked.push(found);
      return { ParamRef: { number: MARKER + marked.length - 1 } };
    }
    return undefined;
  });
  if (foreign.length > 0 && recipe.target !== undefined)
    excludeFromTarget(tree, recipe.target, foreign, parser);
  const sql = deparse(tree, parser);
  if (sql === undefined)
    throw unsupported(
      'a statement of this form over several shards: it cannot be rewritten for each shard',
      'Give the shard key one value, or write the statement in a simpler form.',
    );
  return cutAtMarkers(sql, marked);
}

function cutAtMarkers(sql: string, marked: readonly { index: number; negated: boolean }[]): RewrittenText {
  const texts: string[] = [];
  const literals: { index: number; negated: boolean }[] = [];
  const lexer = new PostgresLexer(sql);
  let from = 0;
  for (let kind = lexer.next(); kind !== Tok.end; kind = lexer.next()) {
    const number = kind === Tok.parameter ? Number(sql.slice(lexer.start + 1, lexer.end)) : 0;
    if (number < MARKER) continue;
    texts.push(sql.slice(from, lexer.start));
    literals.push(marked[number - MARKER]!);
    from = lexer.end;
  }
  texts.push(sql.slice(from));
  return { texts, literals };
}

/** `table` as a sub-select of the rows that the shard owns, under the name that the statement knows it by. */
function ownedRows(range: RangeVar, table: Table, foreign: readonly Range[], parser: SqlParser): Node {
  const { alias, ...bare } = range;
  // Columns renamed by the alias keep their own names inside.
  const condition = ownedExclusion(table.key!.type, quoteName(table.key!.column), foreign);
  const select = parseSelect(`SELECT * FROM x WHERE ${condition}`, parser);
  const subquery: Node = { SelectStmt: { ...select, fromClause: [{ RangeVar: bare }] } };
  const name = alias?.aliasname ?? range.relname ?? '';
  return {
    RangeSubselect: {
      subquery,
      alias: {
        aliasname: name,
        ...(namesOf(alias?.colnames).length > 0 ? { colnames: alias!.colnames! } : {}),
      },
    },
  };
}

function excludeFromTarget(
  tree: Node,
  target: { table: Table; alias: string },
  foreign: readonly Range[],
  parser: SqlParser,
): void {
  const statement = (
    'UpdateStmt' in tree ? tree.UpdateStmt : 'DeleteStmt' in tree ? tree.DeleteStmt : undefined
  ) as { whereClause?: Node } | undefined;
  if (statement === undefined) throw new TypeError('only UPDATE and DELETE have a target');
  const key = target.table.key!;
  const condition = parseSelect(
    `SELECT 1 WHERE ${ownedExclusion(key.type, `${quoteName(target.alias)}.${quoteName(key.column)}`, foreign)}`,
    parser,
  ).whereClause!;
  const own = statement.whereClause;
  if (own === undefined) statement.whereClause = condition;
  else {
    const parts = 'BoolExpr' in own && own.BoolExpr.boolop === 'AND_EXPR' ? (own.BoolExpr.args ?? []) : [own];
    statement.whereClause = { BoolExpr: { boolop: 'AND_EXPR', args: [...parts, condition] } };
  }
}

function parseSelect(sql: string, parser: SqlParser): SelectStmt {
  const node = parser.parse(sql)[0]?.stmt;
  if (node === undefined || !('SelectStmt' in node)) throw new TypeError(`not a SELECT: ${sql}`);
  return node.SelectStmt;
}
