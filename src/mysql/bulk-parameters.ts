import { unsupported } from '../lib/errors.js';
import type { ParameterValues, ParameterWord } from '../routing/plan.js';
import { readBinaryValue } from './result-messages.js';
import { Reader } from './wire.js';

const BINARY_FORMAT = 1;
const KNOWN_TYPE_BITS = 0x80ff;
/** Command, statement id (4), flags (2). */
export const BULK_HEAD_BYTES = 7;
const FLAGS_AT = 5;
/** The types of the parameters follow. */
export const BULK_TYPES_FOLLOW = 128;

/** What stands before each value. */
export const INDICATOR = { VALUE: 0, NULL: 1, DEFAULT: 2, IGNORE: 3 } as const;

/** A value's bytes, NULL, or a word in its place. */
type BulkValue = Buffer | undefined | ParameterWord;

/** One set of values of a bulk execution. */
class ParameterSet implements ParameterValues {
  readonly #types: readonly number[];
  readonly #values: readonly BulkValue[];

  constructor(types: readonly number[], values: readonly BulkValue[]) {
    this.#types = types;
    this.#values = values;
  }

  get count(): number {
    return this.#values.length;
  }

  typeOid(index: number): number {
    return this.#types[index] ?? 0;
  }

  format(): number {
    return BINARY_FORMAT;
  }

  bytes(index: number): Buffer | undefined {
    const value = this.#values[index];
    if (typeof value !== 'string') return value;
    throw unsupported(
      `${value} as a parameter by which rows are found or numbered`,
      'Give the parameter a value in each set.',
    );
  }

  word(index: number): ParameterWord | undefined {
    const value = this.#values[index];
    return typeof value === 'string' ? value : undefined;
  }
}

/** All sets of one COM_STMT_BULK_EXECUTE, one or more; what else is asked of them is asked of the first. */
export class BulkParameters extends ParameterSet {
  readonly types: readonly number[];
  readonly sets: readonly ParameterValues[];

  constructor(types: readonly number[], sets: readonly (readonly BulkValue[])[]) {
    super(types, sets[0]!);
    this.types = types;
    this.sets = sets.map((values) => new ParameterSet(types, values));
  }
}

/** Why a server would not run it. */
export type BulkRefusal = 'unsupported' | 'wrong-arguments' | 'malformed';

/**
 * `fa, statement id: 4, flags: 2, [types: 2 each], (indicator: 1, [value]) for each parameter, for each set` (MariaDB, "COM_STMT_BULK_EXECUTE").
 * `known`: the types of the execution before. The refusals are those of MariaDB 10.11, which knows no other flag. Throws `protocol-violation` when
 * it ends in the middle of a set.
 */
export function decodeBulkExecute(
  payload: Buffer,
  count: number,
  known: readonly number[] | undefined,
): BulkParameters | BulkRefusal {
  const flags = payload.readUInt16LE(FLAGS_AT);
  if (count === 0 || (flags & ~BULK_TYPES_FOLLOW) !== 0) return 'unsupported';
  const reader = new Reader(payload, 'COM_STMT_BULK_EXECUTE', BULK_HEAD_BYTES);
  const types =
    flags === BULK_TYPES_FOLLOW
      ? Array.from({ length: count }, () => reader.int2() & KNOWN_TYPE_BITS)
      : known;
  if (types === undefined || reader.remaining === 0) return 'wrong-arguments';
  const sets: BulkValue[][] = [];
  while (reader.remaining > 0) {
    const values: BulkValue[] = [];
    for (const type of types) {
      const value = readValue(reader, type);
      if (value === 'wrong-arguments') return value;
      values.push(value);
    }
    sets.push(values);
  }
  return new BulkParameters(types, sets);
}

function readValue(reader: Reader, type: number): BulkValue | 'wrong-arguments' {
  switch (reader.int1()) {
    case INDICATOR.VALUE:
      return readBinaryValue(reader, type);
    case INDICATOR.NULL:
      return undefined;
    case INDICATOR.DEFAULT:
      return 'DEFAULT';
    case INDICATOR.IGNORE:
      return 'IGNORE';
    default:
      return 'wrong-arguments';
  }
}
