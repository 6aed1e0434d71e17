import { OperatingError, unsupported } from '../lib/errors.js';
import { keyValues } from './key-value.js';
import type { KeySource, LimitSource, Merge, ParameterValues, PlannedStatement } from './plan.js';

/** LIMIT and OFFSET of one execution, undefined where there is none, and the numbers that HAVING compares with. */
export interface Limits {
  readonly limit: bigint | undefined;
  readonly offset: bigint;
  /** null for NULL. */
  readonly constants?: readonly (string | null)[];
}

/** Throws what the server would for a negative number. */
export function limitsOf(
  merge: Merge,
  statement: PlannedStatement,
  parameters: ParameterValues | undefined,
): Limits {
  const limit = valueOfSource(merge.limit, 'LIMIT', '2201W', statement, parameters);
  const offset = valueOfSource(merge.offset, 'OFFSET', '2201X', statement, parameters);
  if (merge.having === undefined) return { limit, offset: offset ?? 0n };
  const constants = merge.having.constants.map((source) => numberOf(source, statement, parameters));
  return { limit, offset: offset ?? 0n, constants };
}

function numberOf(
  source: KeySource,
  statement: PlannedStatement,
  parameters: ParameterValues | undefined,
): string | null {
  const values = keyValues(source, 'numeric', statement, parameters);
  const text = values === 'unknown' ? undefined : values[0];
  if (text !== undefined) return text;
  throw unsupported(
    'HAVING over groups of several shards that compares with what is no plain number',
    'Pass a whole or a decimal number.',
  );
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
  const values = keyValues(source, 'integer', statement, parameters);
  const text = values === 'unknown' ? undefined : values[0];
  if (text === null) return undefined;
  if (text === undefined) throw new OperatingError('invalid-parameter', `${word} must be a whole number`);
  const value = BigInt(text);
  if (value < 0n) throw new OperatingError('invalid-parameter', `${word} must not be negative`, { sqlstate });
  return value;
}
