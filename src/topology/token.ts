import { createHash } from 'node:crypto';
import { shortMd5 } from './md5.js';

/**
 * A point on the ring: the first 64 bits of the md5 of a key's canonical text (UTF-8), read as a signed big-endian
 * integer, so that it is the same as `('x'||substr(md5(key),1,16))::bit(64)::bigint` in Postgres.
 */
export type Token = bigint;

export const TOKEN_MIN: Token = -(2n ** 63n);
export const TOKEN_MAX: Token = 2n ** 63n - 1n;

export function tokenOf(canonicalKey: string): Token {
  return shortMd5(canonicalKey) ?? createHash('md5').update(canonicalKey, 'utf8').digest().readBigInt64BE(0);
}
