import type { FuncCall, Node, SelectStmt } from '@pgsql/types';
import { unsupported } from '../lib/errors.js';
import { functionNameOf, plainTypeOf, walk } from '../sql/postgres-tree.js';
import type { Level } from './analysis.js';
import type { Recipe } from './draft.js';
import { columnsIn, enumLabels, hasByteOrder, limitSource, sortItems } from './order.js';
import { targetName } from './output-name.js';
import type { Merge, MergeCast, MergeColumn, MergeOrder } from './plan.js';
import { groupExpression, hasAggregate, isStar, targetOf } from './spread-select.js';
import type { Statement } from './statement.js';

const CASTS = new Set<string>(['int2', 'int4', 'int8', 'numeric', 'float8', 'text']);

/** Groups that are spread over shards: shards send partial aggregates, the merge adds them up. */
export function planGroups(
  select: SelectStmt,
  level: Level,
  statement: Statement,
): { merge: Merge; recipe: Recipe } {
  if (select.havingClause !== undefined) {
    throw unsupported(
      'HAVING over groups of several shards',
      'Group by the shard key too, or filter in the application.',
    );
  }
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
  const orderBy = sortItems(select, statement).map((item): MergeOrder => {
    const node = item.target === undefined ? item.node : targetOf(targets[item.target])?.val;
    if (node === undefined)
      throw unsupported(`ORDER BY position ${item.target! + 1}, which is not in the select list`);
    const value = parts.columnOf(node);
    const byteOrder =
      value.type === 'pass'
        ? hasByteOrder(node, level, statement, 'ORDER BY')
        : 'byteOrder' in value && value.byteOrder;
    return {
      column: value.type === 'pass' ? value.column : -1,
      descending: item.descending,
      nullsFirst: item.nullsFirst,
      byteOrder,
      value,
    };
  });
  const merge: Merge = {
    output,
    names: targets.map(targetName),
    groupBy: parts.groupBy,
    enums: parts.enums,
    distinct: clause.length > 0,
    orderBy,
    limit: limitSource(select.limitCount, statement),
    offset: limitSource(select.limitOffset, statement),
  };
  const { sortClause: _s, limitCount: _c, limitOffset: _o, distinctClause: _d, ...rest } = select;
  const changed: SelectStmt = { ...rest, targetList: parts.targets, limitOption: 'LIMIT_OPTION_DEFAULT' };
  if (parts.groupExpressions.length > 0) changed.groupClause = parts.groupExpressions;
  return { merge, recipe: { tree: { SelectStmt: changed }, isChanged: true, target: undefined } };
}

/** The columns that shards send for a grouped query, each expression once. */
class Parts {
  readonly targets: Node[] = [];
  readonly groupExpressions: Node[];
  readonly groupBy: readonly number[];
  readonly enums = new Map<number, readonly string[]>();
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
    refuseLooseText(this.groupExpressions, level);
    this.#groupKeys = new Set(this.groupExpressions.map((node) => this.#keyOf(node)));
    this.groupBy = this.groupExpressions.map((node) => this.#add(node));
  }

  /** How the value of a target or ORDER BY expression is made from what shards send. */
  columnOf(node: Node): MergeColumn {
    if (this.#isOfGroup(node)) return { type: 'pass', column: this.#add(node) };
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
      case 'max':
        return {
          type: name,
          column: this.#add(node),
          byteOrder: hasByteOrder(call.args![0]!, this.#level, this.#statement, name),
        };
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
        };
      default:
        throw unsupported(
          `${name}() over several shards`,
          'count, sum, min, max, avg, bool_and and bool_or can be merged; others need the shard key in GROUP BY or one value of it in WHERE.',
        );
    }
  }

  /** Made of group expressions and constants only: any row of the group gives it. */
  #isOfGroup(node: Node): boolean {
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
    this.targets.push({ ResTarget: { name: `ringferry_${this.targets.length + 1}`, val: node } });
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

function renamedCall(call: FuncCall, name: string): Node {
  return { FuncCall: { ...call, funcname: [{ String: { sval: name } }] } };
}

export function refuseLooseText(expressions: readonly Node[], level: Level): void {
  const loose = columnsIn(expressions, level).find((column) => column?.column?.isLooselyEqual === true);
  if (loose === undefined) return;
  throw unsupported(
    `grouping by "${loose.column?.name}", whose collation takes different texts as equal, over several shards`,
    'Group by "column" COLLATE "C".',
  );
}
