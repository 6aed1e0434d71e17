import type { KeyType } from '../topology/keyspace.js';
import type { KeySource, ParameterValues } from './plan.js';

/** Values of one key source: canonical texts, null for NULL, `unknown` when it cannot be told what the database would read. */
export type KeyValues = readonly (string | null)[] | 'unknown';

/** How an engine's literals and parameters are read as keys. */
export interface KeyReader {
  /** `text`: the literal as it stands in the statement. */
  literal(source: KeySource & { type: 'literal' }, keyType: KeyType, text: string): KeyValues;
  parameter(
    source: KeySource & { type: 'parameter' },
    keyType: KeyType,
    parameters: ParameterValues,
  ): KeyValues;
}

/** Where a statement's values are read from. */
export interface KeyContext {
  readonly keys: KeyReader;
  readonly literals: readonly string[];
}

/** Reads a key source's values in one execution. */
export function keyValues(
  source: KeySource,
  keyType: KeyType,
  { keys, literals }: KeyContext,
  parameters: ParameterValues | undefined,
): KeyValues {
  switch (source.type) {
    case 'null':
      return [null];
    case 'literal':
      return keys.literal(source, keyType, literals[source.index]!);
    case 'parameter':
      return parameters === undefined || source.index >= parameters.count
        ? 'unknown'
        : keys.parameter(source, keyType, parameters);
  }
}
