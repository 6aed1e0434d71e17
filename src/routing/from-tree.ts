import { unsupported } from '../lib/errors.js';
import type { Facts, Solution } from './facts.js';
import { type ColumnId, isSingle } from './facts.js';
import type { ScopeColumn, Source } from './scope.js';
import { columnIn } from './scope.js';
import { joined, leftJoined, type Shape } from './shape.js';

/** A FROM clause as far as it says where rows are. `sources` are the entries below, `merged` its USING columns. */
export type FromTree = {
  readonly sources: readonly Source[];
  readonly merged: ReadonlyMap<string, ScopeColumn>;
} & (
  | { readonly type: 'rows'; readonly shape: Shape; readonly facts: Facts }
  /** Its shape is known once the level's conditions are read (LATERAL). */
  | { readonly type: 'later'; readonly shapeOf: () => Shape }
  | { readonly type: 'inner'; readonly left: FromTree; readonly right: FromTree; readonly facts: Facts }
  | { readonly type: 'left'; readonly left: FromTree; readonly right: FromTree; readonly inside: Facts }
  | { readonly type: 'full'; readonly left: FromTree; readonly right: FromTree; readonly facts: Facts }
);

/**
 * Outer joins whose NULL rows a condition further out throws away are inner joins: then their ON clause holds for all rows.
 * `facts`: what holds for every row that passes.
 */
export function withoutNeedlessOuterJoins(tree: FromTree, facts: Facts): FromTree {
  if (tree.type === 'inner') {
    return {
      ...tree,
      left: withoutNeedlessOuterJoins(tree.left, facts),
      right: withoutNeedlessOuterJoins(tree.right, facts),
    };
  }
  if (tree.type !== 'left') return tree;
  const isInner = tree.right.sources.some((source) =>
    [...(source.columns?.values() ?? [])].some(
      (column) => column.id !== undefined && facts.mentions(column.id),
    ),
  );
  if (!isInner)
    return {
      ...tree,
      left: withoutNeedlessOuterJoins(tree.left, facts),
      right: withoutNeedlessOuterJoins(tree.right, tree.inside),
    };
  facts.include(tree.inside);
  const { inside: _inside, ...rest } = tree;
  return withoutNeedlessOuterJoins({ ...rest, type: 'inner', facts }, facts);
}

/** The shape of all joined rows. `outerKeys`: shard keys of the rows of outer levels. */
export function shapeOfTree(tree: FromTree, outerKeys: readonly ColumnId[]): Shape {
  switch (tree.type) {
    case 'rows':
      return settled(tree.shape, tree.facts.solve(), outerKeys);
    case 'later':
      return tree.shapeOf();
    case 'inner':
      return joined(
        shapeOfTree(tree.left, outerKeys),
        shapeOfTree(tree.right, outerKeys),
        tree.facts.solve(),
      );
    case 'left':
      return leftJoined(
        shapeOfTree(tree.left, outerKeys),
        shapeOfTree(tree.right, outerKeys),
        tree.inside.solve(),
      );
    case 'full': {
      const [left, right] = [shapeOfTree(tree.left, outerKeys), shapeOfTree(tree.right, outerKeys)];
      const spread = left.type === 'spread' ? left : right.type === 'spread' ? right : undefined;
      if (spread === undefined) return joined(left, right, tree.facts.solve());
      throw unsupported(
        `FULL JOIN of sharded table "${spread.tables[0]}" over several shards`,
        'Give the shard key one value on both sides in WHERE, or use LEFT JOIN.',
      );
    }
  }
}

/** What the level's facts make of spread rows: pinned by one value, tied to an outer row, or still spread. */
export function settled(shape: Shape, solution: Solution, outerKeys: readonly ColumnId[]): Shape {
  if (shape.type !== 'spread') return shape;
  const pins = solution.pinsOf(shape.key);
  if (isSingle(pins)) return { type: 'pinned', keyType: shape.keyType, keys: pins, tables: shape.tables };
  if (outerKeys.some((key) => solution.isSame(key, shape.key))) return { type: 'tied' };
  const known =
    shape.pins === undefined || (pins !== undefined && pins.length < shape.pins.length) ? pins : shape.pins;
  return { ...shape, pins: known };
}

/** A column of the entries below `tree`, by its bare name. */
export function columnBelow(tree: FromTree, name: string): ScopeColumn | undefined {
  return tree.merged.get(name) ?? columnIn(tree.sources, name);
}

/** All bare column names below, undefined when some entry's columns are not known. */
export function namesBelow(tree: FromTree): Set<string> | undefined {
  const names = new Set<string>();
  for (const source of tree.sources) {
    if (source.columns === undefined) return undefined;
    for (const name of source.columns.keys()) names.add(name);
  }
  return names;
}
