import type { FuncCall, Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { copyTree, functionNameOf, plainTypeOf, walk } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import type { Recipe } from './draft.js';
import { planHaving } from './having-plan.js';
import { columnsIn, enumLabels, isWeighed, limitSource, sortItems, textOrder } from './order.js';
import type { Merge, MergeCast, MergeColumn, MergeOrder, TextWeight } from './plan.js';
import { groupExpression, hasAggregate, isStar, targetOf } from './spread-select.js';
import type { Statement } from './statement.js';

const CASTS = new Set<string>(['int2', 'int4', 'int8', 'numeric', 'float8', 'text']);

/** Groups that are spread over shards: shards send partial aggregates, the merge adds them up. */
export function planGroups(
  select: SelectStmt,
  level: Level,
  statement: Statement,
): { merge: Merge; recipe: Recipe } {
  const clause = select.distinctClause ?? [];
  if (clause.length > 1 || (clause.length === 1 && Object.keys(clause[0]!).length > 0))
    throw unsupported('DISTINCT ON with groups over several shards');
  const parts = new Parts(select, level, statement);
  const targets = select.targetList ?? [];
  if (targets.some(isStar))
    throw unsupported(
      'SELECT * with groups over several shards',
      'Name the columns, or group by the shard key.',
    );
  const output = targets.map((target) => parts.columnOf(targetOf(target)!.val));
  const having = planHaving(select, level, statement, parts);
  const orderBy = sortItems(select, statement).map((item): MergeOrder => {
    const node = item.target === undefined ? item.node : targetOf(targets[item.target])?.val;
    if (node === undefined)
      throw unsupported(`ORDER BY position ${item.target! + 1}, which is not in the select list`);
    const value = parts.columnOf(node);
    const byteOrder =
      value.type === 'pass' ? parts.orderOf(node, value.column) : 'byteOrder' in value && value.byteOrder;
    return {
      column: value.type === 'pass' ? value.column : -1,
      descending: item.descending,
      nullsFirst: item.nullsFirst,
      byteOrder,
      value,
    };
  });
  if (clause.length > 0)
    for (const [index, made] of output.entries())
      if (made.type === 'pass') parts.tellApart(targetOf(targets[index])!.val, made.column);
  const merge: Merge = {
    output,
    names: targets.map(statement.dialect.targetName),
    groupBy: parts.groupBy,
    enums: parts.enums,
    ...(parts.weights.size === 0 ? {} : { weights: parts.weights }),
    distinct: clause.length > 0,
    ...(having.merged === undefined ? {} : { having: having.merged }),
    orderBy,
    limit: limitSource(select.limitCount, statement),
    offset: limitSource(select.limitOffset, statement),
  };
  const {
    sortClause: _s,
    limitCount: _c,
    limitOffset: _o,
    distinctClause: _d,
    havingClause: _h,
    ...rest
  } = select;
  const changed: SelectStmt = { ...rest, targetList: parts.targets, limitOption: 'LIMIT_OPTION_DEFAULT' };
  if (having.shards !== undefined) changed.havingClause = having.shards;
  // Two placeholders without numbers are never known to be the same, so groups are named by their position.
  if (parts.groupExpressions.length > 0)
    changed.groupClause = statement.dialect.ordersParameters
      ? parts.groupBy.map((column): Node => ({ A_Const: { ival: { ival: column + 1 } } }))
      : parts.groupExpressions;
  return { merge, recipe: { tree: { SelectStmt: changed }, isChanged: true, target: undefined } };
}

/** The columns that shards send for a grouped query, each expression once. */
class Parts {
  readonly targets: Node[] = [];
  readonly groupExpressions: Node[];
  readonly groupBy: readonly number[];
  readonly enums = new Map<number, readonly string[]>();
  readonly weights = new Map<number, TextWeight>();
  readonly #keys: string[] = [];
  readonly #groupKeys: ReadonlySet<string>;
  readonly #level: Level;
  readonly #statement: Statement;

  constructor(select: SelectStmt, level: Level, statement: Statement) {
    this.#level = level;
    this.#statement = statement;
    this.groupExpressions = (select.groupClause ?? []).map((item) => {
      const expression = groupExpression(item, select, level, statement);
      if (expression === undefined || 'A_Const' in expression)
        throw unsupported(
          'this GROUP BY over several shards',
          'Group by columns or expressions, or add the shard key.',
        );
      return expression;
    });
    this.#groupKeys = new Set(this.groupExpressions.map((node) => this.#keyOf(node)));
    this.groupBy = this.groupExpressions.map((node) => this.#add(node));
    for (const [index, node] of this.groupExpressions.entries()) this.tellApart(node, this.groupBy[index]!);
  }

  /** Texts that differ may be equal to the database: so that two shards do not make two groups of one. */
  tellApart(node: Node, column: number): void {
    if (isWeighed(node, this.#level, this.#statement)) this.#weigh(node, column, 'of a group');
    else refuseLooseText([node], this.#level, this.#statement);
  }

  /** Does a text of the group that is ordered by compare as bytes? Where it cannot be told, its weights are asked for. */
  orderOf(node: Node, column: number): boolean {
    const order = textOrder(node, this.#level, this.#statement, 'ORDER BY');
    if (order.isWeighed) this.#weigh(node, column, 'of a group');
    return order.byteOrder;
  }

  /** Rows of a group differ in no more than what its texts leave open, so that an aggregate chooses one. */
  #weigh(text: Node, column: number, what: 'of a group' | 'aggregate'): void {
    if (this.weights.has(column)) return;
    const { weight, blank } = this.#statement.dialect.weightsOf(text);
    const chosen = (node: Node) => this.#add(what === 'aggregate' ? node : aggregateOf('min', node));
    this.weights.set(column, { weight: chosen(weight), blank: chosen(blank) });
  }

  /** How the value of a target or ORDER BY expression is made from what shards send. */
  columnOf(node: Node): MergeColumn {
    if (this.isOfGroup(node)) return { type: 'pass', column: this.#add(node) };
    if ('FuncCall' in node) return this.#aggregate(node.FuncCall, node);
    if ('TypeCast' in node && node.TypeCast.arg !== undefined) {
      const cast = plainTypeOf(node.TypeCast.typeName);
      const inner = this.columnOf(node.TypeCast.arg);
      if (
        cast !== undefined &&
        !cast.isArray &&
        CASTS.has(cast.name) &&
        'cast' in withCast(inner, cast.name as MergeCast)
      )
        return withCast(inner, cast.name as MergeCast);
    }
    if ('CoalesceExpr' in node) {
      const [sum, zero, ...more] = node.CoalesceExpr.args ?? [];
      // COALESCE(sum(x), 0): the parts' sum is the same with the parts' NULLs as 0.
      if (
        sum !== undefined &&
        'FuncCall' in sum &&
        more.length === 0 &&
        zero !== undefined &&
        'A_Const' in zero
      ) {
        const kind = functionNameOf(sum.FuncCall).name;
        const value = this.#statement.literals.readInteger(zero.A_Const);
        if (
          (kind === 'sum' || kind === 'count') &&
          value === 0 &&
          !sum.FuncCall.agg_distinct &&
          sum.FuncCall.over === undefined
        )
          return { type: 'sum', column: this.#add(node) };
      }
    }
    throw unsupported(
      'an expression over aggregates or ungrouped columns, over several shards',
      'Select the aggregates (count, sum, min, max, avg) and group columns themselves and compute in the application, or group by the shard key.',
    );
  }

  #aggregate(call: FuncCall, node: Node): MergeColumn {
    const { name } = functionNameOf(call);
    const isMinMax = name === 'min' || name === 'max';
    if (
      call.over !== undefined ||
      call.agg_within_group ||
      (call.agg_order ?? []).length > 0 ||
      (call.agg_distinct && !isMinMax)
    ) {
      throw unsupported(
        `${name}(${call.agg_distinct ? 'DISTINCT …' : '…'}) over several shards`,
        'Group by the shard key, or give it one value in WHERE.',
      );
    }
    switch (name) {
      case 'count':
        return { type: 'count', column: this.#add(node) };
      case 'sum':
        return { type: 'sum', column: this.#add(node) };
      case 'min':
      case 'max': {
        this.#refuseOtherForm(name, call.args![0]!);
        const order = textOrder(call.args![0]!, this.#level, this.#statement, name);
        const column = this.#add(node);
        if (order.isWeighed) this.#weigh(node, column, 'aggregate');
        return { type: name, column, byteOrder: order.byteOrder };
      }
      case 'bool_and':
      case 'every':
        return { type: 'bool-and', column: this.#add(node) };
      case 'bool_or':
        return { type: 'bool-or', column: this.#add(node) };
      case 'avg':
        return {
          type: 'avg',
          sum: this.#add(renamedCall(call, 'sum')),
          count: this.#add(renamedCall(call, 'count')),
          ...(this.#statement.dialect.typesAverages ? {} : { like: this.#add(node) }),
        };
      default:
        throw unsupported(
          `${name}() over several shards`,
          'count, sum, min, max, avg, bool_and and bool_or can be merged; others need the shard key in GROUP BY or one value of it in WHERE.',
        );
    }
  }

  #refuseOtherForm(name: string, argument: Node): void {
    if ('A_Expr' in argument) return;
    const { dialect } = this.#statement;
    const odd = columnsIn(argument, this.#level).find(
      (found) => found?.column !== undefined && dialect.isShownOtherwise(found.column),
    );
    if (odd === undefined) return;
    throw unsupported(
      `${name}() of "${odd.column!.name}", whose type is ${odd.column!.type}, over several shards`,
      `Write ${name}("${odd.column!.name}" + 0), or give the shard key one value.`,
    );
  }

  /** Made of group expressions and constants only: any row of the group gives it. */
  isOfGroup(node: Node): boolean {
    if (hasAggregate(node, this.#statement)) return false;
    let isCovered = true;
    const visit = (tree: Node): void => {
      if (this.#groupKeys.has(this.#keyOf(tree))) return;
      walk(tree, (kind, inner) => {
        if (this.#groupKeys.has(this.#keyOf({ [kind]: inner } as unknown as Node))) return 'skip';
        if (kind === 'ColumnRef' || kind === 'SubLink' || kind === 'SetToDefault') isCovered = false;
        if (kind === 'FuncCall' && (inner as FuncCall).over !== undefined) isCovered = false;
        return undefined;
      });
    };
    visit(node);
    return isCovered;
  }

  /** Where HAVING may only name what is selected, group expressions go by their names. */
  asSent(node: Node): Node {
    if (!this.#statement.dialect.seesOutputNamesInExpressions) return node;
    return copyTree({ node }, (inner) => {
      const index = this.#groupKeys.has(this.#keyOf(inner)) ? this.#add(inner) : -1;
      if (index === -1) return undefined;
      return { ColumnRef: { fields: [{ String: { sval: nameOf(index) } }] } };
    }).node;
  }

  #add(node: Node): number {
    const key = this.#keyOf(node);
    const known = this.#keys.indexOf(key);
    if (known !== -1) return known;
    this.#keys.push(key);
    const isChosen = 'FuncCall' in node && ['min', 'max'].includes(functionNameOf(node.FuncCall).name);
    const labels = enumLabels(
      isChosen ? (node.FuncCall.args?.[0] ?? node) : node,
      this.#level,
      this.#statement,
    );
    if (labels !== undefined) this.enums.set(this.targets.length, labels);
    this.targets.push({ ResTarget: { name: nameOf(this.targets.length), val: node } });
    return this.targets.length - 1;
  }

  /** Equal for expressions that are the same; the plan then holds for the literals in them only. */
  #keyOf(node: Node): string {
    return JSON.stringify(node, (key, value: unknown) => {
      if (key === 'location') return undefined;
      if (key === 'A_Const') {
        const found = this.#statement.literals.find(value as object);
        if (found !== undefined) this.#statement.literals.read.add(found.index);
      }
      if (key !== 'ColumnRef') return value;
      const column = this.#level.scope.resolve(
        ((value as { fields: { String?: { sval?: string } }[] }).fields ?? []).map(
          (field) => field.String?.sval ?? '*',
        ),
      );
      return column?.id ?? value;
    });
  }
}

function withCast(column: MergeColumn, cast: MergeCast): MergeColumn {
  if (column.type === 'count' || column.type === 'sum' || column.type === 'avg')
    return column.cast === undefined ? { ...column, cast } : column;
  return column;
}

function nameOf(column: number): string {
  return `ringferry_${column + 1}`;
}

function aggregateOf(name: string, argument: Node): Node {
  return { FuncCall: { funcname: [{ String: { sval: name } }], args: [argument] } };
}

function renamedCall(call: FuncCall, name: string): Node {
  return { FuncCall: { ...call, funcname: [{ String: { sval: name } }] } };
}

/** Texts that differ may be one group to the database; two shards would make two of it. */
export function refuseLooseText(expressions: readonly Node[], level: Level, statement: Statement): void {
  const { dialect } = statement;
  for (const item of expressions) {
    const expression = targetOf(item)?.val ?? item;
    const columns = columnsIn(expression, level).map((column) => column?.column);
    if (!dialect.isLoose(expression, columns)) continue;
    const loose = columns.find((column) => column?.isLooselyEqual === true)?.name;
    throw unsupported(
      loose === undefined
        ? 'grouping by an expression whose texts may be equal although they differ, over several shards'
        : `grouping by "${loose}", whose collation takes different texts as equal, over several shards`,
      `Group by "column" ${dialect.advice.byteOrder}.`,
    );
  }
}
