import { TOKEN_MAX, TOKEN_MIN, type Token, tokenOf } from './token.js';

export type ShardName = string;

/** One vnode: the owner of every token in (previous point's token, this token]. */
export interface Point {
  readonly token: Token;
  readonly owner: ShardName;
}

/**
 * Tokens `low ≤ t ≤ high`, both ends included; never wraps (the arc over the end of the number line is two ranges).
 */
export interface Range {
  readonly low: Token;
  readonly high: Token;
}

export function rangeHolds(range: Range, token: Token): boolean {
  return token >= range.low && token <= range.high;
}

/** Points sorted by token, no token twice. */
export class Ring {
  readonly points: readonly Point[];
  readonly #tokens: BigInt64Array;

  constructor(points: readonly Point[]) {
    this.points = [...points].sort((a, b) => (a.token < b.token ? -1 : a.token > b.token ? 1 : 0));
    this.#tokens = BigInt64Array.from(this.points, (point) => point.token);
    if (this.points.length === 0) throw new RangeError('a ring needs at least one point');
  }

  /** The ring of these shards with `vnodes` points each; the same names give the same ring on every machine. */
  static of(shards: readonly ShardName[], vnodes: number): Ring {
    const points: Point[] = [];
    for (const shard of shards) points.push(...vnodePoints(shard, vnodes));
    return new Ring(points);
  }

  owner(token: Token): ShardName {
    const tokens = this.#tokens;
    let low = 0;
    let high = tokens.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tokens[middle]! < token) low = middle + 1;
      else high = middle;
    }
    return this.points[low === tokens.length ? 0 : low]!.owner;
  }

  get shards(): ShardName[] {
    return [...new Set(this.points.map((point) => point.owner))].sort();
  }

  /** Every range with its owner, ascending, covering all tokens exactly once. */
  ranges(): { range: Range; owner: ShardName }[] {
    const result: { range: Range; owner: ShardName }[] = [];
    let low = TOKEN_MIN;
    for (const point of this.points) {
      result.push({ range: { low, high: point.token }, owner: point.owner });
      low = point.token + 1n;
    }
    const last = this.points.at(-1)!;
    if (last.token !== TOKEN_MAX)
      result.push({ range: { low, high: TOKEN_MAX }, owner: this.points[0]!.owner });
    return result;
  }
}

export function vnodePoints(shard: ShardName, vnodes: number): Point[] {
  return Array.from({ length: vnodes }, (_, index) => ({
    token: tokenOf(`${shard}#${index}`),
    owner: shard,
  }));
}
