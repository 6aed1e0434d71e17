import type { ParameterValues } from './plan.js';

/** A bulk execution of these sets, one or more. */
export function bulkOf(sets: readonly ParameterValues[]): ParameterValues {
  const first = sets[0]!;
  return {
    count: first.count,
    typeOid: (index) => first.typeOid(index),
    format: (index) => first.format(index),
    bytes: (index) => first.bytes(index),
    word: (index) => first.word?.(index),
    sets,
  };
}

/** The same values, of which the text to run has only these, in this order. */
export function inOrder(values: ParameterValues, order: readonly number[]): ParameterValues {
  if (values.sets !== undefined) return bulkOf(values.sets.map((set) => inOrder(set, order)));
  return {
    count: order.length,
    typeOid: (index) => values.typeOid(order[index]!),
    format: (index) => values.format(order[index]!),
    bytes: (index) => values.bytes(order[index]!),
    word: (index) => values.word?.(order[index]!),
  };
}

const TEXT_FORMAT = 0;

/** The same values with numbers between them, which then stand in these places (ascending). */
export function withValues(
  values: ParameterValues,
  places: readonly number[],
  numbers: readonly bigint[],
): ParameterValues {
  const added = new Map(places.map((place, index) => [place, Buffer.from(String(numbers[index]))]));
  const earlier = (index: number) => index - places.filter((place) => place < index).length;
  return {
    count: values.count + places.length,
    typeOid: (index) => (added.has(index) ? 0 : values.typeOid(earlier(index))),
    format: (index) => (added.has(index) ? TEXT_FORMAT : values.format(earlier(index))),
    bytes: (index) => added.get(index) ?? values.bytes(earlier(index)),
    word: (index) => (added.has(index) ? undefined : values.word?.(earlier(index))),
  };
}
