import type { A_Expr, Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { copyTree, namesOf } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import { keySourceOf } from './key-source.js';
import type { KeySource, MergeColumn, MergeComparison, MergeCondition, MergeHaving } from './plan.js';
import { targetOf } from './spread-select.js';
import type { Statement } from './statement.js';

/** What HAVING asks of the columns that shards send. */
export interface HavingParts {
  /** Made of group expressions and constants only. */
  isOfGroup(node: Node): boolean;
  columnOf(node: Node): MergeColumn;
  /** The same expression as shards can check it. */
  asSent(node: Node): Node;
}

/**
 * HAVING over groups of several shards: what concerns the group's own columns is left to each shard, and what concerns its aggregates is
 * looked at when they have been added up.
 */
export function planHaving(
  select: SelectStmt,
  level: Level,
  statement: Statement,
  parts: HavingParts,
): { readonly shards: Node | undefined; readonly merged: MergeHaving | undefined } {
  if (select.havingClause === undefined) return { shards: undefined, merged: undefined };
  const conditions = conjuncts(withoutAliases(select.havingClause, select, level, statement));
  const own = conditions.filter((node) => parts.isOfGroup(node)).map((node) => parts.asSent(node));
  const rest = conditions.filter((node) => !parts.isOfGroup(node));
  const reader = new Having(statement, parts);
  const read = rest.map((node) => reader.condition(node));
  return {
    shards: own.length > 1 ? { BoolExpr: { boolop: 'AND_EXPR', args: own } } : own[0],
    merged:
      read.length === 0
        ? undefined
        : {
            values: reader.values,
            constants: reader.constants,
            condition: { type: 'and', conditions: read },
          },
  };
}

function conjuncts(node: Node): Node[] {
  return 'BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR'
    ? (node.BoolExpr.args ?? []).flatMap(conjuncts)
    : [node];
}

/** Names of output columns as what they name. */
function withoutAliases(node: Node, select: SelectStmt, level: Level, { dialect }: Statement): Node {
  if (!dialect.seesOutputNamesInExpressions) return node;
  return copyTree(node, (inner) => {
    const names = 'ColumnRef' in inner ? namesOf(inner.ColumnRef.fields) : [];
    if (names.length !== 1) return undefined;
    const name = dialect.fold(names[0]!);
    const target = (select.targetList ?? [])
      .map(targetOf)
      .find((each) => each?.name !== undefined && dialect.fold(each.name) === name);
    if (target === undefined) return undefined;
    if (level.scope.sources.some((source) => source.columns === undefined || source.columns.has(name)))
      throw unsupported(
        `HAVING "${names[0]}", which names an output column and a table’s, over several shards`,
        'Give the output column a name of its own.',
      );
    return target.val;
  });
}

const COMPARISONS: Readonly<Record<string, MergeComparison>> = {
  '=': '=',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};
const TURNED: Readonly<Record<MergeComparison, MergeComparison>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

class Having {
  readonly values: MergeColumn[] = [];
  readonly constants: KeySource[] = [];
  readonly #statement: Statement;
  readonly #parts: HavingParts;

  constructor(statement: Statement, parts: HavingParts) {
    this.#statement = statement;
    this.#parts = parts;
  }

  condition(node: Node): MergeCondition {
    if ('BoolExpr' in node) {
      const conditions = (node.BoolExpr.args ?? []).map((arg) => this.condition(arg));
      if (node.BoolExpr.boolop === 'NOT_EXPR') return { type: 'not', condition: conditions[0]! };
      return { type: node.BoolExpr.boolop === 'OR_EXPR' ? 'or' : 'and', conditions };
    }
    if ('NullTest' in node && node.NullTest.arg !== undefined) {
      const isNull: MergeCondition = { type: 'is-null', value: this.#value(node.NullTest.arg) };
      return node.NullTest.nulltesttype === 'IS_NULL' ? isNull : { type: 'not', condition: isNull };
    }
    const read = 'A_Expr' in node ? this.#comparison(node.A_Expr) : undefined;
    if (read !== undefined) return read;
    throw unsupported(
      'this HAVING over groups of several shards',
      'Compare aggregates and columns of the group with numbers or parameters, group by the shard key too, or filter in the application.',
    );
  }

  #comparison({ kind, name, lexpr, rexpr }: A_Expr): MergeCondition | undefined {
    if (lexpr === undefined || rexpr === undefined) return undefined;
    const operator = COMPARISONS[namesOf(name).join('.')];
    const items = 'List' in rexpr ? (rexpr.List.items ?? []) : [];
    switch (kind) {
      case 'AEXPR_OP':
        if (operator === undefined) return undefined;
        return this.#isConstant(lexpr)
          ? this.#compare(rexpr, TURNED[operator], lexpr)
          : this.#compare(lexpr, operator, rexpr);
      case 'AEXPR_IN': {
        const found: MergeCondition = {
          type: 'or',
          conditions: items.map((item) => this.#compare(lexpr, '=', item)),
        };
        return operator === '=' ? found : { type: 'not', condition: found };
      }
      case 'AEXPR_BETWEEN':
      case 'AEXPR_NOT_BETWEEN': {
        const between: MergeCondition = {
          type: 'and',
          conditions: [this.#compare(lexpr, '>=', items[0]!), this.#compare(lexpr, '<=', items[1]!)],
        };
        return kind === 'AEXPR_BETWEEN' ? between : { type: 'not', condition: between };
      }
      default:
        return undefined;
    }
  }

  #compare(value: Node, operator: MergeComparison, constant: Node): MergeCondition {
    if (!this.#isConstant(constant))
      throw unsupported(
        'HAVING that compares with anything but a number or a parameter, over groups of several shards',
        'Group by the shard key too, or filter in the application.',
      );
    const source = keySourceOf(constant, 'numeric', this.#statement.literals);
    if (source === undefined) throw unsupported('this constant in HAVING over groups of several shards');
    this.constants.push(source);
    return { type: 'compare', operator, value: this.#value(value), constant: this.constants.length - 1 };
  }

  /** A number as it is written, or a parameter. What a text means beside a number is for the database to say. */
  #isConstant(node: Node): boolean {
    if ('ParamRef' in node) return true;
    if (!('A_Const' in node)) return false;
    const { ival, fval } = node.A_Const;
    return ival !== undefined || (fval !== undefined && !/[eE]/.test(fval.fval ?? ''));
  }

  #value(node: Node): number {
    const made = this.#parts.columnOf(node);
    if (made.type === 'bool-and' || made.type === 'bool-or')
      throw unsupported(`HAVING ${made.type} over groups of several shards`, 'Filter in the application.');
    if (made.type === 'avg' && !this.#statement.dialect.typesAverages)
      throw unsupported(
        'HAVING avg() over groups of several shards, which the server compares with more digits than it tells',
        'Compare sum() or count(), group by the shard key too, or filter in the application.',
      );
    this.values.push(made);
    return this.values.length - 1;
  }
}
