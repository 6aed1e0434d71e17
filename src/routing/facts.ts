import type { KeySource } from './plan.js';

/** One column of one table reference: reference number and column name. Only columns of key types have one. */
export type ColumnId = string;

/**
 * What is known to hold for every row that a query level lets through: columns that are equal, and columns that have one
 * of some values. A level inside another (the nullable side of an outer join, a sub-select) knows more than the outer one.
 */
export class Facts {
  readonly #outer: Facts | undefined;
  readonly #equal: [ColumnId, ColumnId][] = [];
  readonly #pins: [ColumnId, readonly KeySource[]][] = [];

  constructor(outer?: Facts) {
    this.#outer = outer;
  }

  addEqual(a: ColumnId, b: ColumnId): void {
    this.#equal.push([a, b]);
  }

  addPin(column: ColumnId, sources: readonly KeySource[]): void {
    this.#pins.push([column, sources]);
  }

  /** Takes over what holds in a joined sub-select: it holds for its rows here too. */
  include(other: Facts): void {
    this.#equal.push(...other.#equal);
    this.#pins.push(...other.#pins);
  }

  /** Does a condition of this very level need the column to have a value? */
  mentions(column: ColumnId): boolean {
    return (
      this.#equal.some(([a, b]) => a === column || b === column) ||
      this.#pins.some(([pinned]) => pinned === column)
    );
  }

  solve(): Solution {
    const roots = new Map<ColumnId, ColumnId>();
    const find = (id: ColumnId): ColumnId => {
      let root = id;
      for (let next = roots.get(root); next !== undefined; next = roots.get(root)) root = next;
      return root;
    };
    const pins = new Map<ColumnId, readonly KeySource[]>();
    const levels: Facts[] = [];
    for (let level: Facts | undefined = this; level !== undefined; level = level.#outer)
      levels.unshift(level);
    for (const level of levels) {
      for (const [a, b] of level.#equal) {
        const [rootA, rootB] = [find(a), find(b)];
        if (rootA !== rootB) roots.set(rootB, rootA);
      }
    }
    for (const level of levels) {
      for (const [column, sources] of level.#pins) {
        const root = find(column);
        const known = pins.get(root);
        if (known === undefined || sources.length < known.length) pins.set(root, sources);
      }
    }
    return { isSame: (a, b) => find(a) === find(b), pinsOf: (id) => pins.get(find(id)) };
  }
}

export interface Solution {
  isSame(a: ColumnId, b: ColumnId): boolean;
  /** The values that the column can have; undefined when nothing is known. */
  pinsOf(column: ColumnId): readonly KeySource[] | undefined;
}

/** One value, told apart from lists of them: `= $1` is, `= ANY($1)` is not. */
export function isSingle(pins: readonly KeySource[] | undefined): pins is readonly [KeySource] {
  return pins?.length === 1 && !('array' in pins[0]! && pins[0].array === true);
}
