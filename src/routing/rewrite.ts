import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { copyTree, namesOf } from '../sql/postgres-tree.js';
import type { Table } from '../topology/keyspace.js';
import type { Range } from '../topology/ring.js';
import type { Recipe } from './draft.js';
import type { LiteralIndex } from './key-source.js';
import type { SqlDialect, WrittenText } from './sql-dialect.js';

/** Literals stand in rewritten trees as parameters from this number on; the wire protocol knows 65,535 at most. */
const MARKER = 1_000_000;

/** A rewritten statement: texts, and between them the literals (by index) of the text at hand. */
export interface RewrittenText {
  readonly texts: readonly string[];
  readonly literals: readonly { readonly index: number; readonly negated: boolean }[];
  /** Indexes of the client's parameters in the order of the text's placeholders. */
  readonly parameters: readonly number[];
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
  dialect: SqlDialect,
): RewrittenText {
  const marked: { index: number; negated: boolean }[] = [];
  const tree = copyTree(recipe.tree, (node) => {
    if ('RangeVar' in node) {
      const table = foreign.length === 0 ? undefined : ranges.get(node.RangeVar);
      return table === undefined ? undefined : ownedRows(node.RangeVar, table, foreign, dialect);
    }
    if ('TypeCast' in node && (node.TypeCast as { form?: string }).form === 'literal') {
      // DATE '…' takes nothing but a literal.
      const constant = node.TypeCast.arg;
      const found =
        constant !== undefined && 'A_Const' in constant ? literals.find(constant.A_Const) : undefined;
      if (found !== undefined) literals.read.add(found.index);
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
    excludeFromTarget(tree, recipe.target, foreign, dialect);
  const written = dialect.write(tree);
  if (written === undefined)
    throw unsupported(
      'a statement of this form over several shards: it cannot be rewritten for each shard',
      'Give the shard key one value, or write the statement in a simpler form.',
    );
  return cutAtMarkers(written, marked, dialect);
}

function cutAtMarkers(
  { sql, parameters }: WrittenText,
  marked: readonly { index: number; negated: boolean }[],
  dialect: SqlDialect,
): RewrittenText {
  const texts: string[] = [];
  const literals: { index: number; negated: boolean }[] = [];
  const order: number[] = [];
  let text = '';
  let from = 0;
  for (const { start, end, number } of parameters) {
    text += sql.slice(from, start);
    from = end;
    if (number < MARKER) {
      text += dialect.placeholder(number);
      order.push(number - 1);
      continue;
    }
    texts.push(text);
    text = '';
    literals.push(marked[number - MARKER]!);
  }
  texts.push(text + sql.slice(from));
  return { texts, literals, parameters: order };
}

/** `table` as a sub-select of the rows that the shard owns, under the name that the statement knows it by. */
function ownedRows(range: RangeVar, table: Table, foreign: readonly Range[], dialect: SqlDialect): Node {
  const { alias, ...bare } = range;
  // Columns renamed by the alias keep their own names inside.
  const condition = dialect.ownedExclusion(table.key!.type, dialect.quoteName(table.key!.column), foreign);
  const select = parseSelect(`SELECT * FROM x WHERE ${condition}`, dialect);
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
  dialect: SqlDialect,
): void {
  const statement = (
    'UpdateStmt' in tree ? tree.UpdateStmt : 'DeleteStmt' in tree ? tree.DeleteStmt : undefined
  ) as { whereClause?: Node } | undefined;
  if (statement === undefined) throw new TypeError('only UPDATE and DELETE have a target');
  const key = target.table.key!;
  const condition = parseSelect(
    `SELECT 1 WHERE ${dialect.ownedExclusion(key.type, `${dialect.quoteName(target.alias)}.${dialect.quoteName(key.column)}`, foreign)}`,
    dialect,
  ).whereClause!;
  const own = statement.whereClause;
  if (own === undefined) statement.whereClause = condition;
  else {
    const parts = 'BoolExpr' in own && own.BoolExpr.boolop === 'AND_EXPR' ? (own.BoolExpr.args ?? []) : [own];
    statement.whereClause = { BoolExpr: { boolop: 'AND_EXPR', args: [...parts, condition] } };
  }
}

function parseSelect(sql: string, dialect: SqlDialect): SelectStmt {
  const node = dialect.parser.parse(sql)[0]?.stmt;
  if (node === undefined || !('SelectStmt' in node)) throw new TypeError(`not a SELECT: ${sql}`);
  return node.SelectStmt;
}
