import { type KeyContext, keyValues } from './key-value.js';
import type { GivenNumbers, ParameterValues } from './plan.js';

/** The greatest of the numbers given by hand that the column can hold; 0 when there is none. */
export function greatestGiven(
  { sources, greatest }: GivenNumbers,
  context: KeyContext,
  parameters: ParameterValues | undefined,
): bigint {
  let found = 0n;
  for (const source of sources) {
    const values = keyValues(source, 'integer', context, parameters);
    if (values === 'unknown') continue;
    for (const text of values) {
      const value = BigInt(text ?? 0);
      if (value > found && value <= greatest) found = value;
    }
  }
  return found;
}
