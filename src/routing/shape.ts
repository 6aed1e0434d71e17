import { type OperatingError, unsupported } from '../lib/errors.js';
import type { KeyType } from '../topology/keyspace.js';
import type { ColumnId, Solution } from './facts.js';
import type { KeySource } from './plan.js';

/** Where a relation's rows can be computed. */
export type Shape =
  /** The same on every shard: no table, or reference tables only. */
  | { readonly type: 'constant' }
  | { readonly type: 'home'; readonly table: string }
  /** Right on the owner of these values, which must all be the same value. */
  | {
      readonly type: 'pinned';
      readonly keyType: KeyType;
      readonly keys: readonly KeySource[];
      readonly tables: readonly string[];
    }
  /** Right on the shard of the outer row that it is evaluated for. */
  | { readonly type: 'tied' }
  /** Each shard computes the part of the rows whose key it owns. `pins`: values that the key can have. */
  | {
      readonly type: 'spread';
      readonly key: ColumnId;
      readonly keyType: KeyType;
      readonly pins: readonly KeySource[] | undefined;
      readonly tables: readonly string[];
    };

export const CONSTANT: Shape = { type: 'constant' };

/** Rows of two relations in one inner join. */
export function joined(left: Shape, right: Shape, solution: Solution): Shape {
  if (left.type === 'constant') return right;
  if (right.type === 'constant') return left;
  if (left.type === 'home' && right.type === 'home') return left;
  if (left.type === 'home') throw mixesHome(left.table, right);
  if (right.type === 'home') throw mixesHome(right.table, left);
  if (left.type === 'tied' && right.type === 'tied') return left;
  if (left.type === 'pinned' && right.type === 'pinned') return bothPinned(left, right);
  if (left.type === 'spread' && right.type === 'spread') {
    if (!solution.isSame(left.key, right.key)) throw notJoined(left, right);
    return { ...left, tables: [...left.tables, ...right.tables] };
  }
  throw notJoined(left, right);
}

/** LEFT JOIN: `right` is the side that NULLs may stand for; `inside` knows the ON clause too. */
export function leftJoined(left: Shape, right: Shape, inside: Solution): Shape {
  if (left.type === 'constant' && right.type === 'spread') {
    throw unsupported(
      `an outer join keeps every row of a table that all shards have and adds rows of "${right.tables[0]}", which is spread over the shards`,
      `Give the shard key of "${right.tables[0]}" one value in the ON clause, or make the sharded table the outer side.`,
    );
  }
  return joined(left, right, inside);
}

/** A sub-select in an expression that is evaluated for the rows of `outer`. */
export function withSubselect(outer: Shape, inner: Shape): Shape {
  if (inner.type === 'constant') return outer;
  if (outer.type === 'constant' && inner.type !== 'spread') return inner;
  if (inner.type === 'tied' && (outer.type === 'spread' || outer.type === 'tied')) return outer;
  if (inner.type === 'pinned' && outer.type === 'pinned') return bothPinned(outer, inner);
  if (inner.type === 'home' && outer.type === 'home') return outer;
  if (inner.type === 'home') throw mixesHome(inner.table, outer);
  if (outer.type === 'home') throw mixesHome(outer.table, inner);
  const table = tablesOf(inner)[0] ?? tablesOf(outer)[0] ?? '';
  throw unsupported(
    `the sub-select on sharded table "${table}" would need rows of more than one shard`,
    `Tie it to the outer query by the shard key (inner.key = outer.key), give the shard key of "${table}" the same value as the outer query's, or run the sub-select as a statement of its own.`,
  );
}

function bothPinned(a: Shape & { type: 'pinned' }, b: Shape & { type: 'pinned' }): Shape {
  if (a.keyType !== b.keyType) throw notJoined(a, b);
  const keys = [...a.keys];
  for (const key of b.keys) if (!keys.some((known) => isSameSource(known, key))) keys.push(key);
  return { type: 'pinned', keyType: a.keyType, keys, tables: [...a.tables, ...b.tables] };
}

export function isSameSource(a: KeySource, b: KeySource): boolean {
  if (a.type === 'null' || b.type === 'null') return a.type === b.type;
  return a.type === b.type && a.index === b.index && (a.array ?? false) === (b.array ?? false);
}

export function tablesOf(shape: Shape): readonly string[] {
  return shape.type === 'spread' || shape.type === 'pinned' ? shape.tables : [];
}

function notJoined(a: Shape, b: Shape): OperatingError {
  const [first = '', second = ''] = [tablesOf(a)[0], tablesOf(b)[0]];
  const names =
    first === '' || second === '' ? `"${first || second}" and the outer query` : `"${first}" and "${second}"`;
  return unsupported(
    `sharded tables ${names} are not tied to each other by their shard keys`,
    'Join them on their shard keys (a.key = b.key), or give all their shard keys the same value.',
  );
}

function mixesHome(home: string, other: Shape): OperatingError {
  const table = tablesOf(other)[0];
  return unsupported(
    `"${home}" lives on the home shard only and cannot be used together with sharded table${table === undefined ? 's' : ` "${table}"`}`,
    `Declare "${home}" as a reference table or shard it by the same key, or use two statements.`,
  );
}
