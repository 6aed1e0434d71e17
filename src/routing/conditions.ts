import type { Node, SubLink } from '@pgsql/types';
import { isBuiltinOperator, namesOf } from '../sql/postgres-tree.js';
import type { ColumnId, Facts } from './facts.js';
import { keySourceOf, type LiteralIndex } from './key-source.js';
import type { KeySource } from './plan.js';
import type { Scope, ScopeColumn } from './scope.js';

/** Long lists of keys cost at every execution; beyond this the statement goes to every shard instead. */
const MAX_KEYS = 10_000;

/** Reads what conditions say about columns of key types. */
export class ConditionReader {
  readonly #scope: Scope;
  readonly #literals: LiteralIndex;
  readonly #onInSubselect: (column: ScopeColumn, link: SubLink, facts: Facts) => void;

  /** `onInSubselect` hears of `column IN (SELECT …)` that every row must meet. */
  constructor(
    scope: Scope,
    literals: LiteralIndex,
    onInSubselect: (column: ScopeColumn, link: SubLink, facts: Facts) => void,
  ) {
    this.#scope = scope;
    this.#literals = literals;
    this.#onInSubselect = onInSubselect;
  }

  /** Adds what a condition, met by every row, says to `facts`. */
  read(condition: Node | undefined, facts: Facts): void {
    if (condition === undefined) return;
    if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'AND_EXPR') {
      for (const part of condition.BoolExpr.args ?? []) this.read(part, facts);
      return;
    }
    if ('SubLink' in condition) {
      this.#readSubLink(condition.SubLink, facts);
      return;
    }
    for (const [left, right] of equalities(condition)) {
      const [a, b] = [this.#column(left), this.#column(right)];
      if (a?.id !== undefined && b?.id !== undefined && a.keyType === b.keyType) facts.addEqual(a.id, b.id);
    }
    for (const [column, sources] of this.#pins(condition))
      if (sources.length <= MAX_KEYS) facts.addPin(column, sources);
  }

  #readSubLink(link: SubLink, facts: Facts): void {
    if (link.subLinkType !== 'ANY_SUBLINK' || !isInOperator(link.operName)) return;
    const column = this.#column(link.testexpr);
    if (column?.id !== undefined) this.#onInSubselect(column, link, facts);
  }

  #column(node: Node | undefined): ScopeColumn | undefined {
    return node !== undefined && 'ColumnRef' in node
      ? this.#scope.resolve(namesOf(node.ColumnRef.fields))
      : undefined;
  }

  /** Columns that can only have one of some values where `condition` is true. */
  #pins(condition: Node): Map<ColumnId, readonly KeySource[]> {
    if ('BoolExpr' in condition)
      return this.#boolPins(condition.BoolExpr.boolop, condition.BoolExpr.args ?? []);
    const pins = new Map<ColumnId, readonly KeySource[]>();
    for (const [left, right] of equalities(condition)) {
      this.#pin(pins, left, right);
      this.#pin(pins, right, left);
    }
    if ('A_Expr' in condition && isBuiltinOperator(condition.A_Expr.name, '=')) {
      if (condition.A_Expr.kind === 'AEXPR_IN')
        this.#pinList(pins, condition.A_Expr.lexpr, condition.A_Expr.rexpr);
      if (condition.A_Expr.kind === 'AEXPR_OP_ANY')
        this.#pinArray(pins, condition.A_Expr.lexpr, condition.A_Expr.rexpr);
    }
    return pins;
  }

  #boolPins(operator: string | undefined, args: readonly Node[]): Map<ColumnId, readonly KeySource[]> {
    const parts = args.map((part) => this.#pins(part));
    const result = new Map<ColumnId, readonly KeySource[]>();
    if (operator === 'AND_EXPR') {
      for (const part of parts) {
        for (const [column, sources] of part) {
          const known = result.get(column);
          if (known === undefined || sources.length < known.length) result.set(column, sources);
        }
      }
    } else if (operator === 'OR_EXPR') {
      for (const column of parts[0]?.keys() ?? []) {
        if (parts.every((part) => part.has(column)))
          result.set(
            column,
            parts.flatMap((part) => part.get(column)!),
          );
      }
    }
    return result;
  }

  #pin(pins: Map<ColumnId, readonly KeySource[]>, columnNode: Node, valueNode: Node): void {
    const column = this.#column(columnNode);
    if (column?.id === undefined || column.keyType === undefined) return;
    const source = keySourceOf(valueNode, column.keyType, this.#literals);
    if (source !== undefined) pins.set(column.id, [source]);
  }

  #pinList(pins: Map<ColumnId, readonly KeySource[]>, left: Node | undefined, right: Node | undefined): void {
    if (left === undefined || right === undefined || !('List' in right)) return;
    const items = right.List.items ?? [];
    if ('RowExpr' in left) {
      (left.RowExpr.args ?? []).forEach((part, index) => {
        const values = items.map((item) => ('RowExpr' in item ? item.RowExpr.args?.[index] : undefined));
        this.#pinValues(pins, part, values);
      });
    } else this.#pinValues(pins, left, items);
  }

  #pinValues(
    pins: Map<ColumnId, readonly KeySource[]>,
    columnNode: Node,
    values: readonly (Node | undefined)[],
  ): void {
    const column = this.#column(columnNode);
    if (column?.id === undefined || column.keyType === undefined) return;
    const keyType = column.keyType;
    const sources = values.map((value) => keySourceOf(value, keyType, this.#literals));
    if (sources.every((source) => source !== undefined)) pins.set(column.id, sources);
  }

  #pinArray(
    pins: Map<ColumnId, readonly KeySource[]>,
    left: Node | undefined,
    right: Node | undefined,
  ): void {
    const column = this.#column(left);
    if (column?.id === undefined || column.keyType === undefined || left === undefined || right === undefined)
      return;
    const array =
      'TypeCast' in right && right.TypeCast.arg !== undefined && 'A_ArrayExpr' in right.TypeCast.arg
        ? right.TypeCast.arg
        : right;
    if ('A_ArrayExpr' in array) {
      // The elements' own casts do not matter when the whole array is cast to a type that keeps them.
      if (
        array !== right &&
        keySourceOf(castOfNull(right), column.keyType, this.#literals, true) === undefined
      )
        return;
      this.#pinValues(pins, left, array.A_ArrayExpr.elements ?? []);
      return;
    }
    const source = keySourceOf(right, column.keyType, this.#literals, true);
    if (source !== undefined) pins.set(column.id, [source]);
  }
}

/** The same cast around NULL: tells whether the cast keeps values. */
function castOfNull(node: Node): Node {
  return 'TypeCast' in node ? { TypeCast: { ...node.TypeCast, arg: { A_Const: { isnull: true } } } } : node;
}

function isInOperator(names: readonly Node[] | undefined): boolean {
  return names === undefined || names.length === 0 || isBuiltinOperator(names, '=');
}

/** `a = b` as one pair, `(a, b) = (c, d)` as two. */
function equalities(condition: Node): [Node, Node][] {
  if (!('A_Expr' in condition)) return [];
  const { kind, name, lexpr, rexpr } = condition.A_Expr;
  if (kind !== 'AEXPR_OP' || !isBuiltinOperator(name, '=') || lexpr === undefined || rexpr === undefined)
    return [];
  if (!('RowExpr' in lexpr) || !('RowExpr' in rexpr)) return [[lexpr, rexpr]];
  const right = rexpr.RowExpr.args ?? [];
  return (lexpr.RowExpr.args ?? []).flatMap((part, index): [Node, Node][] =>
    right[index] === undefined ? [] : [[part, right[index]]],
  );
}
