import type { Range } from '../../src/topology/ring.js';
import { TOKEN_MAX, TOKEN_MIN } from '../../src/topology/token.js';

/** Sets of ranges with the bounds at which a test in SQL may be wrong by one. */
export const RANGE_SETS: readonly (readonly Range[])[] = [
  [{ low: TOKEN_MIN, high: TOKEN_MIN }],
  [{ low: TOKEN_MAX, high: TOKEN_MAX }],
  [{ low: TOKEN_MIN, high: TOKEN_MAX }],
  [
    { low: 5n, high: 10n },
    { low: -10n, high: -5n },
  ],
  [
    { low: 0n, high: 4n },
    { low: 5n, high: 10n },
  ],
  [
    { low: TOKEN_MIN, high: -1n },
    { low: 1n, high: TOKEN_MAX },
  ],
  [],
];

/** Tokens at those bounds and beside them. */
export const TOKENS_AT_BOUNDS: readonly bigint[] = [
  TOKEN_MIN,
  TOKEN_MIN + 1n,
  -11n,
  -10n,
  -5n,
  -4n,
  -1n,
  0n,
  1n,
  4n,
  5n,
  10n,
  11n,
  TOKEN_MAX - 1n,
  TOKEN_MAX,
];
