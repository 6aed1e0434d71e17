import { OperatingError } from '../lib/errors.js';
import { keyValues } from './key-value.js';
import type { LimitSource, Merge, ParameterValues, PlannedStatement } from './plan.js';

/** LIMIT and OFFSET of one execution; undefined where there is none. */
export interface Limits {
  readonly limit: bigint | undefined;
  readonly offset: bigint;
}

/** Throws what the server would for a negative number. */
export function limitsOf(
  merge: Merge,
  statement: PlannedStatement,
  parameters: ParameterValues | undefined,
): Limits {
  const limit = valueOfSource(merge.limit, 'LIMIT', '2201W', statement, parameters);
  const offset = valueOfSource(merge.offset, 'OFFSET', '2201X', statement, parameters);
  return { limit, offset: offset ?? 0n };
}

function valueOfSource(
  source: LimitSource | undefined,
  word: string,
  sqlstate: string,
  statement: PlannedStatement,
  parameters: ParameterValues | undefined,
): bigint | undefined {
  if (source === undefined) return undefined;
  if (source.type === 'constant') return source.value;
  const values = keyValues(source, 'integer', statement.literals, parameters);
  const text = values === 'unknown' ? undefined : values[0];
  if (text === null) return undefined;
  if (text === undefined) throw new OperatingError('invalid-parameter', `${word} must be a whole number`);
  const value = BigInt(text);
  if (value < 0n) throw new OperatingError('invalid-parameter', `${word} must not be negative`, { sqlstate });
  return value;
}
